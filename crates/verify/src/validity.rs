//! Windows of validity: closed intervals, both ends included.

use waxseal_crypto::Time;

/// When a key may be used. Both ends belong to the window (`TimeRange` of protobuf-specs); an end
/// that is absent is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ValidFor {
    /// The first instant, if there is a first one.
    pub start: Option<Time>,
    /// The last instant, if there is a last one.
    pub end: Option<Time>,
}

impl ValidFor {
    /// A window; `None` is open.
    pub const fn new(start: Option<Time>, end: Option<Time>) -> Self {
        Self { start, end }
    }

    /// At all times.
    pub const fn always() -> Self {
        Self::new(None, None)
    }

    /// Whether an instant is in the window.
    pub fn contains(&self, time: Time) -> bool {
        self.start.is_none_or(|start| start <= time) && self.end.is_none_or(|end| time <= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn v_22_both_ends_are_included() {
        let at = |seconds| Time::from_unix(seconds).unwrap();
        let tick = Duration::from_nanos(1);
        let before = |time: Time| time.checked_sub(tick).unwrap();
        let after = |time: Time| time.checked_add(tick).unwrap();
        let check = |window: ValidFor, time, expected| {
            assert_eq!(window.contains(time), expected, "{window:?} at {time}");
        };
        let closed = ValidFor::new(Some(at(100)), Some(at(200)));
        check(closed, before(at(100)), false);
        check(closed, at(100), true);
        check(closed, after(at(100)), true);
        check(closed, before(at(200)), true);
        check(closed, at(200), true);
        check(closed, after(at(200)), false);
        check(ValidFor::new(Some(at(100)), None), at(99), false);
        check(ValidFor::new(Some(at(100)), None), at(1 << 33), true);
        check(ValidFor::new(None, Some(at(100))), at(-1), true);
        check(ValidFor::new(None, Some(at(100))), at(101), false);
        check(ValidFor::always(), at(0), true);
        check(ValidFor::new(Some(at(200)), Some(at(100))), at(150), false);
    }
}
