//! The names of what a certificate says about the build or person behind it
//! (sigstore/fulcio `docs/oid-info.md`): extensions 1.3.6.1.4.1.57264.1.*N*.

use std::fmt;

/// One claim of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ClaimName {
    /// .1, deprecated: the issuer of the identity token, raw bytes.
    Issuer,
    /// .2, deprecated: the event that triggered a GitHub workflow.
    GithubWorkflowTrigger,
    /// .3, deprecated: the commit of a GitHub workflow.
    GithubWorkflowSha,
    /// .4, deprecated: the name of a GitHub workflow.
    GithubWorkflowName,
    /// .5, deprecated: the repository of a GitHub workflow.
    GithubWorkflowRepository,
    /// .6, deprecated: the ref of a GitHub workflow.
    GithubWorkflowRef,
    /// .8: the issuer of the identity token.
    IssuerV2,
    /// .9: the build instructions that signed, with their ref.
    BuildSignerUri,
    /// .10: the version of the build instructions that signed.
    BuildSignerDigest,
    /// .11: hosted or self-hosted.
    RunnerEnvironment,
    /// .12: the source repository.
    SourceRepositoryUri,
    /// .13: the source's version.
    SourceRepositoryDigest,
    /// .14: the source's ref.
    SourceRepositoryRef,
    /// .15: the repository's immutable id.
    SourceRepositoryIdentifier,
    /// .16: the repository's owner.
    SourceRepositoryOwnerUri,
    /// .17: the owner's immutable id.
    SourceRepositoryOwnerIdentifier,
    /// .18: the top-level build instructions, with their ref.
    BuildConfigUri,
    /// .19: the version of the top-level build instructions.
    BuildConfigDigest,
    /// .20: the event that triggered the build.
    BuildTrigger,
    /// .21: the run.
    RunInvocationUri,
    /// .22: public or private.
    SourceRepositoryVisibility,
    /// .23: the deployment's target.
    DeploymentEnvironment,
    /// .24: the `sub` of the identity token.
    TokenSubject,
}

/// Claim, arc, name in JSON, key in issuer templates (empty: cannot be templated).
type Row = (ClaimName, u8, &'static str, &'static str);

const ROWS: [Row; 23] = [
    (ClaimName::Issuer, 1, "issuerV1", ""),
    (
        ClaimName::GithubWorkflowTrigger,
        2,
        "githubWorkflowTrigger",
        "github-workflow-trigger",
    ),
    (
        ClaimName::GithubWorkflowSha,
        3,
        "githubWorkflowSHA",
        "github-workflow-sha",
    ),
    (
        ClaimName::GithubWorkflowName,
        4,
        "githubWorkflowName",
        "github-workflow-name",
    ),
    (
        ClaimName::GithubWorkflowRepository,
        5,
        "githubWorkflowRepository",
        "github-workflow-repository",
    ),
    (
        ClaimName::GithubWorkflowRef,
        6,
        "githubWorkflowRef",
        "github-workflow-ref",
    ),
    (ClaimName::IssuerV2, 8, "issuer", ""),
    (
        ClaimName::BuildSignerUri,
        9,
        "buildSignerURI",
        "build-signer-uri",
    ),
    (
        ClaimName::BuildSignerDigest,
        10,
        "buildSignerDigest",
        "build-signer-digest",
    ),
    (
        ClaimName::RunnerEnvironment,
        11,
        "runnerEnvironment",
        "runner-environment",
    ),
    (
        ClaimName::SourceRepositoryUri,
        12,
        "sourceRepositoryURI",
        "source-repository-uri",
    ),
    (
        ClaimName::SourceRepositoryDigest,
        13,
        "sourceRepositoryDigest",
        "source-repository-digest",
    ),
    (
        ClaimName::SourceRepositoryRef,
        14,
        "sourceRepositoryRef",
        "source-repository-ref",
    ),
    (
        ClaimName::SourceRepositoryIdentifier,
        15,
        "sourceRepositoryIdentifier",
        "source-repository-identifier",
    ),
    (
        ClaimName::SourceRepositoryOwnerUri,
        16,
        "sourceRepositoryOwnerURI",
        "source-repository-owner-uri",
    ),
    (
        ClaimName::SourceRepositoryOwnerIdentifier,
        17,
        "sourceRepositoryOwnerIdentifier",
        "source-repository-owner-identifier",
    ),
    (
        ClaimName::BuildConfigUri,
        18,
        "buildConfigURI",
        "build-config-uri",
    ),
    (
        ClaimName::BuildConfigDigest,
        19,
        "buildConfigDigest",
        "build-config-digest",
    ),
    (ClaimName::BuildTrigger, 20, "buildTrigger", "build-trigger"),
    (
        ClaimName::RunInvocationUri,
        21,
        "runInvocationURI",
        "run-invocation-uri",
    ),
    (
        ClaimName::SourceRepositoryVisibility,
        22,
        "sourceRepositoryVisibilityAtSigning",
        "source-repository-visibility-at-signing",
    ),
    (
        ClaimName::DeploymentEnvironment,
        23,
        "deploymentEnvironment",
        "deployment-environment",
    ),
    (ClaimName::TokenSubject, 24, "tokenSubject", ""),
];

impl ClaimName {
    /// Every claim, in the order of the arcs: the order certificates have them in.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        ROWS.iter().map(|row| row.0)
    }

    /// The claim of extension 1.3.6.1.4.1.57264.1.`arc`.
    pub fn by_arc(arc: u8) -> Option<Self> {
        ROWS.iter().find(|row| row.1 == arc).map(|row| row.0)
    }

    /// The claim of that name in JSON, such as `sourceRepositoryURI`.
    pub fn by_name(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    /// The claim of that key in issuer templates, such as `source-repository-uri`.
    pub fn by_template_key(key: &str) -> Option<Self> {
        let row = ROWS.iter().find(|row| row.3 == key && !row.3.is_empty());
        row.map(|row| row.0)
    }

    /// The last arc of its extension.
    pub fn arc(self) -> u8 {
        self.row().map_or(0, |row| row.1)
    }

    /// Its name in JSON, as sigstore-go's verification result has it.
    pub fn as_str(self) -> &'static str {
        self.row().map_or("", |row| row.2)
    }

    /// Its key in issuer templates; `None` for what the token itself says and no template may.
    pub fn template_key(self) -> Option<&'static str> {
        self.row().map(|row| row.3).filter(|key| !key.is_empty())
    }

    /// Whether its extension holds the text's bytes as they are, and not a DER UTF8String.
    pub fn is_raw(self) -> bool {
        self.arc() <= 6
    }

    fn row(self) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.0 == self)
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_is_found_by_each_of_its_names() {
        assert_eq!(ClaimName::all().len(), 23);
        for claim in ClaimName::all() {
            assert_eq!(ClaimName::by_arc(claim.arc()), Some(claim));
            assert_eq!(ClaimName::by_name(claim.as_str()), Some(claim));
            if let Some(key) = claim.template_key() {
                assert_eq!(ClaimName::by_template_key(key), Some(claim));
                assert_eq!(key.replace('-', ""), claim.as_str().to_lowercase());
            }
        }
        for arc in [0, 7, 25] {
            assert_eq!(ClaimName::by_arc(arc), None);
        }
        assert_eq!(ClaimName::by_template_key(""), None);
    }

    #[test]
    fn arcs_ascend_without_a_gap_but_seven() {
        let arcs: Vec<u8> = ClaimName::all().map(ClaimName::arc).collect();
        let expected: Vec<u8> = (1..=24).filter(|arc| *arc != 7).collect();
        assert_eq!(arcs, expected);
        assert!(ClaimName::GithubWorkflowRef.is_raw() && !ClaimName::IssuerV2.is_raw());
    }
}
