//! `google.protobuf.Timestamp` and `dev.sigstore.common.v1.TimeRange`.

use std::fmt;

/// Seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the ends of protobuf's range.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// An instant: seconds since the Unix epoch and nanoseconds (less than 10⁹) within that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z, rounded down.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

impl Timestamp {
    /// Reads RFC 3339 with up to nine digits of fraction, `Z` or an offset, as protojson does.
    /// `None` if it is malformed or outside years 0001 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let (date_time, rest) = text.as_bytes().split_at_checked(19)?;
        let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if punctuation
            .iter()
            .any(|(at, byte)| date_time.get(*at) != Some(byte))
        {
            return None;
        }
        let part = |from: usize, to: usize| digits(date_time.get(from..to)?);
        let (fraction, zone) = match rest.split_first() {
            Some((b'.', after)) => {
                let end = after.iter().position(|byte| !byte.is_ascii_digit())?;
                if end == 0 {
                    return None;
                }
                after.split_at_checked(end)?
            }
            _ => (&[][..], rest),
        };
        let missing_digits = u32::try_from(9usize.checked_sub(fraction.len())?).ok()?;
        let nanos = digits(fraction)? * 10u32.pow(missing_digits);
        let offset = match zone {
            b"Z" => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let seconds = i64::from(hours * 3600 + minutes * 60);
                if *sign == b'+' { seconds } else { -seconds }
            }
            _ => return None,
        };
        let (year, month, day) = (i64::from(part(0, 4)?), part(5, 7)?, part(8, 10)?);
        let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
        if !(1..=12).contains(&month)
            || !(1..=days_in_month(year, month)).contains(&day)
            || hour > 23
            || minute > 59
            || second > 59
        {
            return None;
        }
        let of_day = i64::from(hour * 3600 + minute * 60 + second);
        let seconds = days_from_civil(year, month, day) * 86_400 + of_day - offset;
        RANGE.contains(&seconds).then_some(Self { seconds, nanos })
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; the fraction has 0, 3, 6 or 9 digits, as protojson writes it. An instant
    /// outside years 0001 to 9999 is written as the nearest end of that range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds.clamp(*RANGE.start(), *RANGE.end());
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match self.nanos {
            0 => {}
            nanos if nanos % 1_000_000 == 0 => write!(f, ".{:03}", nanos / 1_000_000)?,
            nanos if nanos % 1000 == 0 => write!(f, ".{:06}", nanos / 1000)?,
            nanos => write!(f, ".{nanos:09}")?,
        }
        f.write_str("Z")
    }
}

/// A range of time; both ends belong to it (the public suite demands inclusive ends).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    /// Its first instant. A range without one contains nothing.
    pub start: Option<Timestamp>,
    /// Its last instant, if it has ended or will.
    pub end: Option<Timestamp>,
}

impl TimeRange {
    /// Whether an instant lies in the range, its ends included.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start.is_some_and(|start| start <= time) && self.end.is_none_or(|end| time <= end)
    }
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u32::from(byte - b'0'))
    })
}

const fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01; years are counted from March, so that a leap day comes last.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<(i64, u32)>) {
        let parsed = Timestamp::parse(text).map(|time| (time.seconds, time.nanos));
        assert_eq!(parsed, expected, "{text}");
    }

    #[test]
    fn rfc3339_is_read() {
        check("1970-01-01T00:00:00Z", Some((0, 0)));
        check("2021-01-12T11:53:27.000Z", Some((1_610_452_407, 0)));
        check(
            "2021-01-12T12:53:27.5+01:00",
            Some((1_610_452_407, 500_000_000)),
        );
        check("1969-12-31T23:59:59.999999999Z", Some((-1, 999_999_999)));
        check("2024-02-29T00:00:00Z", Some((1_709_164_800, 0)));
        check("0001-01-01T00:00:00Z", Some((*RANGE.start(), 0)));
        check("9999-12-31T23:59:59Z", Some((*RANGE.end(), 0)));
        for text in [
            "",
            "2026-11-25",
            "2026-11-25T00:00:00",
            "2026-11-25T00:00:00.Z",
            "2026-11-25T00:00:00.1234567890Z",
            "2026-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2026-11-25T24:00:00Z",
            "2026-11-25T00:00:60Z",
            "2026-11-25 00:00:00Z",
            "2026-11-25t00:00:00Z",
            "2026-11-25T00:00:00z",
            "2026-11-25T00:00:00+2:00",
            "2026-11-25T00:00:00+24:00",
            "0000-12-31T23:59:59Z",
            "9999-12-31T23:59:59-00:01",
            "２026-11-25T00:00:00Z",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn ranges_include_their_ends() {
        let at = |seconds| Timestamp { seconds, nanos: 0 };
        let closed = TimeRange {
            start: Some(at(10)),
            end: Some(at(20)),
        };
        for (seconds, expected) in [(9, false), (10, true), (20, true), (21, false)] {
            assert_eq!(closed.contains(at(seconds)), expected);
        }
        assert!(!closed.contains(Timestamp {
            seconds: 20,
            nanos: 1
        }));
        assert!(
            TimeRange {
                end: None,
                ..closed
            }
            .contains(at(i64::MAX))
        );
        assert!(
            !TimeRange {
                start: None,
                ..closed
            }
            .contains(at(15))
        );
    }

    proptest! {
        #[test]
        fn every_instant_survives_a_round_trip(seconds in RANGE, nanos in 0..1_000_000_000u32) {
            let time = Timestamp { seconds, nanos };
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        }
    }
}
