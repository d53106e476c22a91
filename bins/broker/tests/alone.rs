//! `waxseal-broker` as a process.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "what cannot be started ends the test")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

const BROKER: &str = env!("CARGO_BIN_EXE_waxseal-broker");

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("localhost", port)).ok()?;
    let host = format!("localhost:{port}");
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let listening = TcpListener::bind("localhost:0").unwrap();
    let port = listening.local_addr().unwrap().port();
    drop(listening);
    let config = folder.path().join("broker.toml");
    let text = format!("listen = 'localhost:{port}'\n[tokens]\nalgorithm = 'ES256'\n");
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new(BROKER)
        .arg("--config")
        .arg(&config)
        .arg("--data")
        .arg(folder.path().join("data"))
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let document = loop {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it does not answer"
        );
        match get(port, "/auth/.well-known/openid-configuration") {
            Some(answer) => break answer,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    assert!(
        document.contains(&format!("http://localhost:{port}/auth/token")),
        "{document}"
    );
    assert!(get(port, "/readyz").unwrap().starts_with("HTTP/1.1 200"));
    let signalled = Command::new("kill").arg(child.id().to_string()).status();
    assert!(signalled.unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_configuration_that_is_not_known_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("broker.toml");
    std::fs::write(&config, "colour = 'red'\n").unwrap();
    let output = Command::new(BROKER)
        .arg("--config")
        .arg(&config)
        .arg("--data")
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("broker.toml") && said.contains("colour"),
        "{said}"
    );
    assert!(!folder.path().join("data").exists());
}
