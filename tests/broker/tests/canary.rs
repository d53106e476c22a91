//! Secrets that turn up nowhere: a mailed code, an authorization code, a device's code, a provider's
//! code, tokens, cookies, a client secret, the mail server's password, in the log at its most
//! talkative, in metrics, in pages that refuse, on the command line, in the store (S-56). That they
//! are in no core file is shown beside this, in `core_file.rs`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed};
use serde_json::json;
use url::Url;
use waxseal_tests_broker::{
    Attempt, CLIENT_SECRET, Canaries, Letters, MailServer, REDIRECT, Upstream, Visitor,
};
use waxseal_tests_interop::{Instance, Setup, Tool, block_on, free_port, trial};

/// Not the address of the examples that the greeting prints.
const PERSON: &str = "canary-person@example.com";

const PASSWORD: &str = "CANARY-password-of-the-mail-server";

fn main() -> ExitCode {
    let trials = vec![trial(
        "secrets turn up nowhere",
        &[Tool::PythonParts, Tool::NodeParts],
        nowhere,
    )];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn nowhere() -> Result<(), Failed> {
    let server =
        json!({"tls": "tls", "names": ["localhost"], "user": "sigstore", "password": PASSWORD});
    let server = MailServer::start(&server)?;
    let password = server.folder().join("password");
    std::fs::write(&password, PASSWORD)?;
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600))?;
    let secret = server.folder().join("client-secret");
    std::fs::write(&secret, CLIENT_SECRET)?;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600))?;
    let upstream = free_port()?;
    let mut setup = Setup::default();
    setup.config = format!(
        "[[connectors]]\ntype = \"oidc\"\nissuer = \"http://localhost:{upstream}\"\n\
         client_id = \"waxseal\"\nclient_secret_file = \"{}\"\n\
         [smtp]\nhost = \"localhost\"\nport = {}\nfrom = \"sigstore@example.com\"\n\
         allow_domains = [\"example.com\"]\nusername = \"sigstore\"\npassword_file = \"{}\"\n\
         [log]\nfilter = \"trace\"\nformat = \"json\"\n",
        secret.display(),
        server.port(),
        password.display()
    );
    setup.environment = vec![("SSL_CERT_FILE".to_owned(), server.authority().into())];
    setup.mailbox = Some(server.folder().to_owned());
    let instance = Instance::start_with(setup)?;
    let mut canaries = Canaries::default();
    canaries.secret("the mail server's password", PASSWORD);
    canaries.secret("the broker's secret at the provider", CLIENT_SECRET);
    let redirect = format!("{}/callback/oidc", instance.issuer());
    let _provider = Upstream::start(upstream, &redirect)?;
    let letters = Letters::new(instance.mailbox());
    block_on(async {
        log_in(&instance, &letters, &mut canaries).await?;
        let provider = format!("http://localhost:{upstream}");
        log_in_above(&instance, &provider, &mut canaries).await?;
        log_in_on_a_device(&instance, &letters, &mut canaries).await
    })?;

    let printed = instance.printed();
    assert!(
        printed.contains("code_sent") && printed.contains("granted"),
        "audit lines"
    );
    assert!(!printed.contains(PERSON), "an address in the log");
    canaries.text("the log", printed.as_bytes());
    let id = instance.id().expect("it runs");
    canaries.text(
        "the command line",
        &std::fs::read(format!("/proc/{id}/cmdline"))?,
    );
    canaries.text(
        "the environment",
        &std::fs::read(format!("/proc/{id}/environ"))?,
    );
    for folder in ["broker", "client"] {
        canaries.folder(&instance.data().join(folder))?;
    }
    let audit = std::fs::read_to_string(instance.data().join("broker/audit.jsonl"))?;
    assert!(audit.lines().count() > 3, "audit lines: {audit}");
    let (secrets, places) = canaries.counts();
    assert!(places > 15 && secrets > 10, "{places} places");
    assert_eq!(canaries.found(), [""; 0]);
    Ok(())
}

/// A log-in with every mistake that a page answers, and every secret that there is.
async fn log_in(
    instance: &Instance,
    letters: &Letters,
    canaries: &mut Canaries,
) -> Result<(), String> {
    let issuer = instance.issuer();
    let mut visitor = Visitor::new()?;
    let attempt = Attempt::new(&issuer)?;
    canaries.secret("the verifier", &attempt.verifier);
    let page = visitor
        .visit(&attempt.url_with(&[("connector_id", &issuer)]))
        .await?;
    for (_, cookie) in visitor.cookies() {
        canaries.secret("a cookie", &cookie);
    }
    let (_, fields) = page.form("email").ok_or("no page for an address")?;
    canaries.secret(
        "the log-in's secret",
        fields.get("request").ok_or("no request")?,
    );

    let mut stranger = Visitor::new()?;
    let stolen = stranger.get(page.url.as_str()).await?;
    let refused = visitor.fill(&page, "email", "no address").await?;
    // These two pages are told the log-in's secret: it is in their forms, or in their URL.
    canaries.text("another browser's page", &without(&stolen.body, &fields));
    canaries.text("a bad address", &without(&refused.body, &fields));

    let page = visitor.fill(&page, "email", PERSON).await?;
    let mailed = letters.code(PERSON).await.ok_or("no mail")?;
    canaries.secret("the mailed code", &mailed);
    let wrong = format!(
        "{:08}",
        (mailed.parse::<u32>().unwrap_or(0) + 1) % 100_000_000
    );
    let refused = visitor.fill(&page, "code", &wrong).await?;
    canaries.text("a wrong code", &without(&refused.body, &fields));
    let refused = visitor
        .fill(&page, "code", &format!("{mailed}x{mailed}"))
        .await?;
    canaries.text("no code", &without(&refused.body, &fields));
    let again = visitor.fill(&page, "email", PERSON).await;
    if let Ok(again) = again {
        canaries.text("too many codes", &without(&again.body, &fields));
    }
    let answer = visitor.fill(&page, "code", &mailed).await?;
    let code = answer.parameter("code").ok_or("no code")?;
    canaries.secret("the authorization code", &code);
    let again = visitor.fill(&page, "code", &mailed).await?;
    canaries.refusal("a finished log-in", &again);

    // The code with each thing wrong that an error could repeat.
    let token = format!("{issuer}/token");
    let verifier = attempt.verifier.as_str();
    let mut second = Attempt::new(&issuer)?;
    for (name, form) in [
        ("no verifier", vec![("code", code.as_str())]),
        (
            "a code twice",
            vec![("code", code.as_str()), ("code", code.as_str())],
        ),
        (
            "a secret",
            vec![
                ("code", code.as_str()),
                ("client_secret", "CANARY-client-secret"),
            ],
        ),
        (
            "another grant",
            vec![
                ("grant_type", "password"),
                ("password", "CANARY-password-of-a-person"),
            ],
        ),
    ] {
        let mut form = form;
        if name != "another grant" {
            form.push(("grant_type", "authorization_code"));
        }
        form.extend([("client_id", "sigstore"), ("redirect_uri", REDIRECT)]);
        let page = visitor.post(&token, &form).await?;
        canaries.refusal(name, &page);
    }
    canaries.secret("a client secret", "CANARY-client-secret");
    canaries.secret("a person's password", "CANARY-password-of-a-person");
    let tokens = visitor.exchange(&attempt, &code).await?;
    let tokens = tokens.json();
    let name = |name: &str| tokens.get(name).and_then(|t| t.as_str()).map(str::to_owned);
    let id_token = name("id_token").ok_or("no ID token")?;
    let access_token = name("access_token").ok_or("no access token")?;
    canaries.secret("the ID token", &id_token);
    canaries.secret("the access token", &access_token);
    second.verifier = verifier.to_owned();
    let replayed = visitor.exchange(&second, &code).await?;
    canaries.refusal("a replayed code", &replayed);

    // Tokens where they do not belong.
    for (name, url) in [
        (
            "a token in a URL",
            format!("{issuer}/userinfo?access_token={access_token}"),
        ),
        ("a code in a path", format!("{issuer}/token/{code}")),
        (
            "a token in a path",
            format!("{}/api/v2/{id_token}", instance.url()),
        ),
    ] {
        let page = visitor.get(&url).await?;
        canaries.refusal(name, &page);
    }
    for (name, address) in [
        ("the authority's answer", "/api/v2/signingCert"),
        ("the log's answer", "/api/v2/log/entries"),
    ] {
        let body = json!({"credentials": {"oidcIdentityToken": format!("{id_token}x")}});
        let url = format!("{}{address}", instance.url());
        let page = visitor.post_json(&url, &body.to_string()).await?;
        canaries.refusal(name, &page);
    }
    let metrics = visitor.get(&format!("{}/metrics", instance.url())).await?;
    assert!(metrics.body.contains("waxseal_broker_logins_total"));
    canaries.text("the metrics", metrics.body.as_bytes());
    for path in ["/", "/auth/.well-known/openid-configuration", "/auth/keys"] {
        let page = visitor.get(&format!("{}{path}", instance.url())).await?;
        canaries.text(path, page.body.as_bytes());
    }
    Ok(())
}

/// A log-in at the provider above, its answer brought twice and by a stranger.
async fn log_in_above(
    instance: &Instance,
    provider: &str,
    canaries: &mut Canaries,
) -> Result<(), String> {
    let issuer = instance.issuer();
    let mut visitor = Visitor::new()?;
    let attempt = Attempt::new(&issuer)?;
    let url = attempt.url_with(&[("connector_id", provider)]);
    let begun = visitor.get(&url).await?;
    let (page, places) = visitor.roam(begun).await?;
    let asked = places
        .iter()
        .find(|url| url.path() == "/auth" && url.as_str().starts_with(provider));
    for name in ["state", "nonce"] {
        let value = asked.and_then(|url| parameter(url, name));
        canaries.secret(
            &format!("the {name} at the provider"),
            &value.ok_or("no request")?,
        );
    }
    let form = [("login", "canary"), ("password", "any")];
    let answer = visitor.send_form(&page, &form).await?;
    let (page, _) = visitor.roam(answer).await?;
    let answer = visitor.send_form(&page, &[]).await?;
    let resumed = answer.location().ok_or(answer.body)?;
    let answer = visitor.get(resumed.as_str()).await?;
    let callback = answer.location().ok_or(answer.body)?;
    let code = parameter(&callback, "code").ok_or("no code of the provider")?;
    canaries.secret("the provider's code", &code);
    let stolen = Visitor::new()?.get(callback.as_str()).await?;
    canaries.refusal("the provider's answer to a stranger", &stolen);
    let answer = visitor.get(callback.as_str()).await?;
    let (page, _) = visitor.roam(answer).await?;
    let granted = visitor.send_form(&page, &[]).await?;
    let code = granted.parameter("code").ok_or(granted.body)?;
    canaries.secret("the code after the provider", &code);
    let again = visitor.get(callback.as_str()).await?;
    canaries.refusal("the provider's answer again", &again);
    let tokens = visitor.exchange(&attempt, &code).await?.json();
    let token = tokens.get("id_token").and_then(|token| token.as_str());
    canaries.secret("the ID token after the provider", token.ok_or("no token")?);
    Ok(())
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned())
}

/// A device that is told to wait, and gets its tokens.
async fn log_in_on_a_device(
    instance: &Instance,
    letters: &Letters,
    canaries: &mut Canaries,
) -> Result<(), String> {
    const OTHER: &str = "canary-device@example.com";
    let issuer = instance.issuer();
    let attempt = Attempt::new(&issuer)?;
    canaries.secret("the device's verifier", &attempt.verifier);
    let parameters = attempt.parameters();
    let challenge = parameters.iter().find(|(name, _)| name == "code_challenge");
    let (_, challenge) = challenge.ok_or("no challenge")?;
    let form = [
        ("client_id", "sigstore"),
        ("scope", "openid email"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ];
    let mut device = Visitor::new()?;
    let codes = device.post(&format!("{issuer}/device/code"), &form).await?;
    let codes = codes.json();
    let text = |name: &str| codes.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    let device_code = text("device_code").ok_or("no device code")?;
    let user_code = text("user_code").ok_or("no user code")?;
    let link = text("verification_uri_complete").ok_or("no link")?;
    canaries.secret("the device's code", &device_code);
    canaries.secret("the code that the device shows", &user_code);
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", "sigstore"),
        ("device_code", device_code.as_str()),
        ("code_verifier", attempt.verifier.as_str()),
    ];
    let token = format!("{issuer}/token");
    let waiting = device.post(&token, &poll).await?;
    canaries.refusal("a device that waits", &waiting);
    let fast = device.post(&token, &poll).await?;
    canaries.refusal("a device in a hurry", &fast);
    let mut visitor = Visitor::new()?;
    let page = visitor.visit(&link).await?;
    let page = visitor.fill(&page, "user_code", &user_code).await?;
    let page = visitor.press(&page, "answer", "continue").await?;
    // The choice: by e-mail.
    let page = match page.link("/auth/email") {
        Some(url) => visitor.visit(&url).await?,
        None => page,
    };
    let page = visitor.fill(&page, "email", OTHER).await?;
    let code = letters.code(OTHER).await.ok_or("no mail")?;
    canaries.secret("the code mailed for the device", &code);
    visitor.fill(&page, "code", &code).await?;
    // It was told to slow down.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let tokens = device.post(&token, &poll).await?.json();
    let token_of = |name: &str| tokens.get(name).and_then(|token| token.as_str());
    let id_token = token_of("id_token").ok_or_else(|| tokens.to_string())?;
    canaries.secret("the device's ID token", id_token);
    Ok(())
}

/// A page of the log-in's own browser without the field that names the log-in.
fn without(body: &str, fields: &std::collections::BTreeMap<String, String>) -> Vec<u8> {
    let request = fields.get("request").cloned().unwrap_or_default();
    body.replace(&request, "").into_bytes()
}
