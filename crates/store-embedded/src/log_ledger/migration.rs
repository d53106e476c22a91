//! From the first layout, which kept every key in a table of its own.
//!
//! The table is sorted: it is written as one run, and one transaction names that run and drops the
//! table. Until then nothing has changed, and a file that was written is removed at the next start.
//! A program that knows the first layout only does not open the new one: the table of that name is
//! of another type.

use std::sync::Arc;

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition, TableError,
};

use super::keys::{self, KeyIndexError, KeyShape, Record, RunEntry, WriteRunError};
use super::{KEYS, LedgerOpenError, RUNS};
use crate::folder::Folder;

/// Deduplication key → index.
const FIRST_LAYOUT: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("keys");

/// Migrates what is of the first layout: its runs then. `None` if nothing is.
pub(super) fn migrate(
    database: &mut Database,
    folder: &Arc<dyn Folder>,
    shape: KeyShape,
) -> Result<Option<Vec<RunEntry>>, LedgerOpenError> {
    let records = |error| LedgerOpenError::Records(Box::new(error));
    let written = write(database, folder, shape).map_err(|error| match error {
        WriteRunError::Source(error) => records(error),
        WriteRunError::Keys(error) => error.into(),
    })?;
    let Some(run) = written else {
        return Ok(None);
    };
    name(database, run.as_ref()).map_err(records)?;
    // Every commit writes down which pages of the file are free: a file that is mostly free would
    // make every one of them dearer.
    match database.compact() {
        Ok(_) => tracing::info!("the ledger's keys are in files of their own now"),
        Err(error) => tracing::warn!(%error, "the ledger's file was not made smaller"),
    }
    Ok(Some(run.into_iter().collect()))
}

/// The table as a run; `Some(None)`: it is empty.
#[expect(
    clippy::option_option,
    reason = "no table, an empty table, and a table of keys are three things"
)]
fn write(
    database: &Database,
    folder: &Arc<dyn Folder>,
    shape: KeyShape,
) -> Result<Option<Option<RunEntry>>, WriteRunError> {
    let reading = database.begin_read().map_err(redb::Error::from)?;
    let table = match reading.open_table(FIRST_LAYOUT) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => {
            return Ok(None);
        }
        Err(error) => return Err(redb::Error::from(error).into()),
    };
    let count = table.len().map_err(redb::Error::from)?;
    if count == 0 {
        return Ok(Some(None));
    }
    let count = u32::try_from(count).map_err(|_| KeyIndexError::TooLarge { run: 0 })?;
    let mut to = 0;
    for row in table.iter().map_err(redb::Error::from)? {
        let (_, index) = row.map_err(redb::Error::from)?;
        to = to.max(index.value().saturating_add(1));
    }
    let entry = RunEntry {
        id: 0,
        level: keys::level_for(count, shape.run_keys, shape.fan_in),
        from: 0,
        to,
        count,
        digest: [0; 32],
    };
    let rows = table.iter().map_err(redb::Error::from)?.map(|row| {
        let (key, index) = row?;
        Ok(Record {
            key: *key.value(),
            index: index.value(),
        })
    });
    keys::write_run(folder, &entry, rows).map(|entry| Some(Some(entry)))
}

/// One transaction: the run is there, the table is not.
fn name(database: &Database, run: Option<&RunEntry>) -> Result<(), redb::Error> {
    let mut writing = database.begin_write()?;
    writing.set_quick_repair(true);
    writing.delete_table(FIRST_LAYOUT)?;
    writing.open_table(KEYS)?;
    {
        let mut runs = writing.open_table(RUNS)?;
        if let Some(run) = run {
            runs.insert(run.id, run.encode().as_slice())?;
        }
    }
    writing.commit()?;
    Ok(())
}
