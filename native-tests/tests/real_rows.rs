//! Real rows, zipped, compressed, and served by nginx: they come out byte for byte.

use std::{
    fs,
    io::Write,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use narrows_sim::{Style, zip};
use native_tests::{files, get, shared};

/// An nginx of the test's own, on a free port.
struct Nginx(Child, String);

impl Nginx {
    fn start(directory: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let config = format!(
            "daemon off; master_process off; pid {0}/nginx.pid; error_log stderr;
             events {{}}
             http {{ access_log off; client_body_temp_path {0}/t; proxy_temp_path {0}/t; fastcgi_temp_path {0}/t;
                     uwsgi_temp_path {0}/t; scgi_temp_path {0}/t;
                     server {{ listen 127.0.0.1:{port}; root {0}/files; }} }}",
            directory.display()
        );
        let path = directory.join("nginx.conf");
        fs::write(&path, config).ok()?;
        let child = Command::new("nginx").arg("-c").arg(&path).stderr(Stdio::null()).spawn().ok()?;
        let server = Self(child, format!("http://127.0.0.1:{port}"));
        (0..100).find(|_| {
            thread::sleep(Duration::from_millis(20));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        })?;
        Some(server)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn real_files_come_out_byte_for_byte() {
    let scratch = tempfile::tempdir().unwrap();
    let served = scratch.path().join("files");
    fs::create_dir(&served).unwrap();
    let mut expected = vec![("generated.csv".to_owned(), b"a\t\t\"b\"\r\n\x0b\xe2\x80\xa8\tc\n".to_vec())];
    if let Some(directory) = shared("gdelt") {
        for name in ["events.csv", "gkg.csv", "mentions.csv"] {
            expected.push((name.to_owned(), fs::read(directory.join(name)).unwrap()));
        }
    }
    let mut names = Vec::new();
    for (name, bytes) in &expected {
        let archive = zip(&[(name.clone(), bytes.clone())], || Style::Deflated);
        fs::File::create(served.join(format!("{name}.zip"))).unwrap().write_all(&archive).unwrap();
        names.push(format!("{name}.zip"));
    }
    if let Some(directory) = shared("gzip") {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".gz"))
            else {
                continue;
            };
            let python = "import gzip, sys; sys.stdout.buffer.write(gzip.open(sys.argv[1]).read())";
            let whole = Command::new("python3").args(["-c", python]).arg(&path).output().unwrap().stdout;
            expected.push((name.trim_end_matches(".gz").to_owned(), whole));
            fs::copy(&path, served.join(name)).unwrap();
            names.push(name.to_owned());
        }
    }
    let Some(nginx) = Nginx::start(scratch.path()) else {
        eprintln!("skipped: nginx is not installed");
        return;
    };
    let out = scratch.path().join("out");
    let urls: Vec<String> = names.iter().map(|name| format!("{}/{name}", nginx.1)).collect();
    let mut arguments: Vec<&str> = urls.iter().map(String::as_str).collect();
    arguments.extend(["--unpack", "--out", out.to_str().unwrap()]);
    let (status, summary, stderr) = get(&arguments);
    assert_eq!((status, summary["done"].as_u64()), (0, Some(names.len() as u64)), "{stderr}");
    assert_eq!(files(&out).len(), expected.len());
    for (name, bytes) in expected {
        assert!(fs::read(out.join(&name)).unwrap() == bytes, "{name} differs");
    }
}
