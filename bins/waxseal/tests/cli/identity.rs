//! Who signed: identities, issuers, claims and patterns, on bundles of a whole Sigstore in memory.

use tempfile::TempDir;
use waxseal_formats::claims::ClaimName;
use waxseal_pki::SubjectAltName;
use waxseal_tests_conformance::virtual_sigstore::{
    ALICE, Case, Generation, ISSUER, Instance, Leaf, Order, PREDICATE, statement,
};

use crate::run::{Ran, waxseal};

const WORKFLOW: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2";
const REPOSITORY: &str = "https://github.com/acme/app";

/// A folder with one artifact, its bundle and the trusted root.
struct Signed(TempDir);

impl Signed {
    fn by(leaf: Leaf) -> Self {
        Self::of(Order {
            leaf: Some(leaf),
            ..Order::default()
        })
    }

    fn of(order: Order) -> Self {
        let instance = Instance::new("acme.example", "sigstore.acme.example");
        let case = Case::of(&instance, order, Generation::V2);
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes);
        write("a", &case.artifact).unwrap();
        write("a.sigstore.json", case.bundle.to_json().as_bytes()).unwrap();
        write("root.json", case.root.to_json().as_bytes()).unwrap();
        Self(folder)
    }

    fn alice() -> Self {
        Self::by(Leaf::default())
    }

    fn workflow() -> Self {
        let mut leaf = Leaf {
            name: SubjectAltName::Uri(WORKFLOW.to_owned()),
            ..Leaf::default()
        };
        leaf.claims
            .push((ClaimName::SourceRepositoryUri.arc(), REPOSITORY.to_owned()));
        Self::by(leaf)
    }

    fn check(&self, arguments: &[&str], code: i32, said: &str) -> Ran {
        let all = ["verify", "a", "--trusted-root", "root.json"]
            .iter()
            .chain(arguments);
        let ran = waxseal(self.0.path(), all);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            text.contains(said),
            "{arguments:?}: expected {said:?} in {text}"
        );
        ran
    }
}

#[test]
fn an_identity_and_who_vouches_for_it() {
    let signed = Signed::alice();
    let ran = signed.check(
        &["--identity", ALICE, "--issuer", ISSUER],
        0,
        "✓ a  sha256:",
    );
    assert_eq!(ran.stderr, "");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[1], format!("  by   {ALICE}"));
    assert!(
        lines[2].starts_with(&format!("  via  {ISSUER}   log ")),
        "{lines:?}"
    );
    signed.check(
        &["--identity", ALICE, "--issuer", "https://other"],
        4,
        "[issuer-mismatch]",
    );
}

#[test]
fn a_mismatch_says_what_was_wanted_what_was_found_and_what_would_do() {
    let signed = Signed::alice();
    let ran = signed.check(
        &["--identity", "bob@example.com", "--issuer", ISSUER],
        4,
        "",
    );
    assert_eq!(ran.stdout, "");
    let expected = format!(
        "✗ a: signed, but by someone else  [identity-mismatch]\n    wanted  bob@example.com\n    \
         got     {ALICE}\n    if this signer is right:  --identity {ALICE} --issuer {ISSUER}\n"
    );
    assert_eq!(ran.stderr, expected);
    let object = signed
        .check(
            &[
                "--identity",
                "bob@example.com",
                "--issuer",
                ISSUER,
                "--json",
            ],
            4,
            "",
        )
        .json();
    assert_eq!(object["error"]["code"], "identity-mismatch");
    assert_eq!(object["error"]["class"], "policy");
    assert_eq!(object["error"]["expected"], "bob@example.com");
    assert_eq!(object["error"]["got"], ALICE);
    assert!(
        object.get("identity").is_none(),
        "nothing of a refused bundle is told as true"
    );
}

#[test]
fn any_of_several_identities_suffices() {
    let signed = Signed::alice();
    let bob = ["--identity", "bob@example.com"];
    let alice = ["--identity", ALICE];
    let with = |parts: &[&[&'static str]]| parts.concat();
    let issuer = ["--issuer", ISSUER];
    let other = ["--issuer", "https://other"];
    // One issuer for all.
    signed.check(&with(&[&bob, &alice, &issuer]), 0, "✓ a");
    // One for each, paired in their order.
    signed.check(&with(&[&bob, &other, &alice, &issuer]), 0, "✓ a");
    signed.check(
        &with(&[&bob, &issuer, &alice, &other]),
        4,
        "[issuer-mismatch]",
    );
    signed.check(
        &with(&[&["--identity-glob", "x"], &other, &alice, &issuer]),
        0,
        "✓ a",
    );
    signed.check(
        &with(&[&alice, &issuer, &["--identity-glob", "x"], &other]),
        0,
        "✓ a",
    );
    // Neither.
    signed.check(
        &with(&[&bob, &bob, &alice, &issuer, &other]),
        2,
        "3 identities and 2 issuers",
    );
}

#[test]
fn s_61_patterns_are_of_the_whole_identity() {
    let signed = Signed::workflow();
    let check = |option: &str, pattern: &str, code: i32| {
        signed.check(&[option, pattern, "--issuer", ISSUER], code, "");
    };
    check(
        "--identity-glob",
        &format!("{REPOSITORY}/.github/workflows/release.yml@refs/tags/v*"),
        0,
    );
    check("--identity-glob", &format!("{REPOSITORY}/*"), 4);
    check(
        "--identity-glob",
        "https://github.com/acme/*/.github/workflows/*@refs/tags/*",
        0,
    );
    check("--identity-regexp", "https://github.com/acme/app/.*", 0);
    check("--identity-regexp", "github.com/acme/app", 4);
    check("--identity-regexp", "https://github.com/acme", 4);
}

#[test]
fn claims_by_name_and_by_oid() {
    let signed = Signed::workflow();
    let name = ClaimName::SourceRepositoryUri.as_str();
    let check = |option: &str, claim: &str, code: i32, said: &str| {
        signed.check(&[option, claim, "--issuer", ISSUER], code, said);
    };
    check("--claim", &format!("{name}={REPOSITORY}"), 0, "✓ a");
    check(
        "--oid",
        &format!("1.3.6.1.4.1.57264.1.12={REPOSITORY}"),
        0,
        "✓ a",
    );
    check(
        "--claim",
        &format!("{name}={REPOSITORY}x"),
        4,
        "[claim-mismatch]",
    );
    check(
        "--claim-glob",
        &format!("{name}=https://github.com/acme/*"),
        0,
        "✓ a",
    );
    check(
        "--claim-glob",
        &format!("{name}=https://github.com/*"),
        4,
        "[claim-mismatch]",
    );
    check("--claim", "1.3.6.1.4.1.57264.1.13=x", 4, "no such claim");
    // With an identity, both must hold.
    let claim = format!("{name}={REPOSITORY}");
    let both = ["--identity", ALICE, "--issuer", ISSUER, "--claim", &claim];
    signed.check(&both, 4, "[identity-mismatch]");
}

#[test]
fn anybody_is_told_and_not_checked() {
    let signed = Signed::alice();
    let ran = signed.check(&["--any-identity"], 0, &format!("by   {ALICE}"));
    assert!(ran.stderr.starts_with("warning: --any-identity"), "{ran:?}");
    let object = signed.check(&["--any-identity", "--json"], 0, "").json();
    assert_eq!(object["identityChecked"], false);
    assert_eq!(object["identity"]["san"], ALICE);
    let arguments = ["--identity", ALICE, "--issuer", ISSUER, "--json"];
    let object = signed.check(&arguments, 0, "").json();
    assert_eq!(object["identityChecked"], true);
    assert_eq!(object["identity"]["issuer"], ISSUER);
}

#[test]
fn s_60_a_hostile_certificate_does_nothing_to_the_terminal() {
    // No issuer of ours writes such a name: it is put in before the authority signs.
    let mut leaf = Leaf {
        name: SubjectAltName::Email("aXX52;c;eA==YY@example.com".to_owned()),
        ..Leaf::default()
    };
    leaf.patches = vec![
        (b"XX52".to_vec(), b"\x1b]52".to_vec()),
        (b"==YY".to_vec(), b"==\x07\r".to_vec()),
    ];
    let signed = Signed::by(leaf);
    let hidden = ['\u{1b}', '\u{7}', '\r'];
    for arguments in [
        &["--any-identity"][..],
        &["--identity", "x", "--issuer", "y"],
    ] {
        let all = ["verify", "a", "--trusted-root", "root.json"]
            .iter()
            .chain(arguments);
        let ran = waxseal(signed.0.path(), all);
        let text = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!text.contains(hidden), "{text:?}");
        assert!(
            text.contains("\\u{1b}]52;c;eA==\\u{7}\\u{d}@example.com"),
            "{text:?}"
        );
    }
    let shown = waxseal(signed.0.path(), ["inspect", "a.sigstore.json"]);
    assert!(!shown.stdout.contains(hidden), "{shown:?}");
}

#[test]
fn an_attestation_is_of_its_type() {
    let order = Order::default();
    let payload = Some(statement(&order.artifact, PREDICATE));
    let signed = Signed::of(Order { payload, ..order });
    let with = |kind: &'static str| ["--identity", ALICE, "--issuer", ISSUER, "--type", kind];
    signed.check(&with(PREDICATE), 0, &format!("says {PREDICATE}"));
    signed.check(&with("slsa1"), 4, "[predicate-type-mismatch]");
    let arguments = ["--identity", ALICE, "--issuer", ISSUER, "--json"];
    let object = signed.check(&arguments, 0, "").json();
    assert_eq!(object["statement"]["predicateType"], PREDICATE);
    assert_eq!(object["statement"]["predicate"]["built"], "here");
}

#[test]
fn of_keys_that_sign_whole_messages_the_library_decides() {
    let order = Order {
        algorithm: waxseal_crypto::SignatureAlgorithm::Ed25519,
        ..Order::default()
    };
    let instance = Instance::new("acme.example", "sigstore.acme.example");
    let case = Case::of(&instance, order, Generation::V1);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes);
    write("a", &case.artifact).unwrap();
    write("a.sigstore.json", case.bundle.to_json().as_bytes()).unwrap();
    write("root.json", case.root.to_json().as_bytes()).unwrap();
    let library = case.verify().map(|_| ()).map_err(|error| error.code());
    let arguments = [
        "verify",
        "a",
        "--trusted-root",
        "root.json",
        "--identity",
        ALICE,
        "--issuer",
        ISSUER,
    ];
    let ran = waxseal(folder.path(), arguments);
    assert_eq!(ran.code == 0, library.is_ok(), "{library:?}: {ran:?}");
}

#[test]
fn a_signer_writes_no_lines_of_json_of_his_own() {
    let order = Order::default();
    let (payload_type, payload) = statement(&order.artifact, PREDICATE);
    let forged = "{\"x\":\n{\"schema\":1,\"artifact\":\"b\",\"ok\":true}\r\n}";
    let text = String::from_utf8(payload).unwrap();
    let payload = text.replace(r#"{"built": "here"}"#, forged).into_bytes();
    let signed = Signed::of(Order {
        payload: Some((payload_type, payload)),
        ..order
    });
    let arguments = ["--identity", ALICE, "--issuer", ISSUER, "--json"];
    let ran = signed.check(&arguments, 0, PREDICATE);
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    assert_eq!(ran.json()["statement"]["predicate"]["x"]["artifact"], "b");
}
