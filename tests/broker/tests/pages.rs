//! The broker's pages in Chromium: every flow, with scripts allowed and without, and axe on every
//! page, at the width of a phone and of a desk, in light and dark.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use waxseal_tests_broker::{Play, Stage, Upstream, converse, on_stage, script};
use waxseal_tests_interop::{Tool, free_port, root, trial};

/// Each flow of `js/flow.mjs`, and whether it needs a mail server's limits or an outbox.
const FLOWS: &[(&str, Kind)] = &[
    ("control", Kind::Outbox),
    ("redirect", Kind::Outbox),
    ("redirect", Kind::Mail),
    ("redirect", Kind::PublicMail),
    ("keyboard", Kind::Outbox),
    ("hint", Kind::Mail),
    ("out_of_band", Kind::Outbox),
    ("out_of_band", Kind::PublicMail),
    ("wrong_code", Kind::Mail),
    ("second_code", Kind::Mail),
    ("another_address", Kind::Mail),
    ("expired", Kind::Mail),
    ("cancelled", Kind::Outbox),
    ("other_browser", Kind::Outbox),
    ("bad_address", Kind::Outbox),
    ("bad_requests", Kind::Outbox),
    ("too_many", Kind::Mail),
    ("two_tabs", Kind::Outbox),
    ("device", Kind::Outbox),
    ("device", Kind::PublicMail),
    ("device_typed", Kind::Mail),
    ("device_refused", Kind::Outbox),
    ("device_cancelled", Kind::Outbox),
    ("device_expired", Kind::Outbox),
    ("device_upstream", Kind::Upstream),
    ("upstream", Kind::Upstream),
    ("upstream_chosen", Kind::Upstream),
    ("upstream_code", Kind::Upstream),
    ("upstream_refusals", Kind::Upstream),
    ("upstream_cancelled", Kind::Upstream),
    ("upstream_other_browser", Kind::Upstream),
    ("upstream_absent", Kind::UpstreamAbsent),
    ("platform_choice", Kind::Platforms),
    ("google", Kind::Platforms),
    ("github", Kind::Platforms),
    ("microsoft", Kind::Platforms),
    ("facebook", Kind::Platforms),
    ("facebook_without_email", Kind::Platforms),
    ("forge", Kind::Platforms),
    ("device_facebook", Kind::Platforms),
    ("device_chosen", Kind::Platforms),
    ("device_platforms", Kind::Platforms),
    ("platforms_out_of_band", Kind::Platforms),
];

/// What the broker is set up as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Outbox,
    Mail,
    PublicMail,
    /// With a provider beside the mailed code, and a public log.
    Upstream,
    /// The same, and the provider is not there.
    UpstreamAbsent,
    /// With stand-ins for Google, GitHub, Microsoft, Facebook and bare OAuth 2.0.
    Platforms,
}

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for (flow, kind) in FLOWS {
        for scripts in [true, false] {
            // What has the focus is looked up by a script, and pages are spoilt by one.
            if scripts || !["control", "keyboard"].contains(flow) {
                trials.push(case(flow, *kind, scripts));
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn case(flow: &'static str, kind: Kind, scripts: bool) -> Trial {
    let with = if scripts { "with" } else { "without" };
    let name = format!("{flow}, {kind:?}, {with} scripts");
    trial(&name, &[Tool::NodeParts, Tool::Chromium], move || {
        let mut play = Play::default();
        play.mails = kind != Kind::Outbox;
        let upstream = matches!(kind, Kind::Upstream | Kind::UpstreamAbsent);
        play.public_log = kind == Kind::PublicMail || upstream;
        play.upstream = upstream.then(free_port).transpose()?;
        if kind == Kind::Platforms {
            play.public_log = true;
            play.platforms = Some(free_port()?);
        }
        let port = play.upstream;
        let platforms = play.platforms;
        on_stage(&play, async move |stage| {
            let chromium = Tool::Chromium.path().map_err(|missing| missing.0)?;
            let redirect = format!("{}/callback/oidc", stage.issuer);
            let _provider = match port.filter(|_| kind == Kind::Upstream) {
                Some(port) => Some(Upstream::start(port, &redirect)?),
                None => None,
            };
            let _platforms = platforms.map(Upstream::platforms).transpose()?;
            let setup = json!({
                "name": format!("{flow}-{kind:?}"),
                "flow": flow,
                "issuer": stage.issuer,
                "script": scripts,
                "chromium": chromium,
                "pictures": pictures(),
                "upstream": port.map(|port| format!("http://localhost:{port}")),
            });
            let handle = Handle::current();
            let driven = tokio::task::spawn_blocking(move || {
                let node = Tool::NodeParts.path().map_err(|missing| missing.0)?;
                let mut command = Command::new(node);
                command
                    .arg(script("js/flow.mjs"))
                    .arg(setup.to_string())
                    .env("NODE_PATH", root().join("web/node_modules"));
                converse(&mut command, |question| answer(&handle, &stage, question))
            });
            driven.await.map_err(|error| error.to_string())?
        })
        .map_err(Failed::from)
    })
}

fn answer(handle: &Handle, stage: &Stage, question: &Value) -> Result<Value, String> {
    let text = |name| question.get(name).and_then(Value::as_str);
    match text("ask") {
        Some("code") => {
            let address = text("address").unwrap_or_default();
            handle.block_on(stage.mails.take(address)).map(Value::from)
        }
        Some("advance") => {
            let seconds = question.get("seconds").and_then(Value::as_i64);
            stage.advance(seconds.unwrap_or_default());
            Ok(Value::Null)
        }
        _ => Err("nobody knows what that is".to_owned()),
    }
}

/// Where pictures of the pages go, for somebody who wants to look at them.
fn pictures() -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever runs the tests says where pictures go"
    )]
    let folder = std::env::var("WAXSEAL_PICTURES").ok()?;
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder)
}
