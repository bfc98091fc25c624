//! Keywords that take lists: users and groups, files, environment, forwardings, methods, algorithms.

use super::{Line, item};
use crate::sshd::algorithms::{Family, valid};
use crate::sshd::keyword::{Key, gssapi};
use crate::sshd::lexer::{argv_assemble, leading_space};
use crate::sshd::listen::host_and_port;
use crate::sshd::options::{Item, Queued};
use crate::sshd::parse::{Parser, Stop, Taken};
use crate::sshd::pattern::user_pattern_valid;
use crate::sshd::scalar;

impl Parser<'_> {
    /// AllowUsers and friends: they append.
    pub(super) fn people(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let users = matches!(line.key, Key::AllowUsers | Key::DenyUsers);
        let mut found = false;
        while let Some(word) = line.args.next_in_list(true) {
            let shown = String::from_utf8_lossy(&word).into_owned();
            if users && (word.is_empty() || !user_pattern_valid(&word, self.build.since(909))) {
                let text = format!("invalid {} pattern: \"{shown}\"", line.word);
                return Err(self.fatal(line.at, &text));
            }
            if word.is_empty() {
                let text = format!("empty {} pattern", line.word);
                return Err(self.fatal(line.at, &text));
            }
            found = true;
            if line.active {
                self.options.push(line.key, item(line, &word));
            }
        }
        self.some(line, found)
    }

    /// From 9.9 on an empty list is refused.
    fn some(&mut self, line: &Line<'_>, found: bool) -> Result<Taken, Stop> {
        if !found && self.build.since(909) {
            let text = format!("no {} specified", line.word);
            return Err(self.fatal(line.at, &text));
        }
        Ok(Taken::Words)
    }

    /// Sets a list as a whole unless an earlier line did.
    fn all_once(&mut self, line: &Line<'_>, words: Vec<Vec<u8>>) {
        if line.active && !self.options.is_set(line.key) && !words.is_empty() {
            let items = words.into_iter().map(|word| item(line, &word)).collect();
            self.options.put_all(line.key, items);
        }
    }

    /// `none` may stand in a list only alone.
    fn alone(&mut self, line: &Line<'_>, before: usize, name: &str) -> Result<(), Stop> {
        if before > 0 || line.args.left() > 0 {
            let text = format!("keyword {} \"{name}\" argument must appear alone.", line.word);
            return Err(self.bad(line.at, &text));
        }
        Ok(())
    }

    /// AuthorizedKeysFile, and RevokedKeys from 10.3 on.
    pub(super) fn paths(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let split = self.build.since(807);
        if !split && (!line.active || self.options.is_set(line.key)) {
            return Ok(Taken::Line);
        }
        let mut words = Vec::new();
        while let Some(word) = line.args.next_in_list(true) {
            if word.is_empty() {
                let text = format!("keyword {} empty argument", line.word);
                return Err(self.bad(line.at, &text));
            }
            if self.build.since(1003) && word.eq_ignore_ascii_case(b"none") {
                self.alone(line, words.len(), "none")?;
            }
            words.push(self.tilde(line.at, &word)?);
        }
        let found = !words.is_empty();
        self.all_once(line, words);
        if !split {
            return Ok(Taken::Line);
        }
        self.some(line, found)
    }

    pub(super) fn log_verbose(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let mut words = Vec::new();
        while let Some(word) = line.args.next_in_list(true) {
            if word.is_empty() {
                let text = format!("keyword {} empty argument", line.word);
                return Err(self.bad(line.at, &text));
            }
            if word.eq_ignore_ascii_case(b"none") {
                self.alone(line, words.len(), "none")?;
            }
            words.push(word);
        }
        let found = !words.is_empty();
        self.all_once(line, words);
        self.some(line, found)
    }

    pub(super) fn channel_timeout(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let mut words = Vec::new();
        while let Some(word) = line.args.next_in_list(true) {
            if word.eq_ignore_ascii_case(b"none") {
                let before = if self.build.since(909) { words.len() } else { 0 };
                self.alone(line, before, "none")?;
            } else {
                let equals = word.iter().position(|byte| *byte == b'=').filter(|at| *at > 0);
                let time = equals.and_then(|at| word.get(at + 1..));
                if time.and_then(|time| scalar::seconds(self.build, time)).is_none_or(|time| time < 0) {
                    let text = format!("invalid channel timeout {}", String::from_utf8_lossy(&word));
                    return Err(self.fatal(line.at, &text));
                }
            }
            words.push(word);
        }
        let found = !words.is_empty();
        self.all_once(line, words);
        self.some(line, found)
    }

    pub(super) fn accept_env(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let mut found = false;
        while let Some(word) = line.args.next_in_list(true) {
            if word.is_empty() || word.contains(&b'=') {
                return Err(self.fatal(line.at, "Invalid environment name."));
            }
            found = true;
            if line.active {
                self.options.push(line.key, item(line, &word));
            }
        }
        self.some(line, found)
    }

    pub(super) fn set_env(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let name = |word: &[u8]| word.split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
        let mut words: Vec<Vec<u8>> = Vec::new();
        while let Some(word) = line.args.next_in_list(false) {
            if word.is_empty() || !word.contains(&b'=') {
                return Err(self.fatal(line.at, "Invalid environment."));
            }
            let again = words.iter().any(|known| name(known) == name(&word));
            if !again || self.build.before(901) {
                words.push(word);
            }
        }
        let found = !words.is_empty();
        self.all_once(line, words);
        self.some(line, found)
    }

    pub(super) fn permit_forward(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let listen = line.key == Key::PermitListen;
        let name = if listen { "permitlisten" } else { "permitopen" };
        let mut words = Vec::new();
        let mut next = line.args.next_in_list(true);
        let first_filled = next.as_ref().is_some_and(|word| !word.is_empty());
        if self.build.before(909) && !first_filled {
            return Err(self.missing(line, &format!("missing {name} specification")));
        }
        while let Some(word) = next.take() {
            if self.build.before(909) && word.is_empty() {
                break;
            }
            if word == b"any" || word == b"none" {
                if self.build.before(909) {
                    if words.is_empty() {
                        self.all_once(line, vec![word]);
                        return Ok(Taken::Words);
                    }
                } else {
                    if !words.is_empty() {
                        let shown = String::from_utf8_lossy(&word);
                        let text = format!("{shown} must appear alone on a {} line.", line.word);
                        return Err(self.fatal(line.at, &text));
                    }
                    words.push(word);
                    next = line.args.next_in_list(true);
                    continue;
                }
            }
            let (kept, port) = if listen && !word.contains(&b':') {
                ([b"*:", word.as_slice()].concat(), Some(word.clone()))
            } else {
                match host_and_port(&word) {
                    Some((_, port, delimiter)) if delimiter != Some(b'/') || self.build.before(707) => {
                        (word.clone(), port)
                    }
                    _ => {
                        let text = self.wording(line.word, &format!("missing host in {name}"), "missing host");
                        return Err(self.fatal(line.at, &text));
                    }
                }
            };
            let port = port.filter(|port| {
                port == b"*" || scalar::port(self.build, &self.around.services, port).is_some_and(|port| port > 0)
            });
            if port.is_none() {
                let text = self.wording(line.word, &format!("bad port number in {name}"), "bad port number");
                return Err(self.fatal(line.at, &text));
            }
            words.push(kept);
            next = line.args.next_in_list(true);
        }
        if words.is_empty() {
            return Err(self.missing(line, ""));
        }
        self.all_once(line, words);
        Ok(Taken::Words)
    }

    pub(super) fn authentication_methods(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let (split, keeps) = (self.build.since(807), !self.options.is_set(line.key));
        if !split && !keeps {
            return Ok(Taken::Line);
        }
        let (mut words, mut any): (Vec<Vec<u8>>, bool) = (Vec::new(), false);
        let subject = if split { line.word.to_owned() } else { "AuthenticationMethods".to_owned() };
        while let Some(word) = line.args.next_in_list(true) {
            // Up to 9.8 the methods kept so far counted, not those on the line.
            let before =
                if self.build.since(909) { !words.is_empty() } else { !keeps || (line.active && !words.is_empty()) };
            if word == b"any" && !before {
                any = true;
            } else if word == b"any" || any {
                let text = format!("\"any\" must appear alone in {subject}");
                return Err(self.fatal(line.at, &text));
            } else if let Err(why) = self.methods_valid(&word, false) {
                self.bare(&why);
                let text = if split {
                    format!("invalid {subject} method list.")
                } else {
                    "invalid authentication method list.".to_owned()
                };
                return Err(self.fatal(line.at, &text));
            }
            words.push(word);
        }
        if words.is_empty() {
            let text = format!("no {subject} specified");
            return Err(self.fatal(line.at, &text));
        }
        self.all_once(line, words);
        Ok(if split { Taken::Words } else { Taken::Line })
    }

    /// `auth2.c:auth2_methods_valid`: every method of a list is known, and where asked, enabled.
    pub(in crate::sshd) fn methods_valid(&self, list: &[u8], enabled: bool) -> Result<(), String> {
        if list.is_empty() {
            return Err("empty authentication method list".to_owned());
        }
        let shown = String::from_utf8_lossy(list).into_owned();
        let yes = |key: Key, default: bool| self.options.text(key).map_or(default, |text| text == "yes");
        for method in list.split(|byte| *byte == b',') {
            let method = method.split(|byte| *byte == b':').next().unwrap_or_default();
            let method = String::from_utf8_lossy(method).into_owned();
            let on = match method.as_str() {
                "none" => true,
                "publickey" => yes(Key::PubkeyAuthentication, true),
                "password" => yes(Key::PasswordAuthentication, true),
                "keyboard-interactive" => {
                    let challenge = self.build.before(807) && yes(Key::ChallengeResponseAuthentication, true);
                    challenge || yes(Key::KbdInteractiveAuthentication, self.build.since(807))
                }
                "hostbased" => yes(Key::HostbasedAuthentication, false),
                "gssapi-with-mic" if gssapi(self.build) => yes(Key::GssapiAuthentication, false),
                "gssapi-keyex" if self.build.holds("gssapi-keyex").unwrap_or(gssapi(self.build)) => {
                    yes(Key::GssapiAuthentication, false)
                }
                _ => return Err(format!("Unknown authentication method \"{method}\" in list")),
            };
            if enabled && !on {
                return Err(format!("Disabled method \"{method}\" in AuthenticationMethods list \"{shown}\""));
            }
        }
        Ok(())
    }

    pub(super) fn algorithms(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let family = match line.key {
            Key::Ciphers => Family::Ciphers,
            Key::Macs => Family::Macs,
            Key::KexAlgorithms => Family::Kex,
            Key::CaSignatureAlgorithms => Family::Signatures,
            _ => Family::Keys,
        };
        let transport = matches!(family, Family::Ciphers | Family::Macs | Family::Kex);
        let Some(word) = line.args.next_filled() else {
            let text = if transport {
                self.wording(line.word, "Missing argument.", "missing argument.")
            } else {
                "Missing argument.".to_owned()
            };
            return Err(self.fatal(line.at, &text));
        };
        let shown = String::from_utf8_lossy(&word).into_owned();
        let sign = shown.chars().next();
        let names = match sign {
            Some('+') => shown.get(1..).unwrap_or_default(),
            Some('^') if self.build.since(800) => shown.get(1..).unwrap_or_default(),
            _ => shown.as_str(),
        };
        let plain_only = family == Family::Signatures && self.build.since(903);
        if sign != Some('-') && !valid(family, names, &self.build.algorithms.all, plain_only) {
            let text = match family {
                Family::Ciphers => format!("Bad SSH2 cipher spec '{shown}'."),
                Family::Macs => format!("Bad SSH2 mac spec '{shown}'."),
                Family::Kex => format!("Bad SSH2 KexAlgorithms '{shown}'."),
                Family::Keys | Family::Signatures => format!("Bad key types '{shown}'."),
            };
            return Err(self.fatal(line.at, &text));
        }
        if line.active || transport {
            self.options.put_once(line.key, item(line, &word));
        }
        Ok(Taken::Words)
    }

    pub(super) fn gss_kex(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else { return Err(self.fatal(line.at, "Missing argument.")) };
        let shown = String::from_utf8_lossy(&word).into_owned();
        let known = [
            "gss-gex-sha1-",
            "gss-group1-sha1-",
            "gss-group14-sha1-",
            "gss-group14-sha256-",
            "gss-group16-sha512-",
            "gss-nistp256-sha256-",
            "gss-curve25519-sha256-",
        ];
        // A name is known by its beginning; the rest names the mechanism.
        let mut names = shown.split(',').take_while(|name| !name.is_empty());
        if !names.all(|name| known.iter().any(|known| name.starts_with(known))) {
            let text = format!("Bad GSSAPI KexAlgorithms '{shown}'.");
            return Err(self.fatal(line.at, &text));
        }
        self.once(line, line.key, &word);
        Ok(Taken::Words)
    }

    pub(super) fn subsystem(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let name = line.args.next_filled();
        let both = self.build.since(1003);
        let mut command = if both { line.args.next_filled() } else { None };
        let Some(name) = name.filter(|_| !both || command.is_some()) else {
            return Err(self.missing(line, "Missing subsystem name."));
        };
        if !line.active {
            if self.build.since(905) {
                line.args.take_all();
            } else {
                line.args.next();
            }
            return Ok(Taken::Words);
        }
        let known = self.options.items(line.key).iter().any(|item| item.words.first() == Some(&name));
        if known && self.build.since(905) {
            line.args.take_all();
            return Ok(Taken::Words);
        }
        if known {
            let text = format!("Subsystem '{}' already defined.", String::from_utf8_lossy(&name));
            return Err(self.fatal(line.at, &text));
        }
        if !both {
            command = line.args.next_filled();
        }
        let Some(command) = command else { return Err(self.fatal(line.at, "Missing subsystem command.")) };
        let whole = if self.build.since(905) {
            let rest = argv_assemble(&line.args.take_all());
            let mut whole = argv_assemble(std::slice::from_ref(&command));
            if !rest.is_empty() || self.build.before(908) {
                whole.push(b' ');
            }
            whole.extend(rest);
            whole
        } else {
            let mut whole = command;
            while let Some(word) = line.args.next_in_list(true) {
                whole.push(b' ');
                whole.extend(word);
            }
            whole
        };
        self.options.push(line.key, Item { words: vec![name, whole], origin: line.at.origin() });
        Ok(Taken::Words)
    }

    pub(super) fn listen_address(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else { return Err(self.fatal(line.at, "missing address")) };
        let colons = word.iter().filter(|byte| **byte == b':').count();
        let (host, port) = if !word.contains(&b'[') && colons >= 2 {
            (word, None)
        } else {
            match host_and_port(&word) {
                Some((host, port, delimiter)) if delimiter != Some(b'/') || self.build.before(707) => (host, port),
                _ => return Err(self.fatal(line.at, "bad address:port usage")),
            }
        };
        let port = match port.map(|port| scalar::port(self.build, &self.around.services, &port)) {
            None => None,
            Some(Some(port)) if port > 0 => Some(port),
            Some(_) => return Err(self.fatal(line.at, "bad port number")),
        };
        let mut rdomain = None;
        if self.build.since(707)
            // Up to 8.6 an address in quotes leaves an empty word behind, which is refused too.
            && let Some(word) = line.args.next()
        {
            match line.args.next().filter(|_| word == b"rdomain") {
                None => return Err(self.fatal(line.at, "bad ListenAddress syntax")),
                // A routing domain is a network interface; only the loopback surely exists.
                Some(name) if name == b"lo" => rdomain = Some(name),
                Some(_) => return Err(self.fatal(line.at, "bad routing domain")),
            }
        }
        self.options.queued.push(Queued { host, port, rdomain, origin: line.at.origin() });
        Ok(Taken::Words)
    }

    pub(super) fn force_command(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let raw = line.args.rest.clone().unwrap_or_default();
        if raw.is_empty() {
            return Err(self.missing(line, "Missing argument."));
        }
        let value = raw.get(leading_space(&raw)..).unwrap_or_default().to_vec();
        self.once(line, line.key, &value);
        line.args.consume();
        Ok(Taken::Line)
    }
}
