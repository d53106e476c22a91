//! `waxseal-log` as a process.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what cannot be started ends the test"
)]
#![allow(clippy::zombie_processes, reason = "whoever started it stops it")]

mod grpc;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

const LOG: &str = env!("CARGO_BIN_EXE_waxseal-log");

/// An entry as clients send it: made with a key of its own, P-256.
const ENTRY: &str = include_str!("entry.json");

fn request(port: u16, head: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("localhost", port)).ok()?;
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("localhost:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn command(folder: &Path, port: u16) -> Command {
    let config = folder.join(format!("{port}.toml"));
    std::fs::write(&config, format!("listen = 'localhost:{port}'\n")).unwrap();
    let mut command = Command::new(LOG);
    command.arg("--config").arg(config);
    command.arg("--data").arg(folder.join("data"));
    command
}

fn ready(folder: &Path, port: u16) -> Child {
    let child = command(folder, port).spawn().unwrap();
    let begun = Instant::now();
    loop {
        let answer = request(port, "GET /readyz", "");
        if answer.is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            return child;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it is not ready");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn stop(mut child: Child) {
    let signalled = Command::new("kill").arg(child.id().to_string()).status();
    assert!(signalled.unwrap().success());
    assert!(child.wait().unwrap().success());
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_takes_entries_and_is_alone_in_its_directory() {
    let folder = tempfile::tempdir().unwrap();
    let (at, port) = (folder.path(), free_port());
    let child = ready(at, port);
    let post = "POST /api/v2/log/entries";
    let taken = request(port, post, ENTRY).unwrap();
    assert!(taken.starts_with("HTTP/1.1 201"), "{taken}");
    assert!(taken.contains("\"logIndex\":\"1\""), "{taken}");
    let again = request(port, post, ENTRY).unwrap();
    assert!(again.starts_with("HTTP/1.1 409"), "{again}");
    let checkpoint = request(port, "GET /checkpoint", "").unwrap();
    assert!(
        checkpoint.contains("\r\n\r\nlocalhost\n2\n"),
        "{checkpoint}"
    );
    let metrics = request(port, "GET /metrics", "").unwrap();
    assert!(metrics.contains("log_witness_requests") || metrics.contains("log_"));
    let live = request(port, "GET /healthz", "").unwrap();
    assert!(live.starts_with("HTTP/1.1 200"), "{live}");
    // D5: one writer.
    let second = refused(&command(at, free_port()).output().unwrap());
    assert!(second.contains("runs on"), "{second}");
    stop(child);

    // What it has taken is there when it starts again.
    let child = ready(at, port);
    let checkpoint = request(port, "GET /checkpoint", "").unwrap();
    assert!(
        checkpoint.contains("\r\n\r\nlocalhost\n2\n"),
        "{checkpoint}"
    );
    stop(child);

    // D4: a ledger that is gone beside a checkpoint that is not.
    std::fs::remove_file(at.join("data/log/state.redb")).unwrap();
    drop(std::fs::remove_file(at.join("data/log/state.keys")));
    let lost = refused(&command(at, port).output().unwrap());
    assert!(lost.contains("the ledger was rolled back"), "{lost}");
}
