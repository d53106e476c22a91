//! Secrets of a log-in at a provider that turn up nowhere (S-56): at each kind of connector somebody
//! logs in, fails in every way that there is, and the provider repeats every secret that it knows in
//! its own errors, while the broker logs at its most talkative.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed};
use serde_json::{Value, json};
use waxseal_tests_broker::{
    Attempt, CLIENT_SECRET, Canaries, Letters, MailServer, Page, Upstream, Visitor, platforms,
};
use waxseal_tests_interop::{Instance, Setup, Tool, block_on, free_port, our, trial};

/// Each connector by its name in URLs, and how certificates name it.
const CONNECTORS: &[(&str, &str)] = &[
    ("google", "https://accounts.google.com"),
    ("github", "https://github.com/login/oauth"),
    ("microsoft", "https://login.microsoftonline.com"),
    ("any-tenant", "https://login.microsoftonline.com/common"),
    ("facebook", "https://www.facebook.com"),
    ("forge", "https://forge.example.com"),
];

/// Accounts that nobody logs in with: see `js/platforms.mjs`.
const REFUSED: &[&str] = &[
    "refuse",
    "echo-redirect",
    "echo-token",
    "echo-about",
    "down",
    "unverified",
    "nobody",
    "stranger",
];

fn main() -> ExitCode {
    let tools = [Tool::PythonParts, Tool::NodeParts];
    let trials = vec![trial(
        "secrets of every provider turn up nowhere",
        &tools,
        nowhere,
    )];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn nowhere() -> Result<(), Failed> {
    let server = MailServer::start(&json!({"tls": "tls", "names": ["localhost"]}))?;
    let secret = server.folder().join("client-secret");
    std::fs::write(&secret, CLIENT_SECRET)?;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600))?;
    let port = free_port()?;
    let mut setup = Setup::default();
    setup.config = format!(
        "{}[smtp]\nhost = \"localhost\"\nport = {}\nfrom = \"sigstore@example.com\"\n\
         allow_domains = [\"example.com\"]\n[log]\nfilter = \"trace\"\nformat = \"json\"\n",
        platforms(port, &secret),
        server.port(),
    );
    setup.environment = vec![("SSL_CERT_FILE".to_owned(), server.authority().into())];
    setup.mailbox = Some(server.folder().to_owned());
    let config = setup.config.clone();
    let _providers = Upstream::platforms(port)?;
    let instance = Instance::start_with(setup)?;
    let letters = Letters::new(instance.mailbox());
    let mut canaries = Canaries::default();
    canaries.secret("the broker's secret at the providers", CLIENT_SECRET);
    block_on(async {
        for (name, id) in CONNECTORS {
            succeed(&instance, &letters, name, id, &mut canaries).await?;
            for account in REFUSED {
                // Facebook vouches for no address, so none of these is a reason to refuse there,
                // and one tenant is believed what it says.
                let refused = match *name {
                    "facebook" => !["unverified", "nobody", "stranger"].contains(account),
                    // An ID token says all, and nothing else is asked.
                    _ => true,
                };
                if refused {
                    fail(&instance, name, id, account, &mut canaries).await?;
                }
            }
        }
        let page = Visitor::new()?
            .get(&format!("http://localhost:{port}/seen"))
            .await?;
        for pair in page.json().as_array().ok_or("nothing was seen")? {
            let text = |index: usize| pair.get(index).and_then(Value::as_str).unwrap_or_default();
            canaries.secret(text(0), text(1));
        }
        let metrics = format!("{}/metrics", instance.url());
        let metrics = Visitor::new()?.get(&metrics).await?;
        assert!(
            metrics.body.contains("provider_refused"),
            "{}",
            metrics.body
        );
        canaries.text("the metrics", metrics.body.as_bytes());
        Ok::<_, String>(())
    })?;

    let printed = instance.printed();
    for said in ["provider_refused", "granted"] {
        let lines = printed.lines().filter(|line| line.contains(said)).count();
        assert!(lines > 5, "the log has no {said}");
    }
    canaries.text("the log", printed.as_bytes());
    canaries.folder(&instance.data().join("broker"))?;
    check_says_nothing(&config, server.folder(), &mut canaries)?;
    let (secrets, places) = canaries.counts();
    // Of each provider: state, code, verifier, two tokens, and of some more.
    assert!(
        secrets > 150 && places > 40,
        "{secrets} secrets, {places} places"
    );
    assert_eq!(canaries.found(), [""; 0]);
    Ok(())
}

/// Goes to a provider, and comes back as an account of it.
async fn visit(
    instance: &Instance,
    id: &str,
    account: &str,
    canaries: &mut Canaries,
) -> Result<(Visitor, Attempt, Page), String> {
    let mut visitor = Visitor::new()?;
    let attempt = Attempt::new(&instance.issuer())?;
    canaries.secret("a client's verifier", &attempt.verifier);
    let begun = visitor
        .get(&attempt.url_with(&[("connector_id", id)]))
        .await?;
    let (page, _) = visitor.roam(begun).await?;
    let answer = visitor.send_form(&page, &[("login", account)]).await?;
    let (page, _) = visitor.roam(answer).await?;
    Ok((visitor, attempt, page))
}

async fn succeed(
    instance: &Instance,
    letters: &Letters,
    name: &str,
    id: &str,
    canaries: &mut Canaries,
) -> Result<(), String> {
    // The app for every tenant believes what the owner of a domain says.
    let account = if name == "any-tenant" { "edov" } else { "anna" };
    let address = format!("{account}@example.com");
    let (mut visitor, attempt, mut page) = visit(instance, id, account, canaries).await?;
    if name == "facebook" {
        page = visitor.fill(&page, "email", &address).await?;
        let code = letters.code(&address).await.ok_or("no mail")?;
        canaries.secret("the code mailed for an account", &code);
        page = visitor.fill(&page, "code", &code).await?;
    } else {
        page = visitor.send_form(&page, &[]).await?;
    }
    let code = page
        .parameter("code")
        .ok_or_else(|| format!("{name}: {}", page.body))?;
    canaries.secret(&format!("the code after {name}"), &code);
    let tokens = visitor.exchange(&attempt, &code).await?.json();
    for token in ["id_token", "access_token"] {
        let value = tokens.get(token).and_then(Value::as_str);
        canaries.secret(&format!("{token} after {name}"), value.ok_or("no token")?);
    }
    canaries.cookies(&format!("a cookie of {name}"), &visitor);
    Ok(())
}

async fn fail(
    instance: &Instance,
    name: &str,
    id: &str,
    account: &str,
    canaries: &mut Canaries,
) -> Result<(), String> {
    // A provider whose ID token has no reason to be doubted says all in it.
    let (visitor, _, page) = visit(instance, id, account, canaries).await?;
    if page.status < 400 {
        return Err(format!("{name} lets {account} in: {}", page.body));
    }
    let fields = page.response.headers.iter();
    let fields: Vec<_> = fields
        // Its log-in goes on, under a new secret that is the browser's alone.
        .filter(|(field, _)| !field.eq_ignore_ascii_case("set-cookie"))
        .collect();
    let shown = format!("{fields:?}\n{}", page.body);
    canaries.text(
        &format!("the page of {account} at {name}"),
        shown.as_bytes(),
    );
    canaries.cookies(&format!("a cookie of {account} at {name}"), &visitor);
    Ok(())
}

/// What an operator sees of the same providers, with the right secret and with a wrong one.
fn check_says_nothing(
    config: &str,
    folder: &std::path::Path,
    canaries: &mut Canaries,
) -> Result<(), Failed> {
    let wrong = folder.join("wrong-secret");
    std::fs::write(&wrong, "CANARY-a-secret-that-is-wrong-7")?;
    std::fs::set_permissions(&wrong, std::fs::Permissions::from_mode(0o600))?;
    canaries.secret("a wrong secret", "CANARY-a-secret-that-is-wrong-7");
    let right = folder.join("client-secret");
    let port = free_port()?;
    let swapped = config.replace(&right.display().to_string(), &wrong.display().to_string());
    for (name, text) in [("right", config), ("wrong", &swapped)] {
        let file = folder.join(format!("{name}.toml"));
        std::fs::write(&file, format!("listen = \"localhost:{port}\"\n{text}"))?;
        let output = Command::new(our("waxseald"))
            .args(["broker", "check", "--config"])
            .arg(&file)
            .output()?;
        let text = [output.stdout, output.stderr].concat();
        let shown = String::from_utf8_lossy(&text).into_owned();
        assert!(shown.contains("google"), "{shown}");
        canaries.text(&format!("broker check with the {name} secret"), &text);
    }
    Ok(())
}
