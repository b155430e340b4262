//! Runs the simulator and makes bars where it builds, so that what the tests see elsewhere can be compared.

use std::{env, error::Error, fmt::Write, fs, path::Path};

include!("bars.rs");

fn main() -> Result<(), Box<dyn Error>> {
    let digest = narrows_sim::digest(0..SEEDS)?;
    println!("cargo:rustc-env=NATIVE_DIGEST={digest}");
    println!("cargo:rustc-env=SEEDS={SEEDS}");
    println!("cargo:rustc-env=NATIVE_BARS={}", bars_digest(TRADES));
    println!("cargo:rustc-env=TRADES={TRADES}");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=bars.rs");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("oracle.rs"), oracle()?)?;
    Ok(())
}

const SEEDS: u64 = 300;
const TRADES: u64 = 20_000;

/// The oracle's files where they are on this machine, as a constant: trades, bars, width, gate.
fn oracle() -> Result<String, Box<dyn Error>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    println!("cargo:rerun-if-changed={}", data.display());
    let mut text = "const ORACLE: &[(&[u8], &str, u32, bool)] = &[\n".to_owned();
    let files = fs::read_dir(data.join("rangebar-oracle")).into_iter().flatten();
    for file in files.collect::<Result<Vec<_>, _>>()? {
        let name = file.file_name().to_string_lossy().into_owned();
        let Some((input, rest)) = name.split_once(".csv.") else { continue };
        let Some((dbps, gate)) = rest.split_once("dbps.gate") else { continue };
        let (trades, gate) = (data.join("aggtrades").join(format!("{input}.csv")), gate.starts_with('1'));
        let (trades, bars) = (trades.canonicalize()?, file.path().canonicalize()?);
        writeln!(text, "    (include_bytes!({trades:?}), include_str!({bars:?}), {dbps}, {gate}),")?;
    }
    Ok(text + "];\n")
}
