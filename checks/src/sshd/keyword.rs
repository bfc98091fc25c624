//! The keyword table: which words a version accepts, where it accepts them, and what they set (`servconf.c:keywords[]`).

use super::build::{Build, Flavour};

/// What a keyword sets. Aliases share one; a keyword that sets two things independently has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::enum_variant_names, reason = "HostKey is the keyword's name")]
pub(crate) enum Key {
    AcceptEnv,
    AddressFamily,
    AgentSocketPath,
    AllowAgentForwarding,
    AllowGroups,
    AllowStreamLocalForwarding,
    AllowTcpForwarding,
    AllowUsers,
    AuthenticationMethods,
    AuthorizedKeysCommand,
    AuthorizedKeysCommandUser,
    AuthorizedKeysFile,
    AuthorizedPrincipalsCommand,
    AuthorizedPrincipalsCommandUser,
    AuthorizedPrincipalsFile,
    Banner,
    CaSignatureAlgorithms,
    ChallengeResponseAuthentication,
    ChannelTimeout,
    ChrootDirectory,
    Ciphers,
    ClientAliveCountMax,
    ClientAliveInterval,
    Compression,
    DebianBanner,
    DenyGroups,
    DenyUsers,
    DisableForwarding,
    ExposeAuthInfo,
    FingerprintHash,
    ForceCommand,
    GatewayPorts,
    GssapiAuthentication,
    GssapiCleanupCredentials,
    GssapiDelegateCredentials,
    GssapiEnableK5Users,
    GssapiKexAlgorithms,
    GssapiKeyExchange,
    GssapiStoreCredentialsOnRekey,
    GssapiStrictAcceptorCheck,
    HostbasedAcceptedAlgorithms,
    HostbasedAuthentication,
    HostbasedUsesNameFromPacketOnly,
    HostCertificate,
    HostKey,
    HostKeyAgent,
    HostKeyAlgorithms,
    IgnoreRhosts,
    IgnoreUserKnownHosts,
    IpQos,
    KbdInteractiveAuthentication,
    KerberosAuthentication,
    KerberosGetAfsToken,
    KerberosOrLocalPasswd,
    KerberosTicketCleanup,
    KerberosUniqueCcache,
    KerberosUseKuserok,
    KexAlgorithms,
    ListenAddress,
    LoginGraceTime,
    LogLevel,
    LogVerbose,
    Macs,
    MaxAuthTries,
    MaxSessions,
    MaxStartups,
    ModuliFile,
    PamServiceName,
    PasswordAuthentication,
    PermitEmptyPasswords,
    PermitListen,
    PermitOpen,
    PermitRootLogin,
    PermitTty,
    PermitTunnel,
    PermitUserEnvironment,
    PermitUserRc,
    PerSourceMaxStartups,
    PerSourceNetBlockSize,
    PerSourcePenalties,
    PerSourcePenaltyExemptList,
    PidFile,
    Port,
    PrintLastLog,
    PrintMotd,
    PubkeyAcceptedAlgorithms,
    PubkeyAuthentication,
    PubkeyAuthOptions,
    RDomain,
    RefuseConnection,
    RekeyLimit,
    RequiredRsaSize,
    RevokedKeys,
    SecurityKeyProvider,
    SetEnv,
    ShowPatchLevel,
    SshdAuthPath,
    SshdSessionPath,
    StreamLocalBindMask,
    StreamLocalBindUnlink,
    StrictModes,
    Subsystem,
    SyslogFacility,
    TcpKeepAlive,
    TrustedUserCaKeys,
    UnusedConnectionTimeout,
    UseDns,
    UseLogin,
    UsePam,
    UsePrivilegeSeparation,
    VersionAddendum,
    WarnWeakCrypto,
    X11DisplayOffset,
    X11Forwarding,
    X11UseLocalhost,
    XauthLocation,

    /// The second field of RekeyLimit.
    RekeyInterval,
    /// The list of PermitUserEnvironment.
    PermitUserEnvironmentList,
    /// The IPv6 width of PerSourceNetBlockSize.
    PerSourceNetBlockSize6,
    /// The fields of MaxStartups.
    MaxStartupsBegin,
    MaxStartupsRate,
    /// `max-pk-ok` of PubkeyAuthOptions.
    PubkeyMaxOk,
    /// The fields of PerSourcePenalties, in the order in which they print.
    Penalty(Penalty),

    /// Read another file.
    Include,
    /// Begin a block.
    Match,
    /// Accepted with a message, does nothing.
    Deprecated,
    /// Accepted silently, does nothing.
    Ignored,
    /// Accepted with a message because this build lacks it.
    Unsupported,
}

/// A field of PerSourcePenalties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Penalty {
    Crash,
    AuthFail,
    NoAuth,
    InvalidUser,
    GraceExceeded,
    RefuseConnection,
    Max,
    Min,
    MaxSources4,
    MaxSources6,
    Overflow,
    Overflow6,
}

/// Where a keyword may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// In the global section only.
    Global,
    /// Inside Match too.
    Everywhere,
}

/// Whose keyword it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Upstream's, from a version on and before another.
    All(u16, u16),
    /// Patched in by Debian and Ubuntu.
    Debian(u16, u16),
    /// Patched in by Red Hat.
    RedHat,
}

const ALWAYS: Of = Of::All(0, u16::MAX);

const fn from(version: u16) -> Of {
    Of::All(version, u16::MAX)
}

const fn until(version: u16) -> Of {
    Of::All(0, version)
}

type Row = (&'static str, Key, Scope, Of);

/// The table. Of several rows with one word the first that fits counts.
const TABLE: &[Row] = {
    use Key::*;
    use Scope::{Everywhere as A, Global as G};
    &[
        ("usepam", UsePam, G, ALWAYS),
        ("pamservicename", PamServiceName, A, Of::All(908, 1004)),
        ("pamservicename", PamServiceName, G, Of::All(1004, 1005)),
        ("pamservicename", PamServiceName, A, from(1005)),
        ("pamauthenticationviakbdint", Deprecated, G, until(1004)),
        ("port", Port, G, ALWAYS),
        ("hostkey", HostKey, G, ALWAYS),
        ("hostdsakey", HostKey, G, ALWAYS),
        ("hostkeyagent", HostKeyAgent, G, ALWAYS),
        ("pidfile", PidFile, G, ALWAYS),
        ("modulifile", ModuliFile, G, from(806)),
        ("serverkeybits", Deprecated, G, ALWAYS),
        ("logingracetime", LoginGraceTime, G, ALWAYS),
        ("keyregenerationinterval", Deprecated, G, ALWAYS),
        ("permitrootlogin", PermitRootLogin, A, ALWAYS),
        ("syslogfacility", SyslogFacility, G, ALWAYS),
        ("loglevel", LogLevel, G, until(706)),
        ("loglevel", LogLevel, A, from(706)),
        ("logverbose", LogVerbose, A, from(805)),
        ("rhostsauthentication", Deprecated, G, ALWAYS),
        ("rhostsrsaauthentication", Deprecated, A, ALWAYS),
        ("hostbasedauthentication", HostbasedAuthentication, A, ALWAYS),
        ("hostbasedusesnamefrompacketonly", HostbasedUsesNameFromPacketOnly, A, ALWAYS),
        ("hostbasedacceptedalgorithms", HostbasedAcceptedAlgorithms, A, from(805)),
        ("hostbasedacceptedkeytypes", HostbasedAcceptedAlgorithms, A, ALWAYS),
        ("hostkeyalgorithms", HostKeyAlgorithms, G, ALWAYS),
        ("rsaauthentication", Deprecated, A, ALWAYS),
        ("pubkeyauthentication", PubkeyAuthentication, A, ALWAYS),
        ("pubkeyacceptedalgorithms", PubkeyAcceptedAlgorithms, A, from(805)),
        ("pubkeyacceptedkeytypes", PubkeyAcceptedAlgorithms, A, ALWAYS),
        ("pubkeyauthoptions", PubkeyAuthOptions, A, from(802)),
        ("dsaauthentication", PubkeyAuthentication, G, ALWAYS),
        ("kerberosauthentication", KerberosAuthentication, A, ALWAYS),
        ("kerberosorlocalpasswd", KerberosOrLocalPasswd, G, ALWAYS),
        ("kerberosticketcleanup", KerberosTicketCleanup, G, ALWAYS),
        ("kerberosgetafstoken", KerberosGetAfsToken, G, ALWAYS),
        ("kerberosuniqueccache", KerberosUniqueCcache, G, Of::RedHat),
        ("kerberosusekuserok", KerberosUseKuserok, A, Of::RedHat),
        ("kerberostgtpassing", Unsupported, G, ALWAYS),
        ("afstokenpassing", Unsupported, G, ALWAYS),
        ("gssapiauthentication", GssapiAuthentication, A, ALWAYS),
        ("gssapicleanupcredentials", GssapiCleanupCredentials, G, ALWAYS),
        ("gssapidelegatecredentials", GssapiDelegateCredentials, G, from(1003)),
        ("gssapistrictacceptorcheck", GssapiStrictAcceptorCheck, G, ALWAYS),
        ("gssapicleanupcreds", GssapiCleanupCredentials, G, Of::Debian(0, 1003)),
        ("gssapikeyexchange", GssapiKeyExchange, G, Of::Debian(0, 1003)),
        ("gssapistorecredentialsonrekey", GssapiStoreCredentialsOnRekey, G, Of::Debian(0, 1003)),
        ("gssapikexalgorithms", GssapiKexAlgorithms, G, Of::Debian(709, 1003)),
        ("gssusesessionccache", Unsupported, G, Of::Debian(0, 1003)),
        ("gssapiusesessioncredcache", Unsupported, G, Of::Debian(0, 1003)),
        ("gssapicleanupcreds", GssapiCleanupCredentials, G, Of::RedHat),
        ("gssapikeyexchange", GssapiKeyExchange, G, Of::RedHat),
        ("gssapistorecredentialsonrekey", GssapiStoreCredentialsOnRekey, G, Of::RedHat),
        ("gssapikexalgorithms", GssapiKexAlgorithms, G, Of::RedHat),
        ("gssapienablek5users", GssapiEnableK5Users, A, Of::RedHat),
        ("gssusesessionccache", Unsupported, G, Of::RedHat),
        ("gssapiusesessioncredcache", Unsupported, G, Of::RedHat),
        ("showpatchlevel", ShowPatchLevel, G, Of::RedHat),
        ("passwordauthentication", PasswordAuthentication, A, ALWAYS),
        ("kbdinteractiveauthentication", KbdInteractiveAuthentication, A, ALWAYS),
        ("challengeresponseauthentication", ChallengeResponseAuthentication, G, until(807)),
        ("challengeresponseauthentication", KbdInteractiveAuthentication, A, from(807)),
        ("skeyauthentication", ChallengeResponseAuthentication, G, until(707)),
        ("skeyauthentication", Deprecated, G, until(807)),
        ("skeyauthentication", KbdInteractiveAuthentication, A, from(807)),
        ("checkmail", Deprecated, G, ALWAYS),
        ("listenaddress", ListenAddress, G, ALWAYS),
        ("addressfamily", AddressFamily, G, ALWAYS),
        ("printmotd", PrintMotd, G, ALWAYS),
        ("printlastlog", PrintLastLog, G, ALWAYS),
        ("ignorerhosts", IgnoreRhosts, G, until(803)),
        ("ignorerhosts", IgnoreRhosts, A, from(803)),
        ("ignoreuserknownhosts", IgnoreUserKnownHosts, G, ALWAYS),
        ("x11forwarding", X11Forwarding, A, ALWAYS),
        ("x11displayoffset", X11DisplayOffset, A, ALWAYS),
        ("x11uselocalhost", X11UseLocalhost, A, ALWAYS),
        ("xauthlocation", XauthLocation, G, ALWAYS),
        ("strictmodes", StrictModes, G, ALWAYS),
        ("permitblacklistedkeys", Deprecated, G, Of::Debian(0, u16::MAX)),
        ("permitemptypasswords", PermitEmptyPasswords, A, ALWAYS),
        ("permituserenvironment", PermitUserEnvironment, G, ALWAYS),
        ("uselogin", UseLogin, G, until(705)),
        ("uselogin", Deprecated, G, from(705)),
        ("compression", Compression, G, ALWAYS),
        ("rekeylimit", RekeyLimit, A, ALWAYS),
        ("tcpkeepalive", TcpKeepAlive, G, ALWAYS),
        ("keepalive", TcpKeepAlive, G, ALWAYS),
        ("allowtcpforwarding", AllowTcpForwarding, A, ALWAYS),
        ("allowagentforwarding", AllowAgentForwarding, A, ALWAYS),
        ("allowusers", AllowUsers, A, ALWAYS),
        ("denyusers", DenyUsers, A, ALWAYS),
        ("allowgroups", AllowGroups, A, ALWAYS),
        ("denygroups", DenyGroups, A, ALWAYS),
        ("ciphers", Ciphers, G, ALWAYS),
        ("macs", Macs, G, ALWAYS),
        ("protocol", Ignored, G, ALWAYS),
        ("gatewayports", GatewayPorts, A, ALWAYS),
        ("subsystem", Subsystem, G, until(905)),
        ("subsystem", Subsystem, A, from(905)),
        ("maxstartups", MaxStartups, G, ALWAYS),
        ("persourcemaxstartups", PerSourceMaxStartups, G, from(805)),
        ("persourcenetblocksize", PerSourceNetBlockSize, G, from(805)),
        ("persourcepenalties", PerSourcePenalties, G, from(908)),
        ("persourcepenaltyexemptlist", PerSourcePenaltyExemptList, G, from(908)),
        ("maxauthtries", MaxAuthTries, A, ALWAYS),
        ("maxsessions", MaxSessions, A, ALWAYS),
        ("banner", Banner, A, ALWAYS),
        ("usedns", UseDns, G, ALWAYS),
        ("verifyreversemapping", Deprecated, G, ALWAYS),
        ("reversemappingcheck", Deprecated, G, ALWAYS),
        ("clientaliveinterval", ClientAliveInterval, G, until(706)),
        ("clientaliveinterval", ClientAliveInterval, A, from(706)),
        ("clientalivecountmax", ClientAliveCountMax, G, until(706)),
        ("clientalivecountmax", ClientAliveCountMax, A, from(706)),
        ("authorizedkeysfile", AuthorizedKeysFile, A, ALWAYS),
        ("authorizedkeysfile2", Deprecated, A, ALWAYS),
        ("useprivilegeseparation", UsePrivilegeSeparation, G, until(705)),
        ("useprivilegeseparation", Deprecated, G, from(705)),
        ("acceptenv", AcceptEnv, A, ALWAYS),
        ("setenv", SetEnv, A, from(708)),
        ("permittunnel", PermitTunnel, A, ALWAYS),
        ("permittty", PermitTty, A, ALWAYS),
        ("permituserrc", PermitUserRc, A, ALWAYS),
        ("match", Match, A, ALWAYS),
        ("permitopen", PermitOpen, A, ALWAYS),
        ("permitlisten", PermitListen, A, from(708)),
        ("forcecommand", ForceCommand, A, ALWAYS),
        ("chrootdirectory", ChrootDirectory, A, ALWAYS),
        ("hostcertificate", HostCertificate, G, ALWAYS),
        ("revokedkeys", RevokedKeys, A, ALWAYS),
        ("trustedusercakeys", TrustedUserCaKeys, A, ALWAYS),
        ("authorizedprincipalsfile", AuthorizedPrincipalsFile, A, ALWAYS),
        ("kexalgorithms", KexAlgorithms, G, ALWAYS),
        ("include", Include, A, from(802)),
        ("ipqos", IpQos, A, ALWAYS),
        ("authorizedkeyscommand", AuthorizedKeysCommand, A, ALWAYS),
        ("authorizedkeyscommanduser", AuthorizedKeysCommandUser, A, ALWAYS),
        ("authorizedprincipalscommand", AuthorizedPrincipalsCommand, A, ALWAYS),
        ("authorizedprincipalscommanduser", AuthorizedPrincipalsCommandUser, A, ALWAYS),
        ("versionaddendum", VersionAddendum, G, ALWAYS),
        ("authenticationmethods", AuthenticationMethods, A, ALWAYS),
        ("streamlocalbindmask", StreamLocalBindMask, A, ALWAYS),
        ("streamlocalbindunlink", StreamLocalBindUnlink, A, ALWAYS),
        ("allowstreamlocalforwarding", AllowStreamLocalForwarding, A, ALWAYS),
        ("fingerprinthash", FingerprintHash, G, ALWAYS),
        ("disableforwarding", DisableForwarding, A, ALWAYS),
        ("exposeauthinfo", ExposeAuthInfo, A, from(706)),
        ("rdomain", RDomain, A, from(707)),
        ("casignaturealgorithms", CaSignatureAlgorithms, A, from(709)),
        ("securitykeyprovider", SecurityKeyProvider, G, from(802)),
        ("requiredrsasize", RequiredRsaSize, A, from(901)),
        ("rsaminsize", RequiredRsaSize, A, Of::RedHat),
        ("requiredrsasize", RequiredRsaSize, A, Of::RedHat),
        ("channeltimeout", ChannelTimeout, A, from(902)),
        ("unusedconnectiontimeout", UnusedConnectionTimeout, A, from(902)),
        ("sshdsessionpath", SshdSessionPath, G, from(908)),
        ("sshdauthpath", SshdAuthPath, G, from(1000)),
        ("refuseconnection", RefuseConnection, A, from(909)),
        ("warnweakcrypto", WarnWeakCrypto, G, from(1004)),
        ("agentsocketpath", AgentSocketPath, A, from(1004)),
        ("debianbanner", DebianBanner, G, Of::Debian(0, u16::MAX)),
    ]
};

/// What a word means to this sshd. None: `Bad configuration option`.
pub(crate) fn lookup(build: &Build, word: &[u8]) -> Option<(Key, Scope)> {
    let rows = TABLE.iter().filter(|(name, ..)| word.eq_ignore_ascii_case(name.as_bytes()));
    let (_, key, scope, _) = rows.into_iter().find(|row| knows(build, row))?;
    Some((if supported(build, *key) { *key } else { Key::Unsupported }, *scope))
}

/// Whether this sshd has a row of the table. What its version does not have is asked of the binary: vendors backport
/// (Include in the 8.0 of Red Hat); without a binary version and vendor decide.
fn knows(build: &Build, (word, _, _, of): &Row) -> bool {
    match *of {
        ALWAYS => true,
        // A keyword whose meaning changed: the version tells which row, the word is there anyway.
        Of::All(0, before) => build.before(before),
        Of::All(since, before) if before < u16::MAX || TABLE.iter().filter(|(name, ..)| name == word).count() > 1 => {
            build.since(since) && build.before(before)
        }
        // A vendor may have it earlier; none takes it away.
        Of::All(since, _) => build.since(since) || build.holds(word) == Some(true),
        Of::Debian(since, before) => build
            .holds(word)
            .unwrap_or_else(|| build.flavour == Flavour::Debian && build.since(since) && build.before(before)),
        Of::RedHat => build.holds(word).unwrap_or(build.flavour == Flavour::RedHat) && build.flavour != Flavour::Debian,
    }
}

/// Whether the build was compiled with what a keyword needs.
pub(crate) fn supported(build: &Build, key: Key) -> bool {
    use Key::{
        GssapiAuthentication, GssapiCleanupCredentials, GssapiDelegateCredentials, GssapiKexAlgorithms,
        GssapiKeyExchange, GssapiStoreCredentialsOnRekey, GssapiStrictAcceptorCheck, KerberosAuthentication,
        KerberosGetAfsToken, KerberosOrLocalPasswd, KerberosTicketCleanup,
    };
    match key {
        KerberosGetAfsToken => false,
        // Every vendor that builds one of Kerberos and GSSAPI builds both.
        KerberosAuthentication
        | KerberosOrLocalPasswd
        | KerberosTicketCleanup
        | GssapiAuthentication
        | GssapiCleanupCredentials
        | GssapiDelegateCredentials
        | GssapiKexAlgorithms
        | GssapiKeyExchange
        | GssapiStoreCredentialsOnRekey
        | GssapiStrictAcceptorCheck => gssapi(build),
        _ => true,
    }
}

/// Whether the build has GSSAPI: its method's name is in the binary.
pub(crate) fn gssapi(build: &Build) -> bool {
    build.holds("gssapi-with-mic").unwrap_or(true)
}

/// Whether a value set inside a Match block reaches the connection (`servconf.c:copy_set_server_options`).
pub(crate) fn copied(build: &Build, key: Key) -> bool {
    use Key::*;
    match key {
        PasswordAuthentication
        | GssapiAuthentication
        | PubkeyAuthentication
        | PubkeyAuthOptions
        | PubkeyMaxOk
        | KerberosAuthentication
        | HostbasedAuthentication
        | HostbasedUsesNameFromPacketOnly
        | KbdInteractiveAuthentication
        | PermitRootLogin
        | PermitEmptyPasswords
        | AllowTcpForwarding
        | AllowStreamLocalForwarding
        | AllowAgentForwarding
        | DisableForwarding
        | ExposeAuthInfo
        | PermitTunnel
        | GatewayPorts
        | StreamLocalBindUnlink
        | X11DisplayOffset
        | X11Forwarding
        | X11UseLocalhost
        | PermitTty
        | PermitUserRc
        | MaxSessions
        | MaxAuthTries
        | ClientAliveCountMax
        | ClientAliveInterval
        | IpQos
        | RekeyLimit
        | RekeyInterval
        | LogLevel
        | RequiredRsaSize
        | UnusedConnectionTimeout
        | RefuseConnection
        | StreamLocalBindMask
        | Banner
        | TrustedUserCaKeys
        | RevokedKeys
        | AuthorizedKeysCommand
        | AuthorizedKeysCommandUser
        | AuthorizedPrincipalsFile
        | AuthorizedPrincipalsCommand
        | AuthorizedPrincipalsCommandUser
        | HostbasedAcceptedAlgorithms
        | PubkeyAcceptedAlgorithms
        | CaSignatureAlgorithms
        | RDomain
        | AuthorizedKeysFile
        | AllowUsers
        | DenyUsers
        | AllowGroups
        | DenyGroups
        | AcceptEnv
        | AuthenticationMethods
        | PermitOpen
        | PermitListen
        | ChannelTimeout
        | LogVerbose
        | ForceCommand
        | ChrootDirectory
        | KerberosUseKuserok
        | GssapiEnableK5Users
        | AgentSocketPath
        | Subsystem => true,
        IgnoreRhosts => build.since(803),
        SetEnv => build.since(807),
        PamServiceName => build.before(1004) || build.since(1006),
        _ => false,
    }
}
