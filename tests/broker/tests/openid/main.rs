//! What an OpenID provider must do, rule by rule, asked over HTTP: the table of
//! `docs/openid-rules.md`, each line with its test.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod authorization;
mod discovery;
mod token;
mod world;

use std::collections::BTreeSet;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_tests_broker::{Play, on_stage};
use waxseal_tests_interop::workspace;

use world::{Rule, World};

fn main() -> ExitCode {
    let rules: Vec<Rule> = [
        discovery::rules(),
        authorization::rules(),
        token::rules(),
        token::userinfo_rules(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let names: Vec<&'static str> = rules.iter().map(|rule| rule.name).collect();
    let mut trials: Vec<_> = rules.into_iter().map(trial).collect();
    trials.push(Trial::test(
        "the table has a line for each test",
        move || every_line_has_its_test(&names),
    ));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(rule: Rule) -> Trial {
    Trial::test(rule.name, move || {
        on_stage(&Play::default(), async move |stage| {
            let world = World::new(stage)?;
            (rule.test)(world).await
        })
        .map_err(Failed::from)
    })
}

fn every_line_has_its_test(names: &[&'static str]) -> Result<(), Failed> {
    let path = workspace().join("docs/openid-rules.md");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let lines: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let known: BTreeSet<_> = names.iter().copied().collect();
    let told: BTreeSet<_> = lines.iter().copied().collect();
    assert_eq!(known.len(), names.len(), "two tests of one name");
    assert_eq!(told.len(), lines.len(), "two lines of one name");
    let untested: Vec<_> = told.difference(&known).collect();
    let untold: Vec<_> = known.difference(&told).collect();
    assert!(untested.is_empty(), "lines without a test: {untested:?}");
    assert!(untold.is_empty(), "tests without a line: {untold:?}");
    assert!(known.len() >= 80, "{} rules", known.len());
    Ok(())
}
