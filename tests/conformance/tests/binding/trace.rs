//! What was tried and what was accepted, by all trials of one kind together.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::case::Case;
use crate::difference::differences;
use crate::unbound;

/// How many unexplained acceptances a failure shows.
const SHOWN: usize = 12;

/// What a trial says of one case.
pub(crate) type Verdict = Result<(), String>;

/// One kind of mutation.
pub(crate) struct Trace {
    stride: usize,
    tried: AtomicUsize,
    same: AtomicUsize,
    unbound: AtomicUsize,
    rows: Mutex<BTreeSet<usize>>,
    holes: Mutex<Vec<(&'static str, String)>>,
}

/// Whether every mutation is to be tried.
pub(crate) fn is_soak() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment how long to take"
    )]
    std::env::var_os("WAXSEAL_SOAK").is_some()
}

impl Trace {
    pub(crate) fn new(stride: usize) -> Self {
        Self {
            stride: if is_soak() { 1 } else { stride },
            tried: AtomicUsize::new(0),
            same: AtomicUsize::new(0),
            unbound: AtomicUsize::new(0),
            rows: Mutex::default(),
            holes: Mutex::default(),
        }
    }

    /// Whether the mutation with this number, within its trial, is in the sample.
    pub(crate) const fn takes(&self, number: usize) -> bool {
        number.is_multiple_of(self.stride)
    }

    /// Verifies a mutated bundle. If it is accepted, it must say the same as before, or something
    /// else only in fields that `unbound.toml` lists.
    pub(crate) fn attempt(&self, case: &Case, text: &[u8], what: impl FnOnce() -> String) {
        self.tried.fetch_add(1, Ordering::Relaxed);
        let Some(understood) = case.accepted(text) else {
            return;
        };
        let differences = differences(&case.value, &understood);
        if differences.is_empty() {
            self.same.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let rows: Option<Vec<usize>> = differences
            .iter()
            .map(|path| unbound::row_of(case.name, path))
            .collect();
        match rows {
            Some(rows) => {
                self.unbound.fetch_add(1, Ordering::Relaxed);
                self.rows.lock().unwrap().extend(rows);
            }
            None => {
                let hole = format!("{}: {differences:?}", what());
                self.holes.lock().unwrap().push((case.name, hole));
            }
        }
    }

    /// Fails with what was accepted of one case and is not explained.
    pub(crate) fn verdict(&self, case: &Case) -> Verdict {
        let holes = self.holes.lock().unwrap();
        let own: Vec<&String> = holes
            .iter()
            .filter(|(name, _)| *name == case.name)
            .map(|(_, hole)| hole)
            .collect();
        if own.is_empty() {
            return Ok(());
        }
        let shown: Vec<_> = own.iter().take(SHOWN).collect();
        Err(format!("{} accepted, such as {shown:#?}", own.len()))
    }

    pub(crate) fn tried(&self) -> usize {
        self.tried.load(Ordering::Relaxed)
    }

    /// Accepted, and understood as the unchanged bundle.
    pub(crate) fn same(&self) -> usize {
        self.same.load(Ordering::Relaxed)
    }

    /// Accepted, with another value in unbound fields.
    pub(crate) fn unbound(&self) -> usize {
        self.unbound.load(Ordering::Relaxed)
    }

    /// The rows of `unbound.toml` that were needed.
    pub(crate) fn rows(&self) -> BTreeSet<usize> {
        self.rows.lock().unwrap().clone()
    }
}
