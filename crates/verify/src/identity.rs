//! Who signed, as the certificate says it, and the rules that a policy puts on it.

use std::collections::BTreeMap;
use std::fmt;

use waxseal_formats::claims::ClaimName;

use crate::{Pattern, VerifyError};

/// Who signed: what the certificate authority vouches for, apart from the certificate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Identity {
    /// The subject alternative names; Sigstore's authorities write one.
    pub subjects: Vec<Subject>,
    /// The identity provider (…57264.1.8, or .1 in old certificates).
    pub issuer: Option<String>,
    /// The other claims, such as the source repository of a CI job.
    #[serde(serialize_with = "claims_by_name")]
    pub claims: BTreeMap<ClaimName, String>,
}

fn claims_by_name<S: serde::Serializer>(
    claims: &BTreeMap<ClaimName, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(claims.iter().map(|(name, value)| (name.as_str(), value)))
}

/// One subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Subject {
    /// What it is.
    pub kind: SubjectKind,
    /// Its text.
    pub value: String,
}

/// The kinds of subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SubjectKind {
    /// An e-mail address (`rfc822Name`).
    Email,
    /// A URI, such as the workflow of a CI job.
    Uri,
    /// A user name (`otherName` of type …57264.1.7).
    OtherName,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

/// One identity that a policy accepts: a subject *and* the provider that vouches for it, and any
/// number of claims. All of it must hold.
#[derive(Debug, Clone)]
pub struct IdentityRule {
    subject: Option<Pattern>,
    kind: Option<SubjectKind>,
    issuer: Pattern,
    claims: Vec<(ClaimName, Pattern)>,
}

impl IdentityRule {
    /// Exactly this subject, of any kind, vouched for by exactly this provider.
    pub fn new(subject: impl Into<String>, issuer: impl Into<String>) -> Self {
        Self::matching(Pattern::exact(subject), Pattern::exact(issuer))
    }

    /// A subject and a provider that match patterns.
    pub const fn matching(subject: Pattern, issuer: Pattern) -> Self {
        Self {
            subject: Some(subject),
            kind: None,
            issuer,
            claims: Vec::new(),
        }
    }

    /// *Any* subject of a provider: to be narrowed by [`Self::claim`], unless everybody who has an
    /// account there is to be accepted.
    pub const fn any_subject_of(issuer: Pattern) -> Self {
        Self {
            subject: None,
            kind: None,
            issuer,
            claims: Vec::new(),
        }
    }

    /// Asks for a subject of this kind.
    #[must_use]
    pub const fn of_kind(mut self, kind: SubjectKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Asks for a claim.
    #[must_use]
    pub fn claim(mut self, name: ClaimName, value: Pattern) -> Self {
        self.claims.push((name, value));
        self
    }

    /// Subject, then provider, then claims.
    fn check(&self, identity: &Identity) -> Result<(), VerifyError> {
        let accepts = |subject: &Subject| {
            self.kind.is_none_or(|kind| kind == subject.kind)
                && self
                    .subject
                    .as_ref()
                    .is_none_or(|pattern| pattern.matches(&subject.value))
        };
        if !identity.subjects.iter().any(accepts) {
            return Err(VerifyError::IdentityMismatch {
                expected: self.subject_text(),
                found: identity.subjects.iter().map(Subject::to_string).collect(),
            });
        }
        if !identity
            .issuer
            .as_deref()
            .is_some_and(|issuer| self.issuer.matches(issuer))
        {
            return Err(VerifyError::IssuerMismatch {
                expected: self.issuer.to_string(),
                found: identity.issuer.clone().unwrap_or_default(),
            });
        }
        for (name, pattern) in &self.claims {
            let found = identity.claims.get(name);
            if !found.is_some_and(|value| pattern.matches(value)) {
                return Err(VerifyError::ClaimMismatch {
                    claim: name.as_str(),
                    expected: pattern.to_string(),
                    found: found.cloned(),
                });
            }
        }
        Ok(())
    }

    fn subject_text(&self) -> String {
        let subject = self
            .subject
            .as_ref()
            .map_or_else(|| "any subject".to_owned(), Pattern::to_string);
        match self.kind {
            None => subject,
            Some(SubjectKind::Email) => format!("{subject} (an e-mail address)"),
            Some(SubjectKind::Uri) => format!("{subject} (a URI)"),
            Some(SubjectKind::OtherName) => format!("{subject} (a user name)"),
        }
    }
}

/// Any of the rules suffices. No rule at all accepts nobody: "for all of none" is how
/// GHSA-739f-hw6h-7wq8 let everything in.
pub(crate) fn check_any(rules: &[IdentityRule], identity: &Identity) -> Result<(), VerifyError> {
    let mut nearest: Option<VerifyError> = None;
    for rule in rules {
        match rule.check(identity) {
            Ok(()) => return Ok(()),
            Err(error) => {
                nearest = Some(match nearest {
                    None => error,
                    Some(other) => other.later(error),
                });
            }
        }
    }
    let expected = || {
        let texts: Vec<String> = rules.iter().map(IdentityRule::subject_text).collect();
        texts.join(" or ")
    };
    Err(match nearest {
        Some(VerifyError::IdentityMismatch { found, .. }) => VerifyError::IdentityMismatch {
            expected: expected(),
            found,
        },
        Some(other) => other,
        None => VerifyError::IdentityMismatch {
            expected: "nobody".to_owned(),
            found: identity.subjects.iter().map(Subject::to_string).collect(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Identity {
        Identity {
            subjects: vec![Subject {
                kind: SubjectKind::Email,
                value: "alice@example.com".to_owned(),
            }],
            issuer: Some("https://idp.example".to_owned()),
            claims: BTreeMap::from([(
                ClaimName::SourceRepositoryUri,
                "https://github.com/acme/app".to_owned(),
            )]),
        }
    }

    fn check(rules: &[IdentityRule], expected: Result<(), &str>) {
        let found = check_any(rules, &alice());
        assert_eq!(
            found.as_ref().map_err(VerifyError::code),
            expected
                .as_ref()
                .map(|_| &())
                .map_err(|code| *code)
                .map(|()| &()),
            "{rules:?}"
        );
    }

    fn good() -> IdentityRule {
        IdentityRule::new("alice@example.com", "https://idp.example")
    }

    #[test]
    fn identity_mismatch() {
        check(&[good()], Ok(()));
        check(&[good().of_kind(SubjectKind::Email)], Ok(()));
        check(
            &[good().of_kind(SubjectKind::Uri)],
            Err("identity-mismatch"),
        );
        check(
            &[IdentityRule::new("alice@example.co", "https://idp.example")],
            Err("identity-mismatch"),
        );
    }

    #[test]
    fn issuer_mismatch() {
        check(
            &[IdentityRule::new(
                "alice@example.com",
                "https://idp.example/",
            )],
            Err("issuer-mismatch"),
        );
        let mut nobody = alice();
        nobody.issuer = None;
        let anything = IdentityRule::any_subject_of(Pattern::regex(".*").unwrap());
        assert_eq!(
            check_any(&[anything], &nobody).unwrap_err().code(),
            "issuer-mismatch"
        );
    }

    #[test]
    fn claim_mismatch() {
        let wants = |name, value: &str| good().claim(name, Pattern::exact(value));
        check(
            &[wants(
                ClaimName::SourceRepositoryUri,
                "https://github.com/acme/app",
            )],
            Ok(()),
        );
        check(
            &[wants(
                ClaimName::SourceRepositoryUri,
                "https://github.com/acme/ap",
            )],
            Err("claim-mismatch"),
        );
        check(
            &[wants(ClaimName::RunnerEnvironment, "")],
            Err("claim-mismatch"),
        );
    }

    #[test]
    fn v_03_no_rule_accepts_nobody() {
        check(&[], Err("identity-mismatch"));
    }

    #[test]
    fn any_of_several_suffices_and_the_nearest_failure_is_told() {
        let other = || IdentityRule::new("bob@example.com", "https://idp.example");
        let elsewhere = || IdentityRule::new("alice@example.com", "https://evil.example");
        check(&[other(), good()], Ok(()));
        check(&[good(), other()], Ok(()));
        check(&[elsewhere(), other()], Err("issuer-mismatch"));
        check(&[other(), elsewhere()], Err("issuer-mismatch"));
        let error = check_any(&[other(), other()], &alice()).unwrap_err();
        let VerifyError::IdentityMismatch { expected, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(expected, "bob@example.com or bob@example.com");
    }
}
