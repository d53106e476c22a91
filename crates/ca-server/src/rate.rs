//! How often one identity may ask: a token bucket each, in a table of fixed size.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use waxseal_crypto::Time;
use waxseal_identity::Principal;

/// How many buckets there are; each takes 32 bytes.
const BUCKETS: usize = 16_384;

/// A rate: so many at once, and one more each so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    every: Duration,
}

impl Rate {
    /// So many within a minute, all at once or evenly; at least one.
    pub fn per_minute(count: u32) -> Self {
        let burst = count.max(1);
        Self {
            burst,
            every: Duration::from_secs(60) / burst,
        }
    }
}

/// The buckets.
///
/// An identity's place depends on a secret of the process, so that nobody chooses whom to share
/// with. Whoever comes to a place that another holds takes it over with a full bucket: memory is
/// bounded, and nobody is refused for what others do.
pub(crate) struct Rates {
    rate: Rate,
    hasher: RandomState,
    buckets: Mutex<Vec<Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    holder: u64,
    /// When the bucket is full again, were nothing more taken from it.
    full_at: Time,
}

impl Rates {
    pub(crate) fn new(rate: Rate) -> Self {
        let empty = Bucket {
            holder: 0,
            full_at: Time::UNIX_EPOCH,
        };
        Self {
            rate,
            hasher: RandomState::new(),
            buckets: Mutex::new(vec![empty; BUCKETS]),
        }
    }

    /// Takes one for a principal's certificate name.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take(&self, principal: &Principal, now: Time) -> Result<(), Duration> {
        self.take_for((principal.issuer(), principal.identity().as_str()), now)
    }

    fn take_for(&self, identity: (&str, &str), now: Time) -> Result<(), Duration> {
        let holder = self.hasher.hash_one(identity);
        let place = usize::try_from(self.hasher.hash_one(holder)).unwrap_or_default() % BUCKETS;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bucket) = buckets.get_mut(place) else {
            return Ok(());
        };
        if bucket.holder != holder {
            *bucket = Bucket {
                holder,
                full_at: now,
            };
        }
        let Rate { burst, every } = self.rate;
        // A clock that jumped back owes nobody more than a whole bucket.
        let owed = bucket.full_at.saturating_since(now).min(every * burst);
        let after = owed + every;
        if after > every * burst {
            return Err(after - every * burst);
        }
        bucket.full_at = now.checked_add(after).unwrap_or(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_unix_millis(1_767_225_600_000 + millis).unwrap()
    }

    #[test]
    fn a_burst_then_one_each_so_often() {
        let rates = Rates::new(Rate::per_minute(60));
        let check = |who, millis, expected: Result<(), u64>| {
            let expected = expected.map_err(Duration::from_millis);
            assert_eq!(
                rates.take_for(("i", who), at(millis)),
                expected,
                "{who} {millis}"
            );
        };
        for _ in 0..60 {
            check("a", 0, Ok(()));
        }
        check("a", 0, Err(1000));
        check("b", 0, Ok(()));
        check("a", 400, Err(600));
        check("a", 1000, Ok(()));
        check("a", 1000, Err(1000));
        // The clock jumps back by a minute: the debt is no larger than a bucket.
        let earlier = Time::from_unix(1_767_225_540).unwrap();
        assert_eq!(
            rates.take_for(("i", "a"), earlier),
            Err(Duration::from_secs(1))
        );
    }

    #[test]
    fn memory_is_bounded() {
        let rates = Rates::new(Rate::per_minute(1));
        for number in 0..3 * BUCKETS {
            assert_eq!(rates.take_for(("i", &number.to_string()), at(0)), Ok(()));
        }
        assert_eq!(rates.buckets.lock().unwrap().len(), BUCKETS);
        assert!(size_of::<Bucket>() <= 32);
    }
}
