//! The examples of the library, run against the embedded origin as a reader of them would.

use std::process::Command;

use native_tests::{Origin, files, root};

fn run(example: &str, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "-p", "narrows", "--example", example, "--"])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    told
}

#[test]
fn examples_do_what_they_say() {
    let origin = Origin::start(&[]);
    let slots: Vec<String> =
        (0..3).map(|hour| origin.url(&format!("/gdeltv2/202601010{hour}0000.export.CSV.zip"))).collect();
    let slots: Vec<&str> = slots.iter().map(String::as_str).collect();
    let told = run("week", &slots);
    assert_eq!(told.matches("done http").count(), 3, "{told}");
    assert!(told.contains(" rows, at most "), "{told}");

    let two = origin.url("/entries/two.zip");
    let told = run("blocking", &[&two, &origin.url("/bytes/10?status=404")]);
    assert!(told.contains("4 lines, done") && told.contains("0 lines, failed"), "{told}");

    let out = tempfile::tempdir().unwrap();
    let told = run("entries", &[out.path().to_str().unwrap(), &two]);
    assert!(told.contains("2 entries, Done(Structure)"), "{told}");
    assert_eq!(files(out.path()), ["a", "b"]);

    let told = run("wrapper", &[&origin.url("/bytes/1000")]);
    assert!(told.contains(" lines"), "{told}");
}
