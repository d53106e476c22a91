//! A crypto provider on aws-lc-rs
