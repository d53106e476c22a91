//! What is said about each artifact: a few lines, or one JSON object.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use waxseal_verify::{Signer, TimeSource, Verified, VerifiedEntry, VerifiedTime};

use super::checks;
use crate::args::OutputArgs;
use crate::outcome::{Class, Failure};
use crate::terminal::{beyond_ascii, visible};

/// The version of the JSON below.
const SCHEMA: u8 = 1;

/// How verdicts are told.
pub(crate) struct Report<'a> {
    output: OutputArgs,
    trust: &'a str,
}

/// One line of `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    schema: u8,
    tool: &'static str,
    artifact: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_checked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    timestamps: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<Value>,
    trust: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct IdentityLine<'a> {
    san: Option<&'a str>,
    issuer: Option<&'a str>,
    extensions: BTreeMap<&'static str, &'a str>,
}

impl<'a> Report<'a> {
    /// A report about verdicts under one trusted root.
    pub(crate) const fn new(output: OutputArgs, trust: &'a str) -> Self {
        Self { output, trust }
    }

    /// Says what the person should know, on stderr.
    pub(crate) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            // A warning that nobody can read changes no verdict.
            drop(writeln!(std::io::stderr(), "warning: {warning}"));
        }
    }

    /// Says one verdict: on stdout, but a refusal in words on stderr.
    ///
    /// # Errors
    /// What the system says if it cannot be written: whoever reads it would miss a verdict.
    pub(crate) fn say(
        &self,
        artifact: &str,
        verdict: Result<&Verified, &Failure>,
    ) -> std::io::Result<()> {
        match verdict {
            verdict if self.output.json => write_line(&self.line(artifact, verdict)),
            Ok(_) if self.output.quiet => Ok(()),
            Ok(verified) => {
                std::io::stdout().write_all(self.verified(artifact, verified).as_bytes())
            }
            Err(failure) => std::io::stderr().write_all(failed(artifact, failure).as_bytes()),
        }
    }

    /// Says that an artifact was signed, and where its bundle is.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub(crate) fn say_signed(
        &self,
        artifact: &str,
        verified: &Verified,
        bundle: &str,
    ) -> std::io::Result<()> {
        if self.output.json {
            let line = self.line(artifact, Ok(verified));
            return write_line(&Line {
                bundle: Some(bundle.to_owned()),
                ..line
            });
        }
        if self.output.quiet {
            return Ok(());
        }
        let text = self.verified(artifact, verified);
        let wrote = format!("  in   {}\n", visible(bundle));
        std::io::stdout().write_all((text + &wrote).as_bytes())
    }

    fn verified(&self, artifact: &str, verified: &Verified) -> String {
        let signed = verified
            .times()
            .iter()
            .map(|time| time.time)
            .min()
            .map_or_else(
                || "signed at an unknown time".to_owned(),
                |time| format!("signed {}", time.truncated_to_second()),
            );
        let mut text = format!("✓ {}  {}  {signed}\n", visible(artifact), verified.digest());
        let evidence = self.evidence(verified);
        match verified.signer() {
            Signer::Certificate { identity, .. } => {
                for subject in &identity.subjects {
                    text.push_str(&format!("  by   {}\n", visible(&subject.value)));
                    if let Some(note) = beyond_ascii(&subject.value) {
                        text.push_str(&format!("       {note}\n"));
                    }
                }
                let issuer = identity.issuer.as_deref().unwrap_or("nobody");
                text.push_str(&format!("  via  {}   {evidence}\n", visible(issuer)));
            }
            Signer::Key { key } => {
                let hash = hex(&key.spki_sha256());
                text.push_str(&format!("  by   key sha256:{hash}\n       {evidence}\n"));
            }
            _ => text.push_str(&format!("  {evidence}\n")),
        }
        if let Some(statement) = verified.statement() {
            text.push_str(&format!("  says {}\n", visible(&statement.predicate_type)));
        }
        text
    }

    fn evidence(&self, verified: &Verified) -> String {
        let mut parts: Vec<String> = verified
            .log_entries()
            .iter()
            .map(|entry| format!("log {} #{}", visible(&entry.origin), entry.log_index))
            .collect();
        parts.push(format!("trust: {}", visible(self.trust)));
        parts.join("   ")
    }

    fn line<'b>(&'b self, artifact: &'b str, verdict: Result<&'b Verified, &Failure>) -> Line<'b> {
        let verified = verdict.ok();
        let signer = verified.map(Verified::signer);
        let identity = verified
            .and_then(Verified::identity)
            .map(|identity| IdentityLine {
                san: identity
                    .subjects
                    .first()
                    .map(|subject| subject.value.as_str()),
                issuer: identity.issuer.as_deref(),
                extensions: identity
                    .claims
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect(),
            });
        let logs: Vec<Value> = verified
            .map_or(&[][..], Verified::log_entries)
            .iter()
            .map(log)
            .collect();
        let statement = verified.and_then(Verified::statement);
        Line {
            schema: SCHEMA,
            tool: concat!("waxseal ", env!("CARGO_PKG_VERSION")),
            artifact,
            ok: verdict.is_ok(),
            digest: verified.map(|verified| verified.digest().to_string()),
            bundle: None,
            error: verdict.err().map(error),
            identity,
            identity_checked: match signer {
                Some(Signer::Certificate {
                    identity_checked, ..
                }) => Some(*identity_checked),
                _ => None,
            },
            key: match signer {
                Some(Signer::Key { key }) => Some(json!({ "sha256": hex(&key.spki_sha256()) })),
                _ => None,
            },
            timestamps: verified
                .map_or(&[][..], Verified::times)
                .iter()
                .map(timestamp)
                .collect(),
            log: logs.first().cloned(),
            logs,
            trust: json!({ "source": self.trust }),
            checks: match verdict {
                Ok(verified) => checks::passed(verified),
                Err(failure) => checks::failed(failure.code).into_iter().collect(),
            },
            statement: statement.and_then(|s| RawValue::from_string(s.to_json_line()).ok()),
        }
    }
}

fn write_line(line: &Line<'_>) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{}", serde_json::to_string(line)?)
}

fn log(entry: &VerifiedEntry) -> Value {
    json!({
        "origin": entry.origin,
        "operator": entry.operator,
        "index": entry.log_index,
        "treeSize": entry.tree_size,
        "kind": format!("{} {}", entry.kind, entry.version),
    })
}

fn timestamp(verified: &VerifiedTime) -> Value {
    let source = match &verified.source {
        TimeSource::TimestampAuthority { uri, .. } => uri,
        TimeSource::TransparencyLog { origin, .. } => origin,
        _ => "",
    };
    json!({ "source": source, "time": verified.time.to_string() })
}

/// A failure in JSON.
pub(crate) fn error(failure: &Failure) -> Value {
    let mut object = json!({
        "code": failure.code,
        "class": failure.class.name(),
        "message": failure.message,
    });
    if let Some(fields) = object.as_object_mut() {
        let parts = [
            ("expected", &failure.details.expected),
            ("got", &failure.details.got),
            ("hint", &failure.details.hint),
        ];
        for (name, part) in parts {
            if let Some(text) = part {
                fields.insert(name.to_owned(), Value::from(text.as_str()));
            }
        }
        if !failure.details.causes.is_empty() {
            fields.insert(
                "causes".to_owned(),
                Value::from(failure.details.causes.clone()),
            );
        }
    }
    object
}

/// A failure about something, in words: one block.
pub(crate) fn failed(name: &str, failure: &Failure) -> String {
    let mut text = format!(
        "✗ {}: {}  [{}]\n",
        visible(name),
        visible(&failure.message),
        failure.code
    );
    details(failure, &mut text);
    text
}

/// The lines below a failure's first.
pub(crate) fn details(failure: &Failure, text: &mut String) {
    let mut line = |label: &str, value: &str| {
        text.push_str(&format!("    {label}{}\n", visible(value)));
    };
    if let Some(expected) = &failure.details.expected {
        line("wanted  ", expected);
    }
    if let Some(got) = &failure.details.got {
        line("got     ", got);
        if let Some(note) = beyond_ascii(got) {
            line("        ", &note);
        }
    }
    for cause in &failure.details.causes {
        line("because ", cause);
    }
    if let Some(hint) = &failure.details.hint {
        line("", hint);
    }
}

/// Output that cannot be written.
pub(crate) fn unwritable(error: &std::io::Error) -> Failure {
    Failure::new(
        Class::Internal,
        "output-unwritable",
        "the result cannot be written",
    )
    .because(error)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
