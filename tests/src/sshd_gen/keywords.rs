//! The keywords of sshd_config of all tested versions, with values that sshd takes and values that it does not.

/// One keyword with its sample arguments, each written as it may stand after the keyword.
#[derive(Debug, Clone, Copy)]
pub struct Keyword {
    /// Its usual spelling.
    pub name: &'static str,
    /// Arguments that the versions which know the keyword take, or nearly all of them.
    pub good: &'static [&'static str],
    /// Arguments that they refuse, or that only some take.
    pub odd: &'static [&'static str],
}

const fn keyword(name: &'static str, good: &'static [&'static str], odd: &'static [&'static str]) -> Keyword {
    Keyword { name, good, odd }
}

/// A keyword that is on or off.
const fn flag(name: &'static str) -> Keyword {
    keyword(name, &["yes", "no"], &["true", "false", "maybe", "YES", "1", "yes no", ""])
}

const NUMBER: &[&str] = &["", "x", "-1", "1 2", "1x", "0x10", "010", "99999999999999999999"];
const TIME: &[&str] = &["", "x", "-1", "5x", "1h 2h", "99999999999w", "m"];
const ALGORITHMS: &[&str] = &["", "nonesuch", "+nonesuch", ",", "+", "none", "a b", "ssh-ed25519,,rsa-sha2-256"];
const SIGNATURES: &[&str] = &[
    "ssh-ed25519",
    "ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
    "+ssh-rsa",
    "-ssh-rsa*,ecdsa*",
    "-rsa-sha2-256",
    "ecdsa-sha2-nistp256,ssh-ed25519-cert-v01@openssh.com",
    "-*nistp*,rsa-*",
];
const USERS: &[&str] = &[
    "alice",
    "alice bob",
    "bob@10.0.0.0/8",
    "*@192.168.1.*",
    "root@203.0.113.9 alice",
    "a*",
    "?ob carol",
    "alice@*.corp.example",
    "dave@2001:db8::/32",
    "\"alice\" bob",
    "alice,bob",
];
const ODD_USERS: &[&str] =
    &["", "!bob", "bob@10.0.0.1/8", "alice@10.0.0.0/33", "@10.0.0.1", "a@b@10.0.0.0/8", "alice@", "\"a b\"", "'x'"];
const GROUPS: &[&str] = &["devs", "devs ops", "d*", "ops alice", "nogroup", "*"];
const ODD_GROUPS: &[&str] = &["", "!devs", "\"no group\"", "devs,ops", "\u{e9}quipe"];
const FORWARDING: &[&str] = &["yes", "no", "all", "local", "remote"];
const PATH: &[&str] = &["none", "/etc/ssh/thing", "/srv/%u/thing", "relative/path"];
const ODD_PATH: &[&str] = &["", "/a /b", "\"/a b\"", "NONE", "\"\"", "/x#y", "/x #y"];

/// Every keyword that the generator writes; which of them a version knows is asked of that version.
pub const KEYWORDS: &[Keyword] = &[
    keyword(
        "PermitRootLogin",
        &["yes", "no", "prohibit-password", "without-password", "forced-commands-only"],
        &["", "maybe", "no yes", "No"],
    ),
    flag("PasswordAuthentication"),
    flag("KbdInteractiveAuthentication"),
    flag("ChallengeResponseAuthentication"),
    flag("SKeyAuthentication"),
    flag("PubkeyAuthentication"),
    flag("DSAAuthentication"),
    flag("UsePAM"),
    flag("PermitEmptyPasswords"),
    flag("HostbasedAuthentication"),
    flag("HostbasedUsesNameFromPacketOnly"),
    flag("IgnoreUserKnownHosts"),
    keyword("IgnoreRhosts", &["yes", "no"], &["shosts-only", "", "maybe"]),
    flag("KerberosAuthentication"),
    flag("KerberosOrLocalPasswd"),
    flag("KerberosTicketCleanup"),
    flag("KerberosGetAFSToken"),
    flag("GSSAPIAuthentication"),
    flag("GSSAPICleanupCredentials"),
    flag("GSSAPIStrictAcceptorCheck"),
    flag("GSSAPIKeyExchange"),
    flag("GSSAPIStoreCredentialsOnRekey"),
    flag("GSSAPIDelegateCredentials"),
    keyword(
        "GSSAPIKexAlgorithms",
        &["gss-group14-sha256-", "gss-nistp256-sha256-,gss-group16-sha512-"],
        &["", "nonesuch", "+gss-gex-sha1-"],
    ),
    flag("GssAuthentication"),
    flag("GssCleanupCreds"),
    flag("PrintMotd"),
    flag("PrintLastLog"),
    flag("X11Forwarding"),
    flag("X11UseLocalhost"),
    flag("PermitTTY"),
    flag("PermitUserRC"),
    flag("StrictModes"),
    flag("TCPKeepAlive"),
    flag("KeepAlive"),
    flag("UseDNS"),
    flag("AllowAgentForwarding"),
    flag("StreamLocalBindUnlink"),
    flag("DisableForwarding"),
    flag("ExposeAuthInfo"),
    flag("DebianBanner"),
    flag("RefuseConnection"),
    flag("WarnWeakCrypto"),
    keyword("AllowTcpForwarding", FORWARDING, &["", "both", "Local"]),
    keyword("AllowStreamLocalForwarding", FORWARDING, &["", "both"]),
    keyword("GatewayPorts", &["yes", "no", "clientspecified"], &["", "maybe"]),
    keyword("FingerprintHash", &["md5", "sha256", "SHA256"], &["", "sha1", "sha256 md5"]),
    keyword("Compression", &["yes", "no", "delayed"], &["", "maybe"]),
    keyword("Port", &["22", "2222", "65535"], &["0", "65536", "ssh", "", "22 23", "-1", "022"]),
    keyword(
        "ListenAddress",
        &["0.0.0.0", "::", "127.0.0.1:2222", "[::1]:22", "10.0.0.1", "::1", "[2001:db8::1]", "10.0.0.1:22"],
        &["", "10.0.0.1:0", "10.0.0.1:99999", "[::1", "10.0.0.1 10.0.0.2", "127.0.0.1:ssh"],
    ),
    keyword("AddressFamily", &["any", "inet", "inet6"], &["", "ipv4", "INET"]),
    keyword("X11DisplayOffset", &["0", "10", "100"], NUMBER),
    keyword("MaxAuthTries", &["1", "3", "6", "100"], NUMBER),
    keyword("MaxSessions", &["0", "1", "10"], NUMBER),
    keyword("ClientAliveInterval", &["0", "30", "5m", "1h30m", "1w2d"], TIME),
    keyword("ClientAliveCountMax", &["0", "3", "9"], NUMBER),
    keyword("LoginGraceTime", &["0", "30", "2m", "1h", "1H1M1S"], TIME),
    keyword("RequiredRSASize", &["1024", "2048", "3072", "0"], NUMBER),
    keyword(
        "LogLevel",
        &["QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG1", "DEBUG3", "info", "debug"],
        &["", "LOUD", "INFO x"],
    ),
    keyword("SyslogFacility", &["AUTH", "AUTHPRIV", "DAEMON", "LOCAL0", "local7"], &["", "KERN", "auth x"]),
    keyword("StreamLocalBindMask", &["0177", "00", "0777", "022"], &["", "0999", "1777", "x", "-1"]),
    keyword(
        "MaxStartups",
        &["5", "10:30:100", "1:1:1", "100:50:200"],
        &["", "0", "10:30", "10:101:100", "100:30:10", "a:b:c", "10:30:100:1", "5 6", "-5"],
    ),
    keyword(
        "IPQoS",
        &["lowdelay", "lowdelay throughput", "af21 cs1", "0x10", "none", "ef", "le none", "cs0 af13"],
        &["", "nonesuch", "0x100", "a b c", "256"],
    ),
    keyword(
        "RekeyLimit",
        &["1G", "default 1h", "512M 30m", "default none", "100K", "64m"],
        &["", "1", "1X", "1G 1h x", "none", "0", "1G never"],
    ),
    keyword(
        "PermitOpen",
        &["any", "none", "10.0.0.1:80", "host.example:443 [::1]:22", "*:80", "10.0.0.1:*", "localhost:8080"],
        &["", "10.0.0.1", "10.0.0.1:x", "any 10.0.0.1:80", ":80", "10.0.0.1:0"],
    ),
    keyword(
        "PermitListen",
        &["any", "none", "8080", "localhost:8080", "*:*", "[::1]:9 10.0.0.1:*"],
        &["", "x", "any 80", "0"],
    ),
    keyword("PermitUserEnvironment", &["yes", "no", "LANG,LC_*"], &["", "LANG LC_ALL"]),
    keyword("PermitTunnel", &["yes", "no", "point-to-point", "ethernet"], &["", "maybe"]),
    keyword(
        "PubkeyAuthOptions",
        &["none", "touch-required", "verify-required", "touch-required verify-required"],
        &["", "nonesuch", "touch-required,verify-required", "none touch-required"],
    ),
    keyword("PerSourceMaxStartups", &["none", "10", "1"], &["", "x", "-1", "0"]),
    keyword("PerSourceNetBlockSize", &["32:128", "24:64", "0:0"], &["", "33:128", "32:129", "x", "24:", ":64"]),
    keyword(
        "PerSourcePenalties",
        &[
            "no",
            "yes",
            "crash:90",
            "authfail:5s noauth:1s",
            "max:10m min:15s",
            "overflow:permissive",
            "max-sources4:100",
            "crash:1 crash:2",
        ],
        &["", "nonesuch:1", "crash", "overflow:never", "crash:x", "no crash:1", "grace-exceeded:1m"],
    ),
    keyword(
        "PerSourcePenaltyExemptList",
        &["10.0.0.0/8", "10.0.0.0/8,192.168.0.0/16", "2001:db8::/32", "none"],
        &["", "10.0.0.1/8", "x"],
    ),
    keyword(
        "ChannelTimeout",
        &["none", "session=5m", "direct-tcpip=1h session=30s", "*=10m"],
        &["", "session", "session=x", "=5m", "none session=1"],
    ),
    keyword("UnusedConnectionTimeout", &["none", "5m", "30", "1h"], TIME),
    keyword(
        "Subsystem",
        &[
            "sftp internal-sftp",
            "sftp /usr/lib/openssh/sftp-server -l INFO",
            "other /bin/true",
            "Backup \"/bin/echo a b\"",
        ],
        &["", "sftp", "sftp2 /x  y", "other /bin/sh -c 'a b'"],
    ),
    keyword("AcceptEnv", &["LANG", "LC_*", "LANG LC_* FOO", "\"A B\""], &["", "A=B", "X,Y"]),
    keyword("SetEnv", &["A=1", "A=1 B=2", "A=\"x y\"", "\"B=z w\""], &["", "A", "=1", "A="]),
    keyword(
        "AuthorizedKeysFile",
        &[
            ".ssh/authorized_keys",
            ".ssh/authorized_keys .ssh/authorized_keys2",
            "/etc/ssh/keys/%u",
            "none",
            "%h/.ssh/k \"/a b\"",
            "/x/%%",
        ],
        &["", "none .ssh/authorized_keys", "\"\"", ".ssh/a#b", ".ssh/a #b"],
    ),
    keyword("AuthorizedPrincipalsFile", PATH, ODD_PATH),
    keyword(
        "AuthorizedKeysCommand",
        &["none", "/usr/bin/keys %u", "/usr/bin/keys", "/usr/bin/keys  a   b", "/usr/bin/keys \"a b\" %h"],
        &["", "relative", "NONE", "none x"],
    ),
    keyword("AuthorizedKeysCommandUser", &["none", "nobody", "root"], &["", "a b", "\"no body\""]),
    keyword("AuthorizedPrincipalsCommand", &["none", "/usr/bin/principals %u"], &["", "relative"]),
    keyword("AuthorizedPrincipalsCommandUser", &["none", "nobody"], &["", "a b"]),
    keyword(
        "ForceCommand",
        &[
            "internal-sftp",
            "/bin/false",
            "echo hello  world",
            "none",
            "internal-sftp -d /x",
            "sh -c 'a b'",
            "echo \"a\" b",
        ],
        &["", "echo x # y", "echo x#y"],
    ),
    keyword("ChrootDirectory", &["none", "/srv/%u", "%h", "/srv"], &["", "relative", "/a b", "NONE"]),
    keyword("Banner", &["none", "/etc/issue.net", "/etc/motd"], &["", "/a b", "NONE"]),
    keyword("TrustedUserCAKeys", PATH, ODD_PATH),
    keyword("RevokedKeys", PATH, ODD_PATH),
    keyword(
        "VersionAddendum",
        &["none", "hello", "hello world", "a  b"],
        &["", "x # y", "\"quoted words\"", "NONE", "a\u{7}b"],
    ),
    keyword(
        "HostKey",
        &["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key"],
        &["", "none", "/a b"],
    ),
    keyword("HostDSAKey", &["/etc/ssh/ssh_host_ed25519_key"], &[""]),
    keyword("HostKeyAgent", &["none", "/run/agent.sock", "SSH_AUTH_SOCK"], &["", "NONE"]),
    keyword("PidFile", &["/run/sshd.pid", "none", "/var/run/x.pid"], ODD_PATH),
    keyword("ModuliFile", &["/etc/ssh/moduli"], ODD_PATH),
    keyword("XAuthLocation", &["/usr/bin/xauth", "/opt/xauth"], &["", "relative"]),
    keyword("SecurityKeyProvider", &["internal", "/usr/lib/sk.so"], &["", "relative"]),
    keyword("SshdSessionPath", &["/usr/lib/openssh/sshd-session"], &[""]),
    keyword("SshdAuthPath", &["/usr/lib/openssh/sshd-auth"], &[""]),
    keyword("PAMServiceName", &["sshd", "other"], &["", "a b"]),
    keyword("RDomain", &["none", "%D"], &["", "1 2"]),
    keyword("LogVerbose", &["none", "*", "kex.c:*:1000", "a.c:f():1 b.c:*:2", "kex.c:*:1000,packet.c:*"], &[""]),
    keyword(
        "Ciphers",
        &[
            "aes256-ctr",
            "aes128-ctr,aes256-gcm@openssh.com",
            "+aes128-cbc",
            "-aes*-ctr",
            "^aes256-ctr",
            "-chacha20*,aes128*",
        ],
        ALGORITHMS,
    ),
    keyword(
        "MACs",
        &[
            "hmac-sha2-256",
            "-*sha1*",
            "+hmac-md5",
            "^hmac-sha2-512",
            "hmac-sha2-512-etm@openssh.com,umac-128@openssh.com",
        ],
        ALGORITHMS,
    ),
    keyword(
        "KexAlgorithms",
        &["curve25519-sha256", "-diffie*", "+diffie-hellman-group1-sha1", "^ecdh-sha2-nistp521", "-*nist*"],
        ALGORITHMS,
    ),
    keyword("HostKeyAlgorithms", SIGNATURES, ALGORITHMS),
    keyword("PubkeyAcceptedAlgorithms", SIGNATURES, ALGORITHMS),
    keyword("PubkeyAcceptedKeyTypes", SIGNATURES, ALGORITHMS),
    keyword("HostbasedAcceptedAlgorithms", SIGNATURES, ALGORITHMS),
    keyword("HostbasedAcceptedKeyTypes", SIGNATURES, ALGORITHMS),
    keyword("CASignatureAlgorithms", &["ssh-ed25519", "+ssh-rsa", "-ecdsa*", "rsa-sha2-512,ssh-ed25519"], ALGORITHMS),
    keyword(
        "AuthenticationMethods",
        &[
            "any",
            "publickey",
            "publickey,password",
            "publickey,password publickey,keyboard-interactive",
            "publickey,keyboard-interactive:pam",
            "publickey,publickey",
        ],
        &["", "nonesuch", "publickey any", "publickey,", "none", "password,password", "any any", "hostbased"],
    ),
    keyword("AllowUsers", USERS, ODD_USERS),
    keyword("DenyUsers", USERS, ODD_USERS),
    keyword("AllowGroups", GROUPS, ODD_GROUPS),
    keyword("DenyGroups", GROUPS, ODD_GROUPS),
    keyword("Protocol", &["2", "2,1"], &["", "1 2"]),
    keyword("UsePrivilegeSeparation", &["yes", "sandbox"], &["", "a b c"]),
    keyword("UseLogin", &["no"], &[""]),
    keyword("KeyRegenerationInterval", &["3600"], &["", "x y"]),
    keyword("ServerKeyBits", &["1024"], &[""]),
    keyword("RSAAuthentication", &["yes"], &[""]),
    keyword("RhostsRSAAuthentication", &["no"], &[""]),
    keyword("RhostsAuthentication", &["no"], &[""]),
    keyword("PAMAuthenticationViaKbdInt", &["yes"], &[""]),
    keyword("AFSTokenPassing", &["yes"], &[""]),
    keyword("CheckMail", &["no"], &[""]),
    keyword("VerifyReverseMapping", &["no"], &[""]),
    keyword("ReverseMappingCheck", &["no"], &[""]),
    keyword("AuthorizedKeysFile2", &[".ssh/authorized_keys2"], &[""]),
    keyword("SlogLevel", &["x"], &[""]),
];
