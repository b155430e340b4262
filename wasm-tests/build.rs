//! Runs the simulator where it builds, so that what the tests see elsewhere can be compared.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let digest = narrows_sim::digest(0..SEEDS)?;
    println!("cargo:rustc-env=NATIVE_DIGEST={digest}");
    println!("cargo:rustc-env=SEEDS={SEEDS}");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}

const SEEDS: u64 = 300;
