//! Short names for the predicate types that people use most.

/// Short name and type URI.
const NAMES: &[(&str, &str)] = &[
    ("slsa1", "https://slsa.dev/provenance/v1"),
    ("slsa02", "https://slsa.dev/provenance/v0.2"),
    ("spdx", "https://spdx.dev/Document"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("vex", "https://openvex.dev/ns"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
    ("link", "https://in-toto.io/Link/v1"),
    (
        "test-result",
        "https://in-toto.io/attestation/test-result/v0.1",
    ),
    ("release", "https://in-toto.io/attestation/release/v0.1"),
];

/// The type that a word stands for: itself, if it is a URI; `None` if it is neither.
pub(crate) fn predicate_type(word: &str) -> Option<&str> {
    if word.contains(':') {
        return Some(word);
    }
    NAMES
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, uri)| *uri)
}

/// The short names, for messages.
pub(crate) fn short_names() -> String {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_and_uris() {
        assert_eq!(
            predicate_type("slsa1"),
            Some("https://slsa.dev/provenance/v1")
        );
        assert_eq!(predicate_type("https://a/b"), Some("https://a/b"));
        assert_eq!(predicate_type("urn:x"), Some("urn:x"));
        assert_eq!(predicate_type("slsa"), None);
        assert!(short_names().starts_with("slsa1, "));
    }
}
