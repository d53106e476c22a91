//! The committed code is what the proto files say. Without protoc: they are compiled in Rust.
//!
//! To write it anew: `WAXSEAL_WRITE_GENERATED=1 cargo test -p waxseal-log-grpc --test generated`.
#![allow(clippy::disallowed_methods, reason = "a developer's switch")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;

const HEADER: &str = "//! Generated from `proto/` by `tests/generated.rs`; do not edit.\n\n";

/// Package, and its file below `src/generated/`.
const FILES: &[(&str, &str)] = &[
    ("dev.sigstore.common.v1", "dev/sigstore/common/v1.rs"),
    ("dev.sigstore.rekor.v1", "dev/sigstore/rekor/v1.rs"),
    ("dev.sigstore.rekor.v2", "dev/sigstore/rekor/v2.rs"),
    ("google.api", "google/api.rs"),
    ("google.rpc", "google/rpc.rs"),
    ("io.intoto", "io/intoto.rs"),
];

fn expect(path: &Path, bytes: &[u8], is_writing: bool) {
    if is_writing {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let found = fs::read(path).unwrap_or_default();
    assert!(found == bytes, "{} is stale", path.display());
}

#[test]
fn the_committed_code_is_that_of_the_proto_files() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let is_writing = std::env::var_os("WAXSEAL_WRITE_GENERATED").is_some();
    let proto = root.join("proto");
    let files = ["rekor/v2/rekor_service.proto", "google/rpc/status.proto"];
    let descriptors = protox::compile(files, [&proto]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .out_dir(folder.path())
        .compile_fds(descriptors.clone())
        .unwrap();
    let mut packages: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    packages.sort();
    let known: Vec<_> = FILES.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(packages, known);
    let generated = root.join("src/generated");
    for (package, file) in FILES {
        let code = fs::read_to_string(folder.path().join(format!("{package}.rs"))).unwrap();
        let code = format!("{HEADER}{code}");
        expect(&generated.join(file), code.as_bytes(), is_writing);
    }
    // Positions and comments are not for clients.
    let mut descriptors = descriptors;
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let bytes = descriptors.encode_to_vec();
    expect(&generated.join("descriptors.bin"), &bytes, is_writing);
}
