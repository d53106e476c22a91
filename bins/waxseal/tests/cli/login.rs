//! Logging in, being logged in, and logging out; and each way in which there is no identity.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::issuer::{Issuer, Says, in_seconds, token};
use crate::run::{Ran, command};

const CA: &str = "https://ca.example";
const CONFIG: [&str; 2] = ["--signing-config", "config.json"];

/// A home folder, and an instance whose broker is the issuer.
struct Home {
    folder: TempDir,
    issuer: Issuer,
}

impl Home {
    fn new(says: Says) -> Self {
        Self::with(Issuer::start(says))
    }

    fn with(issuer: Issuer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        issuer.write_config(&folder.path().join("config.json"), CA);
        Self { folder, issuer }
    }

    fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = command(self.folder.path());
        command
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .envs(variables.iter().copied())
            .arg("identity")
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command(arguments, variables);
        let command = match arguments[0] {
            "logout" => &mut command,
            _ => command.args(CONFIG),
        };
        Ran::of(command.output().unwrap())
    }

    /// A run that fails, in words and in JSON.
    fn check(&self, arguments: &[&str], variables: &[(&str, &str)], code: i32, name: &str) -> Ran {
        let ran = self.run(arguments, variables);
        assert_eq!(ran.code, code, "{ran:?}");
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains(&format!("[{name}]")), "{ran:?}");
        // What is said is one line and its details: nothing in it had to be made visible.
        assert!(!ran.stderr.contains("\\u{"), "{ran:?}");
        let with_json = [arguments, &["--json"]].concat();
        let object = self.run(&with_json, variables).json();
        assert_eq!(object["error"]["code"], name);
        assert_eq!(object["ok"], false);
        ran
    }

    fn kept(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("cache/waxseal/tokens");
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

const DEVICE: [&str; 2] = ["login", "--device"];

#[test]
fn logging_in_being_logged_in_and_logging_out() {
    let home = Home::new(Says::Yes);
    home.check(&["whoami"], &[], 8, "no-identity");

    let ran = home.run(&DEVICE, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "you@example.com");
    assert_eq!(lines[1], format!("  issuer    {}", home.issuer.url()));
    let url = home.issuer.url();
    let shown = format!(
        "log in at:\n  {url}/device\nand enter the code:\n  BCDF-GHJK\n\
         or open, and compare the code:\n  {url}/device?user_code=BCDF-GHJK\n"
    );
    assert_eq!(ran.stderr, shown);
    assert!(!format!("{ran:?}").contains("CANARY"));
    assert_eq!(home.kept().len(), 1);

    let object = home.run(&["whoami", "--json"], &[]).json();
    assert_eq!(object["identity"], "you@example.com");
    assert_eq!(object["issuer"], url);
    assert_eq!(object["source"], "cache");
    assert_eq!(object["expired"], false);
    assert!(!object.to_string().contains("eyJ"), "{object}");

    let ran = home.run(&["token"], &[]);
    assert!(ran.stdout.starts_with("eyJ"), "{ran:?}");
    assert_eq!(
        ran.stderr,
        "signing as you@example.com, who logged in before\n"
    );
    assert_eq!(home.run(&["token", "--quiet"], &[]).stderr, "");

    let ran = home.run(&["logout"], &[]);
    assert_eq!((ran.code, home.kept().len()), (0, 0), "{ran:?}");
    assert_eq!(home.run(&["logout", "--json"], &[]).json()["removed"], 0);
    home.check(&["token"], &[], 8, "no-identity");
}

#[test]
fn nothing_is_kept_unless_somebody_asks() {
    let home = Home::new(Says::Yes);
    let ran = home.run(&["token", "--device"], &[]);
    assert_eq!((ran.code, home.kept().len()), (0, 0), "{ran:?}");
    let ran = home.run(&["token", "--device", "--cache"], &[]);
    assert_eq!((ran.code, home.kept().len()), (0, 1), "{ran:?}");
    // A token of a CI job is not kept, whatever is asked.
    home.run(&["logout"], &[]);
    let own = token(&json!({"iss": "i", "sub": "job", "aud": CA, "exp": in_seconds(600)}));
    let ran = home.run(&["token", "--cache"], &[("SIGSTORE_ID_TOKEN", &own)]);
    assert_eq!((ran.stdout.trim(), home.kept().len()), (&*own, 0));
}

#[test]
fn a_kept_token_is_of_its_instance() {
    let home = Home::new(Says::Yes);
    assert_eq!(home.run(&DEVICE, &[]).code, 0);
    // Another instance that names the same issuer.
    let config = home.folder.path().join("config.json");
    home.issuer.write_config(&config, "https://evil.example");
    home.check(&["token"], &[], 8, "no-identity");
    home.issuer.write_config(&config, CA);
    assert_eq!(home.run(&["token"], &[]).code, 0);
    // A CI job does not sign as whoever logged in on its machine.
    home.check(&["token"], &[("CI", "true")], 8, "no-identity");
}

#[test]
fn the_provider_is_the_brokers_connector() {
    let home = Home::with(Issuer::of(Says::Yes, Some("https://accounts.google.com")));
    let ran = home.run(&["login", "--device", "--provider", "google"], &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .contains("\n  provider  https://accounts.google.com\n")
    );
    let asked = "connector_id=https%3A%2F%2Faccounts.google.com";
    assert!(home.issuer.forms().iter().any(|form| form.contains(asked)));
    // By its provider, and as the last log-in.
    assert_eq!(home.run(&["whoami", "--provider", "google"], &[]).code, 0);
    assert_eq!(home.run(&["whoami"], &[]).code, 0);
    home.check(&["whoami", "--provider", "github"], &[], 8, "no-identity");
    home.check(
        &["token", "--device", "--provider", "github"],
        &[],
        8,
        "provider-mismatch",
    );
}

#[test]
fn a_log_in_that_comes_to_nothing() {
    for (says, name) in [
        ("access_denied", "login-denied"),
        ("expired_token", "login-expired"),
        ("invalid_client", "login-failed"),
    ] {
        let home = Home::new(Says::No(says));
        home.check(&DEVICE, &[], 8, name);
        assert_eq!(home.kept().len(), 0);
    }
    let home = Home::new(Says::Yes);
    home.check(&["login"], &[], 8, "no-identity");
    home.check(&DEVICE, &[("CI", "1")], 8, "no-identity");
    let config = home.folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace(&home.issuer.url(), "http://127.0.0.1:1"),
    )
    .unwrap();
    home.check(&DEVICE, &[], 9, "issuer-unavailable");
}

#[test]
fn ci_jobs_without_a_token_are_told_why() {
    let home = Home::new(Says::Nothing);
    let github = ("GITHUB_ACTIONS", "true");
    let ran = home.check(&["token"], &[github], 8, "id-token-permission");
    assert!(ran.stderr.contains("permissions: { id-token: write }"));

    let event = home.folder.path().join("event.json");
    let text = json!({"pull_request": {"head": {"repo": {"full_name": "stranger/app"}},
        "base": {"repo": {"full_name": "acme/app"}}}});
    std::fs::write(&event, text.to_string()).unwrap();
    let path = event.to_str().unwrap();
    let fork = [
        github,
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_EVENT_PATH", path),
    ];
    home.check(&["token"], &fork, 8, "fork-pull-request");

    let gitlab = home.check(&["token"], &[("GITLAB_CI", "true")], 8, "id-tokens-missing");
    assert!(gitlab.stderr.contains("aud: \"https://ca.example\""));
    home.check(&["token"], &[("BUILDKITE", "true")], 8, "ambient-failed");
    home.check(&["token"], &[("CIRCLECI", "true")], 8, "ambient-failed");
    let spiffe = [("SPIFFE_ENDPOINT_SOCKET", "unix:///nowhere/agent.sock")];
    home.check(&["token"], &spiffe, 9, "ambient-unavailable");
    let file = [("SIGSTORE_ID_TOKEN_FILE", "/nowhere/token")];
    home.check(&["token"], &file, 8, "token-unreadable");
    home.check(
        &["token"],
        &[("SIGSTORE_ID_TOKEN", "x")],
        8,
        "token-malformed",
    );
    // A kept token or a log-in does not stand in for the job's.
    let metadata = [("GCE_METADATA_HOST", "evil.example")];
    home.check(&["token"], &metadata, 8, "ambient-failed");
}

#[test]
fn a_token_for_the_public_instance_goes_to_no_other() {
    let home = Home::new(Says::Nothing);
    let public =
        token(&json!({"iss": "i", "sub": "job", "aud": "sigstore", "exp": in_seconds(60)}));
    let ran = home.check(
        &["token"],
        &[("SIGSTORE_ID_TOKEN", &public)],
        8,
        "audience-mismatch",
    );
    assert!(
        ran.stderr
            .contains("wanted  https://ca.example\n    got     sigstore\n")
    );
    assert!(!ran.stderr.contains(&public));
    let own = token(&json!({"iss": "i", "sub": "job", "aud": CA, "exp": in_seconds(60)}));
    let variables = [("SIGSTORE_ID_TOKEN", &*own)];
    let ran = home.run(&["whoami"], &variables);
    assert!(
        ran.stdout.contains("\n  from      SIGSTORE_ID_TOKEN"),
        "{ran:?}"
    );
    let mut to_public = home.command(&["whoami"], &variables);
    let ran = Ran::of(to_public.output().unwrap());
    assert!(ran.stderr.contains("[audience-mismatch]"), "{ran:?}");
}

#[test]
fn whoami_reads_a_token_that_is_given() {
    let home = Home::new(Says::Nothing);
    let old = token(&json!({"iss": "i", "sub": "me", "aud": "sigstore", "exp": 1}));
    let object = home
        .run(&["whoami", "--identity-token", &old, "--json"], &[])
        .json();
    assert_eq!(object["identity"], "me");
    assert_eq!(object["source"], "--identity-token");
    assert_eq!(object["expired"], true);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn kept_tokens_that_others_can_read_are_refused() {
        let home = Home::new(Says::Yes);
        assert_eq!(home.run(&DEVICE, &[]).code, 0);
        let file = home.kept().remove(0);
        let mode = |bits| std::fs::set_permissions(&file, PermissionsExt::from_mode(bits)).unwrap();
        mode(0o640);
        let ran = home.check(&["token"], &[], 10, "cache-exposed");
        assert!(ran.stderr.contains("got     mode 0640\n"), "{ran:?}");
        mode(0o600);
        assert_eq!(home.run(&["token"], &[]).code, 0);
    }

    #[test]
    fn ctrl_c_ends_a_log_in_at_once_and_leaves_nothing() {
        let home = Home::new(Says::Nothing);
        let mut command = home.command(&DEVICE, &[]);
        let child = command
            .args(CONFIG)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("BCDF-GHJK") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0);
        }
        let number = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &number])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert!(
            rest.ends_with("waxseal: interrupted  [interrupted]\n"),
            "{rest:?}"
        );
        let mut printed = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut printed)
            .unwrap();
        assert_eq!(printed, "");
        assert_eq!(home.kept().len(), 0);
    }
}
