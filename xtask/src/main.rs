//! ci, soak, docs

fn main() {}
