//! `expiry-time=`, as `misc.c:parse_absolute_time` reads it.

/// When a line ends. A time without `Z` or `UTC` is in the time zone of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    /// Seconds since the epoch, the clock time taken for UTC.
    pub clock: i64,
    /// Whether it was given in UTC.
    pub utc: bool,
}

/// The zones of the world lie between UTC−12 and UTC+14.
const WEST: i64 = 12 * 3600;
const EAST: i64 = 14 * 3600;

impl Expiry {
    /// Parses YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with `Z` or `UTC` at the end for UTC.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let suffixes: [&[u8]; 2] = [b"Z", b"UTC"];
        let bare = suffixes.into_iter().find_map(|suffix| {
            let (head, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
            (!head.is_empty() && tail.eq_ignore_ascii_case(suffix)).then_some(head)
        });
        let digits = bare.unwrap_or(text);
        if !matches!(digits.len(), 8 | 12 | 14) {
            return None;
        }
        let field = |start: usize, width: usize| number(digits.get(start..start + width)?);
        let later = |start: usize| if digits.len() > start { field(start, 2) } else { Some(0) };
        let (year, month, day) = (field(0, 4)?, field(4, 2)?, field(6, 2)?);
        let (hour, minute, second) = (later(8)?, later(10)?, later(12)?);
        // The ranges of strptime(3); a day past the end of its month rolls over, as in mktime(3).
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 61 {
            return None;
        }
        let clock = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        (clock > 0).then_some(Self { clock, utc: bare.is_some() })
    }

    /// Whether it has passed (`auth2-pubkeyfile.c`: the last second still counts). None: it depends on the host's time
    /// zone.
    pub fn passed(self, now: i64) -> Option<bool> {
        let (earliest, latest) =
            if self.utc { (self.clock, self.clock) } else { (self.clock - EAST, self.clock + WEST) };
        match (earliest < now, latest < now) {
            (true, true) => Some(true),
            (false, _) => Some(false),
            (true, false) => None,
        }
    }
}

/// A number of `strptime(3)`: spaces, then digits to the end.
fn number(field: &[u8]) -> Option<i64> {
    let digits = field.trim_ascii_start();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

/// Days from the epoch to a date of the Gregorian calendar, counted in eras of 400 years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, in_era) = (year.div_euclid(400), year.rem_euclid(400));
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}
