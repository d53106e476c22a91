//! One checkpoint and all witnesses: asked at once, decided as soon as the policy is met.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use waxseal_tlog::{SignatureLine, SignedNote, WitnessPolicy};

use super::breaker::Admission;
use super::exchange::WitnessFailure;
use super::{Answered, RoundOutcome, WitnessMetrics, Witnesses};
use crate::{ConsistencyProver, CosignMode};

/// Verified lines, each with its witness's position in the policy.
pub(crate) type Cosigned = Vec<(usize, SignatureLine)>;

/// What is to be cosigned.
pub(crate) struct Task {
    /// Rounds are counted: a larger number supersedes.
    pub(crate) number: u64,
    pub(crate) note: SignedNote,
    pub(crate) tree_size: u64,
    pub(crate) prover: Arc<dyn ConsistencyProver>,
}

/// Too few cosignatures.
#[derive(Debug)]
pub(crate) struct NoQuorum {
    /// Who did not cosign, by the name in the policy, and why.
    pub(crate) failures: Vec<(Box<str>, WitnessFailure)>,
    /// Who did.
    pub(crate) cosignatures: Vec<SignatureLine>,
}

/// What one member said.
struct Report {
    member: usize,
    answer: Result<Cosigned, WitnessFailure>,
}

/// A checkpoint on its way around. To drop it does not stop the questions that are on their way:
/// what a witness has cosigned is remembered all the same.
pub(crate) struct Round {
    policy: Arc<WitnessPolicy>,
    names: Arc<[Box<str>]>,
    /// For each member its keys, by position in the policy.
    members: Vec<Vec<usize>>,
    metrics: WitnessMetrics,
    reports: mpsc::Receiver<Report>,
    /// Members whose answer decides, and is not there yet.
    awaited: BTreeSet<usize>,
    cosigned: BTreeMap<usize, SignatureLine>,
    failures: Vec<(Box<str>, WitnessFailure)>,
}

impl Round {
    pub(crate) fn begin(witnesses: &Witnesses, task: &Arc<Task>) -> Self {
        let count = witnesses.members.len().max(1);
        let (sender, reports) = mpsc::channel(count);
        let mut round = Self {
            policy: Arc::clone(&witnesses.policy),
            names: Arc::clone(&witnesses.names),
            members: witnesses
                .members
                .iter()
                .map(|m| m.keys().to_vec())
                .collect(),
            metrics: witnesses.metrics.clone(),
            reports,
            awaited: BTreeSet::new(),
            cosigned: BTreeMap::new(),
            failures: Vec::new(),
        };
        for (position, member) in witnesses.members.iter().enumerate() {
            match member.admit(&witnesses.shared) {
                Admission::Refused => {
                    round.add(position, Err(WitnessFailure::Paused));
                    continue;
                }
                // Whether it is back is not worth a delay, where outages are no outages.
                Admission::Probe if witnesses.mode != CosignMode::FailClosed => {}
                Admission::Probe | Admission::Healthy => {
                    round.awaited.insert(position);
                }
            }
            let (member, asking) = (Arc::clone(member), Arc::clone(&witnesses.shared));
            let (task, sender) = (Arc::clone(task), sender.clone());
            let mut newest = witnesses.newest.subscribe();
            tokio::spawn(async move {
                let answer = member.ask(&asking, &task, &mut newest).await;
                let report = Report {
                    member: position,
                    answer,
                };
                // The channel has room for every member; nobody may be listening any more.
                let _ = sender.send(report).await;
            });
        }
        round
    }

    /// Waits until the policy is met, and gives the cosignatures that are there by then, in the
    /// order of the policy.
    ///
    /// # Errors
    /// [`NoQuorum`]: everybody who matters has answered, and it is not met.
    pub(crate) async fn quorum(&mut self) -> Result<Vec<SignatureLine>, NoQuorum> {
        while !self.is_met() && !self.awaited.is_empty() && self.next().await {}
        self.close()
    }

    /// Waits for everybody who is not in a pause.
    ///
    /// # Errors
    /// [`NoQuorum`].
    pub(crate) async fn everybody(&mut self) -> Result<Vec<SignatureLine>, NoQuorum> {
        while self.next().await {}
        self.close()
    }

    fn is_met(&self) -> bool {
        self.policy.is_met_by(|w| self.cosigned.contains_key(&w))
    }

    fn close(&mut self) -> Result<Vec<SignatureLine>, NoQuorum> {
        let cosignatures = self.cosigned.values().cloned().collect();
        if self.is_met() {
            self.metrics.rounds.add(RoundOutcome::Quorum, 1);
            return Ok(cosignatures);
        }
        self.metrics.rounds.add(RoundOutcome::NoQuorum, 1);
        Err(NoQuorum {
            cosignatures,
            failures: std::mem::take(&mut self.failures),
        })
    }

    async fn next(&mut self) -> bool {
        match self.reports.recv().await {
            Some(report) => {
                self.add(report.member, report.answer);
                true
            }
            None => false,
        }
    }

    fn add(&mut self, member: usize, answer: Result<Cosigned, WitnessFailure>) {
        self.awaited.remove(&member);
        match answer {
            Ok(lines) => {
                self.metrics.requests.add(Answered::Cosigned, 1);
                self.cosigned.extend(lines);
            }
            Err(failure) => self.add_failure(member, failure),
        }
    }

    fn add_failure(&mut self, member: usize, failure: WitnessFailure) {
        let first = self.members.get(member).and_then(|keys| keys.first());
        let name = first.and_then(|position| self.names.get(*position));
        let name = name.cloned().unwrap_or_default();
        let answered = match &failure {
            WitnessFailure::Paused | WitnessFailure::Superseded => Answered::Skipped,
            WitnessFailure::Ahead { .. } | WitnessFailure::Disagrees => {
                // ALARM: a rollback, a second log with this key, or a witness that lies.
                tracing::error!(witness = %name, %failure, "a witness contradicts the log");
                Answered::Contradicted
            }
            _ => {
                tracing::warn!(witness = %name, %failure, "a witness gave no cosignature");
                Answered::Failed
            }
        };
        self.metrics.requests.add(answered, 1);
        self.failures.push((name, failure));
    }
}
