//! PAM's service files: `pam.conf(5)`, `pam.d(5)`, with Debian's `@include`.

use crate::check::bytes_text;
use crate::parse::Defect;

/// One of PAM's four questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Facility {
    /// Is it who it says it is.
    Auth,
    /// May it come in now.
    Account,
    /// Changing the password.
    Password,
    /// What happens around a session.
    Session,
}

impl Facility {
    /// The facility of a word, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [
            ("auth", Self::Auth),
            ("account", Self::Account),
            ("password", Self::Password),
            ("session", Self::Session),
        ];
        all.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, facility)| facility)
    }
}

/// A line of a service file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The first of its lines, from 1.
    pub line: u32,
    /// The service of a line of pam.conf, in lower case; empty in a file of pam.d.
    pub service: String,
    /// What it says.
    pub kind: Kind,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `@include FILE`: every facility of that file.
    IncludeAll(String),
    /// `FACILITY include FILE`.
    Include(Facility, String),
    /// `FACILITY substack FILE`.
    Substack(Facility, String),
    /// A module.
    Module {
        /// Its facility.
        facility: Facility,
        /// `-` before the facility: no complaint where the module is missing.
        may_miss: bool,
        /// The control: a word in lower case, or `[value=action …]` as written.
        control: String,
        /// The module as written.
        path: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// A line that PAM cannot use: it counts as a module that fails (of the facility, or of `auth`).
    Broken(Facility),
}

/// Parses a file of pam.d, or pam.conf, whose lines begin with the service.
pub fn pam(bytes: &[u8], with_service: bool) -> (Vec<Line>, Vec<Defect>) {
    let (mut lines, mut defects) = (Vec::new(), Vec::new());
    for (line, text) in assemble(bytes) {
        let mut words = words(&text);
        if words.is_empty() || (with_service && words.len() < 2) {
            continue;
        }
        let service = if with_service { words.remove(0).to_ascii_lowercase() } else { String::new() };
        let kind = kind(words).unwrap_or_else(|(facility, what)| {
            defects.push(Defect { line, what: what.to_owned() });
            Kind::Broken(facility)
        });
        lines.push(Line { line, service, kind });
    }
    (lines, defects)
}

fn kind(words: Vec<String>) -> Result<Kind, (Facility, &'static str)> {
    let mut words = words.into_iter();
    let first = words.next().unwrap_or_default();
    if first.eq_ignore_ascii_case("@include") {
        return words.next().map(Kind::IncludeAll).ok_or((Facility::Auth, "includes no file"));
    }
    let (may_miss, word) = first.strip_prefix('-').map_or((false, first.as_str()), |word| (true, word));
    let facility = Facility::from_word(word).ok_or((Facility::Auth, "begins with no facility"))?;
    let control = words.next().ok_or((facility, "has no control"))?;
    let path = words.next().ok_or((facility, "names no module"))?;
    let control = if control.starts_with('[') { control } else { control.to_ascii_lowercase() };
    match control.as_str() {
        "include" => Ok(Kind::Include(facility, path)),
        "substack" => Ok(Kind::Substack(facility, path)),
        "required" | "requisite" | "sufficient" | "optional" => {
            Ok(Kind::Module { facility, may_miss, control, path, args: words.collect() })
        }
        text if text.starts_with('[') => Ok(Kind::Module { facility, may_miss, control, path, args: words.collect() }),
        _ => Err((facility, "has an unknown control")),
    }
}

/// Logical lines: comments cut, a backslash at the end joins the next.
fn assemble(bytes: &[u8]) -> Vec<(u32, String)> {
    let mut out: Vec<(u32, String)> = Vec::new();
    let mut open: Option<(u32, String)> = None;
    for (number, raw) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = bytes_text(raw.split(|byte| *byte == b'#').next().unwrap_or_default());
        let text = text.trim();
        let (line, mut so_far) = open.take().unwrap_or((number, String::new()));
        match text.strip_suffix('\\') {
            Some(text) => {
                so_far.push_str(text);
                so_far.push(' ');
                open = Some((line, so_far));
            }
            None => {
                so_far.push_str(text);
                out.push((line, so_far));
            }
        }
    }
    out.extend(open);
    out.retain(|(_, text)| !text.trim().is_empty());
    out
}

/// Words; one that begins with `[` goes to the closing bracket (`\]` is a bracket in it). Arguments lose their brackets, a
/// control keeps them.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some(inner) = rest.strip_prefix('[') else {
            let (word, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            out.push(word.to_owned());
            rest = tail.trim_start();
            continue;
        };
        let (mut word, mut end, mut escaped) = (String::new(), inner.len(), false);
        for (at, c) in inner.char_indices() {
            match c {
                ']' if !escaped => {
                    end = at + 1;
                    break;
                }
                '\\' if !escaped && inner.get(at + 1..).is_some_and(|tail| tail.starts_with(']')) => {
                    escaped = true;
                    continue;
                }
                c => word.push(c),
            }
            escaped = false;
        }
        // Facility, control, module: only the control keeps its brackets.
        out.push(if out.iter().any(|word| word.starts_with('[')) || out.len() > 2 {
            word
        } else {
            format!("[{word}]")
        });
        rest = inner.get(end..).unwrap_or_default().trim_start();
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_of_every_kind() {
        let (lines, defects) = pam(
            b"# c\n@include common-auth # x\nAUTH [success=1 default=ignore] pam_unix.so nullok try_first_pass\n-session optional pam_systemd.so\n\
              account include \\\n  system-auth\nauth substack password-auth\nauth Required /lib/pam_x.so [a b\\]c] d\n\
              auth\nwhat required pam_x.so\naccount perhaps pam_x.so\npassword required\n",
            false,
        );
        let module = |line: u32| match &lines.iter().find(|l| l.line == line).unwrap().kind {
            Kind::Module { facility, may_miss, control, path, args } => {
                (*facility, *may_miss, control.clone(), path.clone(), args.clone())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(lines[0].kind, Kind::IncludeAll("common-auth".to_owned()));
        let unix = module(3);
        assert_eq!((unix.0, unix.2.as_str()), (Facility::Auth, "[success=1 default=ignore]"));
        assert_eq!(unix.4, ["nullok", "try_first_pass"]);
        assert!(module(4).1);
        assert_eq!(lines[3].kind, Kind::Include(Facility::Account, "system-auth".to_owned()));
        assert_eq!(lines[4].kind, Kind::Substack(Facility::Auth, "password-auth".to_owned()));
        assert_eq!((module(8).3.as_str(), module(8).4), ("/lib/pam_x.so", vec!["a b]c".to_owned(), "d".to_owned()]));
        assert_eq!(defects.iter().map(|d| d.line).collect::<Vec<_>>(), [9, 10, 11, 12]);
        assert_eq!(lines[8].kind, Kind::Broken(Facility::Account));
    }

    #[test]
    fn pam_conf_lines_name_their_service() {
        let (lines, _) = pam(b"SSHD auth required pam_unix.so\nother account required pam_deny.so\nalone\n", true);
        assert_eq!(lines.iter().map(|l| l.service.as_str()).collect::<Vec<_>>(), ["sshd", "other"]);
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes in prop::collection::vec(prop_oneof![
            3 => prop::sample::select(b"auth []\\\n#=-".to_vec()), 1 => any::<u8>()
        ], 0..200)) {
            for service in [false, true] {
                let (lines, _) = pam(&bytes, service);
                prop_assert!(lines.windows(2).all(|pair| pair[0].line < pair[1].line));
            }
        }
    }
}
