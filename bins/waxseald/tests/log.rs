//! `waxseald log` as a process, on what an instance has left.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "what cannot be started ends the test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const WAXSEALD: &str = env!("CARGO_BIN_EXE_waxseald");

/// An instance on a port of its own; it ends with this value.
struct Running {
    child: Child,
    port: u16,
}

impl Running {
    fn start(folder: &Path, port: u16) -> Self {
        let mut child = Command::new(WAXSEALD)
            .current_dir(folder)
            .args(["up", "--data", "data", "--listen"])
            .arg(format!("localhost:{port}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let ready = |line: &String| line.contains("Ctrl-C stops it.");
        assert!(stdout.lines().map(Result::unwrap).any(|line| ready(&line)));
        Self { child, port }
    }

    fn request(&self, host: &str, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let port = self.port;
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: 0\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("localhost:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn log(folder: &Path, line: &str) -> Output {
    Command::new(WAXSEALD)
        .current_dir(folder)
        .args(["log", "--data", "data"])
        .args(line.split(' '))
        .output()
        .unwrap()
}

fn parsed(output: &Output) -> serde_json::Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn an_operator_looks_rotates_and_freezes() {
    let folder = tempfile::tempdir().unwrap();
    let (at, port) = (folder.path(), free_port());
    let absent = refused(&log(at, "stats"));
    assert!(absent.contains("there is no instance in data"), "{absent}");

    let running = Running::start(at, port);
    let busy = refused(&log(at, "freeze"));
    assert!(busy.contains("another waxseald runs on data"), "{busy}");
    let last = running.request("localhost", "GET /checkpoint");
    drop(running);

    let stats = parsed(&log(at, "stats --json"));
    assert_eq!(
        (&stats["entries"], &stats["frozen"]),
        (&1.into(), &false.into())
    );
    let taken = refused(&log(at, &format!("rotate --url http://localhost:{port}")));
    assert!(taken.contains("a shard has a host of its own"), "{taken}");
    let url = format!("http://127.0.0.1:{port}");
    let rotated = parsed(&log(at, &format!("rotate --write --json --url {url}")));
    assert_eq!(rotated["new"]["url"], url);
    assert_eq!(rotated["tlogs"].as_array().unwrap().len(), 2);
    let handed_out = std::fs::read(at.join("data/client/trusted_root.json")).unwrap();
    let handed_out: serde_json::Value = serde_json::from_slice(&handed_out).unwrap();
    assert_eq!(handed_out["tlogs"], rotated["tlogs"]);

    // The old shard is where it was, byte for byte, and takes nothing; the new one is beside it.
    let running = Running::start(at, port);
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let old = running.request("localhost", "GET /checkpoint");
    assert_eq!(body(&old), body(&last));
    for path in [
        "/api/v2/checkpoint",
        "/tile/0/000.p/1",
        "/api/v2/tile/entries/000.p/1",
    ] {
        let answer = running.request("localhost", &format!("GET {path}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let answer = running.request("localhost", "GET /tile/0/001");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let frozen = running.request("localhost", "POST /api/v2/log/entries");
    assert!(frozen.starts_with("HTTP/1.1 405"), "{frozen}");
    let new = running.request("127.0.0.1", "GET /checkpoint");
    assert!(body(&new).starts_with("127.0.0.1\n1\n"), "{new}");
    let taken = running.request("127.0.0.1", "POST /api/v2/log/entries");
    assert!(taken.starts_with("HTTP/1.1 400"), "{taken}");
    // Everything else is at both names.
    let page = running.request("localhost", "GET /auth/.well-known/openid-configuration");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    drop(running);

    assert_eq!(parsed(&log(at, "freeze --json"))["treeSize"], 1);
    assert_eq!(parsed(&log(at, "freeze --json"))["treeSize"], 1);
    let stats = parsed(&log(at, "stats --json"));
    assert_eq!(stats["frozen"], true);
    assert_eq!(stats["frozenShards"].as_array().unwrap().len(), 1);
    let running = Running::start(at, port);
    let frozen = running.request("127.0.0.1", "POST /api/v2/log/entries");
    assert!(frozen.starts_with("HTTP/1.1 405"), "{frozen}");
}

#[test]
fn a_policy_that_promises_nothing_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("witnesses.policy");
    let config = folder.path().join("waxseald.toml");
    let text = format!(
        "listen = \"localhost:{}\"\n[transparency_log]\nwitness_policy = {:?}\n",
        free_port(),
        policy.to_str().unwrap()
    );
    std::fs::write(&config, text).unwrap();
    let up = |expected: &str| {
        let mut command = Command::new(WAXSEALD);
        command
            .current_dir(folder.path())
            .args(["up", "--data", "data", "--config"]);
        let said = refused(&command.arg(&config).output().unwrap());
        assert!(said.contains(expected), "{said}");
    };
    up("cannot be read");
    std::fs::write(&policy, "quorum\n").unwrap();
    up("line 1 is malformed");
    std::fs::write(&policy, "quorum none\n").unwrap();
    up("the witness policy is met without any witness");
}
