//! Typed values: what a key may hold, and what is said where it holds something else.

use std::net::IpAddr;
use std::path::{Component, PathBuf};
use std::time::Duration;

use hostward_checks::access_keys::is_never_searched;
use hostward_checks::catalogue;
use hostward_checks::check::{Profile, Severity};
use hostward_checks::observation::UnixSeconds;
use hostward_checks::observation::socket::Protocol;
use hostward_checks::policy::{NoWindow, Window};
use toml::de::DeValue;

use super::reader::kind;
use crate::nearest::nearest;

pub(super) type Read<T> = Result<T, String>;

/// A string that is not empty.
pub(super) fn text(value: &DeValue<'_>) -> Read<String> {
    match value.as_str() {
        Some("") => Err("must not be empty".to_owned()),
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("wanted a string, not {}", kind(value))),
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| format!("wanted true or false, not {}", kind(value)))
}

/// A whole number in a range.
pub(super) fn number(low: i64, high: i64) -> impl Fn(&DeValue<'_>) -> Read<i64> {
    move |value| {
        let digits = value.as_integer().ok_or_else(|| format!("wanted a whole number, not {}", kind(value)))?;
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
        number.filter(|n| (low..=high).contains(n)).ok_or_else(|| format!("wanted a number from {low} to {high}"))
    }
}

/// `[least, most]`.
pub(super) fn range<T: PartialOrd>(read: impl Fn(&DeValue<'_>) -> Read<T>) -> impl Fn(&DeValue<'_>) -> Read<(T, T)> {
    move |value| {
        let items = value.as_array().ok_or_else(|| format!("wanted [least, most], not {}", kind(value)))?;
        let mut bounds = items.iter().map(|item| read(item.get_ref()));
        match (bounds.next(), bounds.next(), bounds.next()) {
            (Some(low), Some(high), None) => {
                let (low, high) = (low?, high?);
                if low > high { Err("the least is more than the most".to_owned()) } else { Ok((low, high)) }
            }
            _ => Err(format!("wanted two values, [least, most], not {}", items.len())),
        }
    }
}

const FORM: &str = "wanted a duration with its unit, like \"20s\", \"5m\", \"2h\" or \"7d\"";

/// A duration with its unit: `90s`, `5m`, `2h`, `7d`.
///
/// # Errors
/// What is wrong with the text.
pub fn length(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "" => return Err(format!("{FORM}: {text} has no unit")),
        _ => return Err(format!("{FORM}: there is no unit {unit}")),
    };
    let length = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)).map(Duration::from_secs);
    length.ok_or_else(|| FORM.to_owned())
}

/// A [`length`] within bounds.
pub(super) fn duration(low: Duration, high: Duration) -> impl Fn(&DeValue<'_>) -> Read<Duration> {
    move |value| {
        let length = length(value.as_str().ok_or_else(|| format!("{FORM}, not {}", kind(value)))?)?;
        if (low..=high).contains(&length) {
            Ok(length)
        } else {
            Err(format!("wanted from {} to {} seconds", low.as_secs(), high.as_secs()))
        }
    }
}

/// A duration as whole seconds, up to a day.
pub(super) fn seconds(value: &DeValue<'_>) -> Read<i64> {
    let length = duration(Duration::from_secs(1), Duration::from_secs(86_400))(value)?;
    i64::try_from(length.as_secs()).map_err(|_| "too long".to_owned())
}

/// The last day on which something holds, `2026-12-31`: the moment after it, in UTC.
pub(super) fn last_day(value: &DeValue<'_>) -> Read<UnixSeconds> {
    const FORM: &str = "wanted a date like 2026-12-31";
    let date = match value {
        DeValue::String(text) => text.parse::<jiff::civil::Date>().ok(),
        DeValue::Datetime(stamp) if stamp.time.is_none() => stamp.date.and_then(|date| {
            let part = |number: u8| i8::try_from(number).ok();
            jiff::civil::Date::new(i16::try_from(date.year).ok()?, part(date.month)?, part(date.day)?).ok()
        }),
        _ => return Err(format!("{FORM}, not {}", kind(value))),
    };
    // jiff reads more forms than the one that is meant.
    let written = value.as_str().is_none_or(|text| text.len() == 10);
    let next = date.filter(|_| written).and_then(|date| date.tomorrow().ok()).ok_or_else(|| FORM.to_owned())?;
    let zoned = next.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| FORM.to_owned())?;
    Ok(zoned.timestamp().as_second())
}

/// A check's id.
pub(super) fn check(value: &DeValue<'_>) -> Read<String> {
    let id = text(value)?;
    known_check(&id).map(|()| id)
}

/// Whether a check has this id.
pub(super) fn known_check(id: &str) -> Read<()> {
    if catalogue::find(id).is_some() {
        return Ok(());
    }
    Err(match nearest(id, catalogue::ALL.iter().map(|check| check.id)) {
        Some(right) => format!("no check is called so; did you mean {right}?"),
        None => "no check is called so (hostward list shows all)".to_owned(),
    })
}

/// The id of a check that has a fix.
pub(super) fn fixable_check(value: &DeValue<'_>) -> Read<String> {
    let id = check(value)?;
    if catalogue::find(&id).is_some_and(|check| check.fix.is_some()) {
        return Ok(id);
    }
    Err("hostward has no fix for it (hostward explain says what to do by hand)".to_owned())
}

/// A check's id or an area.
pub(super) fn check_or_area(value: &DeValue<'_>) -> Read<String> {
    let word = text(value)?;
    if catalogue::ALL.iter().any(|check| check.area() == word) { Ok(word) } else { check(value) }
}

/// One of a few words.
pub(super) fn word<T>(choices: &'static [(&'static str, T)]) -> impl Fn(&DeValue<'_>) -> Read<T>
where
    T: Copy,
{
    move |value| {
        let given = text(value)?;
        let found = choices.iter().find(|(word, _)| *word == given).map(|(_, choice)| *choice);
        found.ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            format!("wanted one of {}", words.join(", "))
        })
    }
}

/// A severity's word.
pub(super) fn severity(value: &DeValue<'_>) -> Read<Severity> {
    let words = || Severity::ALL.map(Severity::word).join(", ");
    Severity::from_word(&text(value)?).ok_or_else(|| format!("wanted one of {}", words()))
}

/// A profile's word.
pub(super) fn profile(value: &DeValue<'_>) -> Read<Profile> {
    let words = || Profile::ALL.map(Profile::word).join(", ");
    Profile::from_word(&text(value)?).ok_or_else(|| format!("wanted one of {}", words()))
}

/// `tcp` or `udp`.
pub(super) fn protocol(value: &DeValue<'_>) -> Read<Protocol> {
    word(&[("tcp", Protocol::Tcp), ("udp", Protocol::Udp)])(value)
}

/// A port.
pub(super) fn port(value: &DeValue<'_>) -> Read<u16> {
    let port = number(1, 65_535)(value)?;
    u16::try_from(port).map_err(|_| "no port".to_owned())
}

/// An address.
pub(super) fn address(value: &DeValue<'_>) -> Read<IpAddr> {
    text(value)?.parse().map_err(|_| "wanted an address like 10.0.0.1 or fd00::1".to_owned())
}

/// `10.0.0.0/8`, `fd00::/8` or one address. Bits beyond the length would mean something else than was meant.
pub(super) fn network(value: &DeValue<'_>) -> Read<String> {
    const FORM: &str = "wanted a network like 10.0.0.0/8 or an address";
    let given = text(value)?;
    let (address, length) = given.split_once('/').unwrap_or((&given, ""));
    let address: IpAddr = address.parse().map_err(|_| FORM.to_owned())?;
    let (bits, all) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32_u32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    if given.contains('/') {
        let plain = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
        let length: u32 =
            length.parse().ok().filter(|length| plain && *length <= all).ok_or_else(|| FORM.to_owned())?;
        if bits.checked_shl(length).unwrap_or(0) != 0 {
            return Err(format!("has bits set beyond its length of {length}"));
        }
    }
    Ok(given)
}

/// An account's name.
pub(super) fn account(value: &DeValue<'_>) -> Read<String> {
    let name = text(value)?;
    let sane = name.len() <= 256
        && !name.contains([':', '/', ','])
        && !name.chars().any(|c| c.is_whitespace() || c.is_control());
    if sane { Ok(name) } else { Err("is no name of an account".to_owned()) }
}

/// An absolute path.
pub(super) fn path(value: &DeValue<'_>) -> Read<PathBuf> {
    let path = text(value)?;
    if path.starts_with('/') { Ok(PathBuf::from(path)) } else { Err("wanted an absolute path".to_owned()) }
}

/// A path or a pattern in which something is looked for: neither everything nor what the kernel shows.
pub(super) fn searched(value: &DeValue<'_>) -> Read<String> {
    let path = path(value)?;
    if path.parent().is_none() || path.components().any(|part| part == Component::ParentDir) {
        return Err("wanted a file, a directory or a pattern below /, without ..".to_owned());
    }
    if is_never_searched(&path) {
        return Err("holds no files: the kernel only shows something there".to_owned());
    }
    Ok(path.display().to_string())
}

/// A maintenance window: part of the day, on some days.
pub(super) fn window(value: &DeValue<'_>) -> Read<Window> {
    text(value)?.parse().map_err(|wrong: NoWindow| wrong.to_string())
}
