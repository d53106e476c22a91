//! One file for each layer that can be embedded, under `examples/`: `verify`, `signer`, `log`.
//! `cargo xtask ci examples` runs them all.
