//! Several runs become one, a piece at a time.

use std::sync::Arc;

use super::KeyIndexError;
use super::plan::{Planned, RunEntry};
use super::record::Record;
use super::run::{Run, RunReader, RunWriter, staged_name};
use crate::folder::Folder;

/// Records of one piece of work: about a megabyte.
const PIECE: u32 = 25_000;

/// A merge under way.
pub(super) struct Merge {
    heads: Vec<Head>,
    writer: RunWriter,
    id: u64,
    level: u8,
    replaces: Vec<u64>,
}

struct Head {
    record: Record,
    rest: RunReader,
}

/// A run that is durable, and that no commit names yet.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(super) run: Arc<Run>,
    /// The runs that it takes the place of; if it is none, that of rows.
    pub(crate) replaces: Vec<u64>,
}

impl Finished {
    /// What the database must say of it.
    pub(crate) fn entry(&self) -> &RunEntry {
        &self.run.entry
    }
}

impl Merge {
    /// `inputs` are the runs of the plan, `id` is the new one's.
    pub(super) fn begin(
        folder: &Arc<dyn Folder>,
        id: u64,
        planned: Planned,
        inputs: Vec<Arc<Run>>,
    ) -> Result<Self, KeyIndexError> {
        let Planned {
            inputs: replaces,
            level,
            range,
            count,
        } = planned;
        let writer = RunWriter::create(folder, id, level, range, count)?;
        let mut heads = Vec::new();
        for run in inputs {
            let mut rest = RunReader::new(run);
            if let Some(record) = rest.next()? {
                heads.push(Head { record, rest });
            }
        }
        Ok(Self {
            heads,
            writer,
            id,
            level,
            replaces,
        })
    }

    /// The level of the runs that are merged.
    pub(super) const fn input_level(&self) -> u8 {
        self.level - 1
    }

    pub(super) fn staged_name(&self) -> String {
        staged_name(self.id)
    }

    pub(super) fn replaces(&self, id: u64) -> bool {
        self.replaces.contains(&id)
    }

    /// Does a piece of it; whether that was all.
    pub(super) fn advance(&mut self) -> Result<bool, KeyIndexError> {
        for _ in 0..PIECE {
            let Some(key) = self.heads.iter().map(|head| head.record.key).min() else {
                return Ok(true);
            };
            let mut index = u64::MAX;
            let mut has_ended = false;
            for head in &mut self.heads {
                if head.record.key != key {
                    continue;
                }
                // A key keeps its first index.
                index = index.min(head.record.index);
                match head.rest.next()? {
                    Some(next) if next.key > key => head.record = next,
                    Some(_) => {
                        let run = head.rest.run().id;
                        return Err(KeyIndexError::OutOfOrder { run });
                    }
                    None => {
                        head.record.index = u64::MAX;
                        has_ended = true;
                    }
                }
            }
            if has_ended {
                self.heads
                    .retain(|head| head.record.key != key || head.record.index != u64::MAX);
            }
            self.writer.add(Record { key, index })?;
        }
        Ok(false)
    }

    /// Makes its run durable.
    pub(super) fn finish(self) -> Result<Finished, KeyIndexError> {
        Ok(Finished {
            run: Arc::new(self.writer.finish()?),
            replaces: self.replaces,
        })
    }
}
