//! CI jobs as identities: which claims make the certificate's name and its extensions, as data
//! (authority.md §1.6–1.8).

use waxseal_formats::claims::ClaimName;

use crate::ClaimError;
use crate::claims::{Claims, MAX_CLAIM};
use crate::template::Template;

/// How the tokens of one CI service become a name and extensions.
#[derive(Debug, Clone)]
pub struct CiProvider {
    name: Template,
    claims: Vec<(ClaimName, Template)>,
    defaults: Vec<(String, String)>,
}

/// Why a template gives nothing for a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template names a claim that the token does not have, and that has no default.
    #[error("the token has no claim {claim:?}")]
    MissingClaim {
        /// Its name.
        claim: String,
    },
    /// A claim is malformed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The result is longer than [`MAX_CLAIM`].
    #[error("a value made of the token's claims is longer than {MAX_CLAIM} bytes")]
    TooLong,
}

/// The templates of one provider: `.9` to `.23` and, for GitHub, the deprecated `.2` to `.6`.
type Rows = &'static [(ClaimName, &'static str)];

const GITHUB: Rows = &[
    (ClaimName::GithubWorkflowTrigger, "event_name"),
    (ClaimName::GithubWorkflowSha, "sha"),
    (ClaimName::GithubWorkflowName, "workflow"),
    (ClaimName::GithubWorkflowRepository, "repository"),
    (ClaimName::GithubWorkflowRef, "ref"),
    (
        ClaimName::BuildSignerUri,
        "{{ .url }}/{{ .job_workflow_ref }}",
    ),
    (ClaimName::BuildSignerDigest, "job_workflow_sha"),
    (ClaimName::RunnerEnvironment, "runner_environment"),
    (
        ClaimName::SourceRepositoryUri,
        "{{ .url }}/{{ .repository }}",
    ),
    (ClaimName::SourceRepositoryDigest, "sha"),
    (ClaimName::SourceRepositoryRef, "ref"),
    (ClaimName::SourceRepositoryIdentifier, "repository_id"),
    (
        ClaimName::SourceRepositoryOwnerUri,
        "{{ .url }}/{{ .repository_owner }}",
    ),
    (
        ClaimName::SourceRepositoryOwnerIdentifier,
        "repository_owner_id",
    ),
    (ClaimName::BuildConfigUri, "{{ .url }}/{{ .workflow_ref }}"),
    (ClaimName::BuildConfigDigest, "workflow_sha"),
    (ClaimName::BuildTrigger, "event_name"),
    (
        ClaimName::RunInvocationUri,
        "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}",
    ),
    (
        ClaimName::SourceRepositoryVisibility,
        "repository_visibility",
    ),
    (ClaimName::DeploymentEnvironment, "environment"),
];

const GITLAB: Rows = &[
    (
        ClaimName::BuildSignerUri,
        "https://{{ .ci_config_ref_uri }}",
    ),
    (ClaimName::BuildSignerDigest, "ci_config_sha"),
    (ClaimName::RunnerEnvironment, "runner_environment"),
    (
        ClaimName::SourceRepositoryUri,
        "{{ .url }}/{{ .project_path }}",
    ),
    (ClaimName::SourceRepositoryDigest, "sha"),
    (
        ClaimName::SourceRepositoryRef,
        r#"refs/{{ if eq .ref_type "branch" }}heads/{{ else }}tags/{{ end }}{{ .ref }}"#,
    ),
    (ClaimName::SourceRepositoryIdentifier, "project_id"),
    (
        ClaimName::SourceRepositoryOwnerUri,
        "{{ .url }}/{{ .namespace_path }}",
    ),
    (ClaimName::SourceRepositoryOwnerIdentifier, "namespace_id"),
    (
        ClaimName::BuildConfigUri,
        "https://{{ .ci_config_ref_uri }}",
    ),
    (ClaimName::BuildConfigDigest, "ci_config_sha"),
    (ClaimName::BuildTrigger, "pipeline_source"),
    (
        ClaimName::RunInvocationUri,
        "{{ .url }}/{{ .project_path }}/-/jobs/{{ .job_id }}",
    ),
    (ClaimName::SourceRepositoryVisibility, "project_visibility"),
    (ClaimName::DeploymentEnvironment, "environment"),
];

impl CiProvider {
    /// GitHub Actions at `url`: `https://github.com`, or an enterprise server.
    pub fn github_workflow(url: &str) -> Self {
        Self::built_in(url, "{{ .url }}/{{ .job_workflow_ref }}", GITHUB)
    }

    /// GitLab pipelines at `url`.
    pub fn gitlab_pipeline(url: &str) -> Self {
        Self::built_in(url, "https://{{ .ci_config_ref_uri }}", GITLAB)
    }

    #[expect(
        clippy::expect_used,
        reason = "the templates are constants, parsed by the tests"
    )]
    fn built_in(url: &str, name: &str, rows: Rows) -> Self {
        let parse = |text: &str| Template::parse(text).expect("a constant template parses");
        Self {
            name: parse(name),
            claims: rows
                .iter()
                .map(|(name, text)| (*name, parse(text)))
                .collect(),
            defaults: vec![
                ("url".to_owned(), url.trim_end_matches('/').to_owned()),
                ("environment".to_owned(), String::new()),
            ],
        }
    }

    /// The certificate's name and claims; claims that come out empty are left out.
    pub(crate) fn render(
        &self,
        claims: &Claims,
    ) -> Result<(String, Vec<(ClaimName, String)>), TemplateError> {
        // The defaults come first: a token must not move the URL that its own repository hangs on.
        let look_up = |name: &str| match self.defaults.iter().find(|(key, _)| key == name) {
            Some((_, default)) if !default.is_empty() => Ok(Some(default.clone())),
            Some((_, empty)) => Ok(Some(
                claims.rendered(name)?.unwrap_or_else(|| empty.clone()),
            )),
            None => Ok(claims.rendered(name)?),
        };
        let render = |template: &Template| {
            let text = template.render(&look_up)?;
            if text.len() > MAX_CLAIM {
                return Err(TemplateError::TooLong);
            }
            Ok(text)
        };
        let mut rendered = Vec::with_capacity(self.claims.len() + 1);
        for (name, template) in &self.claims {
            let text = render(template)?;
            if !text.is_empty() {
                rendered.push((*name, text));
            }
        }
        Ok((render(&self.name)?, rendered))
    }
}
