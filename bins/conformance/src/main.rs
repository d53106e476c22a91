//! The adapter that speaks the public conformance CLI protocol

fn main() {}
