//! The first stage: every submission gets its index, that of the same entry before it or a new one.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use waxseal_crypto::Time;
use waxseal_serve::BoxError;
use waxseal_tlog::MAX_ENTRY_BYTES;

use crate::append::{Pending, Told, refuse};
use crate::leap::ClockAhead;
use crate::shared::{ReadError, Shared};
use crate::state::LogState;
use crate::{AppendError, BundleKind, DedupKey, NewEntry, Record};

/// What a batch comes to before it is committed.
pub(crate) struct Batch {
    pub(crate) first_index: u64,
    pub(crate) entries: Vec<NewEntry>,
    pub(crate) places: Vec<Place>,
    /// The time of its entries: never before that of an earlier one. Why there is none: then there
    /// are no new ones.
    pub(crate) time: Result<Time, ClockAhead>,
    /// Keys of this batch's own entries.
    keys: HashMap<DedupKey, u64>,
}

/// Where a submission is in the log.
pub(crate) struct Place {
    pub(crate) pending: Pending,
    pub(crate) index: u64,
    pub(crate) is_duplicate: bool,
    /// The stored bytes, if they are not among the batch's own entries.
    pub(crate) stored: Option<Vec<u8>>,
}

impl Batch {
    /// Sequences submissions behind a state, in their order.
    ///
    /// # Errors
    /// All of them, and why: the ledger cannot say which of them it knows (S-18). One whose entry is
    /// known and cannot be read is refused alone.
    pub(crate) async fn sequence(
        shared: &Shared,
        state: &LogState,
        waiting: Vec<Pending>,
    ) -> Result<Self, (Vec<Pending>, ReadError)> {
        let keys: Vec<_> = waiting.iter().map(|one| one.submission.key()).collect();
        let found = match shared.ledger.find(&keys).await {
            Ok(found) if found.len() == keys.len() => found,
            Ok(_) => {
                let short = "the ledger answered for another number of keys";
                return Err((waiting, ReadError::Store(short.into())));
            }
            Err(error) => return Err((waiting, ReadError::Store(error.into()))),
        };
        let mut batch = Self {
            first_index: state.frontier.size(),
            entries: Vec::with_capacity(waiting.len()),
            places: Vec::with_capacity(waiting.len()),
            time: shared.leaps.next_time(state.time),
            keys: HashMap::new(),
        };
        for ((pending, key), found) in waiting.into_iter().zip(keys).zip(found) {
            if let Err((pending, error)) = batch.place(shared, pending, key, found).await {
                // It is known, and cannot be read: nobody else has to wait for that (S-18).
                let cause = Arc::<dyn Error + Send + Sync>::from(BoxError::from(error));
                refuse([pending], || AppendError::Store(Arc::clone(&cause)));
            }
        }
        Ok(batch)
    }

    async fn place(
        &mut self,
        shared: &Shared,
        pending: Pending,
        key: DedupKey,
        found: Option<u64>,
    ) -> Result<(), (Pending, ReadError)> {
        let mut key_is_free = true;
        if let Some(index) = found {
            key_is_free = false;
            if is_settled(shared, index) {
                if pending.is_not != Some(index) {
                    give_back(pending, index);
                    return Ok(());
                }
            } else {
                let stored = match shared.entry(index).await {
                    Ok(stored) => stored,
                    Err(error) => return Err((pending, error)),
                };
                // A key that leads to other bytes proves nothing (S-13, I6).
                if pending.submission.is_stored_as(&stored) {
                    self.push_duplicate(pending, index, Some(stored));
                    return Ok(());
                }
            }
        } else if let Some(index) = self.keys.get(&key).copied() {
            key_is_free = false;
            let stored = self.stored(index);
            if stored.is_some_and(|stored| pending.submission.is_stored_as(stored)) {
                self.push_duplicate(pending, index, None);
                return Ok(());
            }
        }
        self.push_new(shared, pending, key, key_is_free);
        Ok(())
    }

    fn push_duplicate(&mut self, pending: Pending, index: u64, stored: Option<Vec<u8>>) {
        self.places.push(Place {
            pending,
            index,
            is_duplicate: true,
            stored,
        });
    }

    fn push_new(&mut self, shared: &Shared, pending: Pending, key: DedupKey, key_is_free: bool) {
        let Ok(time) = self.time else {
            return refuse([pending], || AppendError::ClockAhead);
        };
        let index = u64::try_from(self.entries.len())
            .ok()
            .and_then(|count| self.first_index.checked_add(count));
        let record = index.and_then(|index| {
            let record = pending.submission.record(index, time)?;
            Some((index, record))
        });
        let Some((index, Record { stored, beside })) = record else {
            return refuse([pending], || AppendError::Full);
        };
        let length = stored.len();
        if shared.personality.bundles() == BundleKind::Entries && length > MAX_ENTRY_BYTES {
            return refuse([pending], || AppendError::EntryTooLong { length });
        }
        if key_is_free {
            self.keys.insert(key, index);
        }
        self.entries.push(NewEntry {
            key: key_is_free.then_some(key),
            stored,
            beside,
        });
        self.places.push(Place {
            pending,
            index,
            is_duplicate: false,
            stored: None,
        });
    }

    /// Everybody in it.
    pub(crate) fn waiting(self) -> impl Iterator<Item = Pending> {
        self.places.into_iter().map(|place| place.pending)
    }

    /// The places with the bytes of their entries; they are told once the batch is published.
    pub(crate) fn into_places(self) -> Vec<Place> {
        let mut stored: Vec<_> = self.entries.into_iter().map(|e| Some(e.stored)).collect();
        let mut places = self.places;
        // From the end: an entry's own submission stands before its duplicates, and takes the
        // bytes that they copy.
        for place in places.iter_mut().rev() {
            let position = place.index.checked_sub(self.first_index);
            let slot =
                position.and_then(|position| stored.get_mut(usize::try_from(position).ok()?));
            if let (Some(slot), None) = (slot, &place.stored) {
                place.stored = if place.is_duplicate {
                    slot.clone()
                } else {
                    slot.take()
                };
            }
        }
        places
    }

    fn stored(&self, index: u64) -> Option<&[u8]> {
        let position = usize::try_from(index.checked_sub(self.first_index)?).ok()?;
        self.entries
            .get(position)
            .map(|entry| entry.stored.as_slice())
    }
}

/// Whether an entry is read from objects, under a published checkpoint.
fn is_settled(shared: &Shared, index: u64) -> bool {
    index < shared.sealed.load(Ordering::Acquire) && index < shared.published.borrow().tree_size
}

/// Nobody waits here for a bundle to be read: whoever submits can compare.
fn give_back(pending: Pending, index: u64) {
    let Pending {
        submission, reply, ..
    } = pending;
    let _ = reply.send(Ok(Told::Sealed { index, submission }));
}
