//! The settings of one connection that decide about logins, read once from the effective configuration.

use super::Method;
use crate::parse::authorized_keys::Release;
use crate::sshd::{Effective, Value};

/// The five values of `PermitRootLogin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RootRule {
    Yes,
    ProhibitPassword,
    ForcedCommandsOnly,
    No,
}

/// What may be forwarded, as far as it decides what a login is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forwarding {
    /// Anything through TCP or Unix sockets that the configuration leaves open.
    pub(crate) any: bool,
}

/// The settings about logins of one effective configuration.
#[derive(Clone, Debug)]
pub(crate) struct Rules<'e> {
    /// The sshd's release, for what no keyword tells.
    pub(crate) release: Release,
    /// All settings.
    pub(crate) effective: &'e Effective,
    pub(crate) root: RootRule,
    pub(crate) pam: bool,
    pub(crate) permit_empty: bool,
    pub(crate) password: bool,
    pub(crate) interactive: bool,
    /// Before 8.7 keyboard-interactive is offered by one keyword and answered by another (`auth2-kbdint.c`).
    pub(crate) challenge_off: bool,
    pub(crate) publickey: bool,
    pub(crate) hostbased: bool,
    pub(crate) gssapi: bool,
    pub(crate) strict_modes: bool,
    pub(crate) refuse_connection: bool,
    /// The lists of `AuthenticationMethods`; None: any one method is enough.
    pub(crate) lists: Option<Vec<Vec<Step>>>,
    pub(crate) forwarding: Forwarding,
    pub(crate) sessions: bool,
    /// `ForceCommand`, where it is set.
    pub(crate) force_command: Option<&'e str>,
    /// `ChrootDirectory`, where it is set.
    pub(crate) chroot: Option<&'e str>,
    /// Whether the sftp subsystem runs inside sshd, whatever the shell is.
    pub(crate) internal_sftp: bool,
}

/// One step of an `AuthenticationMethods` list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The method; None: one that no Linux sshd has.
    pub(crate) method: Option<Method>,
    /// Whether the device it names is one that this sshd has (`keyboard-interactive:pam`).
    pub(crate) device: bool,
}

impl<'e> Rules<'e> {
    /// Reads them.
    pub(crate) fn of(effective: &'e Effective, release: Release) -> Self {
        let yes = |keyword| effective.yes(keyword);
        let set = |keyword| {
            Some(effective.text(keyword)).filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("none"))
        };
        let closed =
            |keyword: &str| effective.words(keyword).first().is_some_and(|word| word.eq_ignore_ascii_case("none"));
        let open = |keyword: &str, direction: &str| {
            let value = effective.text(keyword).to_ascii_lowercase();
            value == direction || value == "yes" || value == "all"
        };
        // Unix sockets hang on the same switch (`do_authenticated`): AllowTcpForwarding no closes them too, and what
        // PermitOpen shuts it shuts for them. Only a socket that sshd listens on is none of PermitListen's business
        // (`remote_open_match`).
        let onwards = open("allowtcpforwarding", "local") && !closed("permitopen");
        let back = open("allowtcpforwarding", "remote")
            && (!closed("permitlisten") || open("allowstreamlocalforwarding", "remote"));
        let subsystem = effective.setting("subsystem").map_or(&[][..], |setting| &setting.values);
        let internal = |value: &Value| {
            let mut words = value.words.iter().map(String::as_str);
            words.next() == Some("sftp") && words.next() == Some("internal-sftp")
        };
        Self {
            release,
            effective,
            root: match effective.text("permitrootlogin").to_ascii_lowercase().as_str() {
                "yes" => RootRule::Yes,
                "no" => RootRule::No,
                "forced-commands-only" => RootRule::ForcedCommandsOnly,
                _ => RootRule::ProhibitPassword,
            },
            pam: yes("usepam"),
            permit_empty: yes("permitemptypasswords"),
            password: yes("passwordauthentication"),
            interactive: yes("kbdinteractiveauthentication"),
            challenge_off: effective.text("challengeresponseauthentication").eq_ignore_ascii_case("no"),
            publickey: yes("pubkeyauthentication"),
            hostbased: yes("hostbasedauthentication"),
            gssapi: yes("gssapiauthentication"),
            strict_modes: !effective.text("strictmodes").eq_ignore_ascii_case("no"),
            refuse_connection: yes("refuseconnection"),
            lists: lists(effective),
            forwarding: Forwarding { any: !yes("disableforwarding") && (onwards || back) },
            sessions: effective.number("maxsessions") != Some(0),
            force_command: set("forcecommand"),
            chroot: set("chrootdirectory"),
            internal_sftp: subsystem.iter().any(internal),
        }
    }

    /// Whether the configuration offers the method at all (`auth2.c`: the method's `enabled` flag).
    pub(crate) fn enabled(&self, method: Method) -> bool {
        match method {
            Method::None => true,
            Method::Publickey => self.publickey,
            Method::Password => self.password,
            Method::KeyboardInteractive => self.interactive,
            Method::Hostbased => self.hostbased,
            Method::Gssapi => self.gssapi,
        }
    }
}

/// `AuthenticationMethods`: each word is a list of methods joined by commas, each with an optional device behind a colon.
fn lists(effective: &Effective) -> Option<Vec<Vec<Step>>> {
    let words = effective.words("authenticationmethods");
    if words.is_empty() || words.first().is_some_and(|word| *word == "any") {
        return None;
    }
    let step = |text: &str| {
        let (name, device) = text.split_once(':').unwrap_or((text, ""));
        Step { method: Method::from_word(name), device: device.is_empty() || device == "pam" }
    };
    Some(words.iter().map(|word| word.split(',').map(step).collect()).collect())
}
