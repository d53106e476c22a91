//! A private Sigstore: provisioning and composition of every role
