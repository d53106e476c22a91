//! A private Sigstore in one process

fn main() {}
