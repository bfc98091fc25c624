//! One sshd as the resolver sees it: what its configuration tells apart, and how commands name it.

use std::net::{IpAddr, SocketAddr};

use crate::host::sshd::{Carved, Instance};
use crate::parse::authorized_keys::Release;
use crate::sshd::{Connection, Effective};

use super::gate::matches;
use super::region::Prefix;

/// Tells connections apart that the configuration tells apart, without resolving it: equal signatures, equal settings.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    carved: Carved,
    /// Every word of every Match line, whatever it is tested against, with the network that it is.
    words: Vec<(String, Option<Prefix>)>,
}

impl Telling {
    pub(crate) fn of(instance: &Instance) -> Self {
        let mut words: Vec<(String, Option<Prefix>)> = Vec::new();
        let lines = instance.configuration.criteria();
        for (_, text) in lines.iter().filter(|(keyword, _)| keyword == "match") {
            for word in text.split([' ', '\t', ',', '"', '\'', '=']) {
                let word = word.trim_start_matches('!');
                if !word.is_empty() && !words.iter().any(|(known, _)| known == word) {
                    words.push((word.to_owned(), Prefix::parse(word)));
                }
            }
        }
        Self { carved: instance.carved(), words }
    }

    /// The address patterns.
    pub(crate) fn addresses(&self) -> &[String] {
        &self.carved.addresses
    }

    /// The host name patterns.
    pub(crate) fn hosts(&self) -> &[String] {
        &self.carved.hosts
    }

    /// Whether any Match looks at the local end, which a source address does not tell.
    pub(crate) fn local_end(&self) -> bool {
        !self.carved.local_addresses.is_empty()
    }

    /// For each word, whether it holds for the address, the host, the user, a group, and the local end.
    pub(crate) fn signature(&self, connection: &Connection) -> Vec<bool> {
        let text = connection.address.map(|ip| ip.to_string()).unwrap_or_default();
        let host = connection.host.as_deref().unwrap_or_default().to_ascii_lowercase();
        let user = connection.user.as_deref().unwrap_or_default();
        let local = connection.local_address.map(|ip| ip.to_string()).unwrap_or_default();
        let port = connection.local_port.map(|port| port.to_string()).unwrap_or_default();
        let inside = |network: &Option<Prefix>, ip: Option<IpAddr>| match (network, ip) {
            (Some(network), Some(ip)) => network.contains(ip),
            _ => false,
        };
        let holds = |(word, network): &(String, Option<Prefix>)| {
            [
                inside(network, connection.address) || matches(word, &text),
                matches(&word.to_ascii_lowercase(), &host),
                matches(word, user),
                connection.groups.iter().any(|group| matches(word, group)),
                inside(network, connection.local_address) || matches(word, &local),
                *word == port,
            ]
        };
        self.words.iter().flat_map(holds).collect()
    }
}

/// The release as key lines are judged by it.
pub(crate) fn release(instance: &Instance) -> Release {
    let version = instance.configuration.build.version;
    let part = |number: u16| u8::try_from(number).unwrap_or(u8::MAX);
    (part(version / 100), part(version % 100))
}

/// What the daemon listens on, by its own settings: the lines `listenaddress` of `sshd -T`.
pub(crate) fn listeners(global: &Effective) -> Vec<SocketAddr> {
    let values = global.setting("listenaddress").map_or(&[][..], |setting| &setting.values);
    values.iter().filter_map(|value| listener(&value.text)).collect()
}

/// `0.0.0.0:22` or `[::]:22`, perhaps with `rdomain …` behind.
fn listener(text: &str) -> Option<SocketAddr> {
    let text = text.split_ascii_whitespace().next()?;
    let (host, port) = text.rsplit_once(':')?;
    let address: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    Some(SocketAddr::new(address, port.parse().ok()?))
}

/// The daemon's own options that bear on its settings, each with a space in front: `-f`, `-o` and the like.
pub(crate) fn options(instance: &Instance) -> String {
    let mut out = String::new();
    let line = crate::sshd::CommandLine::parse(&instance.argv);
    if line.file != std::path::Path::new(crate::sshd::DEFAULT_FILE) {
        out.push_str(&format!(" -f {}", quote(&crate::check::path_text(&line.file))));
    }
    for (letter, argument) in &line.options {
        if b"46pohcg".contains(letter) {
            let letter = char::from(*letter);
            out.push_str(&format!(" -{letter}"));
            if !argument.is_empty() {
                out.push_str(&format!(" {}", quote(&crate::check::bytes_text(argument))));
            }
        }
    }
    out
}

/// A word as a shell takes it.
pub(crate) fn quote(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"=,.:/_-@%+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_and_words_are_read_and_written() {
        assert_eq!(listener("[::]:2222"), Some("[::]:2222".parse().unwrap()));
        assert_eq!(listener("0.0.0.0:22 rdomain x"), Some("0.0.0.0:22".parse().unwrap()));
        assert_eq!(listener("host:22"), None);
        for (word, want) in [("a=b", "a=b"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''")] {
            assert_eq!(quote(word), want);
        }
    }
}
