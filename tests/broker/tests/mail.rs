//! Log-in codes through a real mail server: what reaches people, and what happens when it does not.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use waxseal_tests_broker::{Attempt, MailServer, Page, Visitor, mail_setup};
use waxseal_tests_interop::{IDENTITY, Instance, Tool, block_on, trial};

fn main() -> ExitCode {
    let trials = vec![
        case("in plain text on loopback", plain),
        case("under TLS", under_tls),
        case("by STARTTLS", starttls),
        case("with a password, under TLS", password),
        case("with a password, by STARTTLS", password_by_starttls),
        case("a wrong password", wrong_password),
        case("a certificate of nobody we know", unknown_authority),
        case("a certificate for another name", other_name),
        case("STARTTLS required and not offered", no_starttls),
        case("TLS required and not spoken", no_tls),
        case("greylisting", greylisting),
        case("a server that never says yes", never),
        case("a refused address", refused),
        case("a slow server", slow),
        case("a server that says nothing", silent),
        case("no server at all", absent),
        case("a domain that may not log in", other_domain),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn case(name: &str, test: fn() -> Result<(), Failed>) -> Trial {
    trial(name, &[Tool::PythonParts], test)
}

/// A mail server, and an instance that uses it.
struct Post {
    server: MailServer,
    instance: Instance,
}

impl Post {
    fn new(server: &Value, host: &str, more: &str, trusts: bool) -> Result<Self, String> {
        let server = MailServer::start(server)?;
        let setup = mail_setup(&server, host, more, trusts);
        let instance = Instance::start_with(setup)?;
        Ok(Self { server, instance })
    }

    /// Logs in with the code that the mail server received.
    fn logs_in(&self) -> Result<(), Failed> {
        let token = self.instance.token()?;
        assert_eq!(token.split('.').count(), 3, "a token");
        assert_eq!(self.server.mails(), 1, "one mail");
        Ok(())
    }

    /// Every command after the first greeting came under TLS.
    fn is_private(&self) {
        let commands = self.server.commands();
        let open: Vec<_> = commands.iter().filter(|c| c.starts_with("plain")).collect();
        assert!(open.iter().all(|c| *c == "plain EHLO"), "{commands:?}");
        assert!(commands.contains(&"tls MAIL".to_owned()), "{commands:?}");
    }

    /// Asks for a code; the page that comes, and how long it took.
    fn ask(&self, address: &str) -> Result<(Page, Duration), String> {
        block_on(async {
            let mut visitor = Visitor::new()?;
            let attempt = Attempt::new(&self.instance.issuer())?;
            let page = visitor.visit(&attempt.url()).await?;
            let begun = Instant::now();
            let answer = visitor.fill(&page, "email", address).await?;
            Ok((answer, begun.elapsed()))
        })
    }

    fn counted(&self, event: &str) -> Result<bool, String> {
        let metrics = block_on(async {
            let mut visitor = Visitor::new()?;
            visitor
                .get(&format!("{}/metrics", self.instance.url()))
                .await
        })?;
        let line = format!("waxseal_broker_logins_total{{event=\"{event}\"}} 1");
        Ok(metrics.body.contains(&line))
    }

    /// No mail goes out: the person sees the same page, at once, and the operator sees why.
    fn fails(&self, within: Duration, said: &str) -> Result<(), Failed> {
        let (page, took) = self.ask(IDENTITY)?;
        assert_eq!(page.status, 200, "{}", page.body);
        assert!(page.body.contains("If this address may log in here"));
        assert!(took < Duration::from_secs(2), "nobody waits: {took:?}");
        let begun = Instant::now();
        while !self.counted("mail_failed")? {
            if begun.elapsed() > within {
                let printed = self.instance.printed();
                return Err(format!("no failure after {within:?}: {printed}").into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(self.server.mails(), 0, "no mail");
        let printed = self.instance.printed();
        let line = printed
            .lines()
            .find(|line| line.contains("no mail was sent"));
        let line = line.ok_or_else(|| format!("the log does not say it: {printed}"))?;
        assert!(line.contains(said), "the cause {said:?} is not in: {line}");
        assert!(!self.counted("code_sent")?);
        Ok(())
    }
}

const SOON: Duration = Duration::from_secs(10);

fn plain() -> Result<(), Failed> {
    Post::new(
        &json!({"tls": "none"}),
        "127.0.0.1",
        "tls = \"none\"",
        false,
    )?
    .logs_in()
}

fn under_tls() -> Result<(), Failed> {
    let post = Post::new(
        &json!({"tls": "tls", "names": ["localhost"]}),
        "localhost",
        "",
        true,
    )?;
    post.logs_in()?;
    post.is_private();
    Ok(())
}

fn starttls() -> Result<(), Failed> {
    let post = Post::new(
        &json!({"tls": "starttls", "names": ["localhost"]}),
        "localhost",
        "tls = \"starttls\"",
        true,
    )?;
    post.logs_in()?;
    post.is_private();
    Ok(())
}

const SECRET: &str = "correct horse battery";

/// Lines for a log-in at the mail server, and the folder that keeps the password.
fn credentials(password: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, format!("{password}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let lines = format!(
        "username = \"sigstore\"\npassword_file = \"{}\"",
        path.display()
    );
    (folder, lines)
}

fn with_password(tls: &str) -> Value {
    json!({"tls": tls, "names": ["localhost"], "user": "sigstore", "password": SECRET})
}

fn password() -> Result<(), Failed> {
    let (_folder, lines) = credentials(SECRET);
    let post = Post::new(&with_password("tls"), "localhost", &lines, true)?;
    post.logs_in()?;
    assert!(post.server.commands().contains(&"tls AUTH".to_owned()));
    Ok(())
}

fn password_by_starttls() -> Result<(), Failed> {
    let (_folder, lines) = credentials(SECRET);
    let lines = format!("tls = \"starttls\"\n{lines}");
    let post = Post::new(&with_password("starttls"), "localhost", &lines, true)?;
    post.logs_in()?;
    post.is_private();
    assert!(post.server.commands().contains(&"tls AUTH".to_owned()));
    Ok(())
}

fn wrong_password() -> Result<(), Failed> {
    let wrong = "tr0ub4dor-and-3";
    let (_folder, lines) = credentials(wrong);
    let post = Post::new(&with_password("tls"), "localhost", &lines, true)?;
    post.fails(SOON, "535")?;
    assert!(!post.instance.printed().contains(wrong));
    Ok(())
}

fn unknown_authority() -> Result<(), Failed> {
    let server = json!({"tls": "tls", "names": ["localhost"]});
    let post = Post::new(&server, "localhost", "", false)?;
    post.fails(SOON, "certificate")?;
    assert_eq!(post.server.commands(), [""; 0], "not even a greeting");
    Ok(())
}

fn other_name() -> Result<(), Failed> {
    for tls in ["tls", "starttls"] {
        let server = json!({"tls": tls, "names": ["mail.example.com"]});
        let post = Post::new(&server, "localhost", &format!("tls = \"{tls}\""), true)?;
        post.fails(SOON, "certificate")?;
        let commands = post.server.commands();
        assert!(commands.iter().all(|c| c == "plain EHLO"), "{commands:?}");
    }
    Ok(())
}

fn no_starttls() -> Result<(), Failed> {
    let post = Post::new(
        &json!({"tls": "none"}),
        "localhost",
        "tls = \"starttls\"",
        false,
    )?;
    post.fails(SOON, "STARTTLS")?;
    let commands = post.server.commands();
    assert!(commands.iter().all(|c| c == "plain EHLO"), "{commands:?}");
    Ok(())
}

fn no_tls() -> Result<(), Failed> {
    let post = Post::new(&json!({"tls": "none"}), "localhost", "", false)?;
    post.fails(SOON, "onnection")?;
    assert_eq!(post.server.commands(), [""; 0]);
    Ok(())
}

/// "Not now" is not "no": the mail is offered again, and arrives once.
fn greylisting() -> Result<(), Failed> {
    let post = Post::new(
        &json!({"tls": "none", "postpone": 1}),
        "127.0.0.1",
        "tls = \"none\"",
        false,
    )?;
    post.logs_in()?;
    let offers = post.server.commands();
    assert_eq!(offers.iter().filter(|c| *c == "plain RCPT").count(), 2);
    assert!(!post.counted("mail_failed")?);
    Ok(())
}

fn never() -> Result<(), Failed> {
    let server = json!({"tls": "none", "postpone": 1000});
    let post = Post::new(&server, "127.0.0.1", "tls = \"none\"", false)?;
    post.fails(Duration::from_secs(60), "451")?;
    let offers = post.server.commands();
    assert_eq!(offers.iter().filter(|c| *c == "plain RCPT").count(), 4);
    Ok(())
}

/// "No" is no: it is not asked twice.
fn refused() -> Result<(), Failed> {
    let server = json!({"tls": "none", "refuse": true});
    let post = Post::new(&server, "127.0.0.1", "tls = \"none\"", false)?;
    post.fails(SOON, "550")?;
    let offers = post.server.commands();
    assert_eq!(offers.iter().filter(|c| *c == "plain RCPT").count(), 1);
    Ok(())
}

/// The person has the page at once, and the mail when the server is done.
fn slow() -> Result<(), Failed> {
    let server = json!({"tls": "none", "seconds": 2});
    let post = Post::new(&server, "127.0.0.1", "tls = \"none\"", false)?;
    let (page, took) = post.ask(IDENTITY)?;
    assert_eq!(page.status, 200);
    assert!(took < Duration::from_secs(2), "nobody waits: {took:?}");
    let begun = Instant::now();
    while post.server.mails() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "no mail");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn silent() -> Result<(), Failed> {
    let server = json!({"tls": "none", "silent": true});
    let post = Post::new(&server, "127.0.0.1", "tls = \"none\"", false)?;
    post.fails(Duration::from_secs(45), "deadline")
}

fn absent() -> Result<(), Failed> {
    let server = json!({"tls": "none"});
    let mut post = Post::new(&server, "127.0.0.1", "tls = \"none\"", false)?;
    post.server.stop();
    post.fails(SOON, "onnection")
}

/// The same page, and no mail.
fn other_domain() -> Result<(), Failed> {
    let server = json!({"tls": "none"});
    let post = Post::new(&server, "127.0.0.1", "tls = \"none\"", false)?;
    let (theirs, _) = post.ask("you@elsewhere.example")?;
    let (ours, _) = post.ask("yes@example.com")?;
    assert_eq!(theirs.status, ours.status);
    let begun = Instant::now();
    while post.server.mails() == 0 {
        assert!(begun.elapsed() < SOON, "no mail");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(post.server.mails(), 1, "theirs got none");
    Ok(())
}
