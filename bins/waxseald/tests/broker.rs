//! `waxseald broker` as a process, on what an instance has left.
#![cfg(unix)]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what cannot be started, or is absent, ends the test"
)]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const WAXSEALD: &str = env!("CARGO_BIN_EXE_waxseald");

/// An instance that somebody has logged in to.
fn start(folder: &Path) -> Child {
    let port = TcpListener::bind("localhost:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut child = Command::new(WAXSEALD)
        .current_dir(folder)
        .args(["up", "--demo", "--data", "data", "--listen"])
        .arg(format!("localhost:{port}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let ready = |line: &String| line.contains("Ctrl-C stops it.");
    assert!(stdout.lines().map(Result::unwrap).any(|line| ready(&line)));
    child
}

fn broker(folder: &Path, line: &str) -> Output {
    Command::new(WAXSEALD)
        .current_dir(folder)
        .args(["broker", "--data", "data"])
        .args(line.split(' '))
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The code of a failure that a program reads.
fn refused_json(output: &Output, exit: i32) -> String {
    assert_eq!(output.status.code(), Some(exit));
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let object: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(object["ok"], false);
    assert!(!object["error"]["message"].as_str().unwrap().is_empty());
    object["error"]["code"].as_str().unwrap().to_owned()
}

fn parsed(output: &Output) -> serde_json::Value {
    serde_json::from_str(&said(output)).unwrap()
}

#[test]
fn an_operator_looks_bans_and_lifts_the_ban() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    assert!(refused(&broker(at, "users")).contains("no instance has run on data"));
    assert_eq!(refused_json(&broker(at, "users --json"), 1), "no_instance");
    assert_eq!(refused_json(&broker(at, "ban nobody --json"), 2), "usage");
    let log = Command::new(WAXSEALD)
        .current_dir(at)
        .args(["log", "stats", "--json", "--data", "data"])
        .output()
        .unwrap();
    assert_eq!(refused_json(&log, 1), "no_instance");
    assert!(!at.join("data").exists());
    let mut instance = start(at);
    // It runs: what is ordered is done by it.
    assert!(said(&broker(at, "users")).contains("you@example.com"));
    said(&broker(at, "ban two@example.com --reason phished"));
    assert_eq!(
        parsed(&broker(at, "bans --json"))[0]["target"],
        "two@example.com"
    );
    let users = said(&broker(at, "users --json"));
    assert!(parsed(&broker(at, "sessions --json")).is_array());
    said(&broker(at, "sessions --end"));
    let again = "two@example.com may log in again\n";
    assert_eq!(said(&broker(at, "unban two@example.com")), again);
    let none = refused(&broker(at, "unban two@example.com"));
    assert!(none.contains("is not banned"), "{none}");
    let none = broker(at, "unban two@example.com --json");
    assert_eq!(refused_json(&none, 1), "not_banned");
    let none = broker(at, "unlink you@example.com --json");
    assert_eq!(refused_json(&none, 1), "not_linked");
    said(&broker(at, "ban three@example.com"));
    // SIGKILL: what was answered is on the disk.
    instance.kill().unwrap();
    instance.wait().unwrap();

    {
        // Something else works on it, and takes no orders.
        let _held = waxseal_instance::DataDir::open(&at.join("data")).unwrap();
        let held = refused(&broker(at, "ban you@example.com"));
        assert!(held.contains("stop it first"), "{held}");
        assert_eq!(refused_json(&broker(at, "bans --json"), 1), "in_use");
    }
    said(&broker(at, "unban three@example.com"));
    assert_eq!(said(&broker(at, "users --json")), users);
    let users = parsed(&broker(at, "users --json"));
    assert_eq!(users.as_array().unwrap().len(), 1);
    assert_eq!(users[0]["email"], "you@example.com");
    assert_eq!(users[0]["banned"], false);
    assert!(said(&broker(at, "users")).contains("you@example.com"));
    assert_eq!(said(&broker(at, "bans")), "nobody is banned\n");
    let id = users[0]["id"].as_str().unwrap();
    for who in ["you@example.com", id] {
        said(&broker(
            at,
            &format!("ban {who} --reason phished --days 30"),
        ));
        let bans = parsed(&broker(at, "bans --json"));
        assert_eq!(bans[0]["target"], who);
        assert_eq!(bans[0]["reason"], "phished");
        assert!(said(&broker(at, "users")).contains("banned"));
        let lifted = format!("{who} may log in again\n");
        assert_eq!(said(&broker(at, &format!("unban {who}"))), lifted);
        let again = refused(&broker(at, &format!("unban {who}")));
        assert!(again.contains("is not banned"), "{again}");
    }
    assert!(parsed(&broker(at, "sessions --json")).is_array());
    said(&broker(at, "sessions --end"));
    assert_eq!(said(&broker(at, "sessions")), "no log-in is under way\n");

    let audit = std::fs::read_to_string(at.join("data/broker/audit.jsonl")).unwrap();
    let events: Vec<_> = audit
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .collect();
    let has = |event: &str| events.iter().any(|line| line["event"] == event);
    for event in [
        "begun",
        "code_sent",
        "granted",
        "token_given",
        "ban",
        "unban",
    ] {
        assert!(has(event), "{event}: {audit}");
    }
    assert!(!audit.contains("example.com"), "{audit}");
}
