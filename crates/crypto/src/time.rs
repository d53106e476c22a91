//! One instant: seconds and nanoseconds since the Unix epoch, UTC, without leap seconds.

use std::fmt;
use std::time::Duration;

/// An instant in UTC, from year 0001 to 9999, with nanoseconds (an SCT needs milliseconds).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    seconds: i64,
    nanos: u32,
}

/// Why a text or a number is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The instant lies outside years 0001 to 9999 (RFC 3339 §5.6 has four digits of year).
    #[error("time out of range: expected a year from 0001 to 9999")]
    OutOfRange,
    /// The text is not an RFC 3339 timestamp.
    #[error("malformed time: expected RFC 3339, such as 2026-01-01T00:00:00Z")]
    Malformed,
}

const MIN_SECONDS: i64 = -62_135_596_800;
const MAX_SECONDS: i64 = 253_402_300_799;

impl Time {
    /// The Unix epoch.
    pub const UNIX_EPOCH: Self = Self {
        seconds: 0,
        nanos: 0,
    };

    /// An instant from seconds since the epoch and nanoseconds (less than 10⁹) within that second.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside years 0001–9999 or with 10⁹ or more nanoseconds.
    pub const fn new(seconds: i64, nanos: u32) -> Result<Self, TimeError> {
        if seconds < MIN_SECONDS || seconds > MAX_SECONDS || nanos >= 1_000_000_000 {
            return Err(TimeError::OutOfRange);
        }
        Ok(Self { seconds, nanos })
    }

    /// An instant from whole seconds since the epoch.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] outside years 0001–9999.
    pub const fn from_unix(seconds: i64) -> Result<Self, TimeError> {
        Self::new(seconds, 0)
    }

    /// An instant from milliseconds since the epoch (RFC 6962 §3.2 counts so).
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] beyond year 9999.
    pub fn from_unix_millis(millis: u64) -> Result<Self, TimeError> {
        let seconds = i64::try_from(millis / 1000).map_err(|_| TimeError::OutOfRange)?;
        let nanos = u32::try_from(millis % 1000).map_err(|_| TimeError::OutOfRange)? * 1_000_000;
        Self::new(seconds, nanos)
    }

    /// Seconds since the epoch, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds within the second, less than 10⁹.
    pub const fn subsec_nanos(self) -> u32 {
        self.nanos
    }

    /// Milliseconds since the epoch, rounded down; zero before the epoch.
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.seconds).map_or(0, |s| {
            s.saturating_mul(1000)
                .saturating_add(u64::from(self.nanos / 1_000_000))
        })
    }

    /// This instant moved forward; `None` past year 9999.
    #[must_use]
    pub fn checked_add(self, by: Duration) -> Option<Self> {
        let mut seconds = self
            .seconds
            .checked_add(i64::try_from(by.as_secs()).ok()?)?;
        let mut nanos = self.nanos + by.subsec_nanos();
        if nanos >= 1_000_000_000 {
            nanos -= 1_000_000_000;
            seconds = seconds.checked_add(1)?;
        }
        Self::new(seconds, nanos).ok()
    }

    /// This instant moved back; `None` before year 0001.
    #[must_use]
    pub fn checked_sub(self, by: Duration) -> Option<Self> {
        let mut seconds = self
            .seconds
            .checked_sub(i64::try_from(by.as_secs()).ok()?)?;
        let nanos = if self.nanos >= by.subsec_nanos() {
            self.nanos - by.subsec_nanos()
        } else {
            seconds = seconds.checked_sub(1)?;
            self.nanos + 1_000_000_000 - by.subsec_nanos()
        };
        Self::new(seconds, nanos).ok()
    }

    /// The same instant without its fraction of a second.
    #[must_use]
    pub const fn truncated_to_second(self) -> Self {
        Self {
            seconds: self.seconds,
            nanos: 0,
        }
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        if self <= earlier {
            return Duration::ZERO;
        }
        let mut seconds = self.seconds - earlier.seconds;
        let nanos = if self.nanos >= earlier.nanos {
            self.nanos - earlier.nanos
        } else {
            seconds -= 1;
            self.nanos + 1_000_000_000 - earlier.nanos
        };
        Duration::new(u64::try_from(seconds).unwrap_or(0), nanos)
    }

    /// Year, month, day, hour, minute, second in UTC (proleptic Gregorian).
    pub fn to_civil(self) -> (i64, u32, u32, u32, u32, u32) {
        let days = self.seconds.div_euclid(86_400);
        let rest = u32::try_from(self.seconds.rem_euclid(86_400)).unwrap_or(0);
        let (year, month, day) = civil_from_days(days);
        (year, month, day, rest / 3600, rest / 60 % 60, rest % 60)
    }

    /// An instant from a civil date and time in UTC.
    ///
    /// # Errors
    /// [`TimeError::Malformed`] if a field is out of its range (second 60 included), and
    /// [`TimeError::OutOfRange`] outside years 0001–9999.
    pub fn from_civil(
        year: i64,
        month: u32,
        day: u32,
        hour: u32,
        minute: u32,
        second: u32,
    ) -> Result<Self, TimeError> {
        if !(1..=9999).contains(&year) {
            return Err(TimeError::OutOfRange);
        }
        if !(1..=12).contains(&month)
            || !(1..=days_in_month(year, month)).contains(&day)
            || hour > 23
            || minute > 59
            || second > 59
        {
            return Err(TimeError::Malformed);
        }
        let of_day = i64::from(hour * 3600 + minute * 60 + second);
        Self::from_unix(days_from_civil(year, month, day) * 86_400 + of_day)
    }

    /// Parses RFC 3339 (protojson's `Timestamp`): `2026-01-01T00:00:00.123Z`, offsets included.
    ///
    /// # Errors
    /// [`TimeError::Malformed`] or [`TimeError::OutOfRange`].
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        parse_rfc3339(text.as_bytes()).ok_or(TimeError::Malformed)?
    }
}

fn parse_rfc3339(text: &[u8]) -> Option<Result<Time, TimeError>> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if punctuation
        .iter()
        .any(|(at, c)| date_time.get(*at) != Some(c))
    {
        return None;
    }
    let field = |from: usize, to: usize| digits(date_time.get(from..to)?);
    let (fraction, zone) = match rest.split_first() {
        Some((b'.', after)) => {
            let end = after.iter().position(|c| !c.is_ascii_digit())?;
            after.split_at_checked(end)?
        }
        _ => (&[][..], rest),
    };
    if fraction.len() > 9 || (rest.first() == Some(&b'.') && fraction.is_empty()) {
        return None;
    }
    let mut nanos = digits(fraction)?;
    for _ in fraction.len()..9 {
        nanos *= 10;
    }
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
    let civil = Time::from_civil(
        i64::from(field(0, 4)?),
        field(5, 7)?,
        field(8, 10)?,
        field(11, 13)?,
        field(14, 16)?,
        field(17, 19)?,
    );
    Some(civil.and_then(|t| Time::new(t.seconds - offset, nanos)))
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |n, c| {
        c.is_ascii_digit().then(|| n * 10 + u32::from(c - b'0'))
    })
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a civil date; years are counted from March so that leap days come last.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (
        year,
        u32::try_from(month).unwrap_or(1),
        u32::try_from(day).unwrap_or(1),
    )
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC; the fraction has 0, 3, 6 or 9 digits, as protojson writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second) = self.to_civil();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match self.nanos {
            0 => {}
            n if n % 1_000_000 == 0 => write!(f, ".{:03}", n / 1_000_000)?,
            n if n % 1000 == 0 => write!(f, ".{:06}", n / 1000)?,
            n => write!(f, ".{n:09}")?,
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &Result<(i64, u32), TimeError>) {
        let parsed = Time::parse_rfc3339(text).map(|t| (t.seconds, t.nanos));
        assert_eq!(&parsed, expected, "{text}");
    }

    #[test]
    fn rfc3339_is_parsed() {
        check("1970-01-01T00:00:00Z", &Ok((0, 0)));
        check("2026-11-25T00:38:00.5Z", &Ok((1_795_567_080, 500_000_000)));
        check("2026-11-25T02:38:00+02:00", &Ok((1_795_567_080, 0)));
        check("1969-12-31T23:59:59.999999999Z", &Ok((-1, 999_999_999)));
        check("0001-01-01T00:00:00Z", &Ok((MIN_SECONDS, 0)));
        check("9999-12-31T23:59:59Z", &Ok((MAX_SECONDS, 0)));
        check("2024-02-29T00:00:00Z", &Ok((1_709_164_800, 0)));
    }

    #[test]
    fn malformed() {
        for text in [
            "",
            "2026-11-25",
            "2026-11-25T00:00:00",
            "2026-11-25T00:00:00.Z",
            "2026-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2026-11-25T24:00:00Z",
            "2026-11-25T00:00:60Z",
            "2026-11-25 00:00:00Z",
            "2026-11-25T00:00:00.1234567890Z",
            "2026-11-25T00:00:00+2:00",
            "2026-11-25T00:00:00z",
            "+026-11-25T00:00:00Z",
        ] {
            check(text, &Err(TimeError::Malformed));
        }
    }

    #[test]
    fn out_of_range() {
        check("0000-01-01T00:00:00Z", &Err(TimeError::OutOfRange));
        check("9999-12-31T23:59:59-00:01", &Err(TimeError::OutOfRange));
        assert_eq!(Time::from_unix(i64::MAX), Err(TimeError::OutOfRange));
        assert_eq!(Time::new(0, 1_000_000_000), Err(TimeError::OutOfRange));
        assert_eq!(Time::from_unix_millis(u64::MAX), Err(TimeError::OutOfRange));
    }

    #[test]
    fn every_day_survives_a_round_trip() {
        for day in (MIN_SECONDS / 86_400..MAX_SECONDS / 86_400).step_by(97) {
            let time = Time::from_unix(day * 86_400 + 86_399).unwrap();
            assert_eq!(Time::parse_rfc3339(&time.to_string()), Ok(time));
        }
    }

    #[test]
    fn arithmetic_carries() {
        let time = Time::new(10, 900_000_000).unwrap();
        let later = time.checked_add(Duration::from_millis(200)).unwrap();
        assert_eq!((later.seconds, later.nanos), (11, 100_000_000));
        assert_eq!(later.checked_sub(Duration::from_millis(200)), Some(time));
        assert_eq!(later.saturating_since(time), Duration::from_millis(200));
        assert_eq!(time.saturating_since(later), Duration::ZERO);
    }
}
