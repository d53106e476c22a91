//! The checks behind a verdict, by their numbers in the client specification (§4).

use serde_json::{Value, json};
use waxseal_verify::{Signer, TimeSource, Verified, VerifyError};

/// Each check, and the last of the rules that it consists of, in the order of
/// [`VerifyError::RULES`].
const CHECKS: &[(&str, &str)] = &[
    ("V25", "inclusion-proof-missing"),
    ("V3", "timestamp-invalid"),
    ("V4", "timestamp-authority-expired"),
    ("V5", "promise-invalid"),
    ("V22", "timestamp-threshold"),
    ("V6", "certificate-authority-expired"),
    ("V7", "certificate-expired"),
    ("V8", "sct-threshold"),
    ("V9", "claim-mismatch"),
    ("V26", "key-unsupported"),
    ("V10", "entry-malformed"),
    ("V12", "entry-digest-mismatch"),
    ("V15", "checkpoint-mismatch"),
    ("V16", "witness-quorum"),
    ("V26", "log-expired"),
    ("V24", "log-threshold"),
    ("V18", "too-many-digests"),
    ("V19", "predicate-type-mismatch"),
    ("V21", "signature-invalid"),
];

/// The check that a rule belongs to; none, if the code is not that of a rule.
pub(crate) fn failed(code: &str) -> Option<Value> {
    let rank = |code: &str| VerifyError::RULES.iter().position(|rule| rule.code == code);
    let found = rank(code)?;
    let check = CHECKS.iter().find(|(_, last)| rank(last) >= Some(found));
    check.map(|(id, _)| json!({ "id": id, "ok": false }))
}

/// The checks that a bundle has passed: those that had something to check.
pub(crate) fn passed(verified: &Verified) -> Vec<Value> {
    let sources = || verified.times().iter().map(|time| &time.source);
    let stamped = sources().any(|source| matches!(source, TimeSource::TimestampAuthority { .. }));
    let promised = sources().any(|source| matches!(source, TimeSource::TransparencyLog { .. }));
    let (certified, named) = match verified.signer() {
        Signer::Certificate {
            identity_checked, ..
        } => (true, *identity_checked),
        _ => (false, false),
    };
    let logged = !verified.log_entries().is_empty();
    let attested = verified.statement().is_some();
    let checks: [(&[&str], bool); 8] = [
        (&["V3", "V4"], stamped),
        (&["V5"], promised),
        (&["V22"], stamped || promised),
        (&["V6", "V7", "V8", "V25"], certified),
        (&["V9"], named),
        (&["V10", "V12", "V15", "V24", "V26"], logged),
        (&["V18", "V19"], attested),
        (&["V20", "V21"], true),
    ];
    let applied = checks.into_iter().filter(|(_, applies)| *applies);
    applied
        .flat_map(|(ids, _)| ids)
        .map(|id| json!({ "id": id, "ok": true }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_belongs_to_a_check() {
        for rule in VerifyError::RULES {
            assert!(failed(rule.code).is_some(), "{}", rule.code);
        }
        assert_eq!(failed("usage"), None);
    }

    #[test]
    fn checks_are_in_the_order_of_the_rules() {
        let rank = |code: &str| VerifyError::RULES.iter().position(|rule| rule.code == code);
        let ranks: Vec<_> = CHECKS.iter().map(|(_, last)| rank(last).unwrap()).collect();
        assert!(ranks.is_sorted());
        assert_eq!(ranks.last(), Some(&(VerifyError::RULES.len() - 1)));
    }

    #[test]
    fn rules_and_their_checks() {
        let check = |code: &str, id: &str| {
            assert_eq!(
                failed(code),
                Some(json!({ "id": id, "ok": false })),
                "{code}"
            );
        };
        check("timestamp-imprint-mismatch", "V3");
        check("certificate-expired", "V7");
        check("sct-invalid", "V8");
        check("identity-mismatch", "V9");
        check("entry-signature-mismatch", "V12");
        check("inclusion-proof-invalid", "V15");
        check("subject-mismatch", "V19");
        check("signature-invalid", "V21");
    }
}
