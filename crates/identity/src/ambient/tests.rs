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
         GitHub Actions (GITHUB_ACTIONS not found), GitLab CI (GITLAB_CI not found), \
         Buildkite (BUILDKITE not found), CircleCI (CIRCLECI not found), \
         Google Cloud (GCE_METADATA_HOST not found)"
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
fn gitlab_missing_token() {
    let error = found(&environment(&[("GITLAB_CI", "true")]), instance(), nothing).unwrap_err();
    assert!(matches!(&error, AmbientError::GitlabMissingToken { audience } if audience == CA));
    assert!(
        error
            .to_string()
            .ends_with("SIGSTORE_ID_TOKEN:\n    aud: https://ca.example")
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
    let error = found(&circle, Audience::public(), nothing).unwrap_err();
    assert!(matches!(error, AmbientError::Program { .. }));
    circle.circleci = Some(format!("{}\n", token("sigstore")));
    assert_eq!(
        found(&circle, Audience::public(), nothing).unwrap(),
        AmbientProvider::Circleci
    );
}

#[test]
fn google_asks_its_metadata_server() {
    let local = environment(&[("GCE_METADATA_HOST", "127.0.0.1:9000")]);
    let provider = found(&local, Audience::public(), |request| {
        assert_eq!(
            request.url.as_str(),
            "http://127.0.0.1:9000/computeMetadata/v1/instance/service-accounts/default/identity\
             ?audience=sigstore&format=full"
        );
        assert_eq!(request.headers.only("Metadata-Flavor"), Some("Google"));
        let mut response = answer(200, &json!({})).unwrap();
        response.body = token("sigstore").into_bytes();
        Ok(response)
    });
    assert_eq!(provider.unwrap(), AmbientProvider::GoogleCloud);
    // On a real machine the metadata server has no TLS, and the transport says so.
    let mut machine = environment(&[]);
    machine.files.push((
        "/sys/class/dmi/id/product_name",
        "Google Compute Engine\n".to_owned(),
    ));
    let error = found(&machine, Audience::public(), nothing).unwrap_err();
    assert!(matches!(
        error,
        AmbientError::Transport {
            provider: AmbientProvider::GoogleCloud,
            ..
        }
    ));
}
