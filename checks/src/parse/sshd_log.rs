//! Log lines of sshd that tell of an accepted or refused login: syslog files and the journal's `short-iso` output.
//!
//! What stands in such a line was chosen in part by a client: the user's name, a certificate's id. A line that can be read in
//! two ways is a defect, never a login.

use std::net::IpAddr;

use crate::check::bytes_text;
use crate::observation::UnixSeconds;
use crate::observation::login::{Login, Teller};

mod refusal;

use refusal::{BEGINNINGS, refusal};
pub use refusal::{Refusal, Sign};

/// How the times of a log are understood that does not say them whole.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Now: RFC 3164 leaves out the year, and no line is from the future.
    pub now: UnixSeconds,
    /// Local time minus UTC, in seconds: RFC 3164 leaves out the zone.
    pub offset: i64,
    /// Who tells.
    pub teller: Teller,
}

/// What a line of a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// sshd accepted a login.
    Accepted(Login),
    /// sshd refused a login.
    Refused(Refusal),
    /// Something else, at this time where it has one.
    Other(Option<UnixSeconds>),
    /// An accepted login that could be read in several ways, or in none.
    Defect(&'static str),
}

/// Whether a line may tell of a login: cheap, and never wrong about one that does.
pub fn is_about_logins(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"<") {
        return true;
    }
    let message = bytes.windows(3).position(|window| window == b"]: ").and_then(|at| bytes.get(at + 3..));
    message.is_some_and(|message| {
        message.starts_with(b"Accepted ") || BEGINNINGS.iter().any(|word| message.starts_with(word))
    })
}

/// Reads one line, without its line feed.
pub fn line(bytes: &[u8], clock: &Clock) -> Line {
    let (bytes, structured) = without_priority(bytes);
    let Some((at, rest)) = stamp(bytes, clock) else { return Line::Other(None) };
    let message = if structured { structured_message(rest) } else { message(rest) };
    let Some(message) = message else { return Line::Other(Some(at)) };
    let Some(accepted) = message.strip_prefix(b"Accepted ") else {
        return refusal(&bytes_text(message), at).map_or(Line::Other(Some(at)), Line::Refused);
    };
    login(&bytes_text(accepted), at, clock.teller).map_or_else(Line::Defect, Line::Accepted)
}

/// A line without the `<38>` that some logs keep, and whether it is of RFC 5424: then the version 1 follows.
fn without_priority(bytes: &[u8]) -> (&[u8], bool) {
    let rest = bytes.strip_prefix(b"<").and_then(|rest| {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest.get(digits..)?.strip_prefix(b">").filter(|_| (1..=3).contains(&digits))
    });
    match rest {
        None => (bytes, false),
        Some(rest) => rest.strip_prefix(b"1 ").map_or((rest, false), |rest| (rest, true)),
    }
}

/// sshd's programs: 9.8 and later log as `sshd-session`, 10.0 and later in part as `sshd-auth`.
const PROGRAMS: [&[u8]; 3] = [b"sshd-session", b"sshd-auth", b"sshd"];

/// The message of a line by sshd: behind ` HOST sshd[PID]: `, or ` HOST authpriv.info sshd[PID]: `, as busybox writes it.
fn message(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_prefix(b" ")?;
    let host = rest.iter().position(|byte| *byte == b' ')?;
    let rest = rest.get(host + 1..)?;
    let rest = behind_priority(rest).unwrap_or(rest);
    let rest = PROGRAMS.iter().find_map(|program| rest.strip_prefix(*program)?.strip_prefix(b"["))?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest.get(digits..)?.strip_prefix(b"]: ").filter(|_| digits > 0)
}

/// What follows a facility and a level.
fn behind_priority(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b' ')?;
    let (facility, level) = std::str::from_utf8(bytes.get(..end)?).ok()?.split_once('.')?;
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    bytes.get(end + 1..).filter(|_| is_word(facility) && is_word(level))
}

/// The message of a line of RFC 5424 by sshd: behind ` HOST sshd PID ID - `, or behind what a logger knows of it in place of `-`.
fn structured_message(rest: &[u8]) -> Option<&[u8]> {
    let mut words = rest.strip_prefix(b" ")?.splitn(5, |byte| *byte == b' ');
    let (_host, program, pid, _id) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let is_sshds = PROGRAMS.contains(&program) && !pid.is_empty() && pid.iter().all(u8::is_ascii_digit);
    let message = words.next().filter(|_| is_sshds).and_then(behind_data)?.strip_prefix(b" ")?;
    let message = message.strip_prefix("\u{feff}".as_bytes()).unwrap_or(message);
    // rsyslog keeps the space that stood behind the colon.
    Some(message.strip_prefix(b" ").unwrap_or(message))
}

/// What follows structured data: `-`, or elements like `[meta sequenceId="1"]`, in whose values `"` and `]` are escaped.
fn behind_data(bytes: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = bytes.strip_prefix(b"-") {
        return Some(rest);
    }
    let (mut inside, mut quoted, mut escaped) = (false, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match (*byte, inside, quoted) {
            _ if escaped => escaped = false,
            (b'\\', _, true) => escaped = true,
            (b'"', true, _) => quoted = !quoted,
            (b'[', false, _) => inside = true,
            (b']', true, false) => inside = false,
            (b' ', false, _) if at > 0 => return bytes.get(at..),
            (_, false, _) => return None,
            _ => {}
        }
    }
    None
}

/// `publickey for root from 192.0.2.1 port 5 ssh2: ED25519 SHA256:…` (`auth_log` in auth.c).
fn login(text: &str, at: UnixSeconds, told_by: Teller) -> Result<Login, &'static str> {
    let (method, rest) = text.split_once(" for ").ok_or("an accepted login without a user")?;
    let mut readings = rest.match_indices(" from ").filter_map(|(place, _)| {
        let (user, tail) = (rest.get(..place)?, rest.get(place + 6..)?);
        let mut words = tail.splitn(5, ' ');
        let source: IpAddr = words.next()?.parse().ok()?;
        let port = (words.next()? == "port").then(|| words.next())??.parse::<u16>().ok();
        let ssh = words.next()?;
        let detail = match (ssh, words.next()) {
            ("ssh2", None) => "",
            ("ssh2:", Some(detail)) => detail,
            _ => return None,
        };
        port.map(|_| (user, source, detail))
    });
    let (user, source, detail) = readings.next().ok_or("an accepted login without a source")?;
    if readings.next().is_some() {
        return Err("an accepted login that can be read in two ways");
    }
    // The id of a certificate stands between the key and the authority, and may hold anything: the ends count.
    let by_key = method.starts_with("publickey") || method.starts_with("hostbased");
    // Until 8.0 the certified key has no fingerprint there.
    let is_print = |word: &&str| word.starts_with("SHA256:") || word.starts_with("MD5:");
    let key = detail.split(' ').nth(1).filter(|_| by_key).filter(is_print);
    let authority =
        detail.rsplit_once(" CA ").filter(|_| by_key).and_then(|(_, ca)| ca.split(' ').nth(1)).filter(is_print);
    Ok(Login {
        at,
        user: user.to_owned(),
        method: method.to_owned(),
        source: Some(source.to_canonical()),
        key: key.map(str::to_owned),
        authority: authority.map(str::to_owned),
        told_by,
    })
}

/// The time at the start of a line and what follows it.
fn stamp<'b>(bytes: &'b [u8], clock: &Clock) -> Option<(UnixSeconds, &'b [u8])> {
    if bytes.first()?.is_ascii_digit() { iso(bytes) } else { rfc3164(bytes, clock) }
}

/// `2026-11-21T22:25:01.123456+08:00`, also without fraction, colon or with `Z`.
fn iso(bytes: &[u8]) -> Option<(UnixSeconds, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b' ')?;
    let (word, rest) = bytes.split_at_checked(end)?;
    let word = std::str::from_utf8(word).ok()?;
    let (date, time) = word.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone = time.find(['+', '-', 'Z'])?;
    let (time, zone) = time.split_at_checked(zone)?;
    let seconds = clock_time(time.split('.').next()?)?;
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let east = match (zone.get(..1)?, digits.len()) {
        ("Z", 0) => 0,
        (sign, 4) => {
            let part = |at: usize| digits.get(at..at + 2)?.parse::<i64>().ok();
            (part(0)? * 3600 + part(2)? * 60) * if sign == "-" { -1 } else { 1 }
        }
        _ => return None,
    };
    Some((days(year, month, day)? * 86_400 + seconds - east, rest))
}

/// `Nov  1 22:25:01`, local time: in the latest year that does not put it into the future. A day of slack is for clocks that
/// were set back.
fn rfc3164<'b>(bytes: &'b [u8], clock: &Clock) -> Option<(UnixSeconds, &'b [u8])> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let month = MONTHS.iter().position(|month| bytes.starts_with(month))?;
    let month = i64::try_from(month).ok()? + 1;
    // A day of one digit has a space more before it, but not everywhere.
    let rest = bytes.get(3..)?.strip_prefix(b" ")?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let end = rest.iter().position(|byte| *byte == b' ')?;
    let (day, rest) = rest.split_at_checked(end)?;
    let day: i64 = std::str::from_utf8(day).ok().filter(|day| (1..=2).contains(&day.len()))?.parse().ok()?;
    let (time, rest) = rest.get(1..)?.split_at_checked(8)?;
    let seconds = clock_time(std::str::from_utf8(time).ok()?)?;
    let this_year = 1970 + clock.now.div_euclid(86_400) * 400 / 146_097;
    // The estimate of the year may be one off at its ends; a leap day may be some years back.
    (this_year - 8..=this_year + 1).rev().find_map(|year| {
        let at = days(year, month, day)? * 86_400 + seconds - clock.offset;
        (at <= clock.now + 86_400).then_some((at, rest))
    })
}

/// Seconds since midnight of `22:25:01`.
fn clock_time(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':').map(|part| part.parse::<i64>().ok().filter(|part| (0..=60).contains(part)));
    Some(parts.next()?? * 3600 + parts.next()?? * 60 + parts.next()??)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. None: there is no such day.
pub(crate) fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    if !(1..=*lengths.get(before)?).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    let earlier = year - 1;
    let to_year = earlier * 365 + earlier / 4 - earlier / 100 + earlier / 400 - 719_162;
    Some(to_year + lengths.iter().take(before).sum::<i64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-01T00:00:00Z.
    const NOW: UnixSeconds = 1_772_323_200;

    fn read(text: &str) -> Line {
        line(text.as_bytes(), &Clock { now: NOW, offset: 8 * 3600, teller: Teller::Log })
    }

    fn accepted(message: &str) -> Login {
        match read(&format!("2026-02-28T10:00:00+00:00 h sshd[1]: {message}")) {
            Line::Accepted(login) => login,
            other => panic!("{message}: {other:?}"),
        }
    }

    #[test]
    fn times_of_every_form() {
        let cases = [
            ("2026-02-28T10:00:00.123456+08:00", 1_772_272_800 - 28_800 - 28_800 + 28_800),
            ("2026-02-28T10:00:00+0000", 1_772_272_800),
            ("2026-02-28T10:00:00Z", 1_772_272_800),
            ("2026-02-28T10:00:00-0130", 1_772_272_800 + 5_400),
            // Local time in Shanghai; the year is not told.
            ("Feb 28 18:00:00", 1_772_272_800),
            ("Feb  1 08:00:00", 1_769_904_000),
            ("Feb 1 08:00:00", 1_769_904_000),
            ("Dec 31 08:00:00", 1_767_139_200),
            // The last leap day before 2026.
            ("Feb 29 08:00:00", 1_709_164_800),
        ];
        for (stamp, at) in cases {
            assert_eq!(read(&format!("{stamp} host cron[1]: x")), Line::Other(Some(at)), "{stamp}");
        }
        for wrong in [
            "2026-02-30T10:00:00Z h x",
            "Foo 12 10:00:00 h x",
            "Feb 31 10:00:00 h x",
            "Feb 001 10:00:00 h",
            "Feb   1 10:00:00 h",
            "Feb 1",
            "",
            "2026",
            "-- Boot x --",
        ] {
            assert_eq!(read(wrong), Line::Other(None), "{wrong}");
        }
    }

    #[test]
    fn every_method_is_read() {
        let login = accepted("Accepted publickey for root from 192.0.2.1 port 5 ssh2: ED25519 SHA256:abc");
        assert_eq!(
            (login.user.as_str(), login.method.as_str(), login.key.as_deref()),
            ("root", "publickey", Some("SHA256:abc"))
        );
        assert_eq!((login.source, login.at), (Some("192.0.2.1".parse().unwrap()), 1_772_272_800));
        let login = accepted("Accepted password for bob from 2001:db8::1 port 65535 ssh2");
        assert_eq!((login.method.as_str(), login.key), ("password", None));
        let login = accepted("Accepted keyboard-interactive/pam for bob from ::ffff:10.0.0.1 port 1 ssh2");
        assert_eq!(
            (login.method.as_str(), login.source),
            ("keyboard-interactive/pam", Some("10.0.0.1".parse().unwrap()))
        );
        let login = accepted(
            "Accepted publickey for bob from 10.0.0.1 port 1 ssh2: ED25519-CERT SHA256:k ID my CA RSA id (serial 7) CA RSA SHA256:ca",
        );
        assert_eq!((login.key.as_deref(), login.authority.as_deref()), (Some("SHA256:k"), Some("SHA256:ca")));
        let login = accepted(
            "Accepted publickey for bob from 10.0.0.1 port 1 ssh2: RSA-CERT ID me (serial 0) CA RSA SHA256:ca",
        );
        assert_eq!((login.key, login.authority.as_deref()), (None, Some("SHA256:ca")));
        let login = accepted("Accepted password for DOMAIN two words from 10.0.0.1 port 1 ssh2");
        assert_eq!(login.user, "DOMAIN two words");
        let session = "2026-02-28T10:00:00Z h sshd-session[12]: Accepted password for a from 10.0.0.1 port 1 ssh2";
        assert!(matches!(read(session), Line::Accepted(_)));
    }

    #[test]
    fn nobody_forges_a_login() {
        let at = "2026-02-28T10:00:00Z h";
        let lines = [
            format!(
                "{at} sshd[1]: Failed password for invalid user Accepted password for root from 1.2.3.4 port 1 ssh2 from 5.6.7.8 port 2 ssh2"
            ),
            format!("{at} app[1]: sshd[1]: Accepted password for root from 1.2.3.4 port 1 ssh2"),
            format!("{at} sshd[x]: Accepted password for root from 1.2.3.4 port 1 ssh2"),
            format!("{at} sshd[1] Accepted password for root from 1.2.3.4 port 1 ssh2"),
            format!("{at} sshd[1]: Invalid user  Accepted password for root from 1.2.3.4 port 1 ssh2"),
        ];
        for line in lines {
            assert!(!matches!(read(&line), Line::Accepted(_)), "{line}");
        }
        let twice = [
            "Accepted password for root from 1.2.3.4 port 1 ssh2 from 5.6.7.8 port 2 ssh2",
            "Accepted publickey for root from 1.2.3.4 port 5 ssh2: RSA SHA256:x from 5.6.7.8 port 2 ssh2: RSA SHA256:y",
            "Accepted publickey for bob from 5.6.7.8 port 2 ssh2: RSA-CERT SHA256:y ID x from 1.2.3.4 port 5 ssh2: RSA SHA256:x",
            "Accepted password for root from nowhere port 1 ssh2",
            "Accepted password for root from 1.2.3.4 port 99999 ssh2",
            "Accepted password for root",
            "Accepted password",
        ];
        for message in twice {
            // The first two can be read once only where the tail is no part of the form: then as what sshd means.
            match read(&format!("{at} sshd[1]: {message}")) {
                Line::Defect(_) => {}
                Line::Accepted(login) => assert_eq!(login.source, Some("5.6.7.8".parse().unwrap()), "{message}"),
                Line::Refused(_) | Line::Other(_) => panic!("{message}"),
            }
        }
    }

    #[test]
    fn lines_with_a_priority_are_read() {
        let message = "Accepted password for bob from 192.0.2.1 port 5 ssh2";
        let at = 1_772_272_800;
        for line in [
            format!("<86>Feb 28 18:00:00 h sshd[12]: {message}"),
            format!("<86>2026-02-28T10:00:00Z h sshd-auth[12]: {message}"),
            format!("Feb 28 18:00:00 h authpriv.info sshd[12]: {message}"),
            format!("Feb 28 18:00:00 h local0.info sshd-session[12]: {message}"),
            format!("<86>1 2026-02-28T10:00:00.5Z h sshd 12 - - {message}"),
            format!("<86>1 2026-02-28T10:00:00Z h sshd-session 12 - - \u{feff}{message}"),
            format!("<86>1 2026-02-28T10:00:00Z h sshd 12 - -  {message}"),
            format!("<86>1 2026-02-28T10:00:00Z h sshd 12 - [a b=\"1\"] {message}"),
            format!("<86>1 2026-02-28T10:00:00Z h sshd 12 - [a b=\"]\\\"] [\"][meta sequenceId=\"7\"] {message}"),
        ] {
            assert!(is_about_logins(line.as_bytes()), "{line}");
            let Line::Accepted(login) = read(&line) else { panic!("{line}") };
            assert_eq!((login.at, login.user.as_str()), (at, "bob"), "{line}");
        }
        for line in [
            format!("<86>1 2026-02-28T10:00:00Z h app 12 - - sshd 12 - - {message}"),
            format!("<86>1 2026-02-28T10:00:00Z h sshd x - - {message}"),
            format!("<86>1 2026-02-28T10:00:00Z h sshd 12 - [a b=\"1\"]{message}"),
            format!("<86>1 2026-02-28T10:00:00Z h sshd 12 - [a b=\"1\" {message}"),
            format!("<86>1 2026-02-28T10:00:00Z h sshd 12 - {message}"),
            format!("Feb 28 18:00:00 h app.x app.y sshd[12]: {message}"),
            format!("Feb 28 18:00:00 h app[1]: sshd[12]: {message}"),
            format!("<8600>Feb 28 18:00:00 h sshd[12]: {message}"),
            format!("<>Feb 28 18:00:00 h sshd[12]: {message}"),
        ] {
            assert!(matches!(read(&line), Line::Other(_)), "{line}");
        }
    }

    #[test]
    fn days_count_as_the_calendar_does() {
        for (date, expected) in [((1970, 1, 1), 0), ((2000, 3, 1), 11_017), ((2026, 11, 21), 20_778)] {
            assert_eq!(days(date.0, date.1, date.2), Some(expected), "{date:?}");
        }
    }
}
