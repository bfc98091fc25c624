//! `access.conf(5)` of pam_access: who may log in from where, first matching line wins.

use std::net::IpAddr;

use crate::check::bytes_text;
use crate::parse::Defect;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLine {
    /// The line, from 1.
    pub line: u32,
    /// `+`: granted; `-`: refused.
    pub allow: bool,
    /// Whom it is about, as words; `EXCEPT` parts the list.
    pub users: Vec<String>,
    /// From where, as words; `EXCEPT` parts the list.
    pub origins: Vec<String>,
}

/// Who asks, from where.
#[derive(Clone, Copy, Debug)]
pub struct AccessAsker<'a> {
    /// The account.
    pub user: &'a str,
    /// Names of its groups.
    pub groups: &'a [String],
    /// Its address.
    pub address: IpAddr,
    /// Whether a bare word may be a group too (not with `nodefgroup`).
    pub bare_groups: bool,
}

/// Parses the file.
pub fn parse(bytes: &[u8]) -> (Vec<AccessLine>, Vec<Defect>) {
    let (mut lines, mut defects) = (Vec::new(), Vec::new());
    for (number, raw) in (1u32..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = bytes_text(raw);
        // A comment begins only at the start of a line.
        if text.starts_with('#') || text.trim().is_empty() {
            continue;
        }
        let mut fields = text.splitn(3, ':').map(str::trim);
        let (Some(permission), Some(users), Some(origins)) = (fields.next(), fields.next(), fields.next()) else {
            defects.push(Defect { line: number, what: "not three fields parted by colons".to_owned() });
            continue;
        };
        let allow = match permission {
            "+" => true,
            "-" => false,
            _ => {
                defects.push(Defect { line: number, what: "neither + nor - in front".to_owned() });
                continue;
            }
        };
        let words = |field: &str| field.split([' ', '\t', ',']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
        lines.push(AccessLine { line: number, allow, users: words(users), origins: words(origins) });
    }
    (lines, defects)
}

/// What the lines say, with the line that decides; granted where none matches. None: it depends on netgroups or host names.
pub fn granted(lines: &[AccessLine], asker: &AccessAsker<'_>) -> Option<(bool, Option<u32>)> {
    for line in lines {
        let user = listed(&line.users, &|word| user_matches(word, asker));
        let hit = match user {
            Some(false) => continue,
            user => match (user, listed(&line.origins, &|word| origin_matches(word, asker.address))) {
                (_, Some(false)) => continue,
                (Some(true), Some(true)) => true,
                _ => return None,
            },
        };
        if hit {
            return Some((line.allow, Some(line.line)));
        }
    }
    Some((true, None))
}

/// A list with `EXCEPT`: the part before must match and the part after must not.
fn listed(words: &[String], matches: &dyn Fn(&str) -> Option<bool>) -> Option<bool> {
    let (before, after) = match words.iter().position(|word| word.eq_ignore_ascii_case("EXCEPT")) {
        Some(at) => (words.get(..at).unwrap_or_default(), words.get(at + 1..)),
        None => (words, None),
    };
    let mut sure = true;
    for word in before {
        match matches(word) {
            Some(true) => {
                return match after.map(|after| listed(after, matches)) {
                    None | Some(Some(false)) => Some(true),
                    Some(Some(true)) => Some(false),
                    Some(None) => None,
                };
            }
            Some(false) => {}
            None => sure = false,
        }
    }
    sure.then_some(false)
}

fn user_matches(word: &str, asker: &AccessAsker<'_>) -> Option<bool> {
    let in_group = |name: &str| asker.groups.iter().any(|group| group == name);
    if let Some(group) = word.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return Some(in_group(group));
    }
    if word.eq_ignore_ascii_case("ALL") || word == asker.user {
        return Some(true);
    }
    // `@netgroup`, and `user@host` with the host's own name.
    if word.contains('@') {
        return None;
    }
    Some(asker.bare_groups && in_group(word))
}

fn origin_matches(word: &str, address: IpAddr) -> Option<bool> {
    let text = address.to_string();
    if word.eq_ignore_ascii_case("ALL") || word == text {
        return Some(true);
    }
    if word.eq_ignore_ascii_case("LOCAL") {
        return Some(false);
    }
    // `.domain` is compared with the end of the address as text, which no name matches; `10.1.` with its start.
    if word.starts_with('.') {
        return Some(text.ends_with(word));
    }
    if word.ends_with('.') && word.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Some(text.starts_with(word));
    }
    if let Some((network, mask)) = word.split_once('/') {
        let network: IpAddr = network.parse().ok()?;
        let length = match mask.parse::<u8>() {
            Ok(length) => length,
            Err(_) => {
                let mask: std::net::Ipv4Addr = mask.parse().ok()?;
                u8::try_from(mask.to_bits().leading_ones()).ok()?
            }
        };
        return Some(in_network(address, network, length));
    }
    if word.parse::<IpAddr>().is_ok() || word.starts_with("tty") || word.starts_with("pts") || word.starts_with(':') {
        return Some(false);
    }
    // A host name: pam_access resolves it.
    None
}

fn in_network(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let shift = |width: u32| width.saturating_sub(u32::from(length));
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (a.to_bits() ^ n.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0,
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits() ^ n.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0,
        _ => false,
    }
}

/// The address patterns of the origins, in the form that sshd's own lists have.
pub fn patterns(lines: &[AccessLine]) -> Vec<String> {
    let words = lines.iter().flat_map(|line| &line.origins);
    words
        .filter(|word| {
            word.bytes().any(|b| b.is_ascii_digit())
                && word.bytes().all(|b| b.is_ascii_hexdigit() || b".:/".contains(&b))
        })
        .map(|word| if word.ends_with('.') { format!("{word}*") } else { word.clone() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_match_decides_and_what_needs_a_name_is_unknown() {
        let text = "# c\n- : mallory : ALL\n+ : root (wheel) : 10.0.0.0/8 192.168.1.\n+ : ops EXCEPT guest : ALL\n\
                    + : @ng : ALL\n- : ALL : ALL EXCEPT LOCAL\nrubbish\n";
        let (lines, defects) = parse(text.as_bytes());
        assert_eq!((lines.len(), defects.len()), (5, 1));
        let ask = |user: &str, groups: &[&str], address: &str| {
            let groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
            let address = address.parse().unwrap();
            granted(&lines, &AccessAsker { user, groups: &groups, address, bare_groups: true })
        };
        assert_eq!(ask("mallory", &["wheel"], "10.0.0.1"), Some((false, Some(2))));
        assert_eq!(ask("root", &[], "10.9.9.9"), Some((true, Some(3))));
        assert_eq!(ask("ann", &["wheel"], "192.168.1.7"), Some((true, Some(3))));
        assert_eq!(ask("ann", &["ops"], "203.0.113.1"), Some((true, Some(4))));
        assert_eq!(ask("guest", &["ops"], "203.0.113.1"), Some((true, Some(4))).filter(|_| false));
        assert_eq!(ask("root", &[], "203.0.113.1"), None);
        let (lines, _) = parse(b"-:ALL EXCEPT root:ALL\n");
        let asker = |user| AccessAsker { user, groups: &[], address: "10.0.0.1".parse().unwrap(), bare_groups: true };
        assert_eq!(granted(&lines, &asker("root")), Some((true, None)));
        assert_eq!(granted(&lines, &asker("ann")), Some((false, Some(1))));
    }

    #[test]
    fn patterns_are_those_that_cut_the_address_space() {
        let (lines, _) = parse(b"+:a:10. 192.168.0.0/255.255.0.0 203.0.113.9 tty1 ALL .corp\n");
        assert_eq!(patterns(&lines), ["10.*", "192.168.0.0/255.255.0.0", "203.0.113.9"]);
    }
}
