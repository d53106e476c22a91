//! What a crate must never reach, however indirectly: the packages of its normal dependency tree.

use crate::Violation;

/// Runtimes and HTTP: what a library whose futures name no runtime cannot contain.
const NETWORK: &[&str] = &[
    "tokio",
    "tokio-util",
    "async-std",
    "smol",
    "async-io",
    "mio",
    "socket2",
    "hyper",
    "hyper-util",
    "h2",
    "http",
    "reqwest",
    "ureq",
    "axum",
    "tower",
    "tower-http",
    "rustls",
    "native-tls",
    "openssl",
    "quinn",
];

/// Ways to compile or link C.
const C: &[&str] = &[
    "cc",
    "cmake",
    "bindgen",
    "pkg-config",
    "vcpkg",
    "autocfg-c",
    "ring",
    "aws-lc-sys",
    "openssl-sys",
];

/// What must stay out of one crate's tree.
#[derive(Debug, Clone, Copy)]
pub struct ReachRule {
    /// The package whose tree is read.
    pub package: &'static str,
    /// Names that may not occur, in groups.
    pub never: &'static [&'static [&'static str]],
    /// How many packages the tree may hold, itself included.
    pub at_most: Option<usize>,
}

const CORE: &[&[&str]] = &[
    NETWORK,
    C,
    &[
        "waxseal-transport",
        "waxseal-serve",
        "getrandom",
        "rand",
        "tempfile",
    ],
];

const CLIENT: &[&[&str]] = &[NETWORK, &["waxseal-serve", "waxseal-transport-reqwest"]];

/// The rules, one row for each crate that is embedded alone.
pub const REACH: &[ReachRule] = &[
    ReachRule {
        package: "waxseal-crypto",
        never: CORE,
        at_most: None,
    },
    ReachRule {
        package: "waxseal-formats",
        never: CORE,
        at_most: None,
    },
    ReachRule {
        package: "waxseal-pki",
        never: CORE,
        at_most: None,
    },
    ReachRule {
        package: "waxseal-tlog",
        never: &[
            NETWORK,
            C,
            &[
                "waxseal-pki",
                "waxseal-formats",
                "waxseal-transport",
                "getrandom",
            ],
        ],
        at_most: None,
    },
    // The nearest peer with aws-lc takes 54; what ours are is in docs/adr/0002.
    ReachRule {
        package: "waxseal-verify",
        never: CORE,
        at_most: Some(62),
    },
    ReachRule {
        package: "waxseal-transport",
        never: CLIENT,
        at_most: None,
    },
    ReachRule {
        package: "waxseal-identity",
        never: CLIENT,
        at_most: None,
    },
    ReachRule {
        package: "waxseal-trust",
        never: CLIENT,
        at_most: None,
    },
    ReachRule {
        package: "waxseal-ca-client",
        never: CLIENT,
        at_most: None,
    },
    ReachRule {
        package: "waxseal-sign",
        never: CLIENT,
        at_most: None,
    },
    // Nothing that a request names is ever fetched (S-05, CVE-2026-24117): a log opens no connection.
    // Its witnesses are reached by a transport that it is given.
    ReachRule {
        package: "waxseal-log-server",
        never: &[&["waxseal-transport-reqwest", "reqwest"]],
        at_most: None,
    },
    ReachRule {
        package: "waxseal-crypto-rustcrypto",
        never: &[NETWORK, C],
        at_most: None,
    },
];

/// Checks the names of one tree, as `cargo tree -e normal,build --prefix none` prints them
/// (one package a line, repeated ones included).
pub fn unreachable_packages(rule: &ReachRule, tree: &str) -> Vec<Violation> {
    const RULE: &str = "unreachable_packages";
    let mut packages: Vec<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut parts = line.split_whitespace();
            Some((parts.next()?, parts.next()?))
        })
        .collect();
    packages.sort_unstable();
    packages.dedup();
    let mut violations = Vec::new();
    if !packages.iter().any(|(name, _)| *name == rule.package) {
        violations.push(Violation::new(
            RULE,
            rule.package,
            "its own tree does not hold it",
        ));
    }
    for (name, version) in &packages {
        if rule.never.iter().any(|group| group.contains(name)) {
            violations.push(Violation::new(
                RULE,
                rule.package,
                format!("reaches {name} {version}"),
            ));
        }
    }
    if let Some(limit) = rule.at_most
        && packages.len() > limit
    {
        let found = format!("{} packages, at most {limit}", packages.len());
        violations.push(Violation::new(RULE, rule.package, found));
    }
    violations
}
