//! Keywords with a form of their own: ports, limits, penalties, times of rekeying, commands, service classes.

use super::{Line, item};
use crate::sshd::build::Flavour;
use crate::sshd::keyword::{Key, Penalty};
use crate::sshd::lexer::leading_space;
use crate::sshd::options::Item;
use crate::sshd::parse::{Parser, Stop, Taken};
use crate::sshd::pattern::addr_match_list;
use crate::sshd::scalar;

/// How many Port lines sshd takes.
const MAX_PORTS: usize = 256;

/// `log.c:log_levels[]`: the names and the one each prints as.
const LEVELS: [(&str, &str); 9] = [
    ("QUIET", "QUIET"),
    ("FATAL", "FATAL"),
    ("ERROR", "ERROR"),
    ("INFO", "INFO"),
    ("VERBOSE", "VERBOSE"),
    ("DEBUG", "DEBUG"),
    ("DEBUG1", "DEBUG"),
    ("DEBUG2", "DEBUG2"),
    ("DEBUG3", "DEBUG3"),
];

/// `log.c:log_facilities[]`.
const FACILITIES: [&str; 12] = [
    "DAEMON", "USER", "AUTH", "AUTHPRIV", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6",
    "LOCAL7",
];

impl Parser<'_> {
    pub(super) fn port(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        if self.options.ports_from_command_line {
            line.args.consume();
            return Ok(Taken::Line);
        }
        if self.options.items(line.key).len() >= MAX_PORTS {
            return Err(self.fatal(line.at, "too many ports."));
        }
        let Some(word) = line.args.next_filled() else { return Err(self.fatal(line.at, "missing port number.")) };
        match scalar::port(self.build, &self.around.services, &word) {
            Some(port) if port > 0 => self.options.push(line.key, item(line, port.to_string().as_bytes())),
            _ => return Err(self.fatal(line.at, "Badly formatted port number.")),
        }
        Ok(Taken::Words)
    }

    pub(super) fn permit_user_environment(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else {
            return Err(self.missing(line, "missing argument."));
        };
        if line.active && !self.options.is_set(line.key) {
            match word.as_slice() {
                b"yes" | b"no" => self.once(line, line.key, &word),
                _ => {
                    self.once(line, line.key, b"yes");
                    self.once(line, Key::PermitUserEnvironmentList, &word);
                }
            }
        }
        Ok(Taken::Words)
    }

    pub(super) fn rekey_limit(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else {
            return Err(self.missing(line, "Missing argument."));
        };
        let bytes = if word == b"default" {
            0
        } else {
            let shown = String::from_utf8_lossy(&word).into_owned();
            let value = match scalar::scaled(&word) {
                Ok(value) => value,
                Err(scalar::BadSize(why)) => {
                    let new = format!("Bad {} number '{shown}': {why}", line.word);
                    let old = format!("Bad number '{shown}': {why}");
                    let text = if self.build.since(807) { new } else { old };
                    return Err(self.fatal(line.at, &text));
                }
            };
            if value != 0 && value < 16 {
                let text = self.wording(line.word, "RekeyLimit too small", "too small");
                return Err(self.fatal(line.at, &text));
            }
            value
        };
        self.once_number(line, line.key, bytes);
        let more = if self.build.since(807) { line.args.left() > 0 } else { line.args.rest.is_some() };
        if !more {
            return Ok(Taken::Words);
        }
        if line.args.peek() == Some(b"none") {
            line.args.next();
            return Ok(Taken::Words);
        }
        self.time(line, Key::RekeyInterval)
    }

    pub(super) fn log_word(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let word = line.args.next();
        let text = word.as_ref().map_or("<NONE>".into(), |word| String::from_utf8_lossy(word));
        let quiet = text.eq_ignore_ascii_case("SILENT") || text.eq_ignore_ascii_case("QUIET");
        let (known, what) = if line.key == Key::LogLevel && quiet && self.build.flavour == Flavour::Debian {
            // Debian keeps the old word beside the new one, and prints it.
            (Some("SILENT"), "level")
        } else if line.key == Key::LogLevel {
            (LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text)).map(|(_, shown)| *shown), "level")
        } else {
            (FACILITIES.iter().find(|name| name.eq_ignore_ascii_case(&text)).copied(), "facility")
        };
        let Some(value) = known else {
            let text = format!("unsupported log {what} '{text}'");
            return Err(self.fatal(line.at, &text));
        };
        if line.active || line.key == Key::SyslogFacility {
            self.options.put_once(line.key, item(line, value.as_bytes()));
        }
        Ok(Taken::Words)
    }

    pub(super) fn pubkey_options(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let (mut touch, mut verify, mut most) = (false, false, None);
        while let Some(word) = line.args.next_in_list(true) {
            let text = String::from_utf8_lossy(&word).into_owned();
            match text.to_ascii_lowercase().as_str() {
                "none" => {}
                "touch-required" => touch = true,
                "verify-required" if self.build.since(804) => verify = true,
                lower if self.build.since(1004) && lower.starts_with("max-pk-ok:") => {
                    let number = word.get("max-pk-ok:".len()..).unwrap_or_default();
                    match scalar::integer(self.build, number) {
                        Ok(value) => most = Some(value),
                        Err(why) => {
                            let why = if number.is_empty() { "missing" } else { why };
                            let text = format!("bad {} max-pk-ok value: {why}", line.word);
                            return Err(self.bad(line.at, &text));
                        }
                    }
                }
                _ if self.build.since(807) => {
                    let text = format!("unsupported {} option {text}", line.word);
                    return Err(self.bad(line.at, &text));
                }
                _ => {
                    let text = format!("unsupported PubkeyAuthOptions option {text}");
                    return Err(self.fatal(line.at, &text));
                }
            }
        }
        let flags = [(touch, "touch-required"), (verify, "verify-required")];
        let flags: Vec<Vec<u8>> =
            flags.iter().filter(|(on, _)| *on).map(|(_, name)| name.as_bytes().to_vec()).collect();
        let words = if flags.is_empty() { vec![b"none".to_vec()] } else { flags };
        if line.active && !self.options.is_set(line.key) {
            self.options.put(line.key, Item { words, origin: line.at.origin() });
            self.options.put(Key::PubkeyMaxOk, item(line, most.unwrap_or(0).to_string().as_bytes()));
        }
        Ok(Taken::Words)
    }

    pub(super) fn max_startups(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else {
            return Err(self.missing(line, "Missing MaxStartups spec."));
        };
        let numbers = scalar::scan_colons(&word, 3);
        let old = "Illegal MaxStartups spec.";
        let refuse = |parser: &mut Self| {
            let text = if parser.build.since(807) { format!("Invalid {} spec.", line.word) } else { old.to_owned() };
            parser.fatal(line.at, &text)
        };
        let (begin, rate, full) = match *numbers.as_slice() {
            [begin, rate, full] if begin <= full && (1..=100).contains(&rate) => (Some(begin), Some(rate), full),
            // 10.2 forgot the beginning of the short form.
            [full] if (1001..1003).contains(&self.build.version) => (None, None, full),
            [full] => (Some(full), None, full),
            _ => return Err(refuse(self)),
        };
        let checked = self.build.since(901);
        if checked && (full <= 0 || begin.is_some_and(|begin| begin <= 0)) {
            return Err(refuse(self));
        }
        let first_wins = self.build.since(1001);
        if line.active && !(first_wins && self.options.is_set(line.key)) {
            let fields = [(Key::MaxStartupsBegin, begin), (Key::MaxStartupsRate, rate), (line.key, Some(full))];
            for (key, value) in fields {
                match value {
                    Some(-1) => self.options.unset(key),
                    Some(value) => self.options.put(key, item(line, value.to_string().as_bytes())),
                    None if first_wins => self.options.unset(key),
                    None => {}
                }
            }
        }
        Ok(Taken::Words)
    }

    pub(super) fn per_source_max_startups(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else { return Err(self.missing(line, "missing argument.")) };
        let value = if word == b"none" { Ok(i64::from(i32::MAX)) } else { scalar::integer(self.build, &word) };
        let value = match value {
            Ok(value) => value,
            Err(why) => {
                let text = format!("{} integer value {why}.", line.word);
                return Err(self.fatal(line.at, &text));
            }
        };
        if line.active && (self.build.before(903) || !self.options.is_set(line.key)) {
            self.options.put(line.key, item(line, value.to_string().as_bytes()));
        }
        Ok(Taken::Words)
    }

    pub(super) fn per_source_net_block_size(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else { return Err(self.missing(line, "missing argument.")) };
        let (four, six) = match *scalar::scan_colons(&word, 2).as_slice() {
            // Up to 10.2 a second number that is not given is zero; seen to be the default on 10.6.
            [four] => (four, self.build.before(1003).then_some(0)),
            [four, six] if (0..=128).contains(&six) => (four, Some(six)),
            _ => (-1, None),
        };
        if !(0..=32).contains(&four) {
            let text = format!("Invalid {} spec.", line.word);
            return Err(self.fatal(line.at, &text));
        }
        if line.active && (self.build.before(1001) || !self.options.is_set(line.key)) {
            self.options.put(line.key, item(line, four.to_string().as_bytes()));
            if let Some(six) = six {
                self.options.put(Key::PerSourceNetBlockSize6, item(line, six.to_string().as_bytes()));
            }
        }
        Ok(Taken::Words)
    }

    pub(super) fn penalty_exempt_list(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else { return Err(self.fatal(line.at, "missing argument.")) };
        if addr_match_list(None, &word).is_err() {
            let text = format!("keyword {} invalid address argument.", line.word);
            return Err(self.fatal(line.at, &text));
        }
        self.once(line, line.key, &word);
        Ok(Taken::Words)
    }

    pub(super) fn per_source_penalties(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let mut found = false;
        while let Some(word) = line.args.next_in_list(true) {
            found = true;
            let text = String::from_utf8_lossy(&word).into_owned();
            if text.eq_ignore_ascii_case("yes") || text.eq_ignore_ascii_case("no") {
                if line.args.left() > 0 {
                    let text = format!("keyword {} \"{text}\" argument must appear alone.", line.word);
                    return Err(self.fatal(line.at, &text));
                }
                self.once(line, line.key, text.to_ascii_lowercase().as_bytes());
                continue;
            }
            let (field, value) = self.penalty(line, &text)?;
            if line.active && !self.options.is_set(Key::Penalty(field)) {
                self.options.put(Key::Penalty(field), item(line, value.as_bytes()));
                self.options.put(line.key, item(line, b"yes"));
            }
        }
        if !found {
            let text = format!("no {} specified", line.word);
            return Err(self.fatal(line.at, &text));
        }
        Ok(Taken::Words)
    }

    /// One field of PerSourcePenalties with its value as sshd prints it.
    fn penalty(&mut self, line: &Line<'_>, text: &str) -> Result<(Penalty, String), Stop> {
        let fields = [
            ("crash:", Penalty::Crash),
            ("authfail:", Penalty::AuthFail),
            ("invaliduser:", Penalty::InvalidUser),
            ("noauth:", Penalty::NoAuth),
            ("grace-exceeded:", Penalty::GraceExceeded),
            ("refuseconnection:", Penalty::RefuseConnection),
            ("max:", Penalty::Max),
            ("min:", Penalty::Min),
            ("max-sources4:", Penalty::MaxSources4),
            ("max-sources6:", Penalty::MaxSources6),
        ];
        let decimal = self.build.since(1003);
        let refused = match text {
            "overflow:deny-all" => return Ok((Penalty::Overflow, "deny-all".to_owned())),
            "overflow:permissive" => return Ok((Penalty::Overflow, "permissive".to_owned())),
            "overflow6:deny-all" => return Ok((Penalty::Overflow6, "deny-all".to_owned())),
            "overflow6:permissive" => return Ok((Penalty::Overflow6, "permissive".to_owned())),
            _ => format!("unsupported {} keyword {text}", line.word),
        };
        let field = fields.iter().find_map(|(name, field)| Some((*field, text.strip_prefix(name)?)));
        let Some((field, value)) = field.filter(|(field, _)| *field != Penalty::InvalidUser || decimal) else {
            return Err(self.fatal(line.at, &refused));
        };
        if matches!(field, Penalty::MaxSources4 | Penalty::MaxSources6) {
            return match scalar::integer(self.build, value.as_bytes()) {
                Ok(number) => Ok((field, number.to_string())),
                Err(why) => {
                    let why = if value.is_empty() { "missing" } else { why };
                    let text = format!("{} value {why}.", line.word);
                    Err(self.fatal(line.at, &text))
                }
            };
        }
        let shown = if decimal {
            scalar::seconds_double(value.as_bytes()).map(|seconds| format!("{seconds:.6}"))
        } else {
            scalar::seconds(self.build, value.as_bytes()).map(|seconds| seconds.to_string())
        };
        shown.map(|shown| (field, shown)).ok_or_else(|| {
            let text = format!("invalid {} time value.", line.word);
            self.fatal(line.at, &text)
        })
    }

    pub(super) fn permit_tunnel(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else {
            return Err(self.missing(line, "Missing yes/point-to-point/ethernet/no argument."));
        };
        let text = String::from_utf8_lossy(&word).into_owned();
        if !["no", "point-to-point", "ethernet", "yes"].contains(&text.as_str()) {
            let text = if self.build.since(807) {
                format!("bad {} argument {text}", line.word)
            } else {
                format!("Bad yes/point-to-point/ethernet/no argument: {text}")
            };
            return Err(self.fatal(line.at, &text));
        }
        self.once(line, line.key, &word);
        Ok(Taken::Words)
    }

    pub(super) fn command(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let split = self.build.since(807);
        let raw = match line.args.rest.clone() {
            Some(raw) => raw,
            None => return Err(self.missing(line, "Missing argument.")),
        };
        let value = raw.get(leading_space(&raw)..).unwrap_or_default().to_vec();
        let guard = if self.build.asks_for_keys_command() { Key::AuthorizedKeysCommand } else { line.key };
        let counts = line.active && !self.options.is_set(guard);
        if (split || counts) && value.first() != Some(&b'/') && !value.eq_ignore_ascii_case(b"none") {
            let name = if line.key == Key::AuthorizedKeysCommand {
                "AuthorizedKeysCommand"
            } else {
                "AuthorizedPrincipalsCommand"
            };
            let name = if split { line.word } else { name };
            let text = format!("{name} must be an absolute path");
            return Err(self.fatal(line.at, &text));
        }
        if counts {
            self.options.put(line.key, item(line, &value));
        }
        line.args.consume();
        Ok(Taken::Line)
    }

    pub(super) fn version_addendum(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let split = self.build.since(807);
        let raw = line.args.rest.clone().unwrap_or_default();
        if raw.is_empty() {
            return Err(self.missing(line, "Missing argument."));
        }
        let value = raw.get(leading_space(&raw)..).unwrap_or_default().to_vec();
        let first = line.active && !self.options.is_set(line.key);
        if value.contains(&b'\r') && (split || (first && !value.eq_ignore_ascii_case(b"none"))) {
            let text = if split { format!("Invalid {} argument", line.word) } else { "Invalid argument".to_owned() };
            return Err(self.fatal(line.at, &text));
        }
        if first {
            let value = if value.eq_ignore_ascii_case(b"none") { Vec::new() } else { value };
            self.options.put(line.key, item(line, &value));
        }
        line.args.consume();
        Ok(Taken::Line)
    }

    pub(super) fn ip_qos(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let mut values = Vec::new();
        let first = if self.build.since(807) { line.args.next_filled() } else { line.args.next() };
        let Some(first) = first else {
            let text = self.wording(line.word, "Bad IPQoS value: (null)", "missing argument.");
            return Err(self.fatal(line.at, &text));
        };
        for word in std::iter::once(first).chain(line.args.next()) {
            let Some(value) = scalar::qos(self.build, &word) else {
                let shown = String::from_utf8_lossy(&word);
                let name = if self.build.since(807) { line.word } else { "IPQoS" };
                let text = format!("Bad {name} value: {shown}");
                return Err(self.fatal(line.at, &text));
            };
            values.push(value.into_bytes());
        }
        if let [only] = values.as_slice() {
            values.push(only.clone());
        }
        let keep = self.build.since(1003) && self.options.is_set(line.key);
        if line.active && !keep {
            self.options.put(line.key, Item { words: values, origin: line.at.origin() });
        }
        Ok(Taken::Words)
    }

    pub(super) fn bind_mask(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else {
            return Err(self.missing(line, "missing StreamLocalBindMask argument."));
        };
        let Some(mask) = scalar::octal_mode(&word) else {
            let text = if self.build.since(807) { format!("Invalid {}.", line.word) } else { "Bad mask.".to_owned() };
            return Err(self.fatal(line.at, &text));
        };
        let keep = self.build.since(1004) && self.options.is_set(line.key);
        if line.active && !keep {
            self.options.put(line.key, item(line, format!("0{mask:o}").as_bytes()));
        }
        Ok(Taken::Words)
    }

    pub(super) fn fingerprint_hash(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else {
            return Err(self.missing(line, "Missing argument."));
        };
        let text = String::from_utf8_lossy(&word).into_owned();
        let known =
            ["MD5", "SHA1", "SHA256", "SHA384", "SHA512"].into_iter().find(|name| name.eq_ignore_ascii_case(&text));
        let Some(name) = known else {
            let text = if self.build.since(807) {
                format!("Invalid {} algorithm \"{text}\".", line.word)
            } else {
                format!("Invalid hash algorithm \"{text}\".")
            };
            return Err(self.fatal(line.at, &text));
        };
        if line.active {
            self.options.put(line.key, item(line, name.as_bytes()));
        }
        Ok(Taken::Words)
    }

    pub(super) fn rdomain(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        if self.build.since(803) {
            return Err(self.fatal(line.at, "setting RDomain not supported on this platform."));
        }
        let Some(word) = line.args.next_filled() else {
            return Err(self.fatal(line.at, "Missing argument."));
        };
        if !word.eq_ignore_ascii_case(b"none") && word != b"%D" && word != b"lo" {
            return Err(self.fatal(line.at, "bad routing domain"));
        }
        self.once(line, line.key, &word);
        Ok(Taken::Words)
    }

    pub(super) fn agent_socket_path(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else { return Err(self.fatal(line.at, "missing path.")) };
        let text = String::from_utf8_lossy(&word).into_owned();
        let valid = text == "none"
            || text.strip_prefix("user:").is_some_and(|path| !path.is_empty())
            || text.strip_prefix("shared:").is_some_and(|path| path.starts_with('/'));
        if !valid {
            let text = match text.split_once(':').map(|(kind, _)| kind) {
                Some("user") => "invalid user path.",
                Some("shared") => "invalid shared path.",
                _ => "invalid path.",
            };
            return Err(self.fatal(line.at, text));
        }
        self.once(line, line.key, &word);
        Ok(Taken::Words)
    }
}
