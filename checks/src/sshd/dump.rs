//! Defaults, and the order and spelling of `sshd -T` (`servconf.c:fill_default_server_options` and `dump_config`).

use super::algorithms::{Family, assemble};
use super::build::{Build, Flavour};
use super::keyword::{Key, Penalty, supported};
use super::options::{Item, Options};
use super::{Effective, Origin, Setting, Value};
use crate::check::bytes_text;

/// How the values of a keyword are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One word, with a default.
    Plain(&'static str),
    /// One word; unset, or `none` in any case, prints `none`.
    OrNone,
    /// One word; unset prints `none`, what is set prints as it is.
    Text,
    /// One line an entry, none where there is none.
    Each,
    /// All entries in one line; no line where there is none.
    Line,
    /// All entries in one line, or this word where there is none.
    LineOr(&'static str),
    /// An algorithm list.
    Names(Family),
    /// Something with code of its own.
    Special,
}

type Row = (u16, u16, &'static str, Key, Form);

const END: u16 = u16::MAX;

/// The lines of the dump in order, with the versions that print them.
const ROWS: &[Row] = {
    use Form::{Each, Line, LineOr, Names, OrNone, Plain, Special, Text};
    use Key::*;
    &[
        (0, END, "port", Port, Each),
        (0, END, "addressfamily", AddressFamily, Plain("any")),
        (0, END, "listenaddress", ListenAddress, Special),
        (0, END, "usepam", UsePam, Plain("no")),
        (908, END, "pamservicename", PamServiceName, Plain("sshd")),
        (0, END, "logingracetime", LoginGraceTime, Plain("120")),
        (0, END, "x11displayoffset", X11DisplayOffset, Plain("10")),
        (0, END, "maxauthtries", MaxAuthTries, Plain("6")),
        (0, END, "maxsessions", MaxSessions, Plain("10")),
        (0, END, "clientaliveinterval", ClientAliveInterval, Plain("0")),
        (0, END, "clientalivecountmax", ClientAliveCountMax, Plain("3")),
        (0, END, "requiredrsasize", RequiredRsaSize, Plain("1024")),
        (0, END, "streamlocalbindmask", StreamLocalBindMask, Plain("0177")),
        (902, END, "unusedconnectiontimeout", UnusedConnectionTimeout, Special),
        (0, END, "permitrootlogin", PermitRootLogin, Special),
        (0, END, "ignorerhosts", IgnoreRhosts, Plain("yes")),
        (0, END, "ignoreuserknownhosts", IgnoreUserKnownHosts, Plain("no")),
        (0, END, "hostbasedauthentication", HostbasedAuthentication, Plain("no")),
        (0, END, "hostbasedusesnamefrompacketonly", HostbasedUsesNameFromPacketOnly, Plain("no")),
        (0, END, "pubkeyauthentication", PubkeyAuthentication, Plain("yes")),
        (0, END, "kerberosauthentication", KerberosAuthentication, Plain("no")),
        (0, END, "kerberosorlocalpasswd", KerberosOrLocalPasswd, Plain("yes")),
        (0, END, "kerberosticketcleanup", KerberosTicketCleanup, Plain("yes")),
        (0, END, "kerberosuniqueccache", KerberosUniqueCcache, Plain("no")),
        (0, END, "kerberosusekuserok", KerberosUseKuserok, Plain("yes")),
        (0, END, "gssapienablek5users", GssapiEnableK5Users, Plain("no")),
        (0, END, "gssapiauthentication", GssapiAuthentication, Plain("no")),
        (0, 709, "gssapikeyexchange", GssapiKeyExchange, Plain("no")),
        (0, END, "gssapicleanupcredentials", GssapiCleanupCredentials, Plain("yes")),
        (1003, END, "gssapidelegatecredentials", GssapiDelegateCredentials, Plain("yes")),
        (709, 1001, "gssapikeyexchange", GssapiKeyExchange, Plain("no")),
        (0, END, "gssapistrictacceptorcheck", GssapiStrictAcceptorCheck, Plain("yes")),
        (1001, END, "gssapikeyexchange", GssapiKeyExchange, Plain("no")),
        (0, END, "gssapistorecredentialsonrekey", GssapiStoreCredentialsOnRekey, Plain("no")),
        (0, END, "gssapikexalgorithms", GssapiKexAlgorithms, Special),
        (0, END, "passwordauthentication", PasswordAuthentication, Plain("yes")),
        (0, END, "kbdinteractiveauthentication", KbdInteractiveAuthentication, Plain("yes")),
        (0, 807, "challengeresponseauthentication", ChallengeResponseAuthentication, Plain("yes")),
        (0, END, "printmotd", PrintMotd, Plain("yes")),
        (0, END, "printlastlog", PrintLastLog, Plain("yes")),
        (0, END, "x11forwarding", X11Forwarding, Plain("no")),
        (0, END, "x11uselocalhost", X11UseLocalhost, Plain("yes")),
        (0, END, "permittty", PermitTty, Plain("yes")),
        (0, END, "permituserrc", PermitUserRc, Plain("yes")),
        (0, END, "strictmodes", StrictModes, Plain("yes")),
        (0, END, "tcpkeepalive", TcpKeepAlive, Special),
        (0, END, "permitemptypasswords", PermitEmptyPasswords, Plain("no")),
        (0, 708, "permituserenvironment", PermitUserEnvironment, Plain("no")),
        (0, 705, "uselogin", UseLogin, Plain("no")),
        (0, END, "compression", Compression, Plain("yes")),
        (0, END, "gatewayports", GatewayPorts, Plain("no")),
        (0, END, "usedns", UseDns, Plain("no")),
        (0, END, "allowtcpforwarding", AllowTcpForwarding, Plain("yes")),
        (0, END, "allowagentforwarding", AllowAgentForwarding, Plain("yes")),
        (0, END, "disableforwarding", DisableForwarding, Plain("no")),
        (0, END, "allowstreamlocalforwarding", AllowStreamLocalForwarding, Plain("yes")),
        (0, END, "streamlocalbindunlink", StreamLocalBindUnlink, Plain("no")),
        (0, 705, "useprivilegeseparation", UsePrivilegeSeparation, Plain("sandbox")),
        (0, END, "fingerprinthash", FingerprintHash, Plain("SHA256")),
        (706, END, "exposeauthinfo", ExposeAuthInfo, Plain("no")),
        (1004, END, "warnweakcrypto", WarnWeakCrypto, Plain("true")),
        (909, END, "refuseconnection", RefuseConnection, Plain("no")),
        (904, END, "debianbanner", DebianBanner, Plain("yes")),
        (0, END, "pidfile", PidFile, Special),
        (806, END, "modulifile", ModuliFile, Plain("/etc/ssh/moduli")),
        (0, END, "xauthlocation", XauthLocation, Special),
        (0, END, "ciphers", Ciphers, Names(Family::Ciphers)),
        (0, END, "macs", Macs, Names(Family::Macs)),
        (0, END, "banner", Banner, OrNone),
        (0, END, "forcecommand", ForceCommand, OrNone),
        (0, END, "chrootdirectory", ChrootDirectory, OrNone),
        (0, END, "trustedusercakeys", TrustedUserCaKeys, OrNone),
        (0, 1003, "revokedkeys", RevokedKeys, OrNone),
        (802, END, "securitykeyprovider", SecurityKeyProvider, Special),
        (0, END, "authorizedprincipalsfile", AuthorizedPrincipalsFile, Text),
        (0, END, "versionaddendum", VersionAddendum, Special),
        (0, END, "authorizedkeyscommand", AuthorizedKeysCommand, Text),
        (0, END, "authorizedkeyscommanduser", AuthorizedKeysCommandUser, Text),
        (0, END, "authorizedprincipalscommand", AuthorizedPrincipalsCommand, Text),
        (0, END, "authorizedprincipalscommanduser", AuthorizedPrincipalsCommandUser, Text),
        (0, 707, "hostkeyagent", HostKeyAgent, Text),
        (707, END, "hostkeyagent", HostKeyAgent, OrNone),
        (0, END, "kexalgorithms", KexAlgorithms, Names(Family::Kex)),
        (709, END, "casignaturealgorithms", CaSignatureAlgorithms, Names(Family::Signatures)),
        (0, 805, "hostbasedacceptedkeytypes", HostbasedAcceptedAlgorithms, Names(Family::Keys)),
        (805, END, "hostbasedacceptedalgorithms", HostbasedAcceptedAlgorithms, Names(Family::Keys)),
        (0, END, "hostkeyalgorithms", HostKeyAlgorithms, Names(Family::Keys)),
        (0, 805, "pubkeyacceptedkeytypes", PubkeyAcceptedAlgorithms, Names(Family::Keys)),
        (805, END, "pubkeyacceptedalgorithms", PubkeyAcceptedAlgorithms, Names(Family::Keys)),
        (707, 803, "rdomain", RDomain, OrNone),
        (908, END, "sshdsessionpath", SshdSessionPath, Special),
        (1000, END, "sshdauthpath", SshdAuthPath, Special),
        (908, END, "persourcepenaltyexemptlist", PerSourcePenaltyExemptList, OrNone),
        (1004, END, "agentsocketpath", AgentSocketPath, Plain("user:.ssh/agent")),
        (0, END, "loglevel", LogLevel, Plain("INFO")),
        (0, END, "syslogfacility", SyslogFacility, Plain("AUTH")),
        (0, END, "authorizedkeysfile", AuthorizedKeysFile, Special),
        (1003, END, "revokedkeys", RevokedKeys, Special),
        (0, END, "hostkey", HostKey, Special),
        (0, END, "hostcertificate", HostCertificate, Special),
        (0, END, "allowusers", AllowUsers, Each),
        (0, END, "denyusers", DenyUsers, Each),
        (0, END, "allowgroups", AllowGroups, Each),
        (0, END, "denygroups", DenyGroups, Each),
        (0, END, "acceptenv", AcceptEnv, Each),
        (708, END, "setenv", SetEnv, Each),
        (0, END, "authenticationmethods", AuthenticationMethods, LineOr("any")),
        (805, END, "logverbose", LogVerbose, Line),
        (902, END, "channeltimeout", ChannelTimeout, Special),
        (0, END, "subsystem", Subsystem, Each),
        (0, END, "maxstartups", MaxStartups, Special),
        (805, END, "persourcemaxstartups", PerSourceMaxStartups, Special),
        (805, END, "persourcenetblocksize", PerSourceNetBlockSize, Special),
        (0, END, "permittunnel", PermitTunnel, Plain("no")),
        (0, END, "ipqos", IpQos, Special),
        (0, END, "rekeylimit", RekeyLimit, Special),
        (0, END, "permitopen", PermitOpen, LineOr("any")),
        (708, END, "permitlisten", PermitListen, LineOr("any")),
        (708, END, "permituserenvironment", PermitUserEnvironment, Special),
        (802, END, "pubkeyauthoptions", PubkeyAuthOptions, Special),
        (908, END, "persourcepenalties", PerSourcePenalties, Special),
    ]
};

/// What `sshd -T` prints for these options. Err: an algorithm list that comes to nothing.
pub(crate) fn effective(build: &Build, options: &Options) -> Result<Effective, String> {
    let mut settings = Vec::with_capacity(ROWS.len());
    for (since, before, keyword, key, form) in ROWS {
        if build.before(*since) || build.since(*before) || !printed(build, *key) {
            continue;
        }
        let values = values(build, options, *key, *form)?;
        settings.push(Setting { keyword, values });
    }
    Ok(Effective { settings })
}

/// Whether this build prints the keyword.
fn printed(build: &Build, key: Key) -> bool {
    let red_hat = build.flavour == Flavour::RedHat;
    let held = |word: &str, otherwise: bool| build.holds(word).unwrap_or(otherwise);
    match key {
        Key::DebianBanner => held("debianbanner", build.flavour == Flavour::Debian),
        Key::GssapiKeyExchange | Key::GssapiStoreCredentialsOnRekey => {
            supported(build, key) && held("gssapikeyexchange", build.flavour != Flavour::Upstream && build.before(1003))
        }
        Key::GssapiStrictAcceptorCheck => {
            // 7.6 and its like do not print it without the key exchange patch.
            supported(build, key) && (build.since(707) || held("gssapikeyexchange", build.flavour != Flavour::Upstream))
        }
        Key::GssapiKexAlgorithms => {
            supported(build, key)
                && held(
                    "gssapikexalgorithms",
                    build.flavour != Flavour::Upstream && (709..1003).contains(&build.version),
                )
        }
        Key::KerberosUniqueCcache => red_hat && held("kerberosuniqueccache", build.since(800)),
        Key::KerberosUseKuserok => red_hat && held("kerberosusekuserok", true),
        Key::GssapiEnableK5Users => red_hat && held("gssapienablek5users", true),
        Key::RequiredRsaSize => build.since(901) || (red_hat && held("requiredrsasize", false)),
        key => supported(build, key),
    }
}

fn value(text: impl Into<String>, origin: Origin) -> Value {
    let text = text.into();
    Value { words: vec![text.clone()], text, origin }
}

fn default(text: impl Into<String>) -> Vec<Value> {
    vec![value(text, Origin::Default)]
}

fn of_item(item: &Item) -> Value {
    let words: Vec<String> = item.words.iter().map(|word| bytes_text(word)).collect();
    Value { text: words.join(" "), words, origin: item.origin.clone() }
}

/// All entries in one line; its origin is the first entry's.
fn joined(items: &[Item]) -> Option<Value> {
    let origin = items.first()?.origin.clone();
    let words: Vec<String> = items.iter().flat_map(|item| item.words.iter().map(|word| bytes_text(word))).collect();
    Some(Value { text: words.join(" "), words, origin })
}

fn values(build: &Build, options: &Options, key: Key, form: Form) -> Result<Vec<Value>, String> {
    let set = options.item(key).map(of_item);
    let is_none = |value: &Value| value.text.eq_ignore_ascii_case("none");
    Ok(match form {
        Form::Plain(word) => set.map_or_else(|| default(word), |value| vec![value]),
        Form::Text => set.map_or_else(|| default("none"), |value| vec![value]),
        Form::OrNone => match set {
            Some(set) if is_none(&set) => vec![value("none", set.origin)],
            Some(set) => vec![set],
            None => default("none"),
        },
        Form::Each => options.items(key).iter().map(of_item).collect(),
        Form::Line => joined(options.items(key)).into_iter().collect(),
        Form::LineOr(word) => joined(options.items(key)).map_or_else(|| default(word), |value| vec![value]),
        Form::Names(family) => vec![names(build, options, key, family)?],
        Form::Special => special(build, options, key),
    })
}

fn names(build: &Build, options: &Options, key: Key, family: Family) -> Result<Value, String> {
    let configured = options.text(key).unwrap_or_default();
    let algorithms = &build.algorithms;
    let text = assemble(build.version, &configured, algorithms.default.get(family), algorithms.all.get(family))
        .ok_or_else(|| format!("kex_assemble_names: {configured}: Invalid argument"))?;
    let origin = options.item(key).map_or(Origin::Default, |item| item.origin.clone());
    Ok(Value { words: text.split(',').map(str::to_owned).collect(), text, origin })
}

fn special(build: &Build, options: &Options, key: Key) -> Vec<Value> {
    let set = options.item(key).map(of_item);
    let or = |text: String| set.clone().map_or_else(|| default(text), |value| vec![value]);
    let origin = set.as_ref().map_or(Origin::Default, |value| value.origin.clone());
    let field = |key: Key, otherwise: &str| options.text(key).unwrap_or_else(|| otherwise.to_owned());
    let none_or = |text: &str| {
        let mut values = or(text.to_owned());
        for value in &mut values {
            if value.text.eq_ignore_ascii_case("none") {
                *value = self::value("none", value.origin.clone());
            }
        }
        values
    };
    match key {
        Key::ListenAddress => {
            let listen = options.listen.iter();
            let mut domains: Vec<_> = Vec::new();
            for entry in listen.clone() {
                if !domains.contains(&&entry.rdomain) {
                    domains.push(&entry.rdomain);
                }
            }
            let ordered =
                domains.iter().flat_map(|domain| listen.clone().filter(move |entry| entry.rdomain == **domain));
            ordered.map(|entry| value(entry.text.clone(), entry.origin.clone())).collect()
        }
        Key::UnusedConnectionTimeout => match set {
            Some(set) if set.text == "0" => vec![value("none", set.origin)],
            Some(set) => vec![set],
            None => default("none"),
        },
        Key::PermitRootLogin => {
            or(if build.before(1001) { "without-password" } else { "prohibit-password" }.to_owned())
        }
        Key::TcpKeepAlive => or(if build.since(1004) { "true" } else { "yes" }.to_owned()),
        Key::GssapiKexAlgorithms => or(build.algorithms.gss_kex.clone().unwrap_or_default()),
        Key::PidFile => {
            let assumed = if build.flavour == Flavour::Debian { "/run/sshd.pid" } else { "/var/run/sshd.pid" };
            none_or(build.path("/sshd.pid").unwrap_or(assumed))
        }
        Key::XauthLocation => none_or(build.path("/xauth").unwrap_or("/usr/bin/xauth")),
        Key::SecurityKeyProvider => none_or("internal"),
        Key::SshdSessionPath | Key::SshdAuthPath => {
            let name = if key == Key::SshdAuthPath { "/sshd-auth" } else { "/sshd-session" };
            let dir = if build.flavour == Flavour::Debian { "/usr/lib/openssh" } else { "/usr/libexec/openssh" };
            or(build.path(name).map_or_else(|| format!("{dir}{name}"), str::to_owned))
        }
        Key::VersionAddendum => match set {
            Some(set) if !set.text.is_empty() => vec![set],
            Some(set) => vec![value("none", set.origin)],
            None => default("none"),
        },
        Key::AuthorizedKeysFile => match joined(options.items(key)) {
            Some(set) => vec![set],
            None if options.is_cleared(key) => Vec::new(),
            None => {
                let words = [".ssh/authorized_keys", ".ssh/authorized_keys2"].map(str::to_owned).to_vec();
                vec![Value { text: words.join(" "), words, origin: Origin::Default }]
            }
        },
        Key::RevokedKeys => joined(options.items(key)).into_iter().collect(),
        Key::HostKey => host_keys(build, options),
        Key::HostCertificate => options.items(key).iter().map(key_file).collect(),
        Key::ChannelTimeout => match joined(options.items(key)) {
            Some(set) => vec![set],
            // Up to 9.3 nothing is printed where nothing is set.
            None if build.before(904) => Vec::new(),
            None => default("none"),
        },
        Key::MaxStartups => {
            let (begin, rate) = (field(Key::MaxStartupsBegin, "10"), field(Key::MaxStartupsRate, "30"));
            vec![value(format!("{begin}:{rate}:{}", field(key, "100")), origin)]
        }
        Key::PerSourceMaxStartups => match set {
            Some(set) if set.text != i32::MAX.to_string() => vec![set],
            _ => vec![value("none", origin)],
        },
        Key::PerSourceNetBlockSize => {
            vec![value(format!("{}:{}", field(key, "32"), field(Key::PerSourceNetBlockSize6, "128")), origin)]
        }
        Key::IpQos => match set {
            Some(set) => vec![set],
            None => {
                let (interactive, bulk) = qos_default(build);
                let words = vec![interactive.to_owned(), bulk.to_owned()];
                vec![Value { text: words.join(" "), words, origin }]
            }
        },
        Key::RekeyLimit => {
            let words = vec![field(key, "0"), field(Key::RekeyInterval, "0")];
            vec![Value { text: words.join(" "), words, origin }]
        }
        Key::PermitUserEnvironment => {
            let text = options.text(Key::PermitUserEnvironmentList).unwrap_or_else(|| field(key, "no"));
            vec![value(text, origin)]
        }
        Key::PubkeyAuthOptions => {
            let mut words = set.map_or_else(|| vec!["none".to_owned()], |set| set.words);
            let most = field(Key::PubkeyMaxOk, "6");
            if build.since(1004) && most != "0" {
                words.push(format!("max-pk-ok:{most}"));
            }
            vec![Value { text: words.join(" "), words, origin }]
        }
        Key::PerSourcePenalties => vec![penalties(build, options, origin)],
        _ => set.into_iter().collect(),
    }
}

/// The default service classes: upstream's changed twice, Debian's patches went their own way in between.
fn qos_default(build: &Build) -> (&'static str, &'static str) {
    match (build.flavour, build.version) {
        (_, 1001..) => ("ef", "cs0"),
        (Flavour::Debian, 1000) => ("ef", "cs1"),
        (Flavour::Debian, _) | (_, 0..708) => ("lowdelay", "throughput"),
        _ => ("af21", "cs1"),
    }
}

/// A file of a host key or certificate. `none` leaves a hole in sshd's list, which it prints as C prints no string.
fn key_file(item: &Item) -> Value {
    let mut value = of_item(item);
    if value.text.eq_ignore_ascii_case("none") {
        (value.text, value.words) = ("(null)".to_owned(), Vec::new());
    }
    value
}

fn host_keys(build: &Build, options: &Options) -> Vec<Value> {
    let set = options.items(Key::HostKey);
    if !set.is_empty() {
        return set.iter().map(key_file).collect();
    }
    let mut names = vec!["rsa", "ecdsa", "ed25519"];
    if build.before(707) && build.flavour != Flavour::Debian {
        names.insert(1, "dsa");
    }
    if build.since(1005) {
        names.push("mldsa44_ed25519");
    }
    names.iter().map(|name| value(format!("/etc/ssh/ssh_host_{name}_key"), Origin::Default)).collect()
}

fn penalties(build: &Build, options: &Options, origin: Origin) -> Value {
    if options.text(Key::PerSourcePenalties).as_deref() == Some("no") {
        return value("no", origin);
    }
    let decimal = build.since(1003);
    let refused = build.since(909);
    let time = |seconds: u32| if decimal { format!("{seconds}.000000") } else { seconds.to_string() };
    let field = |penalty: Penalty, otherwise: String| options.text(Key::Penalty(penalty)).unwrap_or(otherwise);
    let permissive = || "permissive".to_owned();
    let overflow = field(Penalty::Overflow, permissive());
    let mut words = Vec::new();
    let mut add = |name: &str, value: String| words.push(format!("{name}:{value}"));
    add("crash", field(Penalty::Crash, time(90)));
    add("authfail", field(Penalty::AuthFail, time(5)));
    add("noauth", field(Penalty::NoAuth, time(1)));
    if decimal {
        add("invaliduser", field(Penalty::InvalidUser, time(5)));
    }
    add("grace-exceeded", field(Penalty::GraceExceeded, time(if build.since(909) { 10 } else { 20 })));
    if refused {
        add("refuseconnection", field(Penalty::RefuseConnection, time(10)));
    }
    add("max", field(Penalty::Max, time(600)));
    add("min", field(Penalty::Min, time(15)));
    add("max-sources4", field(Penalty::MaxSources4, "65536".to_owned()));
    add("max-sources6", field(Penalty::MaxSources6, "65536".to_owned()));
    add("overflow6", field(Penalty::Overflow6, overflow.clone()));
    words.insert(words.len().saturating_sub(1), format!("overflow:{overflow}"));
    Value { text: words.join(" "), words, origin }
}
