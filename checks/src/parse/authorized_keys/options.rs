//! The options in front of a key, as `auth-options.c:sshauthopt_parse` understands them.

use thiserror::Error;

use super::{Expiry, Release, SourceList, is_blank};

/// What a key line allows and demands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own in authorized_keys(5)")]
pub struct Options {
    /// `restrict` stands there: later options open again what it closed.
    pub restrict: bool,
    /// The key signs certificates; it opens no login by itself.
    pub cert_authority: bool,
    /// TCP forwarding is allowed.
    pub port_forwarding: bool,
    /// Agent forwarding is allowed.
    pub agent_forwarding: bool,
    /// X11 forwarding is allowed.
    pub x11_forwarding: bool,
    /// A terminal is allowed.
    pub pty: bool,
    /// `~/.ssh/rc` runs.
    pub user_rc: bool,
    /// A security key must be touched.
    pub touch_required: bool,
    /// A security key must ask for its PIN.
    pub verify_required: bool,
    /// The only command.
    pub command: Option<Vec<u8>>,
    /// Sources that may use the key.
    pub from: Option<SourceList>,
    /// Names that a certificate of this authority must speak for, comma-separated.
    pub principals: Option<Vec<u8>>,
    /// When the line ends; the earliest where there are several.
    pub expiry: Option<Expiry>,
    /// `NAME=value`, in order.
    pub environment: Vec<Vec<u8>>,
    /// `host:port` that may be connected to; empty: any.
    pub permit_open: Vec<Vec<u8>>,
    /// `host:port` that may be listened on; empty: any.
    pub permit_listen: Vec<Vec<u8>>,
    /// The tun device.
    pub tunnel: Option<Vec<u8>>,
    /// The first OpenSSH release that knows all options of the line; older ones skip it.
    pub since: Release,
    /// What releases from 7.7 on object to and older ones let pass (a newer parser came with 7.7).
    pub(super) lax: Option<OptionDefect>,
}

impl Options {
    /// What holds for a line without options (`auth-options.c:sshauthopt_new_with_keys_defaults`).
    pub const fn none() -> Self {
        Self {
            restrict: false,
            cert_authority: false,
            port_forwarding: true,
            agent_forwarding: true,
            x11_forwarding: true,
            pty: true,
            user_rc: true,
            touch_required: true,
            verify_required: false,
            command: None,
            from: None,
            principals: None,
            expiry: None,
            environment: Vec::new(),
            permit_open: Vec::new(),
            permit_listen: Vec::new(),
            tunnel: None,
            since: (0, 0),
            lax: None,
        }
    }

    /// Notes what only releases from 7.7 on object to.
    fn object(&mut self, defect: OptionDefect) {
        self.lax.get_or_insert(defect);
    }
}

/// Why sshd does not understand the options of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OptionDefect {
    /// A word that is none of sshd's.
    #[error("unknown key option")]
    Unknown,
    /// A comma at the end of the line.
    #[error("the options end in a comma")]
    EndsInComma,
    /// A value without its opening quote.
    #[error("an option's value does not start with a quote")]
    NoStartQuote,
    /// A value without its closing quote.
    #[error("an option's value has no closing quote")]
    NoEndQuote,
    /// command=, from= or principals= a second time.
    #[error("an option that may stand once stands twice")]
    Twice,
    /// expiry-time= that is no time.
    #[error("expiry-time= is not a time")]
    Expiry,
    /// environment= that is no NAME=value.
    #[error("environment= is not of the form NAME=value")]
    Environment,
    /// permitopen= or permitlisten= that is no host:port.
    #[error("permitopen= or permitlisten= is not of the form host:port")]
    Permit,
    /// tunnel= that is no device number.
    #[error("tunnel= is not a device number")]
    Tunnel,
}

/// `auth-options.c:SSH_AUTHOPT_PERMIT_MAX`.
const MAX_PERMITS: usize = 4096;

/// Parses the options at the start of `text`; they end at a blank outside quotes.
pub(super) fn parse(text: &[u8]) -> Result<Options, OptionDefect> {
    let mut options = Options::none();
    let mut rest = text;
    while rest.first().is_some_and(|byte| !is_blank(*byte)) {
        if !take_flag(&mut options, &mut rest) {
            take_value(&mut options, &mut rest)?;
        }
        match rest.split_first() {
            None | Some((b' ' | b'\t', _)) => break,
            Some((b',', [])) => return Err(OptionDefect::EndsInComma),
            Some((b',', tail)) => rest = tail,
            Some(_) => return Err(OptionDefect::Unknown),
        }
    }
    Ok(options)
}

/// Takes one option without a value. The names are tried in sshd's order, which matters where one begins another.
fn take_flag(options: &mut Options, rest: &mut &[u8]) -> bool {
    if flag(rest, b"restrict", false).is_some() {
        options.restrict = true;
        options.port_forwarding = false;
        options.agent_forwarding = false;
        options.x11_forwarding = false;
        options.pty = false;
        options.user_rc = false;
        options.since = options.since.max((7, 2));
        return true;
    }
    if flag(rest, b"cert-authority", false).is_some() {
        options.cert_authority = true;
        return true;
    }
    // Name, the field, the release with the positive form, the release with the "no-" form.
    let flags: [(&[u8], &mut bool, Release, Release); 7] = [
        (b"port-forwarding", &mut options.port_forwarding, (7, 2), (0, 0)),
        (b"agent-forwarding", &mut options.agent_forwarding, (7, 2), (0, 0)),
        (b"x11-forwarding", &mut options.x11_forwarding, (7, 2), (0, 0)),
        (b"touch-required", &mut options.touch_required, (8, 2), (8, 2)),
        (b"verify-required", &mut options.verify_required, (8, 4), (8, 4)),
        (b"pty", &mut options.pty, (7, 2), (0, 0)),
        (b"user-rc", &mut options.user_rc, (7, 2), (0, 0)),
    ];
    for (name, field, positive, negative) in flags {
        if let Some(on) = flag(rest, name, true) {
            *field = on;
            options.since = options.since.max(if on { positive } else { negative });
            return true;
        }
    }
    false
}

/// Takes one option with a value. Without one, nothing is taken and the caller finds no comma.
fn take_value(options: &mut Options, rest: &mut &[u8]) -> Result<(), OptionDefect> {
    if named(rest, b"command=") {
        let earlier = options.command.replace(value(rest)?);
        once(options, earlier.is_some());
    } else if named(rest, b"principals=") {
        let earlier = options.principals.replace(value(rest)?);
        once(options, earlier.is_some());
    } else if named(rest, b"from=") {
        let earlier = options.from.replace(SourceList(value(rest)?));
        once(options, earlier.is_some());
    } else if named(rest, b"expiry-time=") {
        let expiry = Expiry::parse(&value(rest)?).ok_or(OptionDefect::Expiry)?;
        options.since = options.since.max(if expiry.utc { (9, 1) } else { (7, 7) });
        options.expiry = Some(options.expiry.map_or(expiry, |first| first.min(expiry)));
    } else if named(rest, b"environment=") {
        let text = value(rest)?;
        let name = text.split(|byte| *byte == b'=').next().unwrap_or_default();
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if name.is_empty() || name.len() == text.len() || !name.iter().all(good) {
            options.object(OptionDefect::Environment);
        }
        options.environment.push(text);
    } else if named(rest, b"permitopen=") {
        let text = value(rest)?;
        permit(&mut options.permit_open, text)?;
    } else if named(rest, b"permitlisten=") {
        let mut text = value(rest)?;
        if !text.contains(&b':') {
            text.splice(0..0, *b"*:");
        }
        options.since = options.since.max((7, 8));
        permit(&mut options.permit_listen, text)?;
    } else if named(rest, b"tunnel=") {
        let text = value(rest)?;
        // misc.c:a2tun
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim_ascii_start().parse::<i64>().ok());
        if !text.eq_ignore_ascii_case(b"any") && !number.is_some_and(|n| (0..=0x7fff_fffe).contains(&n)) {
            return Err(OptionDefect::Tunnel);
        }
        options.tunnel = Some(text);
    }
    Ok(())
}

/// `misc.c:opt_flag`: whether the option stands here, and whether in its positive form.
fn flag(rest: &mut &[u8], name: &[u8], negatable: bool) -> Option<bool> {
    let bare = if negatable { strip(rest, b"no-") } else { None };
    let after = strip(bare.unwrap_or(rest), name)?;
    *rest = after;
    Some(bare.is_none())
}

/// `misc.c:opt_match`: takes `name=`.
fn named(rest: &mut &[u8], name: &[u8]) -> bool {
    let after = strip(rest, name);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

/// What follows a prefix, compared without case.
fn strip<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

fn once(options: &mut Options, twice: bool) {
    if twice {
        options.object(OptionDefect::Twice);
    }
}

/// `misc.c:opt_dequote`: a quoted value, in which only `\"` is an escape.
fn value(rest: &mut &[u8]) -> Result<Vec<u8>, OptionDefect> {
    let Some((b'"', mut inner)) = rest.split_first() else { return Err(OptionDefect::NoStartQuote) };
    let mut out = Vec::new();
    loop {
        match inner {
            [] => return Err(OptionDefect::NoEndQuote),
            [b'"', tail @ ..] => {
                *rest = tail;
                return Ok(out);
            }
            [b'\\', b'"', tail @ ..] => {
                out.push(b'"');
                inner = tail;
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                inner = tail;
            }
        }
    }
}

/// `auth-options.c:handle_permit`: checks a `host:port` and keeps it.
fn permit(list: &mut Vec<Vec<u8>>, text: Vec<u8>) -> Result<(), OptionDefect> {
    if list.len() > MAX_PERMITS || host_port(&text).is_none() {
        return Err(OptionDefect::Permit);
    }
    list.push(text);
    Ok(())
}

/// Splits at the delimiter of `misc.c:hpdelim`, and checks the port as `misc.c:a2port`. A service name passes: which
/// of them the host knows is not asked.
fn host_port(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = if text.first() == Some(&b'[') {
        text.iter().position(|byte| *byte == b']')? + 1
    } else {
        text.iter().position(|byte| *byte == b':' || *byte == b'/')?
    };
    let (host, tail) = text.split_at_checked(end)?;
    let port = tail.strip_prefix(b":").or_else(|| tail.strip_prefix(b"/"))?;
    let word = std::str::from_utf8(port).ok()?;
    let number = word.bytes().all(|byte| byte.is_ascii_digit());
    let good = port == b"*"
        || word.parse::<u16>().is_ok_and(|n| n > 0)
        || (!number && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte)));
    // netdb.h:NI_MAXHOST
    (good && !word.is_empty() && host.len() < 1025).then_some((host, port))
}
