//! What sshd and its PAM modules log of a login that is refused.
//!
//! One attempt leaves several lines, and which depends on the method, the version and `LogLevel`: each kind is counted for itself.

use std::net::IpAddr;

use crate::observation::UnixSeconds;

/// A login that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: UnixSeconds,
    /// From where.
    pub source: IpAddr,
    /// How many attempts this line stands for: syslog daemons join lines that repeat.
    pub times: u32,
    /// What tells of it.
    pub sign: Sign,
}

/// A kind of line. Of one attempt there is at most one line of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `Failed password`: a wrong password.
    Wrong,
    /// `error: PAM: Authentication failure`: a wrong answer in a dialogue of PAM's.
    Dialogue,
    /// `pam_unix(sshd:auth): authentication failure`: what the module itself says.
    Module,
    /// `Invalid user`: a name that nobody has; `User … not allowed because`: one that may not come.
    Nobody,
    /// `maximum authentication attempts exceeded`.
    TooMany,
    /// A connection that ended before it had logged in.
    Ended,
    /// A record of btmp's.
    Record,
}

impl Sign {
    /// How many there are.
    pub const COUNT: usize = 7;
}

/// How messages begin that tell of a refused login.
pub(super) const BEGINNINGS: [&[u8]; 12] = [
    b"Failed ",
    b"message repeated ",
    b"Connection closed by ",
    b"Connection reset by ",
    b"Disconnected from ",
    b"Disconnecting ",
    b"Invalid user ",
    b"User ",
    b"error: PAM: ",
    b"error: maximum authentication attempts exceeded ",
    b"pam_unix(sshd:auth): ",
    b"PAM ",
];

/// More repetitions in one line are no syslog daemon's.
const MOST_REPEATED: u32 = 10_000;

/// What a message tells. What the client chose stands in the middle of it: where it came from is read from the end.
pub(super) fn refusal(text: &str, at: UnixSeconds) -> Option<Refusal> {
    if let Some(rest) = text.strip_prefix("message repeated ") {
        let (times, rest) = rest.split_once(" times: [ ")?;
        let one = refusal(rest.strip_suffix(']')?, at).filter(|_| !rest.starts_with("message repeated "))?;
        let times = times.parse::<u32>().ok()?.checked_mul(one.times).filter(|times| *times <= MOST_REPEATED)?;
        return Some(Refusal { times, ..one });
    }
    let (sign, source, times) = module(text).or_else(|| {
        let (sign, source) = sshds(text)?;
        Some((sign, source, 1))
    })?;
    Some(Refusal { at, source: source.to_canonical(), times, sign })
}

fn sshds(text: &str) -> Option<(Sign, IpAddr)> {
    let begins = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
    let from = || text.rsplit_once(" from ").map(|(_, tail)| tail);
    // A key that is not accepted is no guess: clients offer all that they have.
    if begins(&["Failed password for ", "Failed keyboard-interactive", "Failed unknown for "]) {
        let tail = from()?;
        // Old ones leave out the protocol, older ones the port.
        let peer_of = ["ssh2", "ssh1"].iter().find_map(|protocol| tail.strip_suffix(protocol)?.strip_suffix(' '));
        return Some((Sign::Wrong, peer_of.map_or_else(|| peer(tail).or_else(|| tail.parse().ok()), peer)?));
    }
    if begins(&["Invalid user "]) {
        let tail = from()?;
        return Some((Sign::Nobody, peer(tail).or_else(|| tail.parse().ok())?));
    }
    // Only who has an account is looked up in the lists: the name is none of the client's making.
    if let Some((user, _)) = text.strip_prefix("User ").and_then(|rest| rest.rsplit_once(" not allowed because ")) {
        return Some((Sign::Nobody, user.rsplit_once(" from ")?.1.parse().ok()?));
    }
    if begins(&["error: PAM: "]) {
        let tail = from()?.trim_end();
        let tail = tail.strip_suffix(" [preauth]").unwrap_or(tail);
        // Some systems name the address of their own.
        return Some((Sign::Dialogue, tail.split_once(" via ").map_or(tail, |(peer, _)| peer).parse().ok()?));
    }
    if begins(&["error: maximum authentication attempts exceeded for "]) {
        return Some((Sign::TooMany, peer(from()?.strip_suffix(" ssh2 [preauth]")?)?));
    }
    ended(text).map(|source| (Sign::Ended, source))
}

fn ended(text: &str) -> Option<IpAddr> {
    let who = match text.strip_prefix("Disconnecting ") {
        Some(who) => who.strip_suffix(": Too many authentication failures [preauth]")?,
        None => {
            let ends = ["Connection closed by ", "Connection reset by ", "Disconnected from "];
            ends.iter().find_map(|start| text.strip_prefix(start))?.strip_suffix(" [preauth]")?
        }
    };
    let rest = ["authenticating user ", "invalid user "].iter().find_map(|start| who.strip_prefix(start))?;
    let (before, port) = rest.rsplit_once(" port ")?;
    let (_, address) = before.rsplit_once(' ')?;
    peer(&format!("{address} port {port}"))
}

/// What pam_unix says, with the number of failures. The client's name for itself comes behind the address there.
fn module(text: &str) -> Option<(Sign, IpAddr, u32)> {
    let (times, rest) = match text.strip_prefix("pam_unix(sshd:auth): authentication failure; ") {
        Some(rest) => (1, rest),
        None => {
            let (count, rest) = text.strip_prefix("PAM ")?.split_once(" more authentication failure")?;
            let rest = rest.strip_prefix("s; ").or_else(|| rest.strip_prefix("; "))?;
            (count.parse().ok().filter(|count| *count <= MOST_REPEATED)?, rest)
        }
    };
    let (_, tail) = rest.split_once(" rhost=")?;
    Some((Sign::Module, tail.split(' ').next()?.parse().ok()?, times))
}

/// `192.0.2.1 port 5`.
fn peer(text: &str) -> Option<IpAddr> {
    let (address, port) = text.split_once(" port ")?;
    port.parse::<u16>().ok()?;
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::is_about_logins;
    use super::*;

    #[test]
    fn refused_logins_are_counted_by_source() {
        use Sign::{Dialogue, Ended, Module, Nobody, TooMany, Wrong};
        let is = |source: &str, times: u32, sign| Some((source.to_owned(), times, sign));
        for (message, want) in [
            ("Failed password for root from 192.0.2.1 port 5 ssh2", is("192.0.2.1", 1, Wrong)),
            ("Failed password for invalid user x from ::ffff:192.0.2.1 port 5 ssh2", is("192.0.2.1", 1, Wrong)),
            ("Failed keyboard-interactive/pam for a b from 2001:db8::1 port 5 ssh2", is("2001:db8::1", 1, Wrong)),
            (
                "message repeated 3 times: [ Failed password for root from 192.0.2.1 port 5 ssh2]",
                is("192.0.2.1", 3, Wrong),
            ),
            ("Connection closed by authenticating user root 192.0.2.1 port 5 [preauth]", is("192.0.2.1", 1, Ended)),
            ("Disconnected from invalid user  192.0.2.1 port 5 [preauth]", is("192.0.2.1", 1, Ended)),
            (
                "Disconnecting invalid user a: b 192.0.2.1 port 5: Too many authentication failures [preauth]",
                is("192.0.2.1", 1, Ended),
            ),
            ("Invalid user  from 192.0.2.1 port 5", is("192.0.2.1", 1, Nobody)),
            ("Invalid user x from 192.0.2.1", is("192.0.2.1", 1, Nobody)),
            (
                "error: maximum authentication attempts exceeded for invalid user x from 192.0.2.1 port 5 ssh2 [preauth]",
                is("192.0.2.1", 1, TooMany),
            ),
            ("error: PAM: Authentication failure for root from 192.0.2.1", is("192.0.2.1", 1, Dialogue)),
            (
                "error: PAM: User not known to the underlying authentication module for illegal user x from 2001:db8::1",
                is("2001:db8::1", 1, Dialogue),
            ),
            (
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root",
                is("192.0.2.1", 1, Module),
            ),
            (
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1 ",
                is("192.0.2.1", 1, Module),
            ),
            (
                "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root",
                is("192.0.2.1", 2, Module),
            ),
            (
                "message repeated 2 times: [ PAM 1 more authentication failure; logname= uid=0 tty=ssh ruser= rhost=192.0.2.1 ]",
                is("192.0.2.1", 2, Module),
            ),
            // A user's name that blames somebody else.
            (
                "Failed password for invalid user x from 9.9.9.9 port 1 ssh2 from 192.0.2.1 port 5 ssh2",
                is("192.0.2.1", 1, Wrong),
            ),
            ("Invalid user x from 9.9.9.9 port 1 from 192.0.2.1 port 5", is("192.0.2.1", 1, Nobody)),
            (
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=x rhost=9.9.9.9",
                is("192.0.2.1", 1, Module),
            ),
            (
                "Connection reset by invalid user 9.9.9.9 port 1 [preauth] 192.0.2.1 port 5 [preauth]",
                is("192.0.2.1", 1, Ended),
            ),
            (
                "Disconnecting invalid user x 9.9.9.9 port 1: Too many authentication failures [preauth] 192.0.2.1 port 5: Change of username or service not allowed: (x,ssh-connection) -> (y,ssh-connection) [preauth]",
                None,
            ),
            ("Failed password for root from 192.0.2.1 port 5", is("192.0.2.1", 1, Wrong)),
            ("Failed password for root from 192.0.2.1", is("192.0.2.1", 1, Wrong)),
            ("Failed unknown for invalid user x from 192.0.2.1 port 5 ssh2", is("192.0.2.1", 1, Wrong)),
            ("Failed password for root from 192.0.2.1 port 5 ssh3", None),
            ("Failed password for root from 192.0.2.1 ssh2", None),
            ("User root from 192.0.2.1 not allowed because not listed in AllowUsers", is("192.0.2.1", 1, Nobody)),
            ("User root from 192.0.2.1 not allowed because listed in DenyUsers", is("192.0.2.1", 1, Nobody)),
            ("User root from host.example not allowed because none of user's groups are listed in AllowGroups", None),
            ("User child is on pid 7", None),
            (
                "error: PAM: authentication error for james from 192.0.2.1 via 198.51.100.1",
                is("192.0.2.1", 1, Dialogue),
            ),
            (
                "error: PAM: Permission denied for illegal user x from 9.9.9.9 via from 192.0.2.1",
                is("192.0.2.1", 1, Dialogue),
            ),
            (
                "error: PAM: User not known to the underlying authentication module for illegal user x from 192.0.2.1 ",
                is("192.0.2.1", 1, Dialogue),
            ),
            ("Failed publickey for root from 192.0.2.1 port 5 ssh2: RSA SHA256:x", None),
            ("Failed none for root from 192.0.2.1 port 5 ssh2", None),
            ("Connection closed by 192.0.2.1 port 5 [preauth]", None),
            ("Disconnected from user root 192.0.2.1 port 5", None),
            ("Failed password for root from nowhere port 5 ssh2", None),
            ("Invalid user x from host.example port 5", None),
            (
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=host.example",
                None,
            ),
            ("pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)", None),
            ("PAM service(sshd) ignoring max retries; 6 > 3", None),
            ("message repeated 4000000000 times: [ Failed password for root from 192.0.2.1 port 5 ssh2]", None),
            (
                "message repeated 2 times: [ message repeated 2 times: [ Failed password for a from 1.2.3.4 port 5 ssh2]]",
                None,
            ),
        ] {
            let told = refusal(message, 0).map(|one| (one.source.to_string(), one.times, one.sign));
            assert_eq!(told, want, "{message}");
            let line = format!("Feb 28 18:00:00 h sshd[1]: {message}");
            assert!(want.is_none() || is_about_logins(line.as_bytes()), "{message}");
        }
    }
}
