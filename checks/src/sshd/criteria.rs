//! The criteria of a Match line (`servconf.c:match_cfg_line`).

use super::Connection;
use super::lexer::{Args, strdelim};
use super::parse::{Parser, Stop, Where};
use super::pattern::{ListMatch, addr_match_list, match_hostname, match_pattern_list};
use super::scalar;

/// What Match criteria are tested against, as text: what `-C` gives, or a real connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The user's name.
    pub user: Option<Vec<u8>>,
    /// The names of its groups; None: it does not exist, or is in no group.
    pub groups: Option<Vec<Vec<u8>>>,
    /// The client's host name.
    pub host: Option<Vec<u8>>,
    /// The client's address, as written.
    pub address: Option<Vec<u8>>,
    /// The local address, as written.
    pub local_address: Option<Vec<u8>>,
    /// The local port.
    pub local_port: Option<u16>,
    /// The routing domain.
    pub rdomain: Option<Vec<u8>>,
    /// `invalid-user` was given.
    pub invalid_user: bool,
    /// Whether a criterion on a local port that was not given is refused, as `sshd -T` does, or does not hold.
    pub strict_port: bool,
}

impl Subject {
    /// What `sshd -T` tests against where `-C` gives nothing yet.
    pub fn test() -> Self {
        Self { strict_port: true, ..Self::default() }
    }

    /// Adds what one `-C` gives: `user=,host=,addr=,laddr=,lport=,rdomain=` and `invalid-user`, separated by commas; an empty
    /// part ends it.
    ///
    /// # Errors
    /// sshd's words for a part that it does not know.
    pub fn add(&mut self, spec: &str) -> Result<(), String> {
        for part in spec.split(',').take_while(|part| !part.is_empty()) {
            let bytes = |text: &str| Some(text.as_bytes().to_vec());
            match part.split_once('=') {
                Some(("user", text)) => self.user = bytes(text),
                Some(("host", text)) => self.host = bytes(text),
                Some(("addr", text)) => self.address = bytes(text),
                Some(("laddr", text)) => self.local_address = bytes(text),
                Some(("rdomain", text)) => self.rdomain = bytes(text),
                Some(("lport", text)) => {
                    match scalar::strtonum(text.as_bytes(), 0, 65535).ok().and_then(|port| u16::try_from(port).ok()) {
                        Some(port) => self.local_port = Some(port),
                        None => return Err(format!("Invalid port '{text}' in test mode specification {part}")),
                    }
                }
                None if part == "invalid-user" => self.invalid_user = true,
                _ => return Err(format!("Invalid test mode specification {part}")),
            }
        }
        Ok(())
    }
}

impl From<&Connection> for Subject {
    fn from(connection: &Connection) -> Self {
        let bytes = |text: &String| text.clone().into_bytes();
        let groups = connection.groups.iter().map(bytes).collect::<Vec<_>>();
        Self {
            user: connection.user.as_ref().map(bytes),
            groups: (connection.exists && !groups.is_empty()).then_some(groups),
            host: connection.host.as_ref().map(bytes),
            address: connection.address.map(|ip| ip.to_string().into_bytes()),
            local_address: connection.local_address.map(|ip| ip.to_string().into_bytes()),
            local_port: connection.local_port,
            rdomain: connection.rdomain.as_ref().map(bytes),
            invalid_user: connection.user.is_some() && !connection.exists,
            strict_port: false,
        }
    }
}

/// Where the words of a Match line come from: the split words (from 10.0 on) or the raw text.
enum Words<'a> {
    Split(&'a mut Args),
    Raw(Option<Vec<u8>>),
}

impl Words<'_> {
    fn next(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Split(args) => args.next(),
            Self::Raw(rest) => strdelim(rest, true).filter(|word| !word.is_empty()),
        }
    }

    fn end(&mut self) {
        match self {
            Self::Split(args) => args.consume(),
            Self::Raw(rest) => *rest = None,
        }
    }
}

/// The criteria that take an argument.
const CRITERIA: [&str; 8] = ["user", "group", "host", "address", "localaddress", "localport", "rdomain", "version"];

impl Parser<'_> {
    /// Whether a Match line holds. `known` is what it is tested against; None: only its form is checked. Takes the
    /// words that it understood; what is left is garbage.
    pub(super) fn match_line(&mut self, at: &Where, args: &mut Args, known: Option<&Subject>) -> Result<bool, Stop> {
        let split = self.build.since(1000);
        let mut words = if split { Words::Split(args) } else { Words::Raw(args.rest.take()) };
        let result = self.criteria(at, &mut words, known);
        if let Words::Raw(rest) = words {
            if rest.as_ref().is_none_or(Vec::is_empty) {
                args.consume();
            }
            args.rest = rest;
        }
        match result {
            Ok(holds) => Ok(holds),
            Err(Stop::Bad) => Err(self.fatal(at, "Bad Match condition")),
            Err(stop) => Err(stop),
        }
    }

    fn criteria(&mut self, at: &Where, words: &mut Words<'_>, known: Option<&Subject>) -> Result<bool, Stop> {
        let (mut holds, mut count) = (true, 0);
        let comments = self.build.since(807);
        while let Some(word) = words.next() {
            if comments && word.first() == Some(&b'#') {
                words.end();
                break;
            }
            count += 1;
            if word.eq_ignore_ascii_case(b"all") {
                let next = words.next();
                let comment = comments && next.as_ref().is_some_and(|next| next.first() == Some(&b'#'));
                if count > 1 || next.is_some_and(|next| !next.is_empty() && !comment) {
                    return Err(self.bare("'all' cannot be combined with other Match attributes"));
                }
                if comment {
                    words.end();
                }
                return Ok(true);
            }
            if self.build.since(909) && word.eq_ignore_ascii_case(b"invalid-user") {
                holds &= known.is_some_and(|subject| subject.invalid_user);
                continue;
            }
            let (name, argument) = match self.inline_argument(&word) {
                Some((name, argument)) => (name, Some(argument)),
                None => (word.clone(), words.next()),
            };
            let missing = |argument: &Vec<u8>| argument.is_empty() || (comments && argument.starts_with(b"#"));
            let Some(argument) = argument.filter(|argument| !missing(argument)) else {
                return Err(self.bare(&format!("Missing Match criteria for {}", String::from_utf8_lossy(&name))));
            };
            holds &= self.criterion(at, &name, &argument, known)?;
        }
        if count == 0 {
            return Err(self.bare("One or more attributes required for Match"));
        }
        Ok(holds)
    }

    /// `user=x` in one word, from 10.0 on.
    fn inline_argument(&self, word: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        if self.build.before(1000) {
            return None;
        }
        let equals = word.iter().position(|byte| *byte == b'=')?;
        let (name, argument) = word.split_at(equals);
        let known = CRITERIA.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        known.then(|| (name.to_vec(), argument.get(1..).unwrap_or_default().to_vec()))
    }

    fn criterion(&mut self, at: &Where, name: &[u8], list: &[u8], known: Option<&Subject>) -> Result<bool, Stop> {
        let name = String::from_utf8_lossy(name).into_owned();
        let yes = |found: ListMatch| found == ListMatch::Yes;
        match name.to_ascii_lowercase().as_str() {
            "user" => Ok(known
                .and_then(|subject| subject.user.as_deref())
                .is_some_and(|user| yes(match_pattern_list(user, list, false)))),
            "group" => {
                Ok(known.filter(|subject| subject.user.is_some()).is_some_and(|subject| in_groups(subject, list)))
            }
            "host" => Ok(known
                .and_then(|subject| subject.host.as_deref())
                .is_some_and(|host| yes(match_hostname(host, list)))),
            "address" => self.address(at, "address", list, known.map(|subject| subject.address.as_deref())),
            "localaddress" => {
                self.address(at, "localaddress", list, known.map(|subject| subject.local_address.as_deref()))
            }
            "localport" => {
                let Some(port) = scalar::port(self.build, &self.around.services, list) else {
                    let text = format!("Invalid LocalPort '{}' on Match line", String::from_utf8_lossy(list));
                    return Err(self.bare(&text));
                };
                match known {
                    Some(Subject { local_port: None, strict_port: true, .. }) if self.build.since(707) => Err(self
                        .fatal_bare(
                            "'Match LocalPort' in configuration but 'lport' not in connection test specification.",
                        )),
                    _ => Ok(known.and_then(|subject| subject.local_port) == Some(port)),
                }
            }
            "rdomain" if self.build.since(707) => Ok(known
                .and_then(|subject| subject.rdomain.as_deref())
                .is_some_and(|rdomain| yes(match_pattern_list(rdomain, list, false)))),
            "version" if self.build.since(1000) => {
                Ok(yes(match_pattern_list(self.build.release.as_bytes(), list, false)))
            }
            _ => Err(self.bare(&format!("Unsupported Match attribute {name}"))),
        }
    }

    /// A criterion on an address. `address` is None where only the form is checked, and Some(None) where the connection
    /// has none: then it does not hold, and from 8.4 on its form is checked too.
    fn address(&mut self, at: &Where, what: &str, list: &[u8], address: Option<Option<&[u8]>>) -> Result<bool, Stop> {
        match address.flatten() {
            Some(address) => match addr_match_list(Some(address), list) {
                Ok(found) => Ok(found == ListMatch::Yes),
                Err(_) => Err(Stop::Bad),
            },
            None if self.build.before(804) || addr_match_list(None, list).is_ok() => Ok(false),
            None => {
                let list = String::from_utf8_lossy(list);
                let text = format!("Invalid Match {what} argument '{list}' at line {}", at.line);
                Err(self.fatal_at(at, &text))
            }
        }
    }
}

/// `groupaccess.c:ga_match_pattern_list`: one negated match of any group decides.
fn in_groups(subject: &Subject, list: &[u8]) -> bool {
    let mut found = false;
    for group in subject.groups.iter().flatten() {
        match match_pattern_list(group, list, false) {
            ListMatch::Negated => return false,
            ListMatch::Yes => found = true,
            ListMatch::No => {}
        }
    }
    found
}
