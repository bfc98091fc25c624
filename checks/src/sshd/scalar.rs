//! Numbers, times, ports and sizes as sshd reads them: `misc.c` and `openbsd-compat`, in the forms of every version.

use std::collections::BTreeMap;

use super::build::Build;

/// `strtonum(3)`: a whole decimal number in a range, or OpenBSD's word for what is wrong.
pub(crate) fn strtonum(text: &[u8], min: i64, max: i64) -> Result<i64, &'static str> {
    let text = text.get(super::lexer::leading_space(text)..).unwrap_or_default();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("invalid");
    }
    let value = clamped(digits);
    let value = if negative { value.checked_neg().unwrap_or(i64::MIN) } else { value };
    match value {
        value if value < min => Err("too small"),
        value if value > max => Err("too large"),
        value => Ok(value),
    }
}

/// Decimal digits as a number, at most the largest there is.
fn clamped(digits: &[u8]) -> i64 {
    digits.iter().fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit.wrapping_sub(b'0'))))
}

/// The low 32 bits of a C `long`, as an assignment to `int` keeps them.
fn as_int(value: i64) -> i64 {
    let low = i32::from_ne_bytes(u32::try_from(value & 0xffff_ffff).unwrap_or(0).to_ne_bytes());
    i64::from(low)
}

/// A C `strtol(3)` in base 10: the number at the start and what follows it. None: no number there.
fn strtol(text: &[u8]) -> Option<(i64, &[u8])> {
    let start = text.iter().position(|byte| !b" \t\r\n\x0b\x0c".contains(byte)).unwrap_or(text.len());
    let text = text.get(start..)?;
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let (digits, rest) = digits.split_at(end);
    let value = clamped(digits);
    Some((if negative { value.saturating_neg() } else { value }, rest))
}

/// An integer option: `atoi(3)` before 7.7, `misc.c:atoi_err` later.
pub(crate) fn integer(build: &Build, word: &[u8]) -> Result<i64, &'static str> {
    if build.before(707) {
        return Ok(as_int(strtol(word).map_or(0, |(value, _)| value)));
    }
    strtonum(word, 0, i64::from(i32::MAX))
}

/// A port: `misc.c:a2port`. None: no port. Port 0 is a port here. From 7.7 on the names of `services(5)` count too.
pub(crate) fn port(build: &Build, services: &BTreeMap<Vec<u8>, u16>, word: &[u8]) -> Option<u16> {
    match strtonum(word, 0, 65535) {
        Ok(port) => u16::try_from(port).ok(),
        Err(_) if build.since(707) => services.get(word).copied(),
        Err(_) => None,
    }
}

/// A time in seconds: `misc.c:convtime`. None: not a time.
pub(crate) fn seconds(build: &Build, word: &[u8]) -> Option<i64> {
    match () {
        () if build.since(1003) => {
            let total = seconds_double(word)?;
            // Truncation towards zero, as the C cast does.
            (total <= f64::from(i32::MAX)).then(|| format!("{}", total.trunc()).parse().ok())?
        }
        () if build.since(1000) => seconds_strict(word),
        () => seconds_old(build, word),
    }
}

fn unit(byte: u8) -> Option<i64> {
    match byte.to_ascii_lowercase() {
        b's' => Some(1),
        b'm' => Some(60),
        b'h' => Some(3600),
        b'd' => Some(86400),
        b'w' => Some(604_800),
        _ => None,
    }
}

/// Up to 9.9: `strtol` with a unit, repeated. Up to 8.3 a number without a unit took the unit before it, and up to 8.4
/// everything counted in C longs.
fn seconds_old(build: &Build, word: &[u8]) -> Option<i64> {
    let limit = if build.before(805) { i64::MAX } else { i64::from(i32::MAX) };
    let (mut rest, mut total, mut multiplier) = (word, 0_i64, 1);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (value, after) = strtol(rest)?;
        if value < 0 || (build.before(805) && value == i64::MAX) {
            return None;
        }
        if build.since(804) {
            multiplier = 1;
        }
        rest = match after.split_first() {
            None => after,
            Some((byte, after)) => {
                let unit = unit(*byte)?;
                if unit != 1 || build.since(804) {
                    multiplier = unit;
                }
                after
            }
        };
        let value = value.checked_mul(multiplier).filter(|value| *value <= limit)?;
        total = total.checked_add(value).filter(|total| *total <= limit)?;
    }
    let total = if build.before(805) { as_int(total) } else { total };
    (total != -1).then_some(total)
}

/// 10.0 to 10.2: digits only, no sign and no space.
fn seconds_strict(word: &[u8]) -> Option<i64> {
    let (mut rest, mut total) = (word, 0_i64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let value = strtonum(digits, 0, i64::from(i32::MAX)).ok()?;
        let (multiplier, after) = match after.split_first() {
            None => (1, after),
            Some((byte, after)) => (unit(*byte)?, after),
        };
        total = value.checked_mul(multiplier)?.checked_add(total).filter(|total| *total <= i64::from(i32::MAX))?;
        rest = after;
    }
    Some(total)
}

/// From 10.3 on: `misc.c:convtime_double`, with a fraction for seconds.
pub(crate) fn seconds_double(word: &[u8]) -> Option<f64> {
    let (mut rest, mut total, mut seen_seconds) = (word, 0.0_f64, false);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let text = std::str::from_utf8(number).ok()?;
        let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
        let (unit, after) = match after.split_first() {
            None => (1, after),
            Some((byte, after)) => (unit(*byte)?, after),
        };
        if unit == 1 && std::mem::replace(&mut seen_seconds, true) {
            return None;
        }
        if number.contains(&b'.') && (unit > 1 || number.last() == Some(&b'.')) {
            return None;
        }
        total += value * f64::from(i32::try_from(unit).ok()?);
        rest = after;
    }
    Some(total)
}

/// What is wrong with a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadSize(pub(crate) &'static str);

/// `scan_scaled(3)`: a number with an optional fraction and a unit of 1024.
pub(crate) fn scaled(word: &[u8]) -> Result<i64, BadSize> {
    const INVALID: BadSize = BadSize("Invalid argument");
    const RANGE: BadSize = BadSize("Numerical result out of range");
    let start = super::lexer::leading_space(word);
    let mut rest = word.get(start..).unwrap_or_default();
    let mut sign = 1_i64;
    if let Some((first @ (b'-' | b'+'), after)) = rest.split_first() {
        sign = if *first == b'-' { -1 } else { 1 };
        rest = after;
    }
    let (mut whole, mut fraction, mut fraction_digits, mut seen_dot) = (0_i64, 0_i64, 0_u32, false);
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'.' if !seen_dot => seen_dot = true,
            b'.' => return Err(INVALID),
            digit if digit.is_ascii_digit() => {
                let digit = i64::from(digit - b'0');
                if seen_dot {
                    if fraction_digits < 15 {
                        fraction = fraction * 10 + digit;
                        fraction_digits += 1;
                    }
                } else {
                    whole = whole.checked_mul(10).and_then(|whole| whole.checked_add(digit)).ok_or(RANGE)?;
                }
            }
            _ => break,
        }
        rest = after;
    }
    if sign < 0 {
        whole = -whole;
    }
    let Some((first, after)) = rest.split_first() else { return Ok(whole) };
    let power = match first.to_ascii_lowercase() {
        b'b' => 0,
        b'k' => 10,
        b'm' => 20,
        b'g' => 30,
        b't' => 40,
        b'p' => 50,
        b'e' => 60,
        _ => return Err(INVALID),
    };
    if after.first().is_some_and(u8::is_ascii_alphanumeric) {
        return Err(INVALID);
    }
    let factor = 1_i64 << power;
    let scaled = whole.checked_mul(factor).ok_or(RANGE)?;
    let divisor = 10_i64.checked_pow(fraction_digits).unwrap_or(i64::MAX);
    let part = i128::from(fraction) * i128::from(factor) / i128::from(divisor);
    let part = i64::try_from(part).map_err(|_| RANGE)?;
    scaled.checked_add(if sign < 0 { -part } else { part }).ok_or(RANGE)
}

/// The numbers that `sscanf("%d:%d:%d")` finds, as many as it finds.
pub(crate) fn scan_colons(word: &[u8], most: usize) -> Vec<i64> {
    let (mut out, mut rest) = (Vec::new(), word);
    while out.len() < most {
        if !out.is_empty() {
            let Some((b':', after)) = rest.split_first() else { break };
            rest = after;
        }
        let Some((value, after)) = strtol(rest) else { break };
        out.push(as_int(value));
        rest = after;
    }
    out
}

/// An octal mode: `strtol(3)` in base 8 with whatever follows ignored, from 0 to 0777. None: refused.
pub(crate) fn octal_mode(word: &[u8]) -> Option<i64> {
    let word = word.get(super::lexer::leading_space(word)..)?;
    let digits = word.strip_prefix(b"+").unwrap_or(word);
    let end = digits.iter().position(|byte| !(b'0'..=b'7').contains(byte)).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let digits = digits.get(..end)?;
    let value = digits.iter().fold(0_i64, |sum, digit| sum.saturating_mul(8).saturating_add(i64::from(digit - b'0')));
    (as_int(value) >= 0 && as_int(value) <= 0o777).then(|| as_int(value))
}

/// The names of `misc.c:ipqos[]` with their values.
const QOS: [(&str, u32); 23] = [
    ("af11", 0x28),
    ("af12", 0x30),
    ("af13", 0x38),
    ("af21", 0x48),
    ("af22", 0x50),
    ("af23", 0x58),
    ("af31", 0x68),
    ("af32", 0x70),
    ("af33", 0x78),
    ("af41", 0x88),
    ("af42", 0x90),
    ("af43", 0x98),
    ("cs0", 0x00),
    ("cs1", 0x20),
    ("cs2", 0x40),
    ("cs3", 0x60),
    ("cs4", 0x80),
    ("cs5", 0xa0),
    ("cs6", 0xc0),
    ("cs7", 0xe0),
    ("ef", 0xb8),
    ("le", 0x04),
    ("none", u32::MAX),
];

/// The type-of-service names that 10.1 (and Debian's 10.0) made aliases of `none`.
const OLD_QOS: [(&str, u32); 3] = [("lowdelay", 0x10), ("throughput", 0x08), ("reliability", 0x04)];

/// A service class by name or number, as sshd prints it. None: refused.
pub(crate) fn qos(build: &Build, word: &[u8]) -> Option<String> {
    let named = |(name, _): &&(&str, u32)| word.eq_ignore_ascii_case(name.as_bytes());
    if let Some((name, _)) = OLD_QOS.iter().find(named) {
        return Some(if build.since(1000) { "none" } else { name }.to_owned());
    }
    if let Some((name, _)) = QOS.iter().find(named).filter(|(name, _)| *name != "le" || build.since(800)) {
        return Some((*name).to_owned());
    }
    let value = if build.since(1000) { strtonum(word, 0, 255).ok()? } else { any_base(word)? };
    let value = u32::try_from(value).ok().filter(|value| *value <= 255)?;
    let known = |(name, number): &&(&str, u32)| *number == value && (*name != "le" || build.since(800));
    let old = OLD_QOS.iter().filter(|_| build.before(1000));
    let name = QOS.iter().chain(old).find(known).map(|(name, _)| (*name).to_owned());
    Some(name.unwrap_or_else(|| format!("0x{value:02x}")))
}

/// A whole number in the base that its prefix names: `strtol(3)` with base 0 and nothing after it.
fn any_base(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?.trim_start();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16).ok()?
    } else if text.len() > 1 && text.starts_with('0') {
        i64::from_str_radix(text, 8).ok()?
    } else {
        text.parse().ok()?
    };
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_their_version() {
        let time = |version, word: &str| seconds(&Build::plain(version), word.as_bytes());
        assert_eq!(time(902, "1h30m"), Some(5400));
        assert_eq!(time(902, "1h30"), Some(3630));
        assert_eq!(time(706, "1h30"), Some(3600 + 30 * 3600));
        assert_eq!(time(902, "+5"), Some(5));
        assert_eq!(time(1002, "+5"), None);
        assert_eq!(time(902, "-5"), None);
        assert_eq!(time(902, ""), None);
        assert_eq!(time(902, "3000000000"), None);
        assert_eq!(time(706, "3000000000"), Some(-1_294_967_296));
        assert_eq!(time(1006, "1.5"), Some(1));
        assert_eq!(time(1006, "1.5m"), None);
        assert_eq!(time(1006, "5s5s"), None);
    }

    #[test]
    fn sizes_masks_and_service_classes_print_as_sshd_prints_them() {
        let size = |word: &str| scaled(word.as_bytes()).ok();
        assert_eq!((size("1G"), size("1.5K"), size("12x"), size("16")), (Some(1 << 30), Some(1536), None, Some(16)));
        let mask = |word: &str| octal_mode(word.as_bytes());
        assert_eq!(
            (mask("0177"), mask("00"), mask("1000"), mask("8"), mask("77x")),
            (Some(127), Some(0), None, None, Some(63))
        );
        let class = |version, word: &str| qos(&Build::plain(version), word.as_bytes());
        assert_eq!(class(902, "0x10").as_deref(), Some("lowdelay"));
        assert_eq!(class(902, "AF21").as_deref(), Some("af21"));
        assert_eq!(class(902, "300"), None);
        assert_eq!(class(902, "0x11").as_deref(), Some("0x11"));
        assert_eq!(class(1006, "lowdelay").as_deref(), Some("none"));
    }
}
