//! `narrows gdelt --format parquet`: slots as typed tables, from dates and from a master list, and again.

use std::fs;

use bytes::Bytes;
use narrows_tables::read_about;
use native_tests::{Origin, files, narrows};
use serde_json::Value;

fn gdelt(arguments: &[&str]) -> (i32, Value, String) {
    let fixed = ["gdelt", "--from", "2026-01-01", "--to", "2026-01-01", "--format", "parquet", "--summary", "json"];
    let output = narrows(&[&fixed, arguments].concat()).output().unwrap();
    let summary = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap_or(-1), summary, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn slots_become_tables_once() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (base, out) = (origin.url("/gdeltv2"), scratch.path().to_str().unwrap());
    let (status, summary, stderr) = gdelt(&["--base", &base, "--out", out]);
    assert_eq!((status, summary["done"].as_u64()), (0, Some(96)), "{stderr}");
    assert_eq!(
        (&summary["tables"]["rows"], summary["tables"]["days"][0]["done"].as_u64()),
        (&summary["lines"], Some(96))
    );
    let found = files(scratch.path());
    assert_eq!(found.len(), 96);
    assert_eq!(found[5], "data_type=export/date=2026-01-01/20260101011500.parquet");
    let about = |name: &str| read_about(Bytes::from(fs::read(scratch.path().join(name)).unwrap())).unwrap();
    let rows: u64 = found.iter().map(|name| about(name).1.rows).sum();
    assert_eq!((Some(rows), &*about(&found[0]).0), (summary["lines"].as_u64(), "gdelt.export"));
    // The same slots of a master list are there already.
    let master = origin.url("/gdeltv2/masterfilelist.txt?from=20260101&days=1");
    let (status, summary, stderr) = gdelt(&["--base", &base, "--out", out, "--master", &master]);
    assert_eq!((status, summary["done"].as_u64()), (0, Some(0)), "{stderr}");
    fs::remove_file(scratch.path().join(&found[7])).unwrap();
    let (status, summary, _) = gdelt(&["--base", &base, "--out", out, "--master", &master]);
    assert_eq!((status, summary["done"].as_u64()), (0, Some(1)));
}

#[test]
fn columns_are_those_asked_for_and_mistakes_are_said() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (base, out) = (origin.url("/gdeltv2"), scratch.path().to_str().unwrap());
    let (status, summary, stderr) =
        gdelt(&["--base", &base, "--out", out, "--type", "mentions", "--columns", "Confidence,GLOBALEVENTID"]);
    assert_eq!((status, summary["done"].as_u64()), (0, Some(96)), "{stderr}");
    // Other columns are another table; the same in another order are not.
    let mentions = |columns| gdelt(&["--base", &base, "--out", out, "--type", "mentions", "--columns", columns]);
    assert_eq!(mentions("GLOBALEVENTID,Confidence").1["done"].as_u64(), Some(0));
    assert_eq!(mentions("GLOBALEVENTID").1["done"].as_u64(), Some(96));
    assert!(gdelt(&["--base", &base, "--out", out, "--columns", "colour"]).2.contains("no column \"colour\""));
    assert!(gdelt(&["--base", &base]).2.contains("tables need a directory"));
}

#[test]
fn days_of_the_first_edition_become_tables_of_their_own_columns() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (base, out) = (origin.url(""), scratch.path().to_str().unwrap());
    let run = |kind: &str, from: &str, to: &str| {
        let days = ["gdelt", "--edition", "1.0", "--type", kind, "--from", from, "--to", to, "--base", &base];
        let format = ["--out", out, "--format", "parquet", "--summary", "json"];
        let output = narrows(&[&days[..], &format].concat()).output().unwrap();
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), summary["done"].as_u64(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, done, stderr) = run("export", "2013-03-30", "2013-04-02");
    assert_eq!((status, done), (Some(0), Some(3)), "{stderr}");
    let about = |name: &str| read_about(Bytes::from(fs::read(scratch.path().join(name)).unwrap())).unwrap();
    let (month, day) = ("data_type=export/date=2013-03/201303", "data_type=export/date=2013-04-01/20130401");
    assert_eq!(about(&format!("{month}.parquet")).0, "gdelt.export_v1", "57 columns");
    let (table, of) = about(&format!("{day}.parquet"));
    assert_eq!((&*table, of.rows), ("gdelt.export_v1_url", 300));
    assert_eq!(run("export", "2013-03-30", "2013-04-02").1, Some(0), "they are there");
    for (kind, table) in [("gkg", "gdelt.gkg_v1"), ("gkg-counts", "gdelt.gkg_v1_counts")] {
        assert_eq!(run(kind, "2020-01-01", "2020-01-01").0, Some(0));
        let name = kind.replace('-', "_");
        let path = format!("data_type={name}/date=2020-01-01/20200101.parquet");
        assert_eq!((about(&path).0.as_str(), about(&path).1.rows), (table, 100), "with or without a header");
    }
    let (status, _, stderr) = run("mentions", "2020-01-01", "2020-01-01");
    assert_eq!(status, Some(2));
    assert!(stderr.contains("GDELT 1.0 has no mentions"), "{stderr}");
}
