//! Tokens that a CI service or cloud gives to the job it runs (authority.md §2.2).

mod buildkite;
mod circleci;
mod file;
mod github;
mod gitlab;
mod google;
mod spiffe;
mod variable;

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;
use waxseal_transport::{BoxFuture, Excerpt, Request, Response, Transport, TransportError};

use crate::json::parse_object;
use crate::{Audience, Environment, IdentityToken, ObtainError, TokenFormatError, TokenSource};

/// Longest answer of a token service in bytes: a token, and a little JSON around it.
const MAX_ANSWER: usize = 32 * 1024;

/// A service that gives tokens to its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AmbientProvider {
    /// The variable `SIGSTORE_ID_TOKEN`.
    Variable,
    /// The file that `SIGSTORE_ID_TOKEN_FILE` names, or the one that Kubernetes projects.
    File,
    /// GitHub Actions.
    GithubActions,
    /// GitLab CI, which gives its tokens in variables that the job asks for.
    GitlabCi,
    /// Buildkite.
    Buildkite,
    /// CircleCI, through its own program.
    Circleci,
    /// The metadata server of Google Cloud.
    GoogleCloud,
    /// The Workload API of SPIFFE.
    Spiffe,
}

impl AmbientProvider {
    /// Every provider, in the order in which they are tried.
    pub const ALL: [Self; 8] = [
        Self::Variable,
        Self::File,
        Self::GithubActions,
        Self::GitlabCi,
        Self::Buildkite,
        Self::Circleci,
        Self::GoogleCloud,
        Self::Spiffe,
    ];

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Variable => "SIGSTORE_ID_TOKEN",
            Self::File => "token file",
            Self::GithubActions => "GitHub Actions",
            Self::GitlabCi => "GitLab CI",
            Self::Buildkite => "Buildkite",
            Self::Circleci => "CircleCI",
            Self::GoogleCloud => "Google Cloud",
            Self::Spiffe => "SPIFFE",
        }
    }

    /// Whether a person put the token there, rather than a platform that gives one to every job.
    const fn is_chosen(self) -> bool {
        matches!(self, Self::Variable | Self::File)
    }
}

impl fmt::Display for AmbientProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A provider that is not here, and the sign of it that was missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Absent {
    /// The provider.
    pub provider: AmbientProvider,
    /// What would have shown its presence.
    pub missing: &'static str,
}

/// Why there is no ambient token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AmbientError {
    /// No provider is here.
    #[error("no ambient identity: {}", list(tried))]
    NoProvider {
        /// Each that was tried, and why it is not here.
        tried: Vec<Absent>,
    },
    /// A GitHub workflow of a fork's pull request: GitHub gives those no tokens.
    #[error(
        "this workflow runs for a pull request from a fork, and GitHub gives those no identity \
         token; sign in a workflow that runs on push, or on workflow_run after the pull request"
    )]
    GithubForkPullRequest,
    /// A GitHub workflow without the permission.
    #[error(
        "this workflow may not ask GitHub for an identity token: it needs \
         `permissions: {{ id-token: write }}`, and so does a workflow that calls it"
    )]
    GithubMissingPermission,
    /// A GitLab job that asks for no token.
    #[error(
        "this GitLab job asks for no identity token: it needs \
         `id_tokens: {{ SIGSTORE_ID_TOKEN: {{ aud: \"{audience}\" }} }}`"
    )]
    GitlabMissingToken {
        /// The audience that it should ask for.
        audience: String,
    },
    /// The file with the token cannot be read.
    #[error("the {provider} {} cannot be read", path.display())]
    File {
        /// The provider.
        provider: AmbientProvider,
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// Something answered for the metadata server and did not say that it is one.
    #[error("what answers for Google Cloud's metadata server is not one (no Metadata-Flavor)")]
    NotMetadataServer,
    /// The machine has no service account (the metadata server's 404).
    #[error("this Google Cloud machine has no service account, and so no identity")]
    GoogleNoServiceAccount,
    /// The SPIFFE agent knows the caller, and no identity of it (gRPC status 7).
    #[error("the SPIFFE agent has no identity registered for this process")]
    SpiffeNoIdentity,
    /// The SPIFFE agent refuses for another reason.
    #[error("the SPIFFE agent refuses (gRPC status {status}): {message}")]
    SpiffeRefused {
        /// The gRPC status.
        status: u32,
        /// Its explanation.
        message: Excerpt,
    },
    /// The provider's program is not there.
    #[error("{provider} is here, and its program is not to be found")]
    NoProgram {
        /// The provider.
        provider: AmbientProvider,
        /// What happened.
        source: std::io::Error,
    },
    /// A variable that the provider always sets is not there or malformed.
    #[error("{provider} is here, and its variable {variable} is missing or malformed")]
    BadVariable {
        /// The provider.
        provider: AmbientProvider,
        /// The variable.
        variable: &'static str,
    },
    /// The provider's token service did not answer.
    #[error("{provider} gave no identity token")]
    Transport {
        /// The provider.
        provider: AmbientProvider,
        /// What happened.
        source: TransportError,
    },
    /// The provider's program failed.
    #[error("the program of {provider} gave no identity token")]
    Program {
        /// The provider.
        provider: AmbientProvider,
        /// What happened.
        source: std::io::Error,
    },
    /// The provider answered, and not with a token.
    #[error("{provider} answered without an identity token")]
    NoTokenInAnswer {
        /// The provider.
        provider: AmbientProvider,
    },
    /// What the provider gave is not a token.
    #[error("the identity token of {provider} is malformed")]
    BadToken {
        /// The provider.
        provider: AmbientProvider,
        /// Why.
        source: TokenFormatError,
    },
    /// The token is for somebody else: this instance would get a token that opens another one.
    #[error(
        "the identity token of {provider} is for {found:?}, and this instance takes {expected:?}: \
         ask for that audience"
    )]
    WrongAudience {
        /// The provider.
        provider: AmbientProvider,
        /// `aud` of the token.
        found: Vec<String>,
        /// The audience that it should have.
        expected: String,
    },
}

fn list(tried: &[Absent]) -> String {
    let each: Vec<_> = tried
        .iter()
        .map(|absent| format!("{} ({} not found)", absent.provider, absent.missing))
        .collect();
    each.join(", ")
}

/// The first provider that is here, for one audience.
pub struct Ambient<'e> {
    environment: &'e dyn Environment,
    audience: Audience,
}

/// What a provider says.
enum Found {
    Absent(&'static str),
    Token(String),
}

impl<'e> Ambient<'e> {
    /// Looks for providers in this environment.
    pub fn new(environment: &'e dyn Environment, audience: Audience) -> Self {
        Self {
            environment,
            audience,
        }
    }

    /// Asks the providers in order. The first that is here decides: its failure is the answer,
    /// because a job that expects one identity must not sign with another.
    ///
    /// # Errors
    /// [`AmbientError`].
    pub async fn token(
        &self,
        transport: &dyn Transport,
    ) -> Result<(AmbientProvider, IdentityToken), AmbientError> {
        let mut tried = Vec::new();
        for provider in AmbientProvider::ALL {
            match self.ask(provider, transport).await? {
                Found::Absent(missing) => tried.push(Absent { provider, missing }),
                Found::Token(text) => return Ok((provider, self.check(provider, &text)?)),
            }
        }
        Err(AmbientError::NoProvider { tried })
    }

    async fn ask(
        &self,
        provider: AmbientProvider,
        transport: &dyn Transport,
    ) -> Result<Found, AmbientError> {
        let (environment, audience) = (self.environment, self.audience.as_str());
        match provider {
            AmbientProvider::Variable => Ok(variable::find(environment)),
            AmbientProvider::File => file::find(environment),
            AmbientProvider::GithubActions => github::find(environment, audience, transport).await,
            AmbientProvider::GitlabCi => gitlab::find(environment, audience),
            AmbientProvider::Buildkite => buildkite::find(environment, audience, transport).await,
            AmbientProvider::Circleci => circleci::find(environment, audience).await,
            AmbientProvider::GoogleCloud => google::find(environment, audience, transport).await,
            AmbientProvider::Spiffe => spiffe::find(environment, audience, transport).await,
        }
    }

    fn check(&self, provider: AmbientProvider, text: &str) -> Result<IdentityToken, AmbientError> {
        let token = IdentityToken::parse(text)
            .map_err(|source| AmbientError::BadToken { provider, source })?;
        let fits = match provider.is_chosen() {
            true => self.audience.accepts(&token),
            // A platform's token is never the instance's own broker's, whatever its files say.
            false => self.audience.is_of(&token),
        };
        if !fits {
            return Err(AmbientError::WrongAudience {
                provider,
                found: token.audiences().map(str::to_owned).collect(),
                expected: self.audience.as_str().to_owned(),
            });
        }
        Ok(token)
    }
}

impl TokenSource for Ambient<'_> {
    fn obtain<'a>(
        &'a self,
        transport: &'a dyn Transport,
    ) -> BoxFuture<'a, Result<IdentityToken, ObtainError>> {
        Box::pin(async { Ok(self.token(transport).await?.1) })
    }
}

/// Sends a request and reads the token from one member of the JSON answer.
async fn ask_service(
    provider: AmbientProvider,
    request: Request,
    member: &str,
    transport: &dyn Transport,
) -> Result<Found, AmbientError> {
    let body = send(provider, request, transport).await?;
    let answer =
        parse_object(&body, MAX_ANSWER).map_err(|_| AmbientError::NoTokenInAnswer { provider })?;
    match answer.get(member) {
        Some(Value::String(token)) => Ok(Found::Token(token.clone())),
        _ => Err(AmbientError::NoTokenInAnswer { provider }),
    }
}

async fn send(
    provider: AmbientProvider,
    request: Request,
    transport: &dyn Transport,
) -> Result<Vec<u8>, AmbientError> {
    let failed = |source| AmbientError::Transport { provider, source };
    let request = request.with_max_response(MAX_ANSWER);
    let response = transport.send(request).await.map_err(failed)?;
    succeeded(provider, response)
}

fn succeeded(provider: AmbientProvider, response: Response) -> Result<Vec<u8>, AmbientError> {
    let failed = |source| AmbientError::Transport { provider, source };
    Ok(response.expect_status(&[200]).map_err(failed)?.body)
}

#[cfg(test)]
mod tests;
