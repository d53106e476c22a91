//! Which runs there are, and which are merged next: data and rules, no files.
//!
//! Runs are in the order of the log: each covers the commits of a range of indices, the ranges
//! follow each other from 0 on, and levels never rise from the old to the new. When a level has
//! `fan_in` runs, its oldest become one run of the next level. So a log of n keys has fewer than
//! `fan_in` runs on each of its log(n) levels, and every key is written once per level.

use std::ops::Range;

use super::KeyIndexError;

/// A run, as the ledger's database names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunEntry {
    /// The number of its file, and of its checksums.
    pub(crate) id: u64,
    pub(crate) level: u8,
    /// It holds the keys of the commits whose first index is in `from..to`.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// How many keys.
    pub(crate) count: u32,
    /// SHA-256 of all in its file that is not blocks.
    pub(crate) digest: [u8; 32],
}

/// Keys of one run, at most: positions are 32 bits wide.
pub(super) const MAX_RUN_KEYS: u32 = 1 << 31;

/// The layout of an entry, its first byte.
const VERSION: u8 = 1;

impl RunEntry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.level];
        bytes.extend(self.from.to_be_bytes());
        bytes.extend(self.to.to_be_bytes());
        bytes.extend(self.count.to_be_bytes());
        bytes.extend(self.digest);
        bytes
    }

    /// `None`: it is damaged, or of another layout.
    pub(crate) fn parse(id: u64, bytes: &[u8]) -> Option<Self> {
        let ([version, level], rest) = bytes.split_first_chunk::<2>()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (to, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let digest = rest.try_into().ok()?;
        let entry = Self {
            id,
            level: *level,
            from: u64::from_be_bytes(*from),
            to: u64::from_be_bytes(*to),
            count: u32::from_be_bytes(*count),
            digest,
        };
        (*version == VERSION && entry.from < entry.to).then_some(entry)
    }
}

/// Puts runs into their order, and says up to which index they cover the log.
///
/// # Errors
/// [`KeyIndexError::Gap`]: a run is missing, or there is one too many.
pub(super) fn put_in_order(runs: &mut [RunEntry]) -> Result<u64, KeyIndexError> {
    runs.sort_unstable_by_key(|run| run.from);
    let mut covered = 0;
    for run in &*runs {
        if run.from != covered {
            return Err(KeyIndexError::Gap { index: covered });
        }
        covered = run.to;
    }
    Ok(covered)
}

/// Runs that become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    /// They follow each other; the oldest first.
    pub(super) inputs: Vec<u64>,
    /// Of the run that they become.
    pub(super) level: u8,
    pub(super) range: Range<u64>,
    /// How many keys they have; one that several have is counted as often.
    pub(super) count: u32,
}

/// What to merge next, of the runs that nothing is done with yet, if it is on a level below
/// `below`: the smallest merges come first, so that a large one holds nothing up.
pub(super) fn next_merge(free: &[&RunEntry], fan_in: usize, below: u8) -> Option<Planned> {
    (0..below).find_map(|level| {
        let on_level = free.iter().copied().filter(|run| run.level == level);
        let oldest: Vec<_> = on_level.take(fan_in.max(2)).collect();
        (oldest.len() == fan_in.max(2)).then(|| merged(&oldest))?
    })
}

/// What becomes of runs. `None`: they do not follow each other, or would be too large.
fn merged(runs: &[&RunEntry]) -> Option<Planned> {
    let (first, last) = (runs.first()?, runs.last()?);
    let follow = runs.is_sorted_by(|earlier, later| earlier.to == later.from);
    let mut counts = runs.iter().map(|run| run.count);
    let count = counts.try_fold(0_u32, u32::checked_add)?;
    let planned = Planned {
        inputs: runs.iter().map(|run| run.id).collect(),
        level: first.level.checked_add(1)?,
        range: first.from..last.to,
        count,
    };
    (follow && count <= MAX_RUN_KEYS).then_some(planned)
}

/// The level of a run that did not come about by merging.
pub(crate) fn level_for(count: u32, run_keys: usize, fan_in: usize) -> u8 {
    let (run_keys, fan_in) = (run_keys.max(1), fan_in.max(2));
    let mut level = 0;
    let mut rest = usize::try_from(count).unwrap_or(usize::MAX) / run_keys;
    while rest >= fan_in {
        rest /= fan_in;
        level += 1;
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: u64, level: u8, from: u64, to: u64) -> RunEntry {
        RunEntry {
            id,
            level,
            from,
            to,
            count: u32::try_from(to - from).unwrap(),
            digest: [7; 32],
        }
    }

    #[test]
    fn entries_survive_a_round_trip() {
        let entry = run(3, 2, 10, 90);
        let bytes = entry.encode();
        assert_eq!(RunEntry::parse(3, &bytes), Some(entry));
        for cut in 0..bytes.len() {
            assert_eq!(RunEntry::parse(3, &bytes[..cut]), None, "{cut}");
        }
        let mut other = bytes;
        other[0] = 2;
        assert_eq!(RunEntry::parse(3, &other), None);
    }

    #[test]
    fn gap() {
        let check = |mut runs: Vec<RunEntry>, expected: Result<u64, u64>| {
            let found = put_in_order(&mut runs).map_err(|error| match error {
                KeyIndexError::Gap { index } => index,
                other => panic!("{other}"),
            });
            assert_eq!(found, expected);
        };
        check(vec![], Ok(0));
        check(vec![run(1, 1, 0, 5)], Ok(5));
        check(vec![run(3, 0, 5, 9), run(1, 1, 0, 5)], Ok(9));
        check(vec![run(3, 0, 5, 9)], Err(0));
        check(vec![run(1, 1, 0, 5), run(3, 0, 6, 9)], Err(5));
        check(vec![run(1, 1, 0, 5), run(3, 0, 4, 9)], Err(5));
    }

    #[test]
    fn the_oldest_of_the_lowest_level_are_merged() {
        let runs = [
            run(1, 1, 0, 10),
            run(2, 1, 10, 20),
            run(3, 0, 20, 21),
            run(4, 0, 21, 22),
            run(5, 0, 22, 23),
        ];
        let all: Vec<_> = runs.iter().collect();
        let check = |free: &[&RunEntry], fan_in, below, expected: &[u64]| {
            let found = next_merge(free, fan_in, below).map(|planned| planned.inputs);
            assert_eq!(found.unwrap_or_default(), expected);
        };
        check(&all, 2, u8::MAX, &[3, 4]);
        check(&all, 3, u8::MAX, &[3, 4, 5]);
        check(&all, 4, u8::MAX, &[]);
        check(&all[..3], 2, u8::MAX, &[1, 2]);
        check(&all[..3], 2, 1, &[]);
        let planned = Planned {
            inputs: vec![3, 4],
            level: 1,
            range: 20..22,
            count: 2,
        };
        assert_eq!(merged(&all[2..4]), Some(planned));
        assert_eq!(merged(&[all[2], all[4]]), None);
    }

    #[test]
    fn a_run_never_outgrows_its_positions() {
        let mut runs = [run(1, 5, 0, 10), run(2, 5, 10, 20)];
        runs.iter_mut().for_each(|run| run.count = MAX_RUN_KEYS / 2);
        let all: Vec<_> = runs.iter().collect();
        assert!(next_merge(&all, 2, u8::MAX).is_some());
        runs[0].count += 1;
        let all: Vec<_> = runs.iter().collect();
        assert!(next_merge(&all, 2, u8::MAX).is_none());
    }

    #[test]
    fn runs_stay_few_and_in_order_however_many_keys() {
        let mut runs: Vec<RunEntry> = Vec::new();
        for (id, from) in (1..).zip(0..4096_u64) {
            runs.push(run(id, 0, from, from + 1));
            loop {
                let all: Vec<_> = runs.iter().collect();
                let Some(planned) = next_merge(&all, 8, u8::MAX) else {
                    break;
                };
                let at = runs.iter().position(|run| run.id == planned.inputs[0]);
                let at = at.unwrap();
                let output = RunEntry {
                    id,
                    level: planned.level,
                    from: planned.range.start,
                    to: planned.range.end,
                    count: planned.count,
                    digest: [0; 32],
                };
                runs.splice(at..at + 8, [output]);
            }
            assert!(runs.is_sorted_by(|old, new| old.level >= new.level));
            assert_eq!(put_in_order(&mut runs).unwrap(), from + 1);
            assert!(runs.len() <= 7 * 4 + 1);
        }
        assert_eq!(runs.len(), 1);
    }

    #[test]
    fn levels_follow_from_sizes() {
        let check = |count, expected| assert_eq!(level_for(count, 100, 8), expected);
        check(0, 0);
        check(799, 0);
        check(800, 1);
        check(6399, 1);
        check(6400, 2);
    }
}
