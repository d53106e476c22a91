//! Where the time of one write goes: what the server's process spends, and what its parts cost by
//! themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use waxseal_crypto::{Input, SignatureAlgorithm};
use waxseal_crypto_aws_lc::provider;
use waxseal_formats::TransparencyLogEntry;
use waxseal_log_server::{ArtifactLog, Personality as _};
use waxseal_tests_simulation::{Author, Connection, ENTRIES};
use waxseal_tlog::leaf_hash;

use crate::load::{Paced, Served};
use crate::{Samples, Table};

/// Repetitions of each part.
const TIMES: usize = 2000;

/// What the server counted between two moments.
#[derive(Debug, Clone, Default)]
pub struct Costs {
    before: BTreeMap<String, f64>,
}

impl Costs {
    /// Begins to count.
    ///
    /// # Errors
    /// If the server's metrics cannot be read.
    pub async fn begin(served: Served) -> Result<Self> {
        Ok(Self {
            before: metrics(served).await?,
        })
    }

    /// The table for the work that was done since.
    ///
    /// # Errors
    /// If the metrics cannot be read, or a part cannot be timed.
    pub async fn table(&self, served: Served, paced: &Paced, author: &Author) -> Result<Table> {
        let after = metrics(served).await?;
        let since = |name: &str| {
            let value = |of: &BTreeMap<String, f64>| of.get(name).copied();
            Some(value(&after)? - value(&self.before).unwrap_or(0.0))
        };
        let writes = f64::from(u32::try_from(paced.times.count())?);
        let mut table = Table::new(&["one write, closed 256", "µs", "how it is known"]);
        let mut row = |what: &str, micros: f64, how: &str| {
            table.row([what.to_owned(), format!("{micros:.1}"), how.to_owned()]);
        };
        let each = |time: Duration| time.as_secs_f64() * 1e6 / writes;
        let server = paced.server_cpu.context("no processor time")?;
        row("server, on a processor", each(server.total()), "/proc");
        row("  of it in the kernel", each(server.system), "/proc");
        let commits = since("log_commit_seconds_count").filter(|count| *count > 0.0);
        let batch = commits.map_or(1.0, |commits| (writes / commits).max(1.0));
        let parts = Parts::measure(author, served).await?;
        let mut rest = each(server.total());
        for (what, micros) in parts.rows(batch) {
            row(what, micros, "in this process, alone");
            rest -= micros;
        }
        row(
            "  the rest: sockets, HTTP, ledger, waiting",
            rest,
            "difference",
        );
        if let Some(own) = paced.own_cpu {
            row("generator, on a processor", each(own.total()), "/proc");
        }
        if let (Some(commits), Some(seconds)) = (commits, since("log_commit_seconds_sum")) {
            let batch = format!("metrics; {batch:.0} entries a commit");
            row("one commit, wall", seconds / commits * 1e6, &batch);
            row("its share of a write, wall", seconds / writes * 1e6, &batch);
        }
        Ok(table)
    }
}

/// Parts of a write that can be timed alone, in µs.
struct Parts {
    parse: f64,
    check: f64,
    key: f64,
    leaf: f64,
    answer: f64,
    sign: f64,
}

impl Parts {
    async fn measure(author: &Author, served: Served) -> Result<Self> {
        let log = ArtifactLog::new(provider());
        let told = |error: String| anyhow::anyhow!(error);
        let entry = author.entry("where the time goes").map_err(told)?;
        let body = Bytes::from(entry.request.clone());
        let parse = || log.parse(0, &body).ok();
        let submission = parse().context("the log refuses the entry")?;
        let mut check = Samples::default();
        for _ in 0..TIMES {
            let began = std::time::Instant::now();
            ensure!(submission.check().await.is_ok(), "the check fails");
            check.add(began.elapsed());
        }
        let mut connection = Connection::open(served.port).await?;
        let answer = connection.post(ENTRIES, &entry.request).await?;
        ensure!(answer.status == 201, "{}", answer.text());
        let answer = TransparencyLogEntry::from_json(&answer.body)?;
        let algorithm = SignatureAlgorithm::Ed25519;
        let signer = provider().signer(&provider().generate(algorithm)?, algorithm)?;
        Ok(Self {
            parse: timed(parse),
            check: micros(&check),
            key: timed(|| submission.key()),
            leaf: timed(|| leaf_hash(&entry.stored)),
            answer: timed(|| answer.to_json()),
            sign: timed(|| signer.sign_now(Input::Message(&[7; 150]))),
        })
    }

    /// `batch` entries share a checkpoint.
    fn rows(&self, batch: f64) -> [(&'static str, f64); 6] {
        [
            ("  parse: JSON, base64, certificate, body", self.parse),
            ("  check: ECDSA P-256", self.check),
            ("  deduplication key", self.key),
            ("  leaf hash (done twice: D3)", 2.0 * self.leaf),
            ("  answer: JSON, base64", self.answer),
            ("  checkpoint: Ed25519, its share", self.sign / batch),
        ]
    }
}

fn timed<T>(mut work: impl FnMut() -> T) -> f64 {
    let mut samples = Samples::default();
    for _ in 0..TIMES {
        samples.time(&mut work);
    }
    micros(&samples)
}

fn micros(samples: &Samples) -> f64 {
    samples.quantile(0.5).as_secs_f64() * 1e6
}

async fn metrics(served: Served) -> Result<BTreeMap<String, f64>> {
    let mut connection = Connection::open(served.port).await?;
    let answer = connection.get("/metrics").await?;
    ensure!(answer.status == 200, "/metrics: {}", answer.status);
    Ok(parse_metrics(&answer.text()))
}

/// Values without labels.
fn parse_metrics(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read() {
        let text = "# HELP a b\nlog_commit_seconds_sum 1.5\nx{le=\"1\"} 3\nbad\n";
        let values = parse_metrics(text);
        assert_eq!(values.get("log_commit_seconds_sum"), Some(&1.5));
        assert_eq!(values.get("x{le=\"1\"}"), Some(&3.0));
        assert_eq!(values.len(), 2);
    }
}
