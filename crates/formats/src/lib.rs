//! Sigstore JSON: bundles, trusted roots, signing configs, log entries, API messages
