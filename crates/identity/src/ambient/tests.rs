//! Each provider of ambient tokens, and each way it says no.

use serde_json::json;
use waxseal_transport::{Method, Request};

use super::*;
use crate::testing::{Answer, FakeEnvironment, FakeTransport, NOW, RSA, answer, run};

const CA: &str = "https://ca.example";

fn token(audience: &str) -> String {
    let claims = json!({"iss": "https://issuer.example", "sub": "s", "aud": audience, "exp": NOW});
    RSA.sign(claims.to_string().as_bytes())
}

fn found(
    environment: &FakeEnvironment,
    audience: Audience,
    respond: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> Result<AmbientProvider, AmbientError> {
    let transport = FakeTransport::new(respond);
    run(Ambient::new(environment, audience).token(&*transport)).map(|(provider, _)| provider)
}

fn nothing(_: &Request) -> Answer {
    answer(500, &json!({}))
}

fn environment(variables: &[(&'static str, &str)]) -> FakeEnvironment {
    FakeEnvironment {
        variables: variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        ..FakeEnvironment::default()
    }
}

fn instance() -> Audience {
    Audience::of_instance(CA, Some("http://localhost:8383/auth"))
}

#[test]
fn no_provider() {
    let error = found(&environment(&[]), Audience::public(), nothing).unwrap_err();
    let AmbientError::NoProvider { tried } = &error else {
        panic!("{error:?}");
    };
    let providers: Vec<_> = tried.iter().map(|absent| absent.provider).collect();
    assert_eq!(providers, AmbientProvider::ALL);
    assert_eq!(
        error.to_string(),
        "no ambient identity: SIGSTORE_ID_TOKEN (SIGSTORE_ID_TOKEN not found), \
         token file (SIGSTORE_ID_TOKEN_FILE not found), \
         GitHub Actions (GITHUB_ACTIONS not found), GitLab CI (GITLAB_CI not found), \
         Buildkite (BUILDKITE not found), CircleCI (CIRCLECI not found), \
         Google Cloud (GCE_METADATA_HOST not found), SPIFFE (SPIFFE_ENDPOINT_SOCKET not found)"
    );
}

#[test]
fn the_variable_goes_first() {
    let environment = environment(&[
        ("SIGSTORE_ID_TOKEN", &token("sigstore")),
        ("GITHUB_ACTIONS", "true"),
    ]);
    let provider = found(&environment, Audience::public(), nothing);
    assert_eq!(provider.unwrap(), AmbientProvider::Variable);
}

#[test]
fn wrong_audience() {
    let environment = environment(&[("SIGSTORE_ID_TOKEN", &token("sigstore"))]);
    let error = found(&environment, instance(), nothing).unwrap_err();
    let AmbientError::WrongAudience {
        found, expected, ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (found, expected.as_str()),
        (vec!["sigstore".to_owned()], CA)
    );
}

#[test]
fn audiences_are_matched_byte_for_byte() {
    let check = |audience: &Audience, aud: &str, expected| {
        let token = IdentityToken::parse(&token(aud)).unwrap();
        assert_eq!(audience.accepts(&token), expected, "{aud}");
    };
    check(&Audience::public(), "sigstore", true);
    check(&Audience::public(), CA, false);
    check(&instance(), CA, true);
    check(&instance(), "https://ca.example/", false);
    check(&instance(), "sigstore", false);
    // The instance's own broker gives `sigstore` tokens that nobody else takes.
    let own = Audience::of_instance(CA, Some("https://issuer.example"));
    check(&own, "sigstore", true);
}

#[test]
fn bad_token() {
    let environment = environment(&[("SIGSTORE_ID_TOKEN", "nonsense")]);
    let error = found(&environment, Audience::public(), nothing).unwrap_err();
    assert!(matches!(
        error,
        AmbientError::BadToken {
            provider: AmbientProvider::Variable,
            ..
        }
    ));
    assert!(!error.to_string().contains("nonsense"));
}

fn github(extra: &[(&'static str, &str)]) -> FakeEnvironment {
    let mut environment = environment(&[("GITHUB_ACTIONS", "true")]);
    environment.variables.extend(
        extra
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    environment
}

#[test]
fn github_asks_its_runner() {
    let environment = github(&[
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "https://run.actions.example/token?api-version=2",
        ),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-secret"),
    ]);
    let provider = found(&environment, instance(), |request| {
        assert_eq!(
            request.url.as_str(),
            "https://run.actions.example/token?api-version=2&audience=https%3A%2F%2Fca.example"
        );
        let credential = request.credential.as_ref().unwrap();
        assert_eq!(credential.expose(), "bearer runner-secret");
        answer(200, &json!({"count": 1, "value": token(CA)}))
    });
    assert_eq!(provider.unwrap(), AmbientProvider::GithubActions);
}

#[test]
fn github_missing_permission() {
    let error = found(
        &github(&[("GITHUB_EVENT_NAME", "push")]),
        Audience::public(),
        nothing,
    );
    let error = error.unwrap_err();
    assert!(matches!(error, AmbientError::GithubMissingPermission));
    assert!(error.to_string().contains("id-token: write"));
}

#[test]
fn github_fork_pull_request() {
    let check = |head: &str, expected_fork: bool| {
        let mut environment = github(&[
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_EVENT_PATH", "/event.json"),
        ]);
        let event = json!({"pull_request": {
            "head": {"repo": {"full_name": head}}, "base": {"repo": {"full_name": "acme/app"}}}});
        environment.files.push(("/event.json", event.to_string()));
        let error = found(&environment, Audience::public(), nothing).unwrap_err();
        assert_eq!(
            matches!(error, AmbientError::GithubForkPullRequest),
            expected_fork,
            "{head}"
        );
    };
    check("stranger/app", true);
    check("acme/app", false);
}

#[test]
fn a_pull_request_target_of_a_fork_lacks_the_permission() {
    let mut environment = github(&[
        ("GITHUB_EVENT_NAME", "pull_request_target"),
        ("GITHUB_EVENT_PATH", "/event.json"),
    ]);
    let event = json!({"pull_request": {
        "head": {"repo": {"full_name": "a/b"}}, "base": {"repo": {"full_name": "acme/app"}}}});
    environment.files.push(("/event.json", event.to_string()));
    let error = found(&environment, Audience::public(), nothing).unwrap_err();
    assert!(matches!(error, AmbientError::GithubMissingPermission));
}

#[test]
fn gitlab_missing_token() {
    let error = found(&environment(&[("GITLAB_CI", "true")]), instance(), nothing).unwrap_err();
    assert!(matches!(&error, AmbientError::GitlabMissingToken { audience } if audience == CA));
    assert!(
        error
            .to_string()
            .ends_with("`id_tokens: { SIGSTORE_ID_TOKEN: { aud: \"https://ca.example\" } }`")
    );
}

#[test]
fn buildkite_asks_its_agent() {
    let environment = environment(&[
        ("BUILDKITE", "true"),
        ("BUILDKITE_AGENT_ACCESS_TOKEN", "agent-secret"),
        ("BUILDKITE_JOB_ID", "job/1"),
    ]);
    let provider = found(&environment, Audience::public(), |request| {
        assert_eq!(request.method, Method::Post);
        assert_eq!(
            request.url.as_str(),
            "https://agent.buildkite.com/v3/jobs/job%2F1/oidc/tokens"
        );
        assert_eq!(request.body, br#"{"audience":"sigstore"}"#);
        assert_eq!(
            request.credential.as_ref().unwrap().expose(),
            "Token agent-secret"
        );
        answer(200, &json!({"token": token("sigstore")}))
    });
    assert_eq!(provider.unwrap(), AmbientProvider::Buildkite);
}

#[test]
fn bad_variable() {
    let check = |environment: &FakeEnvironment, expected: &str| {
        let error = found(environment, Audience::public(), nothing).unwrap_err();
        assert!(
            matches!(error, AmbientError::BadVariable { variable, .. } if variable == expected)
        );
    };
    check(
        &environment(&[("BUILDKITE", "true")]),
        "BUILDKITE_AGENT_ACCESS_TOKEN",
    );
    check(
        &github(&[
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "no url"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
        ]),
        "ACTIONS_ID_TOKEN_REQUEST_URL",
    );
}

#[test]
fn transport() {
    let environment = github(&[
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "https://run.actions.example/",
        ),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
    ]);
    let error = found(&environment, Audience::public(), nothing).unwrap_err();
    assert!(matches!(
        error,
        AmbientError::Transport {
            provider: AmbientProvider::GithubActions,
            ..
        }
    ));
}

#[test]
fn no_token_in_answer() {
    let environment = github(&[
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "https://run.actions.example/",
        ),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
    ]);
    for body in [json!({}), json!({"value": null}), json!([])] {
        let error = found(&environment, Audience::public(), move |_| {
            answer(200, &body)
        })
        .unwrap_err();
        assert!(matches!(error, AmbientError::NoTokenInAnswer { .. }));
    }
}

#[test]
fn circleci_asks_its_program() {
    let mut circle = environment(&[("CIRCLECI", "true")]);
    circle.circleci = Ok(format!("{}\n", token("sigstore")));
    let provider = found(&circle, Audience::public(), nothing);
    assert_eq!(provider.unwrap(), AmbientProvider::Circleci);
}

fn circleci_fails(kind: std::io::ErrorKind) -> AmbientError {
    let mut circle = environment(&[("CIRCLECI", "true")]);
    circle.circleci = Err(kind);
    found(&circle, Audience::public(), nothing).unwrap_err()
}

#[test]
fn program() {
    for kind in [std::io::ErrorKind::TimedOut, std::io::ErrorKind::Other] {
        assert!(matches!(circleci_fails(kind), AmbientError::Program { .. }));
    }
}

#[test]
fn no_program() {
    let error = circleci_fails(std::io::ErrorKind::NotFound);
    assert!(matches!(error, AmbientError::NoProgram { .. }));
}

const PROJECTED: &str = "/var/run/sigstore/cosign/oidc-token";

#[test]
fn a_file_that_is_named_or_projected() {
    let check = |name: Option<&str>, path: &'static str, expected: bool| {
        let mut machine = environment(&[]);
        machine
            .variables
            .extend(name.map(|name| ("SIGSTORE_ID_TOKEN_FILE", name.to_owned())));
        machine
            .files
            .push((path, format!("{}\n", token("sigstore"))));
        let provider = found(&machine, Audience::public(), nothing);
        let is_file = matches!(provider, Ok(AmbientProvider::File));
        assert_eq!(is_file, expected, "{name:?} {path}: {provider:?}");
    };
    check(None, PROJECTED, true);
    check(Some("/svid/token"), "/svid/token", true);
    check(None, "/svid/token", false);
}

#[test]
fn file() {
    // One that is named must be there; the projected one is not looked for then.
    let mut machine = environment(&[("SIGSTORE_ID_TOKEN_FILE", "/nowhere")]);
    machine.files.push((PROJECTED, token("sigstore")));
    let error = found(&machine, Audience::public(), nothing).unwrap_err();
    assert_eq!(error.to_string(), "the token file /nowhere cannot be read");
    assert!(matches!(error, AmbientError::File { .. }));
}

fn google_answers(
    variables: &[(&'static str, &str)],
    status: u16,
    flavor: Option<&'static str>,
) -> Result<AmbientProvider, AmbientError> {
    let mut machine = environment(variables);
    let product = "Google Compute Engine\n".to_owned();
    machine
        .files
        .push(("/sys/class/dmi/id/product_name", product));
    found(&machine, Audience::public(), move |request| {
        let query = "audience=sigstore&format=full";
        assert_eq!(request.url.query(), Some(query));
        assert_eq!(request.url.path(), waxseal_transport::METADATA_PATH);
        assert_eq!(request.headers.only("Metadata-Flavor"), Some("Google"));
        let mut response = answer(status, &json!({})).unwrap();
        if let Some(flavor) = flavor {
            response.headers.append("Metadata-Flavor", flavor);
        }
        response.body = token("sigstore").into_bytes();
        Ok(response)
    })
}

#[test]
fn google_asks_its_metadata_server() {
    let google = Some("Google");
    for host in [
        &[][..],
        &[("GCE_METADATA_HOST", "169.254.169.254")],
        &[("GCE_METADATA_HOST", "metadata.google.internal:80")],
        &[("GCE_METADATA_HOST", "127.0.0.1:9000")],
        &[("K_SERVICE", "app")],
    ] {
        let provider = google_answers(host, 200, google).unwrap();
        assert_eq!(provider, AmbientProvider::GoogleCloud, "{host:?}");
    }
    // No name is looked up, and no other host is asked.
    for host in [
        "evil.example",
        "169.254.169.253",
        "metadata.google.internal.evil.example",
        "127.0.0.1/x?",
        "169.254.169.254:8080",
    ] {
        let error = google_answers(&[("GCE_METADATA_HOST", host)], 200, google).unwrap_err();
        assert!(
            matches!(error, AmbientError::BadVariable { .. }),
            "{host}: {error:?}"
        );
    }
}

#[test]
fn not_metadata_server() {
    for flavor in [None, Some("google"), Some("Other")] {
        let error = google_answers(&[], 200, flavor).unwrap_err();
        assert!(
            matches!(error, AmbientError::NotMetadataServer),
            "{error:?}"
        );
    }
}

#[test]
fn google_no_service_account() {
    let error = google_answers(&[], 404, Some("Google")).unwrap_err();
    assert!(matches!(error, AmbientError::GoogleNoServiceAccount));
}

/// The messages of the Workload API, written apart from the code that reads them.
fn spiffe_answers(
    status: Option<(&'static str, &'static str)>,
    token: &str,
) -> Result<AmbientProvider, AmbientError> {
    let (id, token) = (b"spiffe://a.example/w", token.as_bytes().to_vec());
    let machine = environment(&[("SPIFFE_ENDPOINT_SOCKET", "unix:///run/agent.sock")]);
    found(&machine, Audience::public(), move |request| {
        let socket = waxseal_transport::Route::UnixSocket("/run/agent.sock".into());
        assert_eq!(request.route, socket);
        assert_eq!(request.url.path(), "/SpiffeWorkloadAPI/FetchJWTSVID");
        assert_eq!(
            request.headers.only("Content-Type"),
            Some("application/grpc")
        );
        assert_eq!(request.headers.only("workload.spiffe.io"), Some("true"));
        assert_eq!(request.body, b"\0\0\0\0\x0a\x0a\x08sigstore");
        let two_bytes = |length: usize| {
            assert!((128..16384).contains(&length));
            [
                u8::try_from(length % 128).unwrap() | 128,
                u8::try_from(length / 128).unwrap(),
            ]
        };
        let mut svid = vec![0x0a, u8::try_from(id.len()).unwrap()];
        svid.extend(id);
        svid.push(0x12);
        svid.extend(two_bytes(token.len()));
        svid.extend(&token);
        let mut message = vec![0x0a];
        message.extend(two_bytes(svid.len()));
        message.extend(svid);
        let mut response = answer(200, &json!({})).unwrap();
        response.body = vec![0];
        response
            .body
            .extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        response.body.extend(message);
        if let Some((status, message)) = status {
            response.body.clear();
            response.headers.append("grpc-status", status);
            response.headers.append("grpc-message", message);
        }
        Ok(response)
    })
}

#[test]
fn spiffe_asks_its_agent() {
    let provider = spiffe_answers(None, &token("sigstore"));
    assert_eq!(provider.unwrap(), AmbientProvider::Spiffe);
    let error = spiffe_answers(Some(("0", "")), &token("sigstore")).unwrap_err();
    assert!(matches!(error, AmbientError::NoTokenInAnswer { .. }));
    let error = spiffe_answers(None, &token("other")).unwrap_err();
    assert!(matches!(error, AmbientError::WrongAudience { .. }));
}

#[test]
fn spiffe_no_identity() {
    let error = spiffe_answers(Some(("7", "no identity issued")), &token("x")).unwrap_err();
    assert!(matches!(error, AmbientError::SpiffeNoIdentity));
}

#[test]
fn spiffe_refused() {
    let error = spiffe_answers(Some(("3", "\u{1b}[2J")), &token("x")).unwrap_err();
    assert!(matches!(
        error,
        AmbientError::SpiffeRefused { status: 3, .. }
    ));
    assert!(!error.to_string().contains('\u{1b}'));
}

#[test]
fn a_token_that_opens_the_public_instance_too_goes_to_no_other() {
    let claims =
        json!({"iss": "https://issuer.example", "sub": "s", "aud": ["sigstore", CA], "exp": NOW});
    let both = RSA.sign(claims.to_string().as_bytes());
    let machine = environment(&[("SIGSTORE_ID_TOKEN", &both)]);
    let error = found(&machine, instance(), nothing).unwrap_err();
    assert!(matches!(error, AmbientError::WrongAudience { .. }));
    assert!(found(&machine, Audience::public(), nothing).is_ok());
}

#[test]
fn an_instance_that_calls_a_platform_its_own_broker_gets_no_token_of_it() {
    let machine = github(&[
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "https://run.actions.example/",
        ),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
    ]);
    let liar = || Audience::of_instance(CA, Some("https://issuer.example"));
    let error = found(&machine, liar(), |_| {
        answer(200, &json!({"value": token("sigstore")}))
    });
    assert!(matches!(error, Err(AmbientError::WrongAudience { .. })));
    // The same token, put there by a person, is its broker's.
    let chosen = environment(&[("SIGSTORE_ID_TOKEN", &token("sigstore"))]);
    assert!(found(&chosen, liar(), nothing).is_ok());
}
