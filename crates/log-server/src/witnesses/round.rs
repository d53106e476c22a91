//! One checkpoint and all witnesses: asked at once, decided as soon as the policy is met.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use waxseal_tlog::{SignatureLine, SignedNote};

use super::breaker::Admission;
use super::exchange::WitnessFailure;
use super::{Answered, Asking, RoundOutcome, WitnessMetrics, Witnesses};
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
    /// Its name in the policy.
    name: Box<str>,
    answer: Result<Cosigned, WitnessFailure>,
}

/// A checkpoint on its way around. To drop it does not stop the questions that are on their way:
/// what a witness cosigns after that is late, and told to whoever waits for late ones.
pub(crate) struct Round {
    asking: Arc<Asking>,
    tree_size: u64,
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
            asking: Arc::clone(&witnesses.shared),
            tree_size: task.tree_size,
            reports,
            awaited: BTreeSet::new(),
            cosigned: BTreeMap::new(),
            failures: Vec::new(),
        };
        for (position, member) in witnesses.members.iter().enumerate() {
            let first = member.keys().first();
            let name = first.and_then(|position| witnesses.names.get(*position));
            let name = name.cloned().unwrap_or_default();
            match member.admit(&witnesses.shared) {
                Admission::Refused => {
                    let answer = Err(WitnessFailure::Paused);
                    account(&witnesses.shared.metrics, &name, &answer);
                    round.add(Report {
                        member: position,
                        name,
                        answer,
                    });
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
                account(&asking.metrics, &name, &answer);
                let report = Report {
                    member: position,
                    name,
                    answer,
                };
                // The channel has room for every member; nobody may be listening any more.
                if let Err(unheard) = sender.send(report).await {
                    asking.keep_late(task.tree_size, unheard.0.lines());
                }
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
        while let Ok(report) = self.reports.try_recv() {
            self.add(report);
        }
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
        let policy = &self.asking.policy;
        policy.is_met_by(|w| self.cosigned.contains_key(&w))
    }

    fn close(&mut self) -> Result<Vec<SignatureLine>, NoQuorum> {
        let cosignatures = self.cosigned.values().cloned().collect();
        let rounds = &self.asking.metrics.rounds;
        if self.is_met() {
            rounds.add(RoundOutcome::Quorum, 1);
            return Ok(cosignatures);
        }
        rounds.add(RoundOutcome::NoQuorum, 1);
        Err(NoQuorum {
            cosignatures,
            failures: std::mem::take(&mut self.failures),
        })
    }

    async fn next(&mut self) -> bool {
        match self.reports.recv().await {
            Some(report) => {
                self.add(report);
                true
            }
            None => false,
        }
    }

    fn add(&mut self, report: Report) {
        self.awaited.remove(&report.member);
        match report.answer {
            Ok(lines) => self.cosigned.extend(lines),
            Err(failure) => self.failures.push((report.name, failure)),
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        // Whoever reports after this finds the channel closed, and keeps it as late itself.
        self.reports.close();
        while let Ok(report) = self.reports.try_recv() {
            self.asking.keep_late(self.tree_size, report.lines());
        }
    }
}

impl Report {
    fn lines(self) -> Vec<SignatureLine> {
        let answer = self.answer.unwrap_or_default();
        answer.into_iter().map(|(_, line)| line).collect()
    }
}

/// Counts an answer, and says what is wrong with it.
fn account(metrics: &WitnessMetrics, name: &str, answer: &Result<Cosigned, WitnessFailure>) {
    let answered = match answer {
        Ok(_) => Answered::Cosigned,
        Err(WitnessFailure::Paused | WitnessFailure::Superseded) => Answered::Skipped,
        Err(failure @ (WitnessFailure::Ahead { .. } | WitnessFailure::Disagrees { .. })) => {
            // ALARM: a rollback, a second log with this key, or a witness that lies.
            tracing::error!(witness = %name, %failure, "a witness contradicts the log");
            Answered::Contradicted
        }
        Err(failure) => {
            tracing::warn!(witness = %name, %failure, "a witness gave no cosignature");
            Answered::Failed
        }
    };
    metrics.requests.add(answered, 1);
}
