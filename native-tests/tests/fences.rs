//! Rules of the architecture that no reviewer should have to remember.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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
        ("target_arch", "a target"),
        ("target_os", "a target"),
        ("target_family", "a target"),
        ("unsafe {", "unsafe code"),
    ];
    for name in ["narrows-core", "narrows-unpack", "narrows-bars", "narrows-jobs", "narrows-numbers", "narrows-tables"]
    {
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
    assert_eq!(own("narrows-bars"), ["narrows-numbers"]);
    assert_eq!(tree("narrows-bars").len(), 2, "it has no other dependencies");
    assert_eq!(own("narrows-tables"), ["narrows-numbers"]);
    assert_eq!(own("narrows-jobs"), ["narrows-bars", "narrows-core", "narrows-numbers", "narrows-unpack"]);
    assert_eq!(
        own("narrows-origin"),
        ["narrows-bars", "narrows-core", "narrows-jobs", "narrows-numbers", "narrows-sim", "narrows-unpack"]
    );
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
    let module = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), PathBuf::from)
        .join(target)
        .join("sim/wasm_tests.wasm");
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

/// Every file of Rust or JavaScript below a folder.
fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let (mut found, mut pending) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    found
}

/// The code of a file, without comments and without its tests.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The paths behind each `prefix` in some code: `a::b` and, of a group, each of its members.
fn paths_behind(code: &str, prefix: &str) -> Vec<Vec<String>> {
    fn expand(tree: &str, before: &[String], into: &mut Vec<Vec<String>>) {
        let Some(open) = tree.find('{') else {
            let own = tree.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
            into.push(before.iter().cloned().chain(own).collect());
            return;
        };
        let own = tree[..open].split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
        let before: Vec<String> = before.iter().cloned().chain(own).collect();
        let (mut depth, mut start) = (0, open + 1);
        for (at, c) in tree.char_indices().skip_while(|(at, _)| *at < open) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if (c == ',' && depth == 1) || depth == 0 {
                if !tree[start..at].trim().is_empty() {
                    expand(&tree[start..at], &before, into);
                }
                start = at + 1;
            }
            if depth == 0 {
                return;
            }
        }
    }
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            continue; // of another word
        }
        let rest = &code[at + prefix.len()..];
        let is_group =
            rest.starts_with('{') || rest.split(|c: char| !c.is_alphanumeric() && c != '_').nth(2) == Some("");
        let end =
            match rest.starts_with('{') || (is_group && rest.find("::{").is_some_and(|at| !rest[..at].contains(';'))) {
                true => rest.find(';').unwrap_or(rest.len()),
                false => rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len()),
            };
        expand(&rest[..end], &[], &mut paths);
    }
    paths
}

/// A way from a file back to itself, if there is one.
fn circle(edges: &BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> Option<Vec<PathBuf>> {
    fn visit(
        at: &PathBuf,
        edges: &BTreeMap<PathBuf, BTreeSet<PathBuf>>,
        way: &mut Vec<PathBuf>,
        done: &mut BTreeSet<PathBuf>,
    ) -> bool {
        if way.contains(at) {
            way.push(at.clone());
            return true;
        }
        if !done.insert(at.clone()) {
            return false;
        }
        way.push(at.clone());
        for next in edges.get(at).into_iter().flatten() {
            if visit(next, edges, way, done) {
                return true;
            }
        }
        way.pop();
        false
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|start| {
        let mut way = Vec::new();
        visit(start, edges, &mut way, &mut done).then_some(way)
    })
}

/// Which files of a crate a file imports from.
fn imports(source: &Path, path: &Path) -> BTreeSet<PathBuf> {
    let code = code_of(path);
    let is_root = path.parent() == Some(source) && path.ends_with("lib.rs") || path == source.join("main.rs");
    let is_folder = path.ends_with("mod.rs") || is_root;
    let own = if is_folder { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    let above = own.parent().unwrap().to_owned();
    let resolve = |base: &Path, segments: &[String]| {
        let (mut at, mut found) = (base.to_owned(), None);
        for segment in segments {
            let (file, folder) = (at.join(format!("{segment}.rs")), at.join(segment).join("mod.rs"));
            match (file.exists(), folder.exists()) {
                (true, _) => found = Some(file),
                (_, true) => found = Some(folder),
                _ => break,
            }
            at = at.join(segment);
        }
        let root = ["mod.rs", "lib.rs", "main.rs"].map(|name| base.join(name)).into_iter().find(|path| path.exists());
        found.or(root).or_else(|| Some(base.with_extension("rs")).filter(|path| path.exists()))
    };
    let mut found: BTreeSet<PathBuf> = BTreeSet::new();
    found.extend(paths_behind(&code, "crate::").iter().filter_map(|segments| resolve(source, segments)));
    if !is_root {
        found.extend(paths_behind(&code, "super::").iter().filter_map(|segments| resolve(&above, segments)));
    }
    found.extend(paths_behind(&code, "self::").iter().filter_map(|segments| resolve(&own, segments)));
    found.remove(path);
    found
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for folder in fs::read_dir(root().join("crates")).unwrap() {
        let source = folder.unwrap().path().join("src");
        let edges: BTreeMap<_, _> =
            files_below(&source, "rs").into_iter().map(|path| (path.clone(), imports(&source, &path))).collect();
        assert!(edges.values().any(|to| !to.is_empty()) || edges.len() < 4, "{source:?}: no imports were found");
        assert_eq!(circle(&edges), None, "in {source:?}");
    }
    for folder in ["npm", "www/src"] {
        let folder = root().join(folder);
        let edges: BTreeMap<PathBuf, BTreeSet<PathBuf>> = ["js", "ts"]
            .iter()
            .flat_map(|ending| files_below(&folder, ending))
            .filter(|path| !path.components().any(|part| part.as_os_str() == "test"))
            .map(|path| {
                let text = fs::read_to_string(&path).unwrap();
                let named = text.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
                let to = named.map(|name| path.parent().unwrap().join(name)).filter(|to| to.exists()).collect();
                (path, to)
            })
            .collect();
        assert_eq!(circle(&edges), None, "in {folder:?}");
    }
}

#[test]
fn the_search_for_circles_finds_some() {
    let at = |name: &str| PathBuf::from(name);
    let edges = |pairs: &[(&str, &str)]| {
        let mut edges: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        for (from, to) in pairs {
            edges.entry(at(from)).or_default().insert(at(to));
        }
        edges
    };
    assert!(circle(&edges(&[("a", "b"), ("b", "c"), ("a", "c")])).is_none());
    assert!(circle(&edges(&[("a", "b"), ("b", "c"), ("c", "b")])).is_some());
    let paths = paths_behind("use crate::{\n    a::{b, c},\n    d,\n};\nlet x = crate::e::f(1);", "crate::");
    let expected = [&["a", "b"][..], &["a", "c"], &["d"], &["e", "f"]];
    assert_eq!(paths, expected.map(|path| path.iter().map(ToString::to_string).collect::<Vec<_>>()));
    let core = root().join("crates/narrows-core/src");
    let found = imports(&core, &core.join("window.rs"));
    assert!(found.contains(&core.join("delivery.rs")) && found.contains(&core.join("transfer/mod.rs")), "{found:?}");
}

#[test]
fn files_tell_one_story_in_500_lines() {
    let folders =
        ["crates", "npm", "www/src", "native-tests/src", "scripts", "benches"].map(|folder| root().join(folder));
    for path in folders
        .iter()
        .flat_map(|folder| ["rs", "js", "ts", "mjs", "py", "sh"].map(|e| files_below(folder, e)))
        .flatten()
    {
        let generated = path
            .components()
            .any(|part| ["tests", "test", "wasm", "node_modules"].iter().any(|name| part.as_os_str() == *name));
        if generated || path.ends_with("npm/inline.js") {
            continue;
        }
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 500, "{path:?} has {lines} lines");
    }
}

#[test]
fn every_public_item_has_an_example_or_says_why_not() {
    let mut without = Vec::new();
    for name in ["narrows-core", "narrows-native", "narrows", "narrows-bars", "narrows-jobs", "narrows-tables"] {
        for path in files_below(&root().join("crates").join(name).join("src"), "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                let kinds = ["struct", "enum", "trait", "type", "fn"];
                let Some(item) = kinds.iter().find_map(|kind| line.strip_prefix(&format!("pub {kind} "))) else {
                    continue;
                };
                let above = lines[..number].iter().rev();
                let docs: Vec<_> = above
                    .take_while(|line| line.starts_with("///") || line.starts_with("#[") || line.ends_with(']'))
                    .collect();
                let shown = docs.iter().any(|line| line.starts_with("/// ```") || line.contains("No example:"));
                if !shown {
                    without.push(format!("{}: {item}", path.display()));
                }
            }
        }
    }
    assert!(without.is_empty(), "{without:#?}");
}
