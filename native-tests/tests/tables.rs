//! `--schema` and `--format arrow`: tables of files that no command knows, and the second form of those
//! that are known.

use std::{
    fs::{self, File},
    path::Path,
};

use arrow_ipc::reader::StreamReader;
use bytes::Bytes;
use narrows_tables::read_about;
use native_tests::{Origin, files, get, narrows};
use serde_json::Value;

const DAY: &str = "/with/trades=3000/data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-31.zip";

/// Columns and rows of a stream.
fn stream(path: &Path) -> (Vec<String>, usize) {
    let reader = StreamReader::try_new(File::open(path).unwrap(), None).unwrap();
    let names = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    (names, reader.map(|batch| batch.unwrap().num_rows()).sum())
}

fn rows(path: &Path) -> u64 {
    read_about(Bytes::from(fs::read(path).unwrap())).unwrap().1.rows
}

#[test]
fn files_of_a_known_table_become_tables_once() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (out, url) = (scratch.path().to_str().unwrap(), origin.url(DAY));
    for (form, extension) in [("parquet", "parquet"), ("arrow", "arrows")] {
        let run = || get(&["--schema", "binance.spot.aggTrades", "--format", form, "--out", out, &url]);
        let (status, summary, stderr) = run();
        let rows = summary["tables"]["rows"].as_u64();
        assert_eq!((status, summary["done"].as_u64(), rows), (0, Some(1), Some(3000)), "{form}: {stderr}");
        assert!(scratch.path().join(format!("BTCUSDT-aggTrades-2024-01-31.{extension}")).exists());
        let (status, summary, stderr) = run();
        let already = summary["tables"]["already"].as_u64();
        assert_eq!((status, summary["done"].as_u64(), already), (0, Some(0), Some(1)), "{form}: {stderr}");
    }
    let at = |name: &str| scratch.path().join(name);
    assert_eq!(rows(&at("BTCUSDT-aggTrades-2024-01-31.parquet")), 3000);
    let (columns, found) = stream(&at("BTCUSDT-aggTrades-2024-01-31.arrows"));
    assert_eq!((columns.len(), found), (8, 3000));
    // A stream that was cut is none, and is made anew.
    let path = at("BTCUSDT-aggTrades-2024-01-31.arrows");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let (status, ..) =
        get(&["--schema", "binance.spot.aggTrades", "--format", "arrow", "--out", out, "--columns", "price", &url]);
    assert_eq!(status, 0);
    assert_eq!(stream(&path), (vec!["price".to_owned()], 3000));
}

#[test]
fn a_schema_of_the_users_own_is_a_file() {
    let served = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    fs::write(served.path().join("prices.csv"), "when,what,at\n1700000000000,\"a, b\",1.5\n1700000000001,c,none\n")
        .unwrap();
    let origin = Origin::start(&["--dir", served.path().to_str().unwrap()]);
    let schema = served.path().join("prices.schema");
    fs::write(&schema, "name: acme.prices\ntimestamp when\nutf8 what\ndecimal(2) at\n").unwrap();
    let (schema, out) = (schema.to_str().unwrap(), scratch.path().join("out"));
    let (url, out) = (origin.url("/prices.csv"), out.to_str().unwrap());
    let (status, _, stderr) = get(&["--schema", schema, "--out", out, &url]);
    assert_eq!(status, 1);
    assert!(stderr.contains("row 3, at \"none\": not a decimal number; --on-bad-row skip"), "{stderr}");
    assert!(files(Path::new(out)).is_empty(), "a table is whole or not at all");
    let rejected = scratch.path().join("rejected");
    let skip = ["--on-bad-row", "skip", "--rejected", rejected.to_str().unwrap()];
    let (status, _, stderr) = get(&[&["--schema", schema, "--out", out, &url][..], &skip].concat());
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(rows(&Path::new(out).join("prices.parquet")), 1);
    assert!(fs::read_to_string(&rejected).unwrap().contains("1700000000001,c,none"));
    // Mistakes are said before anything is asked for.
    let refused = |arguments: &[&str]| {
        let output = narrows(&[&["get", "http://127.0.0.1:1/a.csv"], arguments].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&["--schema", "tardis.trade"]).contains("no table is known by this name"));
    assert!(refused(&["--schema", schema, "--columns", "price"]).contains("there is no column \"price\""));
    assert!(refused(&["--schema", schema, "--stdout"]).contains("cannot be used with"));
    assert!(refused(&["--rejected", "x"]).contains("--schema"));
    fs::write(schema, "flaot64 a").unwrap();
    assert!(refused(&["--schema", schema]).contains("line 1, \"flaot64\": no kind of column"));
}

#[test]
fn memory_is_watched_by_every_job() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let lines = scratch.path().join("memory.jsonl");
    let url = origin.url("/bytes/3000000?rate=2000000");
    let days = ["--symbol", "BTCUSDT", "--from", "2024-01-01", "--to", "2024-01-01", "--threshold-dbps", "250"];
    let base = origin.url("/with/trades=3000");
    for job in [&["get", "--discard", &url][..], &[&["bars", "--base", &base][..], &days].concat()] {
        let output = narrows(&[job, &["--watch-memory", lines.to_str().unwrap()]].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = fs::read_to_string(&lines).unwrap();
        let readings: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let first = &readings[0];
        assert!(first["resident_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{first}");
        assert!(first["budget_bytes"].as_u64().is_some_and(|bytes| bytes > 32 << 20), "{first}");
        assert_eq!(first["growth_bytes_per_minute"], Value::Null, "of one reading");
        fs::remove_file(&lines).unwrap();
    }
    let output = narrows(&["get", "--discard", &url, "--watch-memory", "-"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("memory: ") && stderr.contains(" MiB charged, "), "{stderr}");
    let full = narrows(&["get", "--discard", &url, "--watch-memory", "/dev/full"]).output().unwrap();
    assert!(full.status.success(), "a watch that cannot be written ends no job");
    assert!(String::from_utf8_lossy(&full.stderr).contains("--watch-memory /dev/full: No space left"));
}

#[test]
fn every_job_has_both_forms() {
    let origin = Origin::start(&[]);
    let scratch = tempfile::tempdir().unwrap();
    let (tardis, slots, bars) = ("ticks", "slots", "b.arrows");
    let at = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let run = |arguments: &str, base: &str, out: &str| {
        let arguments: Vec<&str> = arguments.split(' ').chain(["--base", base, "--out", out]).collect();
        let output = narrows(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let days = "--from 2024-01-01 --to 2024-01-01";
    let trades = format!("tardis --exchange deribit --type trades --symbol B {days} --format arrow");
    run(&trades, &origin.url("/with/rows=2000"), &at(tardis));
    let path = scratch.path().join("ticks/exchange=deribit/data_type=trades/date=2024-01-01/B.arrows");
    assert_eq!(stream(&path).1, 2000);
    run("gdelt --from 2026-01-01 --to 2026-01-01 --format arrow", &origin.url("/gdeltv2"), &at(slots));
    let found = files(&scratch.path().join(slots));
    assert_eq!((found.len(), found[0].ends_with(".arrows")), (96, true));
    assert!(stream(&scratch.path().join(slots).join(&found[0])).1 > 100);
    let made = format!("bars --symbol BTCUSDT {days} --threshold-dbps 10 --format arrow");
    run(&made, &origin.url("/with/trades=5000"), &at(bars));
    let (columns, bars) = stream(&scratch.path().join(bars));
    assert!(columns.len() == 31 && bars > 10, "{columns:?} {bars}");
}
