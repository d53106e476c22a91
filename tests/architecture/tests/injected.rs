//! Each rule on a small tree that breaks it, and on its twin that does not: a rule that finds
//! nothing here finds nothing anywhere.

use waxseal_tests_architecture as rules;
use waxseal_tests_architecture::{REACH, Source, Tree, Violation};

/// Runs a rule on a tree of one file, and compares how many violations it finds.
fn check(rule: fn(&Tree) -> Vec<Violation>, path: &str, text: &str, expected: usize) {
    let found = rule(&Tree::of([(path, text)]));
    assert_eq!(found.len(), expected, "{path}: {text}\n{found:?}");
}

#[test]
fn dependency_edges() {
    let rule = rules::dependency_edges;
    let toml = |name: &str| format!("[dependencies]\nwaxseal-{name}.workspace = true\n");
    check(rule, "crates/verify/Cargo.toml", &toml("tlog"), 0);
    check(rule, "crates/verify/Cargo.toml", &toml("transport"), 1);
    check(rule, "crates/tlog/Cargo.toml", &toml("pki"), 1);
    check(rule, "crates/sign/Cargo.toml", &toml("crypto-aws-lc"), 1);
    check(rule, "crates/ca-server/Cargo.toml", &toml("log-server"), 1);
    check(rule, "crates/unheard-of/Cargo.toml", "", 1);
    check(rule, "bins/waxseal/Cargo.toml", &toml("crypto-aws-lc"), 0);
    check(rule, "bins/waxseal/Cargo.toml", &toml("testkit"), 1);
    // Tests of a crate may use what the crate may not.
    let test = "[dev-dependencies]\nwaxseal-transport.workspace = true\n";
    check(rule, "crates/verify/Cargo.toml", test, 0);
    // Neither a target, nor a build script, nor another name hides an edge.
    let target = "[target.'cfg(unix)'.dependencies]\nwaxseal-serve.workspace = true\n";
    check(rule, "crates/verify/Cargo.toml", target, 1);
    let build = "[build-dependencies]\nwaxseal-serve.workspace = true\n";
    check(rule, "crates/verify/Cargo.toml", build, 1);
    let renamed = "[dependencies]\nx = { package = \"waxseal-serve\", path = \"../serve\" }\n";
    check(rule, "crates/verify/Cargo.toml", renamed, 1);
}

#[test]
fn direct_owners() {
    let rule = rules::direct_owners;
    check(
        rule,
        "crates/transport-reqwest/Cargo.toml",
        "[dependencies]\nreqwest = \"1\"\n",
        0,
    );
    check(
        rule,
        "crates/sign/Cargo.toml",
        "[dependencies]\nreqwest = \"1\"\n",
        1,
    );
    check(
        rule,
        "crates/log-server/Cargo.toml",
        "[dependencies]\nredb = \"1\"\n",
        1,
    );
    check(
        rule,
        "crates/verify/Cargo.toml",
        "[dependencies]\np256 = \"1\"\n",
        1,
    );
    check(
        rule,
        "crates/formats/Cargo.toml",
        "[dependencies]\nder = \"1\"\n",
        1,
    );
    check(
        rule,
        "crates/verify/Cargo.toml",
        "[dependencies]\nanyhow = \"1\"\n",
        1,
    );
    check(
        rule,
        "bins/waxseal/Cargo.toml",
        "[dependencies]\nanyhow = \"1\"\n",
        0,
    );
    check(
        rule,
        "crates/verify/Cargo.toml",
        "[dev-dependencies]\np256 = \"1\"\n",
        0,
    );
}

#[test]
fn unreachable_packages() {
    let verify = REACH
        .iter()
        .find(|rule| rule.package == "waxseal-verify")
        .unwrap();
    let check = |tree: &str, expected: usize| {
        let found = rules::unreachable_packages(verify, tree);
        assert_eq!(found.len(), expected, "{found:?}");
    };
    check(
        "waxseal-verify v0.1.0 (/x)\nserde v1.0.0\nserde v1.0.0 (*)\n",
        0,
    );
    check("waxseal-verify v0.1.0 (/x)\ntokio v1.0.0\n", 1);
    check("waxseal-verify v0.1.0 (/x)\nhttp v1.0.0\ncc v1.0.0\n", 2);
    check("waxseal-verify v0.1.0 (/x)\nwaxseal-transport v0.1.0\n", 1);
    check("", 1);
    let many: String = (0..62).map(|n| format!("p{n} v1.0.0\n")).collect();
    check(&format!("waxseal-verify v0.1.0\n{many}"), 1);
    // Every crate that the rules protect is protected from a runtime; a server has one, and is
    // protected from a client.
    for rule in REACH {
        let intruder = match rule.package {
            "waxseal-log-server" => "reqwest",
            _ => "tokio",
        };
        let tree = format!("{} v0.1.0\n{intruder} v1.0.0\n", rule.package);
        assert_eq!(
            rules::unreachable_packages(rule, &tree).len(),
            1,
            "{}",
            rule.package
        );
    }
}

#[test]
fn output_clock_and_environment() {
    let rule = rules::output_clock_and_environment;
    check(
        rule,
        "crates/sign/src/lib.rs",
        "fn f() { println!(\"\"); }",
        1,
    );
    check(
        rule,
        "crates/sign/src/lib.rs",
        "fn f() { std::io::stderr(); }",
        1,
    );
    check(
        rule,
        "crates/sign/src/lib.rs",
        "fn f() { std::process::exit(1); }",
        1,
    );
    check(
        rule,
        "crates/sign/src/lib.rs",
        "fn f() { SystemTime::now(); }",
        1,
    );
    check(
        rule,
        "crates/sign/src/lib.rs",
        "fn f() { std::env::var(\"X\"); }",
        1,
    );
    check(
        rule,
        "crates/sign/src/lib.rs",
        "fn f() { std::env::var_os(\"X\"); }",
        1,
    );
    check(
        rule,
        "crates/ca-server/src/lib.rs",
        "fn f() { tokio::signal::ctrl_c(); }",
        1,
    );
    check(
        rule,
        "crates/crypto-aws-lc/src/clock.rs",
        "fn f() { SystemTime::now(); }",
        0,
    );
    check(
        rule,
        "crates/identity/src/ambient.rs",
        "fn f() { std::env::var(\"X\"); }",
        0,
    );
    check(
        rule,
        "bins/waxseal/src/main.rs",
        "fn f() { println!(\"\"); }",
        0,
    );
    // Prose and tests do not count.
    check(
        rule,
        "crates/sign/src/lib.rs",
        "// println!\nfn f() { \"eprintln!\"; }",
        0,
    );
    let tests = "#[cfg(test)]\nmod tests {\n fn f() { println!(\"}\"); }\n}\n";
    check(rule, "crates/sign/src/lib.rs", tests, 0);
    let after = format!("{tests}fn g() {{ println!(); }}");
    check(rule, "crates/sign/src/lib.rs", &after, 1);
}

#[test]
fn core_is_pure() {
    let rule = rules::core_is_pure;
    for text in [
        "use std::fs::File;",
        "use std::net::TcpStream;",
        "use std::thread;",
        "x: SystemTime",
    ] {
        check(rule, "crates/tlog/src/tile.rs", text, 1);
        check(rule, "crates/serve/src/tile.rs", text, 0);
    }
    check(rule, "crates/verify/src/lib.rs", "use std::io::Read;", 0);
    check(rule, "crates/verify/src/lib.rs", "thread_local! {}", 1);
}

#[test]
fn no_string_errors() {
    let rule = rules::no_string_errors;
    check(
        rule,
        "crates/pki/src/lib.rs",
        "pub enum PathError { Other(String) }",
        1,
    );
    check(
        rule,
        "crates/pki/src/lib.rs",
        "pub enum PathError { Other { expected: String } }",
        0,
    );
    check(
        rule,
        "crates/pki/src/lib.rs",
        "pub enum Name { Other(String) }",
        0,
    );
}

#[test]
fn file_headers() {
    check(
        rules::file_headers,
        "crates/x/src/a.rs",
        "//! What it is.\n",
        0,
    );
    check(rules::file_headers, "crates/x/src/a.rs", "use x;\n", 1);
    check(rules::file_headers, "crates/x/src/a.rs", "", 1);
}

#[test]
fn crate_headers() {
    let whole =
        "//! **What it is.** **In scope.** **Out of scope.**\n//! ```\n//! **Trust.**\nmod a;";
    check(rules::crate_headers, "crates/x/src/lib.rs", whole, 0);
    check(
        rules::crate_headers,
        "crates/x/src/lib.rs",
        "//! A crate.\nmod a;",
        5,
    );
    check(
        rules::crate_headers,
        "crates/x/src/lib.rs",
        &whole.replace("Trust", ""),
        1,
    );
}

#[test]
fn file_sizes() {
    let lines = |n: usize| "fn f() {}\n".repeat(n);
    check(rules::file_sizes, "crates/x/src/a.rs", &lines(800), 0);
    check(rules::file_sizes, "crates/x/src/a.rs", &lines(801), 1);
    check(rules::file_sizes, "crates/x/tests/a.rs", &lines(801), 0);
    check(rules::file_sizes, "crates/x/src/a/tests.rs", &lines(801), 0);
    let tested = format!(
        "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
        lines(700),
        lines(700)
    );
    check(rules::file_sizes, "crates/x/src/a.rs", &tested, 0);
}

#[test]
fn thin_mains() {
    let lines = |n: usize| "fn f() {}\n".repeat(n);
    check(
        rules::thin_mains,
        "bins/waxseald/src/main.rs",
        &lines(80),
        0,
    );
    check(
        rules::thin_mains,
        "bins/waxseald/src/main.rs",
        &lines(81),
        1,
    );
}

#[test]
fn no_mod_rs() {
    check(rules::no_mod_rs, "crates/x/src/a/mod.rs", "", 1);
    check(rules::no_mod_rs, "crates/x/src/a.rs", "", 0);
}

#[test]
fn forbidden_words() {
    let rule = rules::forbidden_words;
    for text in [
        "fn get_key() {}",
        "struct KeyManager;",
        "mod utils;",
        "trait SignHelper {}",
        "fn process_entry() {}",
        "fn handle() {}",
        "struct SignerImpl;",
    ] {
        check(rule, "crates/x/src/a.rs", text, 1);
    }
    // Only what a file declares counts, and words are whole.
    let fine = "use std::process::Command; fn get() {} fn target() {} impl X { fn implied() {} }";
    check(rule, "crates/x/src/a.rs", fine, 0);
    check(rule, "crates/x/src/util.rs", "", 1);
}

#[test]
fn product_names() {
    let rule = rules::product_names;
    check(rule, "crates/x/src/a.rs", "struct RekorClient;", 1);
    check(rule, "crates/x/src/a.rs", "let fulcio_url = 1;", 1);
    check(rule, "crates/x/src/a.rs", "const DEX: u8 = 1;", 1);
    // An entry kind, an index and prose are none.
    check(
        rule,
        "crates/x/src/a.rs",
        "struct HashedRekordV002 { index: u8 } // Rekor",
        0,
    );
    check(
        rule,
        "crates/x/src/a.rs",
        "let x = \"https://rekor.sigstore.dev\";",
        0,
    );
    check(rule, "tests/interop/src/a.rs", "struct Rekor;", 0);
}

#[test]
fn licences() {
    // Both texts and the workspace's own line are missing, and the package does not inherit it.
    check(
        rules::licences,
        "crates/x/Cargo.toml",
        "[package]\nlicense = \"MIT\"\n",
        4,
    );
    let whole = Tree::of([
        ("LICENSE-APACHE", "Apache License"),
        ("LICENSE-MIT", "Permission is hereby granted"),
        (
            "Cargo.toml",
            "[workspace.package]\nlicense = \"Apache-2.0 OR MIT\"\n",
        ),
        (
            "crates/x/Cargo.toml",
            "[package]\nlicense.workspace = true\n",
        ),
    ]);
    assert_eq!(rules::licences(&whole), []);
}

#[test]
fn inherited_lints() {
    check(
        rules::inherited_lints,
        "crates/x/Cargo.toml",
        "[lints]\nworkspace = true\n",
        0,
    );
    check(
        rules::inherited_lints,
        "crates/x/Cargo.toml",
        "[package]\n",
        1,
    );
}

#[test]
fn feature_count() {
    let rule = rules::feature_count;
    check(
        rule,
        "crates/x/Cargo.toml",
        "[features]\na = []\nb = []\nc = []\n",
        0,
    );
    check(
        rule,
        "crates/x/Cargo.toml",
        "[features]\na = []\nb = []\nc = []\nd = []\n",
        1,
    );
    check(rule, "crates/x/Cargo.toml", "[features]\ndefault = []\n", 1);
}

#[test]
fn no_local_paths() {
    let rule = rules::no_local_paths;
    let line = concat!("let x = \"../", "shared/vectors\";");
    check(rule, "crates/x/src/a.rs", line, 1);
    check(rule, "README.md", line, 1);
    check(rule, "tests/conformance/src/lib.rs", line, 0);
}

#[test]
fn error_variants_are_tested() {
    let rule = rules::error_variants_are_tested;
    let error = "pub enum XError {\n #[error(\"a\")]\n TooLong { found: usize },\n BadTag(Vec<u8>),\n Empty,\n}";
    let tests = |code: &str| format!("{error}\n#[cfg(test)]\nmod tests {{ {code} }}");
    let path = "crates/pki/src/a.rs";
    check(rule, path, error, 3);
    check(
        rule,
        path,
        &tests("fn too_long() { XError::BadTag; XError::Empty }"),
        0,
    );
    check(
        rule,
        path,
        &tests("fn v_13_too_long() { XError::BadTag }"),
        1,
    );
    // What the code itself names is no test, and private errors are the crate's own affair.
    check(
        rule,
        path,
        &format!("{error} fn f() {{ XError::Empty }}"),
        3,
    );
    check(rule, path, &error.replace("pub ", ""), 0);
    let apart = Tree::of([
        (path, error),
        (
            "crates/pki/src/a/tests.rs",
            "fn too_long() { XError::BadTag }",
        ),
        ("tests/conformance/tests/x.rs", "fn f() { XError::Empty }"),
    ]);
    assert_eq!(rule(&apart), []);
}

#[test]
fn no_stale_exceptions() {
    // The tree has none of the files that the rows name.
    let found = rules::no_stale_exceptions(&Tree::default());
    assert!(!found.is_empty());
}

#[test]
fn prose_is_not_code() {
    let check = |text: &str, expected: &str| {
        let code = Source::new("crates/x/src/a.rs", text).code;
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words.join(" "), expected, "{text}");
        assert_eq!(code.lines().count(), text.lines().count(), "{text}");
    };
    check("a // b\nc", "a c");
    check("a /* b /* c */ d */ e", "a e");
    check("a \"b \\\" c\" d", "a d");
    check("a r#\"b \" c\"# d", "a d");
    check("a b\"c\" d br#\"e\"# f", "a d f");
    check(
        "fn f<'a>(x: &'a str) { 'x'; '\\''; b'y'; '\\u{1f}' }",
        "fn f<'a>(x: &'a str) { ; ; ; }",
    );
    check("let r = bar; r", "let r = bar; r");
}
