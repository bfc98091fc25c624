//! What each keyword does with its line (`servconf.c:process_server_config_line_depth`).

use super::keyword::Key;
use super::lexer::Args;
use super::options::Item;
use super::parse::{Parser, Stop, Taken, Where};
use super::scalar;

mod list;
mod special;

/// A line with what its handler needs.
pub(super) struct Line<'l> {
    /// Where it stands.
    pub(super) at: &'l Where,
    /// What it sets.
    pub(super) key: Key,
    /// The keyword as written.
    pub(super) word: &'l str,
    /// Its arguments.
    pub(super) args: &'l mut Args,
    /// Whether it counts, or is only checked.
    pub(super) active: bool,
}

/// Values with one spelling each for several words, in the order in which sshd searches them for printing.
type Choice = &'static [(&'static str, &'static str)];

const YES_NO: Choice = &[("yes", "yes"), ("no", "no")];
const RHOSTS: Choice = &[("yes", "yes"), ("no", "no"), ("shosts-only", "shosts-only")];
const FAMILY: Choice = &[("inet", "inet"), ("inet6", "inet6"), ("any", "any")];
const COMPRESSION: Choice = &[("yes", "yes"), ("delayed", "yes"), ("no", "no")];
const GATEWAY: Choice = &[("clientspecified", "clientspecified"), ("yes", "yes"), ("no", "no")];
const FORWARD: Choice = &[("yes", "yes"), ("all", "yes"), ("no", "no"), ("remote", "remote"), ("local", "local")];
const PRIVSEP: Choice = &[("yes", "yes"), ("sandbox", "sandbox"), ("no", "no")];
const ROOT_OLD: Choice = &[
    ("without-password", "without-password"),
    ("prohibit-password", "without-password"),
    ("forced-commands-only", "forced-commands-only"),
    ("yes", "yes"),
    ("no", "no"),
];
const ROOT: Choice = &[
    ("without-password", "prohibit-password"),
    ("prohibit-password", "prohibit-password"),
    ("forced-commands-only", "forced-commands-only"),
    ("yes", "yes"),
    ("no", "no"),
];
const KEEPALIVE: Choice = &[("yes", "true"), ("true", "true"), ("no", "false"), ("false", "false"), ("all", "all")];
const WEAK: Choice = &[("yes", "true"), ("true", "true"), ("no", "false"), ("false", "false"), ("no-pq-kex", "false")];

impl Parser<'_> {
    pub(super) fn directive(
        &mut self,
        at: &Where,
        key: Key,
        word: &str,
        args: &mut Args,
        active: bool,
    ) -> Result<Taken, Stop> {
        let mut line = Line { at, key, word, args, active };
        if let Some(choice) = self.choice_of(key) {
            return self.choice(&mut line, choice);
        }
        match key {
            Key::Port => self.port(&mut line),
            Key::ListenAddress => self.listen_address(&mut line),
            Key::LoginGraceTime | Key::ClientAliveInterval => self.time(&mut line, key),
            Key::UnusedConnectionTimeout => self.unused_connection_timeout(&mut line),
            Key::DebianBanner => self.integer(&mut line),
            Key::X11DisplayOffset
            | Key::MaxAuthTries
            | Key::MaxSessions
            | Key::ClientAliveCountMax
            | Key::RequiredRsaSize => self.integer(&mut line),
            Key::HostKey | Key::HostCertificate => self.host_file(&mut line),
            Key::HostKeyAgent => self.host_key_agent(&mut line),
            Key::PidFile
            | Key::ModuliFile
            | Key::XauthLocation
            | Key::Banner
            | Key::TrustedUserCaKeys
            | Key::SshdSessionPath
            | Key::SshdAuthPath => self.path(&mut line),
            Key::RevokedKeys if self.build.before(1003) => self.path(&mut line),
            Key::RevokedKeys | Key::AuthorizedKeysFile => self.paths(&mut line),
            Key::HostbasedAcceptedAlgorithms
            | Key::HostKeyAlgorithms
            | Key::PubkeyAcceptedAlgorithms
            | Key::CaSignatureAlgorithms
            | Key::Ciphers
            | Key::Macs
            | Key::KexAlgorithms => self.algorithms(&mut line),
            Key::GssapiKexAlgorithms => self.gss_kex(&mut line),
            Key::PubkeyAuthOptions => self.pubkey_options(&mut line),
            Key::PermitUserEnvironment => self.permit_user_environment(&mut line),
            Key::RekeyLimit => self.rekey_limit(&mut line),
            Key::SyslogFacility | Key::LogLevel => self.log_word(&mut line),
            Key::LogVerbose => self.log_verbose(&mut line),
            Key::AllowUsers | Key::DenyUsers | Key::AllowGroups | Key::DenyGroups => self.people(&mut line),
            Key::Subsystem => self.subsystem(&mut line),
            Key::MaxStartups => self.max_startups(&mut line),
            Key::PerSourceMaxStartups => self.per_source_max_startups(&mut line),
            Key::PerSourceNetBlockSize => self.per_source_net_block_size(&mut line),
            Key::PerSourcePenalties => self.per_source_penalties(&mut line),
            Key::PerSourcePenaltyExemptList => self.penalty_exempt_list(&mut line),
            Key::AuthorizedPrincipalsFile => self.authorized_principals_file(&mut line),
            Key::AcceptEnv => self.accept_env(&mut line),
            Key::SetEnv => self.set_env(&mut line),
            Key::PermitTunnel => self.permit_tunnel(&mut line),
            Key::PermitOpen | Key::PermitListen => self.permit_forward(&mut line),
            Key::ForceCommand => self.force_command(&mut line),
            Key::AuthorizedKeysCommand | Key::AuthorizedPrincipalsCommand => self.command(&mut line),
            Key::VersionAddendum => self.version_addendum(&mut line),
            Key::ChrootDirectory
            | Key::PamServiceName
            | Key::AuthorizedKeysCommandUser
            | Key::AuthorizedPrincipalsCommandUser => self.word(&mut line),
            Key::SecurityKeyProvider => self.security_key_provider(&mut line),
            Key::IpQos => self.ip_qos(&mut line),
            Key::AuthenticationMethods => self.authentication_methods(&mut line),
            Key::StreamLocalBindMask => self.bind_mask(&mut line),
            Key::FingerprintHash => self.fingerprint_hash(&mut line),
            Key::RDomain => self.rdomain(&mut line),
            Key::ChannelTimeout => self.channel_timeout(&mut line),
            Key::AgentSocketPath => self.agent_socket_path(&mut line),
            _ => {
                // Deprecated, ignored and unsupported keywords take any arguments.
                line.args.consume();
                Ok(Taken::Line)
            }
        }
    }

    /// The words that a keyword with fixed values knows.
    fn choice_of(&self, key: Key) -> Option<Choice> {
        Some(match key {
            // A number there.
            Key::DebianBanner if self.build.before(707) => return None,
            Key::UsePam
            | Key::IgnoreUserKnownHosts
            | Key::HostbasedAuthentication
            | Key::HostbasedUsesNameFromPacketOnly
            | Key::PubkeyAuthentication
            | Key::KerberosAuthentication
            | Key::KerberosOrLocalPasswd
            | Key::KerberosTicketCleanup
            | Key::KerberosUniqueCcache
            | Key::KerberosUseKuserok
            | Key::GssapiAuthentication
            | Key::GssapiCleanupCredentials
            | Key::GssapiDelegateCredentials
            | Key::GssapiEnableK5Users
            | Key::GssapiKeyExchange
            | Key::GssapiStoreCredentialsOnRekey
            | Key::GssapiStrictAcceptorCheck
            | Key::PasswordAuthentication
            | Key::KbdInteractiveAuthentication
            | Key::ChallengeResponseAuthentication
            | Key::PrintMotd
            | Key::PrintLastLog
            | Key::X11Forwarding
            | Key::X11UseLocalhost
            | Key::PermitTty
            | Key::PermitUserRc
            | Key::StrictModes
            | Key::PermitEmptyPasswords
            | Key::UseDns
            | Key::UseLogin
            | Key::ShowPatchLevel
            | Key::AllowAgentForwarding
            | Key::DisableForwarding
            | Key::StreamLocalBindUnlink
            | Key::ExposeAuthInfo
            | Key::RefuseConnection
            | Key::DebianBanner => YES_NO,
            Key::TcpKeepAlive if self.build.since(1004) => KEEPALIVE,
            Key::TcpKeepAlive => YES_NO,
            Key::WarnWeakCrypto => WEAK,
            Key::IgnoreRhosts if self.build.since(803) => RHOSTS,
            Key::IgnoreRhosts => YES_NO,
            Key::AddressFamily => FAMILY,
            Key::Compression => COMPRESSION,
            Key::GatewayPorts => GATEWAY,
            Key::AllowTcpForwarding | Key::AllowStreamLocalForwarding => FORWARD,
            Key::PermitRootLogin if self.build.since(1001) => ROOT,
            Key::PermitRootLogin => ROOT_OLD,
            Key::UsePrivilegeSeparation => PRIVSEP,
            Key::PermitUserEnvironment if self.build.before(708) => YES_NO,
            _ => return None,
        })
    }

    /// One of several words: the first line counts.
    fn choice(&mut self, line: &mut Line<'_>, choice: Choice) -> Result<Taken, Stop> {
        // Up to 7.6 yes and no were compared with case and had messages of their own.
        let old_flag = self.build.before(707) && std::ptr::eq(choice, YES_NO);
        let Some(word) = line.args.next_filled() else {
            let text = if old_flag { "missing yes/no argument." } else { "missing argument." };
            return Err(self.fatal(line.at, text));
        };
        let same = |name: &str| {
            if old_flag { word == name.as_bytes() } else { word.eq_ignore_ascii_case(name.as_bytes()) }
        };
        let Some((_, value)) = choice.iter().find(|(name, _)| same(name)) else {
            let shown = String::from_utf8_lossy(&word);
            let text = if old_flag {
                format!("Bad yes/no argument: {shown}")
            } else {
                format!("unsupported option \"{shown}\".")
            };
            return Err(self.fatal(line.at, &text));
        };
        self.once(line, line.key, value.as_bytes());
        Ok(Taken::Words)
    }

    /// Sets a value unless an earlier line did, if the line counts.
    pub(super) fn once(&mut self, line: &Line<'_>, key: Key, value: &[u8]) {
        if line.active {
            self.options.put_once(key, item(line, value));
        }
    }

    /// Sets a number unless an earlier line did. What sshd marks as unset (-1) stays unset.
    pub(super) fn once_number(&mut self, line: &Line<'_>, key: Key, value: i64) {
        if value != -1 {
            self.once(line, key, value.to_string().as_bytes());
        }
    }

    pub(super) fn time(&mut self, line: &mut Line<'_>, key: Key) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else { return Err(self.fatal(line.at, "missing time value.")) };
        let Some(value) = scalar::seconds(self.build, &word) else {
            return Err(self.fatal(line.at, "invalid time value."));
        };
        self.once_number(line, key, value);
        Ok(Taken::Words)
    }

    fn unused_connection_timeout(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        if line.args.peek().is_some_and(|word| word.eq_ignore_ascii_case(b"none")) {
            line.args.next();
            if line.active {
                self.options.put(line.key, item(line, b"0"));
            }
            return Ok(Taken::Words);
        }
        self.time(line, line.key)
    }

    fn integer(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let word = line.args.next();
        if self.build.before(707) && word.as_ref().is_none_or(Vec::is_empty) {
            return Err(self.fatal(line.at, "missing integer value."));
        }
        let value = match word.filter(|word| !word.is_empty()) {
            Some(word) => scalar::integer(self.build, &word),
            None => Err("missing"),
        };
        match value {
            Ok(value) => self.once_number(line, line.key, value),
            Err(why) => {
                let text = self.wording(line.word, &format!("integer value {why}."), &format!("integer value {why}."));
                return Err(self.fatal(line.at, &text));
            }
        }
        Ok(Taken::Words)
    }

    /// A path that is made absolute (`derelativise_path`).
    fn path(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else { return Err(self.fatal(line.at, "missing file name.")) };
        if line.active && !self.options.is_set(line.key) {
            let path = self.absolute(line.at, &word)?;
            self.once(line, line.key, &path);
        }
        Ok(Taken::Words)
    }

    fn host_file(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else { return Err(self.fatal(line.at, "missing file name.")) };
        if line.active {
            let path = self.absolute(line.at, &word)?;
            self.options.push(line.key, item(line, &path));
        }
        Ok(Taken::Words)
    }

    fn host_key_agent(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else { return Err(self.fatal(line.at, "missing socket name.")) };
        if line.active && !self.options.is_set(line.key) {
            let path = if word == b"SSH_AUTH_SOCK" { word } else { self.absolute(line.at, &word)? };
            self.once(line, line.key, &path);
        }
        Ok(Taken::Words)
    }

    fn security_key_provider(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else {
            return Err(self.missing(line, "missing file name."));
        };
        if line.active && !self.options.is_set(line.key) {
            let path = if word.eq_ignore_ascii_case(b"internal") { word } else { self.absolute(line.at, &word)? };
            self.once(line, line.key, &path);
        }
        Ok(Taken::Words)
    }

    fn authorized_principals_file(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else {
            return Err(self.missing(line, "missing file name."));
        };
        if line.active && !self.options.is_set(line.key) {
            let path = self.tilde(line.at, &word)?;
            self.once(line, line.key, &path);
        }
        Ok(Taken::Words)
    }

    /// A word taken as it is.
    fn word(&mut self, line: &mut Line<'_>) -> Result<Taken, Stop> {
        let Some(word) = line.args.next_filled() else {
            return Err(match line.key {
                Key::PamServiceName => self.fatal(line.at, "missing argument."),
                Key::ChrootDirectory => self.missing(line, "missing file name."),
                _ => {
                    let text = format!("missing {} argument.", line.word);
                    self.fatal(line.at, &text)
                }
            });
        };
        self.once(line, line.key, &word);
        Ok(Taken::Words)
    }

    /// The keyword lacks its argument.
    pub(super) fn missing(&mut self, line: &Line<'_>, old: &str) -> Stop {
        let text = self.wording(line.word, old, "missing argument.");
        self.fatal(line.at, &text)
    }

    /// `misc.c:tilde_expand_filename` for the user that sshd runs as.
    pub(super) fn tilde(&mut self, at: &Where, path: &[u8]) -> Result<Vec<u8>, Stop> {
        let Some(rest) = path.strip_prefix(b"~") else { return Ok(path.to_vec()) };
        let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (user, tail) = rest.split_at(slash);
        let home = if user.is_empty() { self.around.root_home.as_ref() } else { self.around.homes.get(user) };
        let Some(mut out) = home.cloned() else {
            let text = format!("tilde_expand: No such user {}", String::from_utf8_lossy(user));
            return Err(self.fatal_at(at, &text));
        };
        let tail = tail.iter().skip_while(|byte| **byte == b'/').copied();
        if out.last() != Some(&b'/') {
            out.push(b'/');
        }
        out.extend(tail);
        Ok(out)
    }

    /// `servconf.c:derelativise_path`: sshd is started in `/`.
    pub(super) fn absolute(&mut self, at: &Where, path: &[u8]) -> Result<Vec<u8>, Stop> {
        if path.eq_ignore_ascii_case(b"none") {
            return Ok(b"none".to_vec());
        }
        let path = self.tilde(at, path)?;
        Ok(if path.first() == Some(&b'/') { path } else { [b"//", path.as_slice()].concat() })
    }
}

/// A value of one word.
pub(super) fn item(line: &Line<'_>, value: &[u8]) -> Item {
    Item { words: vec![value.to_vec()], origin: line.at.origin() }
}
