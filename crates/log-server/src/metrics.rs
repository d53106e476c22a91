//! What the log counts.

use std::time::Duration;

use waxseal_serve::{Counter, Gauge, Histogram, Label, Meter};

/// Upper ends of the buckets for commits, in seconds.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.25, 1.0,
];

/// Upper ends of the buckets for entries in one commit.
const ENTRIES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];

/// How a submission ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Created,
    Duplicate,
    Refused,
    OverShare,
    Overloaded,
    Failed,
}

impl Label for Outcome {
    const NAME: &'static str = "outcome";

    fn value(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
            Self::OverShare => "over_share",
            Self::Overloaded => "overloaded",
            Self::Failed => "failed",
        }
    }
}

/// What rekor-tiles counts under these names, for its dashboards.
#[derive(Debug, Clone)]
struct Upstream {
    new_entries: Gauge<()>,
    proof_failures: Counter<()>,
}

#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    submissions: Counter<Outcome>,
    waiting: Gauge<()>,
    upstream: Option<Upstream>,
    entries: Counter<()>,
    commit_seconds: Histogram<()>,
    commit_entries: Histogram<()>,
    unsealed: Gauge<()>,
    seal_failures: Counter<()>,
    scrubbed: Counter<()>,
    scrub_failures: Counter<()>,
    damaged: Gauge<()>,
}

impl Metrics {
    pub(crate) fn register(meter: &Meter, names: MetricNames) -> Self {
        Self {
            submissions: meter.counter(names.submissions, "Submissions by how they ended"),
            waiting: meter.gauge(
                names.waiting,
                "Submissions that had a place in the queue when the last one was answered",
            ),
            upstream: names.is_upstream_s.then(|| Upstream {
                new_entries: meter.gauge(
                    "rekor_v2_new_hashedrekord_entries",
                    "Entries appended since the start",
                ),
                proof_failures: meter.counter(
                    "rekor_v2_inclusion_proof_failure",
                    "Answers whose inclusion proof could not be made",
                ),
            }),
            entries: meter.counter(names.entries, "Entries appended to the log"),
            commit_seconds: meter.histogram(
                names.commit_seconds,
                "Time of one commit of the ledger",
                SECONDS,
            ),
            commit_entries: meter.histogram(
                names.commit_entries,
                "Entries in one commit of the ledger",
                ENTRIES,
            ),
            unsealed: meter.gauge(names.unsealed, "Committed entries that are not sealed yet"),
            seal_failures: meter.counter(
                names.seal_failures,
                "Attempts at sealing that failed and are tried again",
            ),
            scrubbed: meter.counter(
                names.scrubbed,
                "Stored bundles that were read again and found whole",
            ),
            scrub_failures: meter.counter(
                names.scrub_failures,
                "Stored bundles that were read again and found damaged or missing",
            ),
            damaged: meter.gauge(
                names.damaged,
                "1 from when stored bytes are found damaged: the log is only read",
            ),
        }
    }

    /// One submission has ended; so many have a place in the queue.
    pub(crate) fn submitted(&self, outcome: Outcome, waiting: usize) {
        self.submissions.add(outcome, 1);
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        self.waiting.set((), f64::from(waiting));
        if let (Some(upstream), Outcome::Created) = (&self.upstream, outcome) {
            let created = self.submissions.count(Outcome::Created);
            let created = u32::try_from(created).unwrap_or(u32::MAX);
            upstream.new_entries.set((), f64::from(created));
        }
    }

    pub(crate) fn proof_failed(&self) {
        if let Some(upstream) = &self.upstream {
            upstream.proof_failures.add((), 1);
        }
    }

    pub(crate) fn committed(&self, entries: usize, time: Duration) {
        self.entries.add((), u64::try_from(entries).unwrap_or(0));
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        self.commit_entries.observe((), f64::from(entries));
        self.commit_seconds.observe((), time.as_secs_f64());
    }

    pub(crate) fn unsealed(&self, entries: u64) {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        self.unsealed.set((), f64::from(entries));
    }

    pub(crate) fn scrubbed(&self) {
        self.scrubbed.add((), 1);
    }

    pub(crate) fn scrub_failed(&self) {
        self.scrub_failures.add((), 1);
        self.damaged.set((), 1.0);
    }

    pub(crate) fn seal_failed(&self) {
        self.seal_failures.add((), 1);
    }
}

/// The names of one log's metrics: two logs of one process have two sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MetricNames {
    submissions: &'static str,
    waiting: &'static str,
    is_upstream_s: bool,
    entries: &'static str,
    commit_seconds: &'static str,
    commit_entries: &'static str,
    unsealed: &'static str,
    seal_failures: &'static str,
    scrubbed: &'static str,
    scrub_failures: &'static str,
    damaged: &'static str,
}

impl MetricNames {
    pub(crate) const LOG: Self = Self {
        submissions: "log_submissions",
        waiting: "log_waiting_entries",
        is_upstream_s: true,
        entries: "log_entries",
        commit_seconds: "log_commit_seconds",
        commit_entries: "log_commit_entries",
        unsealed: "log_unsealed_entries",
        seal_failures: "log_seal_failures",
        scrubbed: "log_scrubbed_bundles",
        scrub_failures: "log_scrub_failures",
        damaged: "log_damaged",
    };
    pub(crate) const CT: Self = Self {
        submissions: "ct_submissions",
        waiting: "ct_waiting_entries",
        is_upstream_s: false,
        entries: "ct_entries",
        commit_seconds: "ct_commit_seconds",
        commit_entries: "ct_commit_entries",
        unsealed: "ct_unsealed_entries",
        seal_failures: "ct_seal_failures",
        scrubbed: "ct_scrubbed_bundles",
        scrub_failures: "ct_scrub_failures",
        damaged: "ct_damaged",
    };
}
