//! Who may depend on whom: the table of ARCHITECTURE.md, and the packages that have one owner.
//!
//! Only normal and build dependencies count: a crate's tests may use a provider or a neighbour.

use crate::{Tree, Violation};

/// Reached by bins, examples, tests, benches and testkit only: an embedder picks them as values.
const OUTERMOST: &[&str] = &["crypto-rustcrypto", "crypto-aws-lc", "transport-reqwest"];

/// Each crate under `crates/`, and the crates of the workspace it may name.
const EDGES: &[(&str, &[&str])] = &[
    ("crypto", &[]),
    ("formats", &[]),
    ("transport", &[]),
    ("serve", &[]),
    ("crypto-rustcrypto", &["crypto"]),
    ("crypto-aws-lc", &["crypto"]),
    ("transport-reqwest", &["transport"]),
    ("pki", &["crypto"]),
    ("issuing", &["crypto", "pki"]),
    ("tlog", &["crypto"]),
    ("identity", &["crypto", "formats", "transport"]),
    ("trust", &["crypto", "formats", "transport"]),
    ("verify", &["crypto", "pki", "tlog", "formats"]),
    (
        "ca-client",
        &["crypto", "pki", "formats", "identity", "transport"],
    ),
    (
        "identity-server",
        &["crypto", "formats", "identity", "transport", "serve"],
    ),
    (
        "ca-server",
        &[
            "crypto",
            "pki",
            "issuing",
            "formats",
            "identity",
            "transport",
            "serve",
        ],
    ),
    (
        "log-server",
        &["crypto", "pki", "tlog", "formats", "transport", "serve"],
    ),
    // It calls the log's routes, and knows nothing of their server.
    ("log-grpc", &["formats", "serve"]),
    ("tsa-server", &["crypto", "pki", "formats", "serve"]),
    ("witness-server", &["crypto", "tlog", "serve"]),
    (
        "monitor-server",
        &[
            "crypto",
            "pki",
            "tlog",
            "formats",
            "transport",
            "serve",
            "verify",
        ],
    ),
    // `trust` picks the services by operator and validity: docs/adr/0001.
    (
        "sign",
        &[
            "crypto",
            "pki",
            "tlog",
            "formats",
            "transport",
            "identity",
            "ca-client",
            "verify",
            "trust",
        ],
    ),
    // The types that the store traits speak in are `crypto`'s: docs/adr/0001.
    (
        "store-embedded",
        &[
            "crypto",
            "identity-server",
            "ca-server",
            "log-server",
            "witness-server",
            "monitor-server",
        ],
    ),
    (
        "instance",
        &[
            "identity-server",
            "ca-server",
            "log-server",
            "log-grpc",
            "tsa-server",
            "witness-server",
            "monitor-server",
            "issuing",
            "crypto",
            "pki",
            "tlog",
            "formats",
            "transport",
            "serve",
            "identity",
            "trust",
            "sign",
            "verify",
        ],
    ),
];

/// A package from outside, and the folders whose manifests may name it.
const OWNERS: &[(&[&str], &[&str])] = &[
    (&["aws-lc-rs", "aws-lc-sys"], &["crates/crypto-aws-lc"]),
    (
        &[
            "p256",
            "p384",
            "p521",
            "ecdsa",
            "ml-dsa",
            "rsa",
            "signature",
        ],
        &["crates/crypto-rustcrypto"],
    ),
    (
        &["ed25519-dalek"],
        &["crates/crypto-rustcrypto", "crates/crypto-aws-lc"],
    ),
    // ECDSA signatures are DER too; `issuing` writes its custom extensions.
    (
        &["der"],
        &[
            "crates/crypto",
            "crates/pki",
            "crates/issuing",
            "crates/crypto-rustcrypto",
        ],
    ),
    (&["x509-parser", "rustls-webpki"], &["crates/pki"]),
    (&["rcgen"], &["crates/issuing"]),
    (&["reqwest"], &["crates/transport-reqwest"]),
    (&["redb"], &["crates/store-embedded"]),
    (
        &[
            "hyper",
            "hyper-util",
            "tokio-rustls",
            "tracing-subscriber",
            "prometheus-client",
        ],
        &["crates/serve"],
    ),
    (&["lettre"], &["crates/identity-server"]),
    (
        &["tonic", "tonic-health", "tonic-reflection", "prost"],
        &["crates/log-grpc"],
    ),
    (&["clap", "indicatif"], &["bins/"]),
    (&["anyhow"], &["bins/", "xtask"]),
    (&["getrandom"], &["crates/crypto-rustcrypto"]),
];

/// Every dependency on a crate of the workspace is an edge of the table.
pub fn dependency_edges(tree: &Tree) -> Vec<Violation> {
    const RULE: &str = "dependency_edges";
    let mut violations = Vec::new();
    for (folder, manifest) in tree.packages() {
        let named = workspace_dependencies(&manifest);
        if let Some(krate) = folder.strip_prefix("crates/") {
            if krate == "testkit" {
                continue;
            }
            let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == krate) else {
                violations.push(Violation::new(RULE, folder, "not in the table of edges"));
                continue;
            };
            for name in named
                .iter()
                .filter(|name| !allowed.contains(&name.as_str()))
            {
                let kind = if OUTERMOST.contains(&name.as_str()) {
                    "outermost "
                } else {
                    ""
                };
                violations.push(Violation::new(RULE, folder, format!("→ {kind}{name}")));
            }
        } else if folder.starts_with("bins/") {
            for name in named.iter().filter(|name| *name == "testkit") {
                violations.push(Violation::new(
                    RULE,
                    folder,
                    format!("→ {name}: it is not shipped"),
                ));
            }
        }
    }
    violations
}

/// Every package from outside that has an owner is named by its owner only.
pub fn direct_owners(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (folder, manifest) in tree.packages() {
        if !(folder.starts_with("crates/") || folder.starts_with("bins/") || folder == "xtask") {
            continue;
        }
        for name in dependencies(&manifest) {
            let Some((_, owners)) = OWNERS
                .iter()
                .find(|(names, _)| names.contains(&name.as_str()))
            else {
                continue;
            };
            let owned = owners.iter().any(|owner| {
                folder == *owner || (owner.ends_with('/') && folder.starts_with(owner))
            });
            if !owned {
                let found = format!("{name} belongs to {}", owners.join(", "));
                violations.push(Violation::new("direct_owners", folder, found));
            }
        }
    }
    violations
}

fn workspace_dependencies(manifest: &toml::Table) -> Vec<String> {
    let names = dependencies(manifest);
    names
        .iter()
        .filter_map(|name| name.strip_prefix("waxseal-").map(str::to_owned))
        .collect()
}

/// The package names of normal and build dependencies, for every target.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    let mut names = Vec::new();
    for table in tables {
        for section in ["dependencies", "build-dependencies"] {
            let Some(section) = table.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for (key, value) in section {
                // A renamed package is still that package.
                let renamed = value.get("package").and_then(toml::Value::as_str);
                names.push(renamed.unwrap_or(key).to_owned());
            }
        }
    }
    names
}
