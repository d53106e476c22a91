//! The specification's example, every error, and opening under a policy.

use waxseal_crypto::KeyKind;

use super::*;
use crate::testing::{log_signer, note_signer, provider, signed, witness_signer};
use crate::{NoteSigner, OpenError};

const TEXT: &str = "log.example\n736\nrs1YPY0ydAV0lxgfrq5pE4oRpUJwo3syeps5+eGUTDI=\n";

fn vkey(signer: &NoteSigner) -> String {
    signer.note_key(provider()).unwrap().to_vkey()
}

fn parse(text: &str) -> Result<WitnessPolicy, PolicyParseError> {
    WitnessPolicy::parse(provider(), text.as_bytes())
}

fn check(text: &str, expected: &PolicyParseError) {
    assert_eq!(parse(text).unwrap_err(), *expected, "{text}");
}

/// Witnesses `w0`, `w1`, … of the policy language.
fn witnesses(count: usize) -> String {
    (0..count)
        .map(|n| {
            format!(
                "witness w{n} {}\n",
                vkey(&witness_signer(&format!("w.example/{n}")))
            )
        })
        .collect()
}

#[test]
fn the_specification_s_example() {
    let text = format!(
        "log {}\n\n# X\n{}\t group X-witnesses 2 w0 w1 w2\ngroup Y-witnesses any w3 w4 w5 \n\
         group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n",
        vkey(&log_signer("log.example")),
        witnesses(6)
    );
    let policy = parse(&text).unwrap();
    assert_eq!((policy.logs().len(), policy.witnesses().len()), (1, 6));
    for cosigned in 0..64u32 {
        let has = |n: usize| cosigned & (1 << n) != 0;
        let expected = [0, 1, 2].map(has).iter().filter(|x| **x).count() >= 2 && (3..6).any(has);
        assert_eq!(policy.is_met_by(has), expected, "{cosigned:b}");
    }
}

#[test]
fn names_and_urls_are_opaque_bytes() {
    let key = vkey(&witness_signer("w.example"));
    let mut text = b"witness \xff ".to_vec();
    text.extend(key.as_bytes());
    text.extend(b" https://\xff\x80/\nquorum \xff\n");
    let policy = WitnessPolicy::parse(provider(), &text).unwrap();
    assert_eq!(policy.witnesses()[0].name, b"\xff");
    assert_eq!(
        policy.witnesses()[0].url.as_deref(),
        Some(&b"https://\xff\x80/"[..])
    );
    assert!(policy.is_met_by(|n| n == 0) && !policy.is_met_by(|_| false));
}

#[test]
fn opens_under_its_quorum() {
    let (log, witness) = (log_signer("log.example"), witness_signer("w.example"));
    let (log_vkey, witness_vkey) = (vkey(&log), vkey(&witness));
    let text = format!("log {log_vkey} https://log.example/\nwitness w {witness_vkey}\nquorum w\n");
    let policy = parse(&text).unwrap();
    let opened = policy.open(&signed(TEXT, &[&log, &witness])).unwrap();
    assert_eq!(opened.tree_size(), 736);
    let none = parse(&format!("log {log_vkey}\nquorum none\n")).unwrap();
    assert!(none.open(&signed(TEXT, &[&log])).is_ok());
}

#[test]
fn quorum_not_met() {
    let (log, witness) = (log_signer("log.example"), witness_signer("w.example"));
    let text = format!(
        "log {}\nwitness w {}\nquorum w\n",
        vkey(&log),
        vkey(&witness)
    );
    let stranger = witness_signer("w.example");
    for signers in [&[&log][..], &[&log, &stranger]] {
        let error = parse(&text)
            .unwrap()
            .open(&signed(TEXT, signers))
            .unwrap_err();
        assert_eq!(error, PolicyError::QuorumNotMet);
    }
}

#[test]
fn unknown_log() {
    let log = log_signer("log.example");
    let text = format!("log {}\nquorum none\n", vkey(&log_signer("other.example")));
    let error = parse(&text)
        .unwrap()
        .open(&signed(TEXT, &[&log]))
        .unwrap_err();
    assert_eq!(error, PolicyError::UnknownLog);
}

#[test]
fn checkpoint() {
    let (log, other) = (log_signer("log.example"), log_signer("log.example"));
    let text = format!("log {}\nquorum none\n", vkey(&other));
    let error = parse(&text)
        .unwrap()
        .open(&signed(TEXT, &[&log]))
        .unwrap_err();
    assert_eq!(
        error,
        PolicyError::Checkpoint(OpenError::NoKnownSignature.into())
    );
    // One log with two keys, of which either will do.
    let text = format!("log {}\nlog {}\nquorum none\n", vkey(&other), vkey(&log));
    assert!(parse(&text).unwrap().open(&signed(TEXT, &[&log])).is_ok());
}

#[test]
fn text() {
    let policy = parse("quorum none\n").unwrap();
    let note = signed("no checkpoint\n", &[&log_signer("log.example")]);
    let error = policy.open(&note).unwrap_err();
    assert_eq!(error, PolicyError::Text(CheckpointTextError::BadTreeSize));
}

#[test]
fn too_long() {
    let text = format!("quorum none\n#{}\n", "a".repeat(MAX_POLICY_BYTES));
    check(&text, &PolicyParseError::TooLong);
    let text = format!("quorum none\n#{}\n", "a".repeat(MAX_POLICY_BYTES - 14));
    assert!(parse(&text).is_ok());
}

#[test]
fn control_character() {
    for character in ['\r', '\0', '\u{b}', '\u{7f}'] {
        let text = format!("#\n# {character}\nquorum none\n");
        check(&text, &PolicyParseError::ControlCharacter { line: 2 });
    }
}

#[test]
fn unterminated() {
    check("quorum none", &PolicyParseError::Unterminated);
    check("", &PolicyParseError::Unterminated);
}

#[test]
fn malformed() {
    let key = vkey(&log_signer("log.example"));
    for line in [
        "log".to_owned(),
        format!("log {key} url more"),
        format!("witness {key}"),
        "group g all".to_owned(),
        "quorum".to_owned(),
        "quorum none none".to_owned(),
        "Log".to_owned(),
        "group g some w0".to_owned(),
        "group g 01 w0".to_owned(),
        "group g -1 w0".to_owned(),
    ] {
        let text = format!("{}{line}\nquorum none\n", witnesses(1));
        check(&text, &PolicyParseError::Malformed { line: 2 });
    }
}

#[test]
fn bad_key() {
    let source = VkeyError::Malformed;
    check(
        "log x\nquorum none\n",
        &PolicyParseError::BadKey { line: 1, source },
    );
}

#[test]
fn wrong_key_kind() {
    let text = format!("log {}\nquorum none\n", vkey(&witness_signer("w.example")));
    check(&text, &PolicyParseError::WrongKeyKind { line: 1 });
    let text = format!(
        "witness w {}\nquorum none\n",
        vkey(&log_signer("log.example"))
    );
    check(&text, &PolicyParseError::WrongKeyKind { line: 1 });
    // ML-DSA-44 is for both.
    let both = vkey(&note_signer(
        "both.example",
        SignatureKind::MlDsa44,
        KeyKind::MlDsa44,
    ));
    assert!(parse(&format!("log {both}\nwitness w {both}\nquorum w\n")).is_ok());
}

#[test]
fn duplicate_key() {
    let witness = witness_signer("w.example");
    let key = NoteKey::new(
        provider(),
        crate::KeyName::new("another.example").unwrap(),
        SignatureKind::CosignatureV1,
        witness.public_key(),
    );
    let renamed = key.unwrap().to_vkey();
    let text = format!(
        "witness a {}\nwitness b {renamed}\nquorum none\n",
        vkey(&witness)
    );
    check(&text, &PolicyParseError::DuplicateKey { line: 2 });
    let log = vkey(&log_signer("log.example"));
    check(
        &format!("log {log}\nlog {log}\nquorum none\n"),
        &PolicyParseError::DuplicateKey { line: 2 },
    );
}

#[test]
fn duplicate_name() {
    let key = vkey(&witness_signer("w.example"));
    let text = format!("{}witness w0 {key}\nquorum none\n", witnesses(1));
    check(&text, &PolicyParseError::DuplicateName { line: 2 });
    let text = format!("{}group w0 any w0\nquorum none\n", witnesses(1));
    check(&text, &PolicyParseError::DuplicateName { line: 2 });
    check(
        &format!("witness none {key}\nquorum none\n"),
        &PolicyParseError::DuplicateName { line: 1 },
    );
}

#[test]
fn unknown_name() {
    check("quorum w\n", &PolicyParseError::UnknownName { line: 1 });
    check(
        &format!("quorum w0\n{}", witnesses(1)),
        &PolicyParseError::UnknownName { line: 1 },
    );
    for member in ["w1", "none", "g"] {
        let text = format!("{}group g any w0 {member}\nquorum g\n", witnesses(1));
        check(&text, &PolicyParseError::UnknownName { line: 2 });
    }
}

#[test]
fn member_twice() {
    let text = format!("{}group g any w0 w0\nquorum g\n", witnesses(1));
    check(&text, &PolicyParseError::MemberTwice { line: 2 });
    let text = format!("{}group g any w0\ngroup h any w0\nquorum h\n", witnesses(1));
    check(&text, &PolicyParseError::MemberTwice { line: 3 });
}

#[test]
fn bad_threshold() {
    for threshold in [0, 3, 4_000_000_000u64] {
        let text = format!("{}group g {threshold} w0 w1\nquorum g\n", witnesses(2));
        check(&text, &PolicyParseError::BadThreshold { line: 3 });
    }
}

#[test]
fn not_one_quorum() {
    check("# nothing\n", &PolicyParseError::NotOneQuorum);
    check(
        "quorum none\nquorum none\n",
        &PolicyParseError::NotOneQuorum,
    );
}

#[test]
fn too_many() {
    let text = |count| format!("{}quorum none\n", witnesses(count));
    check(&text(MAX_OF_EACH + 1), &PolicyParseError::TooMany);
    assert!(parse(&text(MAX_OF_EACH)).is_ok());
    // The deepest nesting that the limits allow.
    let mut nested = witnesses(1);
    nested.push_str("group g0 any w0\n");
    for n in 1..MAX_OF_EACH {
        nested.push_str(&format!("group g{n} any g{}\n", n - 1));
    }
    let policy = parse(&format!("{nested}quorum g{}\n", MAX_OF_EACH - 1)).unwrap();
    assert!(policy.is_met_by(|_| true) && !policy.is_met_by(|_| false));
    let last = MAX_OF_EACH - 1;
    check(
        &format!("{nested}group more any g{last}\nquorum more\n"),
        &PolicyParseError::TooMany,
    );
}
