//! Patterns, pattern lists and address lists: `match.c`, `addrmatch.c` and `addr.c`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest sub-pattern of a list that is looked at; a longer one makes the whole list not match.
const SUB_PATTERN: usize = 1023;

/// `match.c:match_pattern`: `*` and `?`, nothing else. Iterative, so that no pattern makes it exponential.
pub(crate) fn match_pattern(text: &[u8], pattern: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (rest.split_first(), left.split_first()) {
            (None, None) => return true,
            (Some((b'*', after)), _) => {
                retry = Some((after, left));
                rest = after;
            }
            (Some((want, after)), Some((byte, tail))) if *want == b'?' || want == byte => (rest, left) = (after, tail),
            _ => {
                let Some((after, from)) = retry else { return false };
                let Some((_, tail)) = from.split_first() else { return false };
                retry = Some((after, tail));
                (rest, left) = (after, tail);
            }
        }
    }
}

/// What a list of patterns says of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListMatch {
    /// A negated pattern matched: it wins.
    Negated,
    /// Nothing matched.
    No,
    /// A pattern matched and no negated one did before.
    Yes,
}

/// `match.c:match_pattern_list`.
pub(crate) fn match_pattern_list(text: &[u8], list: &[u8], lower: bool) -> ListMatch {
    let (mut rest, mut found) = (list, ListMatch::No);
    while !rest.is_empty() {
        let negated = rest.first() == Some(&b'!');
        rest = rest.get(usize::from(negated)..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
        if end >= SUB_PATTERN {
            return ListMatch::No;
        }
        let (sub, tail) = rest.split_at(end);
        rest = tail.get(1..).unwrap_or_default();
        let matched = if lower { match_pattern(text, &sub.to_ascii_lowercase()) } else { match_pattern(text, sub) };
        match (matched, negated) {
            (true, true) => return ListMatch::Negated,
            (true, false) => found = ListMatch::Yes,
            (false, _) => {}
        }
    }
    found
}

/// `match.c:match_hostname`: without case.
pub(crate) fn match_hostname(host: &[u8], list: &[u8]) -> ListMatch {
    match_pattern_list(&host.to_ascii_lowercase(), list, true)
}

/// An address as `getaddrinfo(3)` with `AI_NUMERICHOST` takes it: the short forms of IPv4 (`10.1`, `0x7f.1`) and scope
/// ids of IPv6 too.
pub(crate) fn numeric_host(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if text.contains(':') {
        let (address, scope) = text.split_once('%').map_or((text, None), |(address, scope)| (address, Some(scope)));
        let address: Ipv6Addr = address.parse().ok()?;
        return scope.is_none_or(|scope| !scope.is_empty()).then_some(IpAddr::V6(address));
    }
    inet_aton(text).map(IpAddr::V4)
}

/// `inet_aton(3)`: one to four numbers, decimal, octal or hexadecimal, the last one filling what is left.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let mut value: u64 = 0;
    for (index, part) in parts.iter().enumerate() {
        let number = match part.as_bytes() {
            [b'0', b'x' | b'X', digits @ ..] if !digits.is_empty() => u64::from_str_radix(part.get(2..)?, 16).ok()?,
            [b'0', _, ..] => u64::from_str_radix(part, 8).ok()?,
            [first, ..] if first.is_ascii_digit() => part.parse().ok()?,
            _ => return None,
        };
        let last = index + 1 == parts.len();
        let left = 4_usize.checked_sub(index)?;
        let bits = if last { left.checked_mul(8).filter(|bits| *bits > 0)? } else { 8 };
        if number >= 1 << bits || (!last && left == 1) {
            return None;
        }
        value = (value << bits) | number;
    }
    u32::try_from(value).ok().map(Ipv4Addr::from)
}

/// What one entry of an address list is.
enum Entry {
    Network(IpAddr, u32),
    Inconsistent,
    NotAnAddress,
}

fn entry(text: &[u8]) -> Entry {
    if text.len() >= 64 {
        return Entry::NotAnAddress;
    }
    let (address, mask) = match text.iter().position(|byte| *byte == b'/') {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    };
    let mask = match mask.map(std::str::from_utf8) {
        None => None,
        Some(Ok(mask)) if mask.starts_with(|c: char| c.is_ascii_digit()) => match mask.parse::<u32>() {
            Ok(mask) if mask <= 128 => Some(mask),
            _ => return Entry::NotAnAddress,
        },
        Some(_) => return Entry::NotAnAddress,
    };
    let Some(address) = numeric_host(address) else { return Entry::NotAnAddress };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let mask = mask.unwrap_or(width);
    if mask > width || network(address, mask) != address {
        return Entry::Inconsistent;
    }
    Entry::Network(address, mask)
}

/// The network of an address: its host bits cleared.
pub(crate) fn network(address: IpAddr, mask: u32) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let bits = 32_u32.checked_sub(mask).and_then(|host| u32::MAX.checked_shl(host)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(ip) & bits))
        }
        IpAddr::V6(ip) => {
            let bits = 128_u32.checked_sub(mask).and_then(|host| u128::MAX.checked_shl(host)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(ip) & bits))
        }
    }
}

/// An invalid entry of an address list: a mask that is too long or leaves host bits set, or nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadList;

/// `addrmatch.c:addr_match_list`. Without an address only the list's form is checked; an address that is none never
/// matches, and then the list is not looked at either.
pub(crate) fn addr_match_list(address: Option<&[u8]>, list: &[u8]) -> Result<ListMatch, BadList> {
    let parsed = match address.map(numeric_host) {
        Some(None) => return Ok(ListMatch::No),
        Some(Some(parsed)) => Some(parsed),
        None => None,
    };
    let mut found = ListMatch::No;
    for item in list.split(|byte| *byte == b',') {
        let (negated, item) = match item.split_first() {
            Some((b'!', rest)) => (true, rest),
            _ => (false, item),
        };
        if item.is_empty() {
            return Err(BadList);
        }
        let hit = match (entry(item), parsed) {
            (Entry::Inconsistent, _) => return Err(BadList),
            (_, None) => false,
            (Entry::Network(net, mask), Some(ip)) => net.is_ipv4() == ip.is_ipv4() && network(ip, mask) == net,
            (Entry::NotAnAddress, Some(_)) => match_pattern(address.unwrap_or_default(), item),
        };
        if hit && negated {
            return Ok(ListMatch::Negated);
        }
        if hit {
            found = ListMatch::Yes;
        }
    }
    Ok(found)
}

/// Whether a pattern of AllowUsers or DenyUsers is well-formed (`match.c:match_user` without a user). The host part
/// starts at the first `@`, from 9.9 on at the last.
pub(crate) fn user_pattern_valid(pattern: &[u8], last_at: bool) -> bool {
    split_user(pattern, last_at).1.is_none_or(|host| addr_match_list(None, host).is_ok())
}

/// A pattern of AllowUsers or DenyUsers: user part and host part.
pub(crate) fn split_user(pattern: &[u8], last_at: bool) -> (&[u8], Option<&[u8]>) {
    let at = if last_at {
        pattern.iter().rposition(|byte| *byte == b'@')
    } else {
        pattern.iter().position(|byte| *byte == b'@')
    };
    match at {
        Some(at) => (pattern.get(..at).unwrap_or_default(), pattern.get(at + 1..)),
        None => (pattern, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_globs_of_two_signs() {
        for (text, pattern, want) in [
            ("abc", "a*c", true),
            ("abc", "a?c", true),
            ("abc", "ab", false),
            ("", "*", true),
            ("a[b]", "a[b]", true),
            ("aXbXc", "*X?", true),
        ] {
            assert_eq!(match_pattern(text.as_bytes(), pattern.as_bytes()), want, "{text} {pattern}");
        }
        assert_eq!(match_pattern_list(b"bob", b"!bob,*", false), ListMatch::Negated);
        assert_eq!(match_pattern_list(b"bob", b"!alice", false), ListMatch::No);
        assert_eq!(match_hostname(b"A.Corp", b"*.CORP"), ListMatch::Yes);
    }

    #[test]
    fn addresses_match_networks_and_bad_masks_are_refused() {
        let list = |address: &str, list: &str| addr_match_list(Some(address.as_bytes()), list.as_bytes());
        assert_eq!(list("10.1.2.3", "10.0.0.0/8"), Ok(ListMatch::Yes));
        assert_eq!(list("10.1.2.3", "10.0.0.1/8"), Err(BadList));
        assert_eq!(list("10.1.2.3", "!10.1.0.0/16,10.0.0.0/8"), Ok(ListMatch::Negated));
        assert_eq!(list("::ffff:10.1.2.3", "10.0.0.0/8"), Ok(ListMatch::No));
        assert_eq!(list("10.1.2.3", "10.*"), Ok(ListMatch::Yes));
        assert_eq!(list("fe80::1", "fe80::/10"), Ok(ListMatch::Yes));
        assert_eq!(list("10.1.2.3", "10.0.0.0/33"), Err(BadList));
        assert_eq!(list("10.1.2.3", "10.0.0.0/x"), Ok(ListMatch::No));
        assert_eq!(list("nonsense", "10.0.0.1/8"), Ok(ListMatch::No));
        assert_eq!(addr_match_list(None, b""), Err(BadList));
    }

    #[test]
    fn numeric_hosts_are_those_of_getaddrinfo() {
        let host = |text: &str| numeric_host(text.as_bytes()).map(|ip| ip.to_string());
        assert_eq!(host("10.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(host("0x7f.1").as_deref(), Some("127.0.0.1"));
        assert_eq!(host("010.0.0.1").as_deref(), Some("8.0.0.1"));
        assert_eq!(host("1.2.3.4.5"), None);
        assert_eq!(host("256.1.1.1"), None);
        assert_eq!(host("::1").as_deref(), Some("::1"));
        assert_eq!(host("localhost"), None);
    }
}
