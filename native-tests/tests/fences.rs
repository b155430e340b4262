//! Rules of the architecture that no reviewer should have to remember.

use std::{fs, path::Path, process::Command};

use native_tests::root;

fn sources_of(name: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pending = vec![root().join("crates").join(name).join("src")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The crates that `name` is built of, each as `crate`.
fn tree(name: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", name, "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn core_and_unpack_have_no_world_of_their_own() {
    let forbidden = [
        ("std::time::Instant", "a clock"),
        ("SystemTime", "a clock"),
        ("std::net", "sockets"),
        ("std::fs", "files"),
        ("std::thread", "threads"),
        ("std::env", "an environment"),
        ("tokio", "a runtime"),
        ("rand::", "chance"),
        ("RandomState", "chance"),
        ("HashMap", "chance, in its order"),
        ("target_", "a target"),
        ("unsafe {", "unsafe code"),
    ];
    for name in ["narrows-core", "narrows-unpack"] {
        for (path, text) in sources_of(name) {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (what, why) in forbidden {
                let used = code.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(what));
                assert!(!used, "{path} has {why}: {what}");
            }
        }
        let lib = fs::read_to_string(root().join("crates").join(name).join("src/lib.rs")).unwrap();
        assert!(lib.contains("#![forbid(unsafe_code)]"), "{name}");
    }
}

#[test]
fn dependencies_point_inwards() {
    let own = |name| {
        let mut crates = tree(name);
        crates.retain(|dependency| dependency.starts_with("narrows") && dependency != name);
        crates.sort();
        crates.dedup();
        crates
    };
    assert!(own("narrows-unpack").is_empty());
    assert_eq!(own("narrows-core"), ["narrows-unpack"]);
    assert_eq!(own("narrows-sim"), ["narrows-core", "narrows-unpack"]);
    assert_eq!(own("narrows-native"), ["narrows-core", "narrows-unpack"]);
    assert_eq!(own("narrows"), ["narrows-core", "narrows-native", "narrows-unpack"]);
    for name in ["narrows-core", "narrows-unpack"] {
        let all = tree(name);
        for outside in ["tokio", "reqwest", "getrandom", "web-sys", "js-sys", "libc", "rand"] {
            assert!(!all.iter().any(|dependency| dependency == outside), "{name} depends on {outside}");
        }
    }
    let all = tree("narrows-cli");
    assert!(!all.iter().any(|dependency| dependency.starts_with("openssl-sys") || dependency == "native-tls"));
}

#[test]
fn the_core_runs_the_same_on_wasm32() {
    let target = "wasm32-unknown-unknown";
    let installed = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output().unwrap();
    let libraries = String::from_utf8(installed.stdout).unwrap();
    if !Path::new(libraries.trim()).exists() {
        eprintln!("skipped: rustup target add {target}");
        return;
    }
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "sim", "--package", "wasm-tests", "--target", target])
        .current_dir(root())
        .status()
        .unwrap();
    assert!(built.success());
    let module = root().join("target").join(target).join("sim/wasm_tests.wasm");
    let script = root().join("wasm-tests/run.mjs");
    let seeds = 0..400;
    let output = Command::new("node")
        .arg(script)
        .arg(module)
        .args(["simulate", &seeds.start.to_string(), &seeds.end.to_string()])
        .output()
        .expect("node runs");
    let there: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a digest");
    assert_eq!(there, narrows_sim::digest(seeds).unwrap(), "another course of events on {target}");
}
