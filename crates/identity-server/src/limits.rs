//! How often somebody may ask for codes and guess them (authority.md §2.6).

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waxseal_crypto::Time;

use crate::records::{read, write};
use crate::{RecordKey, RecordKind, Slot};

/// Wrong codes before the one that was sent is void.
pub(crate) const ATTEMPTS_PER_CODE: u32 = 5;

/// Time over which events are counted.
const HOUR: i64 = 3600;

/// Least time between two codes for one address.
const BETWEEN_CODES: i64 = 30;

/// One rule of the table: how many events in an hour, and how far apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    name: &'static str,
    per_hour: usize,
    apart: i64,
}

/// Codes sent to one address.
pub(crate) const CODES_PER_ADDRESS: Limit = Limit {
    name: "codes per address",
    per_hour: 5,
    apart: BETWEEN_CODES,
};

/// Codes that one client asked for.
pub(crate) const CODES_PER_PEER: Limit = Limit {
    name: "codes per peer",
    per_hour: 30,
    apart: 0,
};

/// Codes that one site asked for.
pub(crate) const CODES_PER_SITE: Limit = Limit {
    name: "codes per site",
    per_hour: 150,
    apart: 0,
};

/// Wrong codes for one address. Right ones do not count: they guess nothing.
pub(crate) const FAILURES_PER_ADDRESS: Limit = Limit {
    name: "failures per address",
    per_hour: 10,
    apart: 0,
};

/// Wrong codes from one client.
pub(crate) const FAILURES_PER_PEER: Limit = Limit {
    name: "failures per peer",
    per_hour: 20,
    apart: 0,
};

/// Wrong codes from one site. One with IPv6 has thousands of clients' networks, and would reach the
/// limit in all by itself, which keeps everybody out.
pub(crate) const FAILURES_PER_SITE: Limit = Limit {
    name: "failures per site",
    per_hour: 100,
    apart: 0,
};

/// Wrong codes in all: many clients against many addresses. At this rate the chance of one hit in
/// a year is below one in two. It is of short codes alone: whoever reaches it on purpose would keep
/// everybody out, so before it is reached codes become long ([`Limit::is_half_used`]): at those a
/// million clients, each at its own limit, hit one in a year with a chance of one in six.
pub(crate) const FAILURES_IN_ALL: Limit = Limit {
    name: "failures in all",
    per_hour: 5000,
    apart: 0,
};

/// Tokens that one account of an issuer was given in exchange.
pub(crate) const EXCHANGES_PER_ACCOUNT: Limit = Limit {
    name: "exchanges per account",
    per_hour: 600,
    apart: 0,
};

/// Devices that asked for codes from one client.
pub(crate) const DEVICES_PER_PEER: Limit = Limit {
    name: "devices per peer",
    per_hour: 120,
    apart: 0,
};

/// Devices that asked for codes from one site: of very many waiting codes a mistyped one hits some.
pub(crate) const DEVICES_PER_SITE: Limit = Limit {
    name: "devices per site",
    per_hour: 600,
    apart: 0,
};

/// Codes that one client brought from a provider, and the provider had never given: each costs a
/// request of ours, in our name. Colleagues behind one address should not feel it.
pub(crate) const FORGED_CODES_PER_PEER: Limit = Limit {
    name: "forged codes per peer",
    per_hour: 300,
    apart: 0,
};

/// Wrong user codes from one client. A session of its own would not bind it, for who guesses drops
/// the cookie; and of a thousand waiting codes, one guess hits any with a chance of 4·10⁻⁸.
pub(crate) const USER_CODES_PER_PEER: Limit = Limit {
    name: "user codes per peer",
    per_hour: 20,
    apart: 0,
};

/// The same from one site.
pub(crate) const USER_CODES_PER_SITE: Limit = Limit {
    name: "user codes per site",
    per_hour: 100,
    apart: 0,
};

/// Wrong user codes in all; of short ones alone, as with [`FAILURES_IN_ALL`].
pub(crate) const USER_CODES_IN_ALL: Limit = Limit {
    name: "user codes in all",
    per_hour: 5000,
    apart: 0,
};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Window {
    /// Seconds since the epoch, oldest first.
    times: Vec<i64>,
}

impl Limit {
    /// The record that counts the events of `whom`.
    pub(crate) fn key(self, whom: &str) -> RecordKey {
        RecordKey::new(RecordKind::Limit, &[self.name.as_bytes(), whom.as_bytes()])
    }

    /// Whether one more event may happen now; if not, how long to wait.
    pub(crate) fn admit(self, slot: Option<&Slot>, now: Time) -> Result<(), Duration> {
        let window = self.window(slot, now);
        let now = now.unix_seconds();
        let crowded = (window.times.len() >= self.per_hour)
            .then(|| window.times.first().map_or(0, |oldest| oldest + HOUR - now));
        let close = window
            .times
            .last()
            .map_or(0, |last| last + self.apart - now);
        let wait = crowded.unwrap_or(0).max(close);
        if wait <= 0 {
            Ok(())
        } else {
            Err(Duration::from_secs(u64::try_from(wait).unwrap_or(0)))
        }
    }

    /// Whether half of the events have happened.
    pub(crate) fn is_half_used(self, slot: Option<&Slot>, now: Time) -> bool {
        self.window(slot, now).times.len() >= self.per_hour / 2
    }

    /// Counts one event.
    pub(crate) fn note(self, slot: Option<&mut Slot>, now: Time) {
        let mut window = self.window(slot.as_deref(), now);
        window.times.push(now.unix_seconds());
        write(slot, &window, now.unix_seconds() + HOUR);
    }

    fn window(self, slot: Option<&Slot>, now: Time) -> Window {
        let mut window: Window = read(slot).unwrap_or_default();
        let start = now.unix_seconds() - HOUR;
        window.times.retain(|time| *time > start);
        // A clock that was ahead must not keep anybody out until it gets there again.
        for time in &mut window.times {
            *time = now.unix_seconds().min(*time);
        }
        window
    }
}

/// How many events in an hour where there may be thousands: they are counted, not remembered one
/// by one, and the hour does not slide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    name: &'static str,
    per_hour: u32,
}

/// Log-ins that one site began, and visits to providers: each is a record until it expires. A whole
/// company may be behind one address, and five a second are enough for it.
pub(crate) const LOGINS_PER_SITE: Quota = Quota {
    name: "log-ins per site",
    per_hour: 18_000,
};

/// Audit lines about what a limit refused. Refusals have no limit themselves, and a flood of them
/// must not fill the disk, nor hide the lines that matter.
pub(crate) const LINES_ABOUT_LIMITS: Quota = Quota {
    name: "lines about limits",
    per_hour: 1000,
};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally {
    /// Seconds since the epoch.
    since: i64,
    count: u32,
}

impl Quota {
    /// The record that counts the events of `whom`.
    pub(crate) fn key(self, whom: &str) -> RecordKey {
        RecordKey::new(RecordKind::Limit, &[self.name.as_bytes(), whom.as_bytes()])
    }

    /// Counts one more event, if it may happen; if not, says how long to wait.
    pub(crate) fn take(self, slot: Option<&mut Slot>, now: Time) -> Result<(), Duration> {
        let now = now.unix_seconds();
        let tally: Option<Tally> = read(slot.as_deref());
        // Also after a clock that was ahead.
        let lasts = |tally: &Tally| (tally.since..tally.since + HOUR).contains(&now);
        let mut tally = tally.filter(lasts).unwrap_or(Tally {
            since: now,
            count: 0,
        });
        let end = tally.since + HOUR;
        if tally.count >= self.per_hour {
            return Err(Duration::from_secs(u64::try_from(end - now).unwrap_or(0)));
        }
        tally.count += 1;
        write(slot, &tally, end);
        Ok(())
    }
}

/// A client's address as limits see it: an IPv6 client has a whole /64 to choose from.
pub(crate) fn peer_name(peer: Option<IpAddr>) -> String {
    match peer.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// The site that a client's address is of: with IPv6 a /48, the most that one gets (RFC 6177).
pub(crate) fn site_name(peer: Option<IpAddr>) -> String {
    match peer.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
        peer => peer_name(peer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix(1_767_225_600 + seconds).unwrap()
    }

    #[test]
    fn an_hour_slides() {
        let mut slot = Slot::default();
        for minute in 0..5 {
            assert_eq!(
                CODES_PER_ADDRESS.admit(Some(&slot), at(minute * 60)),
                Ok(())
            );
            CODES_PER_ADDRESS.note(Some(&mut slot), at(minute * 60));
        }
        let wait = |seconds| CODES_PER_ADDRESS.admit(Some(&slot), at(seconds));
        assert_eq!(wait(300), Err(Duration::from_secs(3300)));
        assert_eq!(wait(3599), Err(Duration::from_secs(1)));
        assert_eq!(wait(3600), Ok(()));
    }

    #[test]
    fn codes_are_apart() {
        let mut slot = Slot::default();
        CODES_PER_ADDRESS.note(Some(&mut slot), at(0));
        assert_eq!(
            CODES_PER_ADDRESS.admit(Some(&slot), at(29)),
            Err(Duration::from_secs(1))
        );
        assert_eq!(CODES_PER_ADDRESS.admit(Some(&slot), at(30)), Ok(()));
    }

    #[test]
    fn a_clock_that_was_ahead_keeps_nobody_out() {
        let mut slot = Slot::default();
        let ahead = 365 * 24 * 3600;
        for minute in 0..5 {
            CODES_PER_ADDRESS.note(Some(&mut slot), at(ahead + minute * 60));
        }
        let wait = |seconds| CODES_PER_ADDRESS.admit(Some(&slot), at(seconds));
        assert_eq!(wait(0), Err(Duration::from_secs(3600)));
        // What is noted now is written with times that have been.
        let mut slot = slot.clone();
        CODES_PER_ADDRESS.note(Some(&mut slot), at(0));
        assert_eq!(CODES_PER_ADDRESS.admit(Some(&slot), at(3600)), Ok(()));
    }

    #[test]
    fn a_quota_is_for_an_hour() {
        let (mut slot, quota) = (Slot::default(), LINES_ABOUT_LIMITS);
        let mut take = |seconds| quota.take(Some(&mut slot), at(seconds));
        for event in 0..1000 {
            assert_eq!(take(event), Ok(()));
        }
        assert_eq!(take(1800), Err(Duration::from_secs(1800)));
        assert_eq!(take(3599), Err(Duration::from_secs(1)));
        assert_eq!(take(3600), Ok(()));
        assert_eq!(take(-9000), Ok(()));
        let bytes = slot.record.unwrap().0;
        assert!(bytes.len() < 64, "{}", bytes.len());
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let check = |text: &str, expected: &str| {
            assert_eq!(peer_name(Some(text.parse().unwrap())), expected);
        };
        check("192.0.2.1", "192.0.2.1");
        check("::ffff:192.0.2.1", "192.0.2.1");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        check("2001:db8:1:2::1", "2001:db8:1:2::/64");
        assert_eq!(peer_name(None), "unknown");
        let site = |text: &str| site_name(Some(text.parse().unwrap()));
        assert_eq!(site("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
        assert_eq!(site("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(site_name(None), "unknown");
    }
}
