//! Benches that print ratios against peers
