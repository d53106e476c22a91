//! `waxseald up` as a process: ready, refused, killed, stopped.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a process that cannot be started ends the test"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The last line of what a start says.
const END: &str = "Ctrl-C stops it.";

/// A directory beside which nothing else is, and a port of our own.
struct Place {
    folder: tempfile::TempDir,
    port: u16,
}

struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Place {
    fn new() -> Self {
        let port = TcpListener::bind("localhost:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, port }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxseald"));
        command
            .current_dir(self.folder.path())
            .args(["up", "--data", "data"])
            .args(arguments);
        command
    }

    fn listen(&self) -> String {
        format!("localhost:{}", self.port)
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let listen = self.listen();
        let mut all = vec!["--listen", &listen];
        all.extend(arguments);
        let mut child = self.command(&all).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdout }
    }

    /// What a start that is refused says, on one line.
    fn refused(&self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(output.stdout, b"");
        said
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("localhost", self.port)).unwrap();
        let host = self.listen();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Running {
    /// All that is said until it is ready.
    fn ready(&mut self) -> String {
        let mut said = String::new();
        while !said.trim_end().ends_with(END) {
            let read = self.stdout.read_line(&mut said).unwrap();
            assert_ne!(read, 0, "it ended after: {said}");
        }
        said
    }

    fn stop(mut self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        assert_eq!(rest, "Stopped.\n");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file(place: &Place, name: &str) -> Vec<u8> {
    std::fs::read(place.data().join(name)).unwrap()
}

#[test]
fn it_starts_refuses_a_second_one_stops_and_starts_again() {
    let place = Place::new();
    let mut first = place.start(&[]);
    let said = first.ready();
    assert!(said.contains("(made now)"), "{said}");
    assert!(place.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(place.get("/readyz").starts_with("HTTP/1.1 200"));
    let page = place.get("/");
    assert!(page.contains("A private Sigstore"), "{page}");
    assert!(place.get("/checkpoint").contains("\nlocalhost\n1\n"));
    let client = file(&place, "client/trust_config.json");

    let refused = place.refused(&[], 1);
    let pid = first.child.id();
    assert!(
        refused.contains("another waxseald runs on data"),
        "{refused}"
    );
    assert!(refused.contains(&format!("process {pid}")), "{refused}");
    first.stop("-INT");

    // The file that the first start left says where to listen.
    let mut again = place.command(&[]).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(again.stdout.take().unwrap());
    let mut again = Running {
        child: again,
        stdout,
    };
    assert!(again.ready().contains("(as before)"));
    assert_eq!(file(&place, "client/trust_config.json"), client);
    assert!(place.get("/checkpoint").contains("\nlocalhost\n1\n"));
    again.stop("-TERM");
}

#[test]
fn the_demonstration_signs_and_verifies_and_can_be_repeated() {
    let place = Place::new();
    for entry in [1, 2] {
        let mut running = place.start(&["--demo"]);
        let said = running.ready();
        for part in [
            "logged in as you@example.com",
            "promised by the CT log",
            "verified: 31 bytes signed by you@example.com",
            &format!("log entry  number {entry}"),
            "sign --instance data hello.txt",
            "cosign verify-blob",
            "sigstore --trust-config data/client/trust_config.json",
            "node -e",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        running.stop("-INT");
    }
}

#[test]
fn it_goes_on_when_nobody_reads_what_it_says() {
    let place = Place::new();
    let listen = place.listen();
    let mut child = place
        .command(&["--listen", &listen, "--demo"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    // The genesis entry and that of the demonstration.
    let done = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(25));
        TcpStream::connect(("localhost", place.port)).is_ok()
            && place.get("/checkpoint").contains("\nlocalhost\n2\n")
    });
    let ended = child.try_wait().unwrap();
    let _ = child.kill();
    let _ = child.wait();
    assert!(done && ended.is_none(), "{ended:?}");
}

#[test]
fn a_first_start_that_is_killed_goes_on_at_the_next() {
    let place = Place::new();
    for millis in [0, 10, 30, 60, 100, 150, 220, 300, 400, 550, 750, 1000] {
        let running = place.start(&[]);
        std::thread::sleep(Duration::from_millis(millis));
        // Dropping it is SIGKILL.
        drop(running);
    }
    let mut running = place.start(&["--demo"]);
    assert!(running.ready().contains("verified"));
    running.stop("-INT");
}

#[test]
fn a_refused_configuration_leaves_nothing_behind() {
    let place = Place::new();
    let check = |arguments: &[&str], code, expected: &str| {
        let said = place.refused(arguments, code);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!place.data().exists(), "{arguments:?}");
    };
    check(
        &["--listen", "0.0.0.0:1"],
        1,
        "plain http is for localhost alone",
    );
    check(&["--listen", "localhost:0"], 1, "choose a port");
    check(&["--listen", "here"], 1, "is not an address to listen on");
    check(
        &["--url", "http://sig.example.com"],
        1,
        "must begin with https://",
    );
    check(&["--behind-tls-proxy"], 1, "give --url");
    let proxied = ["--behind-tls-proxy", "--url", "https://sig.example.com"];
    check(&proxied, 1, "without [smtp]");
    check(&["--tls-cert", "cert.pem"], 2, "--tls-key");
}

#[test]
fn a_directory_that_others_can_enter_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.data(), open).unwrap();
    let said = place.refused(&[], 1);
    assert!(said.contains("chmod go-rwx data"), "{said}");
}

#[test]
fn what_an_instance_was_born_as_it_stays() {
    let place = Place::new();
    let mut running = place.start(&[]);
    running.ready();
    running.stop("-INT");
    let said = place.refused(
        &["--url", "http://localhost:1", "--listen", "localhost:1"],
        1,
    );
    assert!(
        said.contains(&format!("--url http://localhost:{}", place.port)),
        "{said}"
    );

    let mail = "[smtp]\nhost = 'localhost'\ntls = 'none'\nfrom = 'id@example.com'\n\
                allow_domains = ['example.com']\n";
    append(&place.data().join("waxseald.toml"), mail);
    let said = place.refused(&[], 1);
    assert!(said.contains("born without a mail server"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_said() {
    let place = Place::new();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("localhost:{}", taken.local_addr().unwrap().port());
    let said = place.refused(&["--listen", &address], 1);
    assert!(said.contains("another process listens"), "{said}");
    // It was not born there, so that another port will do.
    let mut running = place.start(&[]);
    running.ready();
    running.stop("-INT");
    // Now that it was, the port does not matter.
    let said = place.refused(&["--listen", &address, "--url", "http://localhost:1"], 1);
    assert!(said.contains("was born as"), "{said}");
}

#[test]
fn root_keys_are_exported_by_a_first_start_only() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("pass"), "a long passphrase\n").unwrap();
    let export = ["--export-root", "roots.pem", "--root-passphrase", "pass"];
    let mut running = place.start(&export);
    running.ready();
    running.stop("-TERM");
    let exported = std::fs::read_to_string(place.folder.path().join("roots.pem")).unwrap();
    assert_eq!(exported.matches("BEGIN ENCRYPTED PRIVATE KEY").count(), 2);
    let listen = place.listen();
    let again = [
        "--listen",
        &listen,
        "--export-root",
        "other.pem",
        "--root-passphrase",
        "pass",
    ];
    let refused = place.command(&again).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("were forgotten when it was made"), "{said}");
    assert!(!place.folder.path().join("other.pem").exists());
}

#[test]
fn a_configuration_that_is_not_known_is_said_with_its_file() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("my.toml"), "lisen = 'localhost:1'").unwrap();
    let said = place.refused(&["--config", "my.toml"], 1);
    assert!(said.contains("my.toml") && said.contains("lisen"), "{said}");
    let said = place.refused(&["--config", "none.toml"], 1);
    assert!(said.contains("cannot read none.toml"), "{said}");
}

fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
