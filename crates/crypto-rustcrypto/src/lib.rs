//! A crypto provider in pure Rust
