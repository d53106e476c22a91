//! Every bound on what is looked at, and where it comes from.

/// Log entries in a bundle (sigstore-go's bound, GHSA-cq38-jh5f-37mq).
pub(crate) const ENTRIES: usize = 32;
/// Timestamps in a bundle (sigstore-go and sigstore-python, GHSA-cq38-jh5f-37mq).
pub(crate) const TIMESTAMPS: usize = 32;
/// Certificates in a bundle's chain: a leaf and more intermediates than any path may have.
pub(crate) const CERTIFICATES: usize = 10;
