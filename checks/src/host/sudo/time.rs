//! `NOTBEFORE` and `NOTAFTER`: times in the form of `parse_gentime` (`20300131235959Z`).

use crate::observation::UnixSeconds;

/// The moment that such a time names. None: not understood, or in the host's own time zone, which is not known here.
pub(super) fn moment(text: &[u8]) -> Option<UnixSeconds> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let part = |at: usize, length: usize| text.get(at..at + length).and_then(|part| part.parse::<i64>().ok());
    let seconds = match digits {
        10 => 0,
        12 => part(10, 2)? * 60,
        14 => part(10, 2)? * 60 + part(12, 2)?,
        _ => return None,
    };
    let (year, month, day, hour) = (part(0, 4)?, part(4, 2)?, part(6, 2)?, part(8, 2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 {
        return None;
    }
    let zone = text.get(digits..)?;
    let offset = match zone.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, _, _] => {
            let (hours, minutes) = (zone.get(1..3)?.parse::<i64>().ok()?, zone.get(3..5)?.parse::<i64>().ok()?);
            (hours * 60 + minutes) * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return None,
    };
    Some(days(year, month, day) * 86400 + hour * 3600 + seconds - offset)
}

/// Days since 1970-01-01 of a day of the Gregorian calendar: years counted from March, so that leap days end a year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_sudoers_writes_them() {
        for (text, want) in [
            ("19700101000000Z", Some(0)),
            ("20240229120000Z", Some(1_709_208_000)),
            ("202402291200Z", Some(1_709_208_000)),
            ("2024022912Z", Some(1_709_208_000)),
            ("20240229200000+0800", Some(1_709_208_000)),
            ("20240229120000", None),
            ("20241329120000Z", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(moment(text.as_bytes()), want, "{text}");
        }
    }
}
