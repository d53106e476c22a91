//! Relying parties that others wrote: discovery, log-in with PKCE, keys, userinfo, and what is
//! refused.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use tokio::runtime::Handle;
use waxseal_tests_broker::{Play, Stage, Visitor, converse, on_stage, script};
use waxseal_tests_interop::{IDENTITY, Tool, root, trial};

fn main() -> ExitCode {
    let trials = vec![
        case("openid-client", Tool::NodeParts, "js/relying.mjs"),
        case("authlib", Tool::PythonParts, "py/relying.py"),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn case(name: &str, tool: Tool, file: &'static str) -> Trial {
    trial(name, &[tool], move || {
        on_stage(&Play::default(), async move |stage| {
            let program = tool.path().map_err(|missing| missing.0)?;
            let handle = Handle::current();
            let driven = tokio::task::spawn_blocking(move || {
                let mut command = command(program, script(file), &stage.issuer);
                converse(&mut command, |question| {
                    handle.block_on(answer(&stage, question))
                })
            });
            driven.await.map_err(|error| error.to_string())?
        })
        .map_err(Failed::from)
    })
}

fn command(program: PathBuf, script: PathBuf, issuer: &str) -> Command {
    let mut command = Command::new(program);
    command
        .arg(script)
        .arg(issuer)
        .env("NODE_PATH", root().join("web/node_modules"));
    command
}

/// A person opens what the program shows, and logs in if there is a page that asks them to; where
/// the browser ends.
async fn answer(stage: &Stage, question: &Value) -> Result<Value, String> {
    let url = question.get("url").and_then(Value::as_str);
    let url = url.ok_or("nobody knows what that is")?;
    let mut visitor = Visitor::new()?;
    let mut page = visitor.visit(url).await?;
    if page.form("email").is_some() {
        page = visitor.fill(&page, "email", IDENTITY).await?;
        let code = stage.mails.take(IDENTITY).await?;
        page = visitor.fill(&page, "code", &code).await?;
    }
    let end = page.location().ok_or(page.body)?;
    Ok(Value::from(end.as_str()))
}
