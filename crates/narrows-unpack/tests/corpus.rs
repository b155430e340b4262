//! Archives with known verdicts, from several readers' own test suites. Each must get its verdict,
//! the same whether it is fed whole or byte by byte.

mod common;

use std::{collections::BTreeMap, fs, path::Path};

use common::{Unpacked, shared, unpack};
use narrows_unpack::{Allow, Error, Format, Limits, Options};
use serde_json::Value;

fn zip_options() -> Options {
    Options { format: Some(Format::Zip), seed: 7, ..Options::default() }
}

/// Unpacks in several ways, requires the same of all, and gives it.
fn verdict(data: &[u8], options: &Options) -> Result<Vec<Unpacked>, Error> {
    let whole = unpack(data, options, data.len().max(1), 64 * 1024);
    for (piece, block) in [(1, 64 * 1024), (7, 1000), (4096, 64 * 1024), (data.len().max(1), 333)] {
        if data.len() > 500_000 && piece < 4096 {
            continue; // minutes, for nothing new
        }
        let other = unpack(data, options, piece, block);
        match (&whole, &other) {
            (Ok(a), Ok(b)) => assert_eq!(a, b, "fed by {piece} into {block}"),
            (Err(a), Err(b)) => assert_eq!(a.kind, b.kind, "fed by {piece} into {block}"),
            _ => panic!("fed by {piece} into {block}: {:?}", other.map(|entries| entries.len())),
        }
    }
    whole
}

fn code(result: &Result<Vec<Unpacked>, Error>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => error.code().into(),
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn crafted_archives_get_their_verdicts() {
    let Some(folder) = shared("zip/crafted") else {
        return;
    };
    let cases: Value = serde_json::from_slice(&read(&folder.join("cases.json"))).expect("json");
    // What each error is called in the cases, and what it may be called here.
    let words: BTreeMap<&str, &[&str]> = [
        ("bad extra", &["bad_header"][..]),
        ("bad signature", &["bad_signature"]),
        ("cd offset mismatch", &["directory_offset_mismatch"]),
        ("cd size mismatch", &["directory_size_mismatch"]),
        ("count mismatch", &["count_mismatch"]),
        ("crc mismatch", &["crc_mismatch"]),
        ("descriptor missing", &["crc_mismatch", "compressed_size_mismatch", "size_mismatch"]),
        ("duplicate central entry", &["duplicate_central_entry"]),
        ("duplicate extra", &["bad_header"]),
        ("duplicate name", &["duplicate_name"]),
        ("eocd in comment", &["suspicious_comment"]),
        ("extensible data", &["unsupported"]),
        ("invalid deflate", &["bad_deflate", "size_mismatch"]),
        ("local/central mismatch", &["directory_mismatch"]),
        ("locator mismatch", &["locator_mismatch"]),
        ("method mismatch", &["directory_mismatch"]),
        ("missing central entry", &["missing_central_entry"]),
        ("missing local entry / overlap", &["missing_local_entry"]),
        ("name mismatch", &["directory_mismatch"]),
        ("offset mismatch", &["directory_mismatch", "duplicate_central_entry"]),
        ("size mismatch", &["size_mismatch", "compressed_size_mismatch", "directory_mismatch"]),
        ("trailing data after deflate end", &["compressed_size_mismatch"]),
        ("trailing data", &["trailing_data"]),
        ("truncated deflate", &["compressed_size_mismatch"]),
        ("truncated", &["truncated"]),
        ("truncated/size mismatch", &["truncated", "size_mismatch", "compressed_size_mismatch", "limit"]),
        ("zip in comment", &["suspicious_comment"]),
        ("zip64 extra missing", &["bad_header"]),
        ("zip64 mismatch", &["count_mismatch"]),
        ("unicode path differs", &["unicode_path_differs"]),
    ]
    .into();
    let mut checked = 0;
    for case in cases.as_array().expect("a list") {
        let file = case["file"].as_str().expect("a name");
        let result = verdict(&read(&folder.join(file)), &zip_options());
        let found = code(&result);
        let error = case["error"].as_str().unwrap_or_default();
        match case["expect"].as_str().expect("a verdict") {
            "accept" => {
                let entries = result.unwrap_or_else(|error| panic!("{file}: {error}"));
                for (expected, entry) in case["entries"].as_array().into_iter().flatten().zip(&entries) {
                    assert_eq!(expected["name"], entry.name, "{file}");
                    assert_eq!(expected["size"], entry.bytes.len(), "{file}");
                    let crc = format!("{:08x}", crc32fast::hash(&entry.bytes));
                    assert_eq!(expected["crc32"], crc, "{file}");
                }
                assert!(file != "bomb-nested.zip" || entries.len() == 8);
            }
            "reject" => {
                let error = if file == "conf-trailing.zip" { "trailing data" } else { error };
                let allowed = words.get(error).unwrap_or_else(|| panic!("{file}: no word for {error:?}"));
                // Two archives in a row: the second one is data behind the end.
                let stacked = file == "conf-stacked.zip" && found == "trailing_data";
                assert!(stacked || allowed.contains(&found.as_str()), "{file}: {error} became {found}");
            }
            "unsupported" => assert_eq!(found, "unsupported", "{file}"),
            "limit" => assert_eq!(found, "limit", "{file}"),
            // Hostile names are harmless until they become paths.
            "reject_or_skip" => match result {
                Ok(entries) => assert!(entries.iter().any(|entry| !entry.safe), "{file}: every name is safe"),
                Err(_) => assert_eq!(found, "unicode_path_differs", "{file}"),
            },
            "policy" => match file {
                "many-20000-empty.zip" => {
                    assert_eq!(result.map(|entries| entries.len()), Ok(20_000));
                    let limits = Limits { entries_max: 19_999, ..Limits::default() };
                    let result = verdict(&read(&folder.join(file)), &Options { limits, ..zip_options() });
                    assert_eq!(code(&result), "limit");
                }
                "conf-ddflag-mismatch.zip" => {
                    assert_eq!(found, "descriptor_flag_mismatch");
                    let allow = Allow { descriptor_flag_mismatch: true, ..Allow::default() };
                    let result = verdict(&read(&folder.join(file)), &Options { allow, ..zip_options() });
                    assert_eq!(code(&result), "ok");
                }
                "conf-cd-comment-pk.zip" => assert_eq!(found, "ok"),
                _ => panic!("{file}: no policy"),
            },
            other => panic!("{file}: unknown verdict {other}"),
        }
        checked += 1;
    }
    assert!(checked >= 70, "only {checked} cases");
}

/// Where other readers decide otherwise, what we decide and why.
fn our_own_verdict(case: &str) -> Option<&'static str> {
    Some(match case {
        // Readers that start at the end accept what a forward reader cannot vouch for.
        "go/test-baddirsz.zip" => "directory_size_mismatch",
        "go/test-prefix.zip" | "rc-zip/readme.trailingzip" => "bad_signature",
        "go/test-trailing-junk.zip" | "go/readme.zip" => "trailing_data",
        // Stored entries with a data descriptor end where nothing says so: for random access.
        "go/dupdir.zip"
        | "go/go-no-datadesc-sig.zip"
        | "go/go-with-datadesc-sig.zip"
        | "go/time-22738.zip"
        | "go/time-go.zip"
        | "rc-zip/shift-jis.zip" => "unsupported",
        // The stored size contradicts itself; uv calls it malicious too.
        "warehouse-malo/accept/short_usize_zip64.zip" => "size_mismatch",
        // The byte behind its end is a zero, and zeros are padding.
        "yauzl/failure/Invalid comment length Expected 1 Found 0 Are there extra bytes at the end of the file Or is the end of central dir signature PK in the com.zip" => {
            "ok"
        }
        // Local header and directory disagree on the name, or a second name differs from it.
        "yauzl/success/sloppy-filenames.zip" => "directory_mismatch",
        "yauzl/success/unicode-path-extra-field.zip" => "unicode_path_differs",
        // Methods and ciphers those readers have, or whose content they leave undecoded.
        "rc-zip/found-me-bzip2.zip"
        | "rc-zip/found-me-deflate64.zip"
        | "rc-zip/found-me-lzma.zip"
        | "rc-zip/found-me-zstd.zip" => "unsupported",
        "yauzl/success/bogus-compression-method.zip"
        | "yauzl/success/traditional-encryption-and-compression.zip"
        | "yauzl/success/traditional-encryption-and-compression_deprecated.zip"
        | "yauzl/success/traditional-encryption.zip"
        | "yauzl/success/traditional-encryption_deprecated.zip" => "unsupported",
        // Accepted there only with the size check off.
        "yauzl/wrong-entry-sizes/wrong-entry-sizes.zip" => "directory_mismatch",
        // bzip2 around a zip: not a zip.
        "rc-zip/wine-zeroed.zip.bz2" => "bad_signature",
        _ => return None,
    })
}

#[test]
fn archives_of_other_readers_get_their_verdicts() {
    let Some(folder) = shared("zip") else { return };
    let (mut checked, mut wrong) = (0, Vec::new());
    for corpus in ["go", "warehouse-malo", "rc-zip", "yauzl"] {
        let cases: Value = serde_json::from_slice(&read(&folder.join(corpus).join("cases.json"))).expect("json");
        for case in cases["files"].as_array().expect("a list") {
            let file = case["file"].as_str().expect("a name");
            let result = verdict(&read(&folder.join(corpus).join(file)), &zip_options());
            let (name, found) = (format!("{corpus}/{file}"), code(&result));
            checked += 1;
            if let Some(ours) = our_own_verdict(&name) {
                if found != ours {
                    wrong.push(format!("{name}: {ours} expected, {found} found"));
                }
                continue;
            }
            match case["expect"]["result"].as_str() {
                Some("accept") => {
                    let Ok(entries) = &result else {
                        wrong.push(format!("{name}: accepted elsewhere, {result:?} here"));
                        continue;
                    };
                    for expected in case["expect"]["entries"].as_array().into_iter().flatten() {
                        let size = expected["size"].as_u64();
                        let found =
                            entries.iter().any(|entry| size.is_none_or(|size| size == entry.bytes.len() as u64));
                        assert!(found, "{name}: no entry of {size:?} bytes");
                    }
                }
                // A hostile name is refused when it is to become a path.
                Some("reject") if result.is_ok_and(|entries| entries.iter().all(|entry| entry.safe)) => {
                    wrong.push(format!("{name}: {} elsewhere, accepted here", case["expect"]["error"]));
                }
                _ => {} // no verdict is given; it must not panic, and be the same however fed
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 138, "only {checked} cases");
}
