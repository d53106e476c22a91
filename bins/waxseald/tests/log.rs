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

    // Nobody has begun the new one, and a look does not.
    let stats = parsed(&log(at, "stats --json"));
    assert_eq!((&stats["entries"], &stats["epoch"]), (&0.into(), &0.into()));
    assert!(stats["lastEntry"].is_null() && stats["checkpointAgeSeconds"].is_null());
    let again = refused(&log(at, &format!("rotate --url {url}")));
    assert!(
        again.contains("a shard that is there, old or new"),
        "{again}"
    );

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

#[test]
fn d11_a_backup_is_made_while_the_instance_runs_and_never_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let (at, port) = (folder.path(), free_port());
    let absent = refused(&log(at, "backup copy"));
    assert!(absent.contains("there is no log in data"), "{absent}");
    assert!(!at.join("copy").exists());

    let running = Running::start(at, port);
    // It is written out within a second.
    while !at.join("data/log/tiles/checkpoint").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let first = parsed(&log(at, "backup copy --json"));
    assert_eq!((&first["treeSize"], &first["new"]), (&1.into(), &1.into()));
    let second = parsed(&log(at, "backup copy --json"));
    assert_eq!(
        (&second["treeSize"], &second["new"]),
        (&1.into(), &0.into())
    );
    let said = log(at, "backup copy").stdout;
    assert!(String::from_utf8_lossy(&said).contains("every one checked"));
    // A directory with something else in it is not written to.
    std::fs::create_dir(at.join("mine")).unwrap();
    std::fs::write(at.join("mine/thesis.txt"), "").unwrap();
    let taken = refused(&log(at, "backup mine"));
    assert!(taken.contains("something else than a backup"), "{taken}");
    // The same files as those that are served.
    for file in ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"] {
        let copied = std::fs::read(at.join("copy/tiles").join(file)).unwrap();
        let served = std::fs::read(at.join("data/log/tiles").join(file)).unwrap();
        assert_eq!(copied, served, "{file}");
    }
    drop(running);

    // The log is lost, and the backup takes its place: that would be a fork.
    std::fs::rename(at.join("data/log"), at.join("lost")).unwrap();
    std::fs::rename(at.join("copy"), at.join("data/log")).unwrap();
    let owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(at.join("data/log"), owner).unwrap();
    let up = Command::new(WAXSEALD)
        .current_dir(at)
        .args(["up", "--data", "data", "--listen"])
        .arg(format!("localhost:{port}"))
        .output()
        .unwrap();
    let said = refused(&up);
    assert!(
        said.contains("the stores are a backup of the log localhost"),
        "{said}"
    );
    std::fs::rename(at.join("data/log"), at.join("copy")).unwrap();
    std::fs::rename(at.join("lost"), at.join("data/log")).unwrap();

    // Nor does another instance go on from it with the key; frozen, it keeps it for verifiers.
    let since = "--since 2026-01-01T00:00:00Z";
    let url = format!("http://127.0.0.1:{port}");
    let key = "--private-key data/keys/log.key.pem";
    for directory in ["copy", "copy/tiles"] {
        let line = format!("import {directory} {key} --url {url} {since}");
        let fork = refused(&log(at, &line));
        assert!(fork.contains("the log would fork"), "{fork}");
    }
}

#[test]
fn a_second_key_signs_checkpoints_if_the_configuration_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (at, port) = (folder.path(), free_port());
    drop(Running::start(at, port));
    let one = parsed(&log(at, "stats --json"));
    assert_eq!(one["keys"].as_array().unwrap().len(), 1);
    let config = at.join("data/waxseald.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    text += "\n[transparency_log]\nml_dsa_44 = true\n";
    std::fs::write(&config, text).unwrap();
    let running = Running::start(at, port);
    let checkpoint = running.request("localhost", "GET /checkpoint");
    assert_eq!(
        checkpoint.matches("\n\u{2014} localhost ").count(),
        2,
        "{checkpoint}"
    );
    drop(running);
    let two = parsed(&log(at, "stats --json"));
    assert_eq!(two["keys"][0], one["keys"][0]);
    assert_eq!(two["keys"].as_array().unwrap().len(), 2);
}
