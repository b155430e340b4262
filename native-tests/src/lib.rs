//! What the tests share: the binary, an origin, and places to write.

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

pub mod served;

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
};

use narrows_sim::{Style, zip};
use serde_json::Value;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The release binary, built once.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--quiet", "-p", "narrows-cli"])
            .current_dir(root())
            .status();
        assert!(built.expect("cargo runs").success(), "the binary does not build");
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        target.join("release/narrows")
    })
}

/// `narrows` with these arguments.
pub fn narrows(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null());
    // A proxy of the machine's must not come between a test and its origin.
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// Runs `narrows get ARGUMENTS --summary json`: its exit status, its summary, its stderr.
pub fn get(arguments: &[&str]) -> (i32, Value, String) {
    let mut all = vec!["get", "--summary", "json"];
    all.extend(arguments);
    let Output { status, stdout, stderr } = narrows(&all).output().expect("narrows runs");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let summary = stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
    (status.code().unwrap_or(-1), serde_json::from_slice(summary).unwrap_or(Value::Null), stderr)
}

/// The lines of a report, by index.
pub fn report(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a report");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    lines.sort_by_key(|line| line["index"].as_u64());
    lines
}

/// An origin that ends with the test.
pub struct Origin {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub base: String,
}

impl Origin {
    /// Starts `narrows origin` with these further arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = narrows(&["origin", "--until-stdin-closes"]);
        let mut child =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the origin starts");
        let mut base = String::new();
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut base).expect("its address");
        Self { child, base: base.trim().to_owned() }
    }

    /// An address at this origin.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Connections to it that are open, as the kernel counts them.
    pub fn connections(&self) -> usize {
        let port: u16 = self.base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let local = format!(":{port:04X}");
        let established = |line: &&str| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            fields.next().is_some_and(|address| address.ends_with(&local)) && fields.nth(1) == Some("01")
        };
        table.lines().filter(established).count()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The journals that runs into a directory keep.
pub fn journals(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_one = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(".narrows-journal-");
    entries.filter(is_one).map(|entry| entry.path()).collect()
}

/// Everything below a directory but its journals, as relative paths.
pub fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in std::fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => pending.push(path),
                false => found.push(path.strip_prefix(directory).expect("below").display().to_string()),
            }
        }
    }
    found.retain(|name| !name.starts_with(".narrows-journal-"));
    found.sort();
    found
}

/// Data that lies beside the repository on the developers' machines, if it does. Tests that want
/// it say so and pass without it.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = root().join("../shared/data").join(path);
    let there = path.exists();
    if !there {
        eprintln!("skipped: {path:?} is not here");
    }
    there.then_some(path)
}

/// Answers one request with `response`, and gives the request.
pub fn once(response: impl Into<Vec<u8>>) -> (String, thread::JoinHandle<String>) {
    let response = response.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(&response).unwrap();
        String::from_utf8(request).unwrap().to_lowercase()
    });
    (base, served)
}

/// A zip with one stored entry `a.txt` behind a data descriptor: its end is known to the central
/// directory only.
pub fn unstreamable() -> (Vec<u8>, Vec<u8>) {
    let data = b"PK\x07\x08 looks like a descriptor and is none".to_vec();
    let mut archive = zip(&[("a.txt".into(), data.clone())], || Style::Stored);
    let crc = crc32fast::hash(&data);
    let sizes: Vec<u8> = [crc, data.len() as u32, data.len() as u32].iter().flat_map(|n| n.to_le_bytes()).collect();
    archive[6] |= 8;
    archive[14..26].fill(0);
    let behind = 30 + 5 + data.len();
    let descriptor = [b"PK\x07\x08".as_slice(), &sizes].concat();
    archive.splice(behind..behind, descriptor.iter().copied());
    let directory = behind + descriptor.len();
    archive[directory + 8] |= 8;
    let end = archive.len() - 22;
    archive[end + 16..end + 20].copy_from_slice(&(directory as u32).to_le_bytes());
    (archive, data)
}

/// nginx with TLS and HTTP/2, with files of the given lengths.
pub struct Nginx {
    child: Child,
    /// `https://127.0.0.1:PORT`.
    pub base: String,
    /// The certificate to trust, PEM.
    pub authority: Vec<u8>,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts it, if it is installed; otherwise the test says that it was skipped.
    pub fn start(served: &[(&str, usize)]) -> Option<Self> {
        Self::with(served, "", "")
    }

    /// [`start`](Self::start) with further directives, for all of it and for its server.
    pub fn with(served: &[(&str, usize)], http: &str, server: &str) -> Option<Self> {
        let here = |name: &str| ["/usr/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
        let Some(nginx) = here("nginx").into_iter().find(|path| path.exists()) else {
            eprintln!("skipped: nginx is not installed");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).expect("parameters");
        let certificate = parameters.self_signed(&key).expect("a certificate").pem();
        std::fs::write(root.join("cert.pem"), &certificate).expect("written");
        std::fs::write(root.join("key.pem"), key.serialize_pem()).expect("written");
        for (name, length) in served {
            std::fs::write(root.join(name), vec![b'x'; *length]).expect("written");
        }
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
        let at = root.display();
        let config = format!(
            "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; client_body_temp_path {at}/t1; proxy_temp_path {at}/t2;\n\
             fastcgi_temp_path {at}/t3; uwsgi_temp_path {at}/t4; scgi_temp_path {at}/t5; {http}\n\
             server {{ listen 127.0.0.1:{port} ssl http2; root {at};\n\
             ssl_certificate {at}/cert.pem; ssl_certificate_key {at}/key.pem; {server} }} }}\n\
             user root;\n"
        );
        std::fs::write(root.join("nginx.conf"), config).expect("written");
        let base = format!("https://127.0.0.1:{port}");
        let started = Command::new(nginx)
            .args(["-c", root.join("nginx.conf").to_str()?, "-p", root.to_str()?])
            .stderr(Stdio::null())
            .spawn();
        let child = started.expect("nginx starts");
        let served = Self { child, base, authority: certificate.into_bytes(), folder };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(served);
            }
            thread::sleep(std::time::Duration::from_millis(20));
        }
        let log = std::fs::read_to_string(served.folder.path().join("error.log"));
        panic!("nginx does not listen: {}", log.unwrap_or_default());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker ends with it, asked to quit rather than killed.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
