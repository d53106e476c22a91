//! Which identity and claims each kind of issuer gives.

use serde_json::{Value, json};

use super::*;
use crate::CiProvider;
use crate::testing::{at, good_claims};

fn principal(config: &IssuerConfig, claims: &Value) -> Result<Principal, IdentityError> {
    let claims = Claims::parse(claims.to_string().as_bytes()).unwrap();
    principal_of(config, &claims, at(60))
}

fn email_issuer() -> IssuerConfig {
    IssuerConfig::new("https://issuer.example", &["sigstore"], IssuerKind::Email)
}

fn uri_issuer() -> IssuerConfig {
    let subject_domain = Url::parse("https://sub.example.com").unwrap();
    IssuerConfig::new(
        "https://issuer.example",
        &["sigstore"],
        IssuerKind::Uri { subject_domain },
    )
}

fn name(found: &Result<Principal, IdentityError>) -> String {
    match found {
        Ok(principal) => principal.identity().as_str().to_owned(),
        Err(error) => format!("{error:?}")
            .split([' ', '(', '{'])
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

fn check_email(change: impl FnOnce(&mut Value), expected: &str) {
    let mut claims = good_claims();
    change(&mut claims);
    assert_eq!(
        name(&principal(&email_issuer(), &claims)),
        expected,
        "{claims}"
    );
}

#[test]
fn an_email_issuer_names_the_verified_address() {
    let principal = principal(&email_issuer(), &good_claims()).unwrap();
    assert_eq!(principal.issuer(), "https://issuer.example");
    assert_eq!(
        principal.identity(),
        &Identity::Email(EmailAddress::parse("you@example.com").unwrap())
    );
    let challenges: Vec<_> = principal.challenges().collect();
    assert_eq!(challenges, ["you@example.com", "subject-1"]);
    assert!(principal.claims().is_empty());
    check_email(|c| c["email_verified"] = json!("true"), "you@example.com");
}

#[test]
fn email_not_verified() {
    for value in [json!(false), json!("false"), json!(1), json!(null)] {
        check_email(|c| c["email_verified"] = value, "EmailNotVerified");
    }
    check_email(
        |c| drop(c.as_object_mut().unwrap().remove("email_verified")),
        "EmailNotVerified",
    );
    let mut lenient = email_issuer();
    lenient.skip_email_verification = true;
    let mut claims = good_claims();
    claims["email_verified"] = json!(false);
    assert_eq!(name(&principal(&lenient, &claims)), "you@example.com");
}

#[test]
fn bad_email() {
    for address in [
        "you",
        "you@a@example.com",
        "you@example.com,x@example.com",
        "yöu@example.com",
        "\"you\"@example.com",
    ] {
        check_email(|c| c["email"] = json!(address), "BadEmail");
    }
}

#[test]
fn claim() {
    check_email(
        |c| drop(c.as_object_mut().unwrap().remove("email")),
        "Claim",
    );
    check_email(
        |c| c["email"] = json!("you@example.com\0.evil.example"),
        "Claim",
    );
    check_email(
        |c| c["email"] = json!("you@example.com\r\nBcc: x@example.com"),
        "Claim",
    );
    check_email(|c| c["email"] = json!(["you@example.com"]), "Claim");
    check_email(|c| c["sub"] = json!(""), "Claim");
    check_email(|c| drop(c.as_object_mut().unwrap().remove("sub")), "Claim");
}

#[test]
fn the_issuer_claim_stands_for_the_issuer() {
    let mut config = email_issuer();
    config.issuer_claim = crate::ClaimPath::parse("$.federated_claims.connector_id").ok();
    let mut claims = good_claims();
    assert_eq!(name(&principal(&config, &claims)), "Claim");
    claims["federated_claims"] = json!({"connector_id": "https://github.com/login/oauth"});
    let found = principal(&config, &claims).unwrap();
    assert_eq!(found.issuer(), "https://github.com/login/oauth");
    assert_eq!(found.token_issuer(), "https://issuer.example");
}

fn check_uri(subject: &str, expected: &str) {
    let mut claims = good_claims();
    claims["sub"] = json!(subject);
    assert_eq!(
        name(&principal(&uri_issuer(), &claims)),
        expected,
        "{subject:?}"
    );
}

#[test]
fn a_uri_issuer_names_the_subject() {
    for subject in [
        "https://sub.example.com/user/1",
        "https://sub.example.com",
        "https://sub.example.com/",
        "https://sub.example.com:8443/x?y=z#w",
    ] {
        check_uri(subject, subject);
    }
    let mut claims = good_claims();
    claims["sub"] = json!("https://sub.example.com/1");
    let found = principal(&uri_issuer(), &claims).unwrap();
    assert_eq!(
        found.challenges().collect::<Vec<_>>(),
        ["you@example.com", "https://sub.example.com/1"]
    );
    claims["email_verified"] = json!(false);
    let found = principal(&uri_issuer(), &claims).unwrap();
    assert_eq!(
        found.challenges().collect::<Vec<_>>(),
        ["https://sub.example.com/1"]
    );
}

#[test]
fn outside_subject_domain() {
    for subject in [
        "https://example.com/x",
        "http://sub.example.com/x",
        "https://sub.example.com.evil.example/x",
        "https://xsub.example.com/x",
        "https://sub.example.com./x",
    ] {
        check_uri(subject, "OutsideSubjectDomain");
    }
}

#[test]
fn r_ca_09_bad_uri() {
    let long = format!("https://sub.example.com/{}", "a".repeat(2048));
    for subject in [
        "you@example.com",
        "sub.example.com",
        "https://sub.example.com/a b",
        "https://SUB.example.com/x",
        "https://u@sub.example.com/x",
        "https://sub.example.com@evil.example/x",
        "https://sub.example.com:443/x",
        "https://sub.example.com/../x",
        "https://sub.example.com/%2e%2e/x",
        "https://sub.example.com\\@evil.example/",
        "https://sub.example.com/é",
        "https:sub.example.com",
        "mailto:you@example.com",
        " https://sub.example.com/",
    ] {
        check_uri(subject, "BadUri");
    }
    check_uri(&long, "Claim");
    check_uri("https://sub.example.com/\n", "Claim");
}

fn github_claims() -> Value {
    json!({
        "sub": "repo:acme/app:ref:refs/heads/main",
        "job_workflow_ref": "acme/app/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_sha": "a1", "sha": "b2", "event_name": "push", "repository": "acme/app",
        "workflow": "ci", "ref": "refs/heads/main", "runner_environment": "github-hosted",
        "repository_id": "9007199254740993", "repository_owner": "acme",
        "repository_owner_id": 42, "repository_visibility": "public",
        "workflow_ref": "acme/app/.github/workflows/ci.yml@refs/heads/main", "workflow_sha": "c3",
        "run_id": "7", "run_attempt": "1",
    })
}

fn rendered(provider: CiProvider, claims: &Value) -> (String, Vec<(ClaimName, String)>) {
    let config = IssuerConfig::new(
        "https://issuer.example",
        &["sigstore"],
        IssuerKind::Ci(provider),
    );
    let found = principal(&config, claims).unwrap();
    (
        found.identity().as_str().to_owned(),
        found.claims().to_vec(),
    )
}

#[test]
fn github_workflows_are_named_by_their_workflow() {
    let (name, claims) = rendered(
        CiProvider::github_workflow("https://github.com"),
        &github_claims(),
    );
    assert_eq!(
        name,
        "https://github.com/acme/app/.github/workflows/ci.yml@refs/heads/main"
    );
    let expected = [
        (ClaimName::GithubWorkflowTrigger, "push"),
        (ClaimName::GithubWorkflowSha, "b2"),
        (ClaimName::GithubWorkflowName, "ci"),
        (ClaimName::GithubWorkflowRepository, "acme/app"),
        (ClaimName::GithubWorkflowRef, "refs/heads/main"),
        (
            ClaimName::BuildSignerUri,
            "https://github.com/acme/app/.github/workflows/ci.yml@refs/heads/main",
        ),
        (ClaimName::BuildSignerDigest, "a1"),
        (ClaimName::RunnerEnvironment, "github-hosted"),
        (
            ClaimName::SourceRepositoryUri,
            "https://github.com/acme/app",
        ),
        (ClaimName::SourceRepositoryDigest, "b2"),
        (ClaimName::SourceRepositoryRef, "refs/heads/main"),
        (ClaimName::SourceRepositoryIdentifier, "9007199254740993"),
        (
            ClaimName::SourceRepositoryOwnerUri,
            "https://github.com/acme",
        ),
        (ClaimName::SourceRepositoryOwnerIdentifier, "42"),
        (
            ClaimName::BuildConfigUri,
            "https://github.com/acme/app/.github/workflows/ci.yml@refs/heads/main",
        ),
        (ClaimName::BuildConfigDigest, "c3"),
        (ClaimName::BuildTrigger, "push"),
        (
            ClaimName::RunInvocationUri,
            "https://github.com/acme/app/actions/runs/7/attempts/1",
        ),
        (ClaimName::SourceRepositoryVisibility, "public"),
        (ClaimName::TokenSubject, "repo:acme/app:ref:refs/heads/main"),
    ];
    let expected: Vec<_> = expected.map(|(name, text)| (name, text.to_owned())).into();
    assert_eq!(claims, expected);
    // A token cannot move the URL that its repository hangs on.
    let mut moved = github_claims();
    moved["url"] = json!("https://evil.example");
    moved["environment"] = json!("production");
    let (name, claims) = rendered(CiProvider::github_workflow("https://github.com"), &moved);
    assert!(name.starts_with("https://github.com/acme/"));
    assert!(claims.contains(&(ClaimName::DeploymentEnvironment, "production".to_owned())));
}

#[test]
fn template() {
    let config = IssuerConfig::github_actions(&["sigstore"]);
    for claim in [
        "job_workflow_ref",
        "sha",
        "run_attempt",
        "workflow_sha",
        "repository_visibility",
    ] {
        let mut claims = github_claims();
        claims.as_object_mut().unwrap().remove(claim);
        let missing = TemplateError::MissingClaim {
            claim: claim.to_owned(),
        };
        assert_eq!(
            principal(&config, &claims),
            Err(IdentityError::Template(missing))
        );
        claims[claim] = json!(1.5);
        assert!(matches!(
            principal(&config, &claims),
            Err(IdentityError::Template(TemplateError::Claim(_)))
        ));
    }
    let mut long = github_claims();
    long["repository"] = json!("a".repeat(2040));
    assert_eq!(
        principal(&config, &long),
        Err(IdentityError::Template(TemplateError::TooLong))
    );
    let mut odd = github_claims();
    odd["job_workflow_ref"] = json!("acme/app/with space@refs/heads/main");
    assert_eq!(principal(&config, &odd), Err(IdentityError::BadUri));
}

#[test]
fn gitlab_pipelines_are_named_by_their_config() {
    let claims = json!({
        "sub": "project_path:acme/app:ref_type:branch:ref:main",
        "ci_config_ref_uri": "gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": "a1", "runner_environment": "gitlab-hosted", "project_path": "acme/app",
        "sha": "b2", "ref": "main", "ref_type": "branch", "project_id": "3", "namespace_path": "acme",
        "namespace_id": "4", "pipeline_source": "push", "job_id": "5", "project_visibility": "private",
    });
    let (name, found) = rendered(CiProvider::gitlab_pipeline("https://gitlab.com"), &claims);
    assert_eq!(
        name,
        "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main"
    );
    let has = |name, text: &str| found.contains(&(name, text.to_owned()));
    assert!(has(ClaimName::SourceRepositoryRef, "refs/heads/main"));
    assert!(has(
        ClaimName::RunInvocationUri,
        "https://gitlab.com/acme/app/-/jobs/5"
    ));
    assert!(has(
        ClaimName::SourceRepositoryOwnerUri,
        "https://gitlab.com/acme"
    ));
    assert_eq!(found.len(), 15);
    let mut tag = claims;
    tag["ref_type"] = json!("tag");
    let (_, found) = rendered(CiProvider::gitlab_pipeline("https://gitlab.com/"), &tag);
    assert!(found.contains(&(ClaimName::SourceRepositoryRef, "refs/tags/main".to_owned())));
}
