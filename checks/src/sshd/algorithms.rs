//! The algorithms of an sshd: compiled defaults, all that it supports, and how `+ - ^` lists are put together.

use super::pattern::{ListMatch, match_pattern_list};
use crate::snapshot::Marks;

/// The algorithm lists of one sshd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Algorithms {
    /// Default `Ciphers`, `MACs`, `KexAlgorithms`, host and user key algorithms, signature algorithms of authorities.
    pub(crate) default: Lists,
    /// All that is supported, in the order of the program's tables.
    pub(crate) all: Lists,
    /// Default of `GSSAPIKexAlgorithms`, where the build knows it.
    pub(crate) gss_kex: Option<String>,
    /// Whether the defaults were read in the binary rather than assumed.
    pub(crate) certain: bool,
}

/// One list a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    /// Ciphers.
    pub(crate) ciphers: Vec<String>,
    /// MACs.
    pub(crate) macs: Vec<String>,
    /// Key exchange.
    pub(crate) kex: Vec<String>,
    /// Keys, of hosts and users.
    pub(crate) keys: Vec<String>,
    /// Signatures of certificate authorities.
    pub(crate) signatures: Vec<String>,
}

/// A family of algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Ciphers.
    Ciphers,
    /// MACs.
    Macs,
    /// Key exchange.
    Kex,
    /// Keys.
    Keys,
    /// Signatures of certificate authorities.
    Signatures,
}

impl Lists {
    /// The list of a family.
    pub(crate) fn get(&self, family: Family) -> &[String] {
        match family {
            Family::Ciphers => &self.ciphers,
            Family::Macs => &self.macs,
            Family::Kex => &self.kex,
            Family::Keys => &self.keys,
            Family::Signatures => &self.signatures,
        }
    }
}

/// `cipher.c:ciphers[]`.
const CIPHERS: &str = "3des-cbc aes128-cbc aes192-cbc aes256-cbc rijndael-cbc@lysator.liu.se aes128-ctr aes192-ctr aes256-ctr \
     aes128-gcm@openssh.com aes256-gcm@openssh.com chacha20-poly1305@openssh.com";

/// `mac.c:macs[]`.
const MACS: &str = "hmac-sha1 hmac-sha1-96 hmac-sha2-256 hmac-sha2-512 hmac-md5 hmac-md5-96 umac-64@openssh.com umac-128@openssh.com \
     hmac-sha1-etm@openssh.com hmac-sha1-96-etm@openssh.com hmac-sha2-256-etm@openssh.com hmac-sha2-512-etm@openssh.com \
     hmac-md5-etm@openssh.com hmac-md5-96-etm@openssh.com umac-64-etm@openssh.com umac-128-etm@openssh.com";

/// `kex.c:kexalgs[]`, those of all versions.
const KEX: &str = "diffie-hellman-group1-sha1 diffie-hellman-group14-sha1 diffie-hellman-group14-sha256 diffie-hellman-group16-sha512 \
     diffie-hellman-group18-sha512 diffie-hellman-group-exchange-sha1 diffie-hellman-group-exchange-sha256 ecdh-sha2-nistp256 \
     ecdh-sha2-nistp384 ecdh-sha2-nistp521 mlkem768nistp256-sha256 curve25519-sha256 curve25519-sha256@libssh.org \
     sntrup4591761x25519-sha512@tinyssh.org sntrup761x25519-sha512 sntrup761x25519-sha512@openssh.com mlkem768x25519-sha256";

/// `sshkey.c:keytypes[]` up to 9.0.
const OLD_KEYS: &str = "ssh-ed25519 ssh-ed25519-cert-v01@openssh.com sk-ssh-ed25519@openssh.com sk-ssh-ed25519-cert-v01@openssh.com \
     ssh-rsa rsa-sha2-256 rsa-sha2-512 ssh-dss ecdsa-sha2-nistp256 ecdsa-sha2-nistp384 ecdsa-sha2-nistp521 \
     sk-ecdsa-sha2-nistp256@openssh.com webauthn-sk-ecdsa-sha2-nistp256@openssh.com ssh-rsa-cert-v01@openssh.com \
     rsa-sha2-256-cert-v01@openssh.com rsa-sha2-512-cert-v01@openssh.com ssh-dss-cert-v01@openssh.com \
     ecdsa-sha2-nistp256-cert-v01@openssh.com ecdsa-sha2-nistp384-cert-v01@openssh.com ecdsa-sha2-nistp521-cert-v01@openssh.com \
     sk-ecdsa-sha2-nistp256-cert-v01@openssh.com";

/// `sshkey.c:keyimpls[]` from 9.1 on, those of all versions.
const KEYS: &str = "ssh-ed25519 ssh-ed25519-cert-v01@openssh.com sk-ssh-ed25519@openssh.com sk-ssh-ed25519-cert-v01@openssh.com \
     ssh-mldsa44-ed25519 ssh-mldsa44-ed25519-cert ecdsa-sha2-nistp256 ecdsa-sha2-nistp256-cert-v01@openssh.com ecdsa-sha2-nistp384 \
     ecdsa-sha2-nistp384-cert-v01@openssh.com ecdsa-sha2-nistp521 ecdsa-sha2-nistp521-cert-v01@openssh.com \
     sk-ecdsa-sha2-nistp256@openssh.com sk-ecdsa-sha2-nistp256-cert-v01@openssh.com webauthn-sk-ecdsa-sha2-nistp256@openssh.com \
     webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com ssh-dss ssh-dss-cert-v01@openssh.com ssh-rsa ssh-rsa-cert-v01@openssh.com \
     rsa-sha2-256 rsa-sha2-256-cert-v01@openssh.com rsa-sha2-512 rsa-sha2-512-cert-v01@openssh.com";

/// When upstream first had an algorithm, and when it no longer had it. What is not named was always there.
const LIFE: [(&str, u16, u16); 10] = [
    ("rijndael-cbc@lysator.liu.se", 0, 805),
    ("sntrup4591761x25519-sha512@tinyssh.org", 800, 805),
    ("sntrup761x25519-sha512@openssh.com", 805, u16::MAX),
    ("sntrup761x25519-sha512", 909, u16::MAX),
    ("mlkem768x25519-sha256", 909, u16::MAX),
    ("mlkem768nistp256-sha256", 1004, u16::MAX),
    ("webauthn-sk-ecdsa-sha2-nistp256@openssh.com", 803, u16::MAX),
    ("webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", 1003, u16::MAX),
    ("ssh-mldsa44-ed25519", 1005, u16::MAX),
    ("ssh-mldsa44-ed25519-cert", 1005, u16::MAX),
];

/// Names without a certificate's ending.
fn plain(name: &str) -> bool {
    !name.contains("-cert")
}

impl Algorithms {
    /// The lists of a version, corrected by what the binary holds.
    pub(crate) fn of(version: u16, marks: Option<&Marks>) -> Self {
        // A program that names no cipher keeps its names elsewhere: it tells nothing of them.
        let names = |string: &String| CIPHERS.split(' ').any(|name| string.ends_with(name));
        let marks = marks.filter(|marks| marks.strings.iter().any(names));
        let there = |name: &&str| match marks {
            Some(marks) => marks.strings.iter().any(|string| string.ends_with(name)),
            None => {
                let life = LIFE.iter().find(|(known, ..)| known == name);
                let sk = name.starts_with("sk-");
                let dss = name.starts_with("ssh-dss");
                life.is_none_or(|(_, from, until)| version >= *from && version < *until)
                    && (!sk || version >= 802)
                    && (!dss || version < 1000)
            }
        };
        let known = |list: &str| list.split(' ').filter(there).map(str::to_owned).collect::<Vec<_>>();
        let keys = known(if version < 901 { OLD_KEYS } else { KEYS });
        let signatures = keys.iter().filter(|name| plain(name)).cloned().collect();
        let all = Lists { ciphers: known(CIPHERS), macs: known(MACS), kex: known(KEX), keys, signatures };
        let found = marks.map(compiled).unwrap_or_default();
        let certain =
            !found.kex.is_empty() && !found.ciphers.is_empty() && !found.macs.is_empty() && !found.keys.is_empty();
        let assumed = assumed(version);
        let pick = |found: Vec<String>, assumed: &str, all: &[String]| {
            let list = if found.is_empty() { words(assumed) } else { found };
            // Up to 7.x the compiled list is taken as it is; later what OpenSSL lacks is dropped from it.
            if version < 709 { list } else { list.into_iter().filter(|name| all.contains(name)).collect::<Vec<_>>() }
        };
        let keys = pick(found.keys, assumed.keys, &all.keys);
        let signatures = match found.signatures {
            list if list.is_empty() => {
                keys.iter().filter(|name| plain(name) && *name != "ssh-rsa" && *name != "ssh-dss").cloned().collect()
            }
            list => list,
        };
        let default = Lists {
            ciphers: pick(found.ciphers, assumed.ciphers, &all.ciphers),
            macs: pick(found.macs, assumed.macs, &all.macs),
            kex: pick(found.kex, assumed.kex, &all.kex),
            keys,
            signatures: pick(signatures, "", &all.signatures),
        };
        Self { default, all, gss_kex: marks.and_then(gss_kex), certain }
    }
}

fn words(list: &str) -> Vec<String> {
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The default lists that a binary holds as strings.
fn compiled(marks: &Marks) -> Lists {
    let mut out = Lists::default();
    for string in &marks.strings {
        let list = words(string);
        let all = |test: &dyn Fn(&str) -> bool| list.len() >= 3 && list.iter().all(|name| test(name));
        let key = |name: &str| {
            ["ssh-", "ecdsa-", "sk-", "rsa-", "webauthn-"].iter().any(|start| name.starts_with(start))
                && !name.contains('*')
        };
        let slot = if all(&|name| CIPHERS.split(' ').any(|known| known == name)) {
            &mut out.ciphers
        } else if all(&|name| MACS.split(' ').any(|known| known == name)) {
            &mut out.macs
        } else if list.len() >= 4 && all(&|name| KEX.split(' ').any(|known| known == name)) {
            &mut out.kex
        } else if all(&key) && list.iter().any(|name| !plain(name)) {
            &mut out.keys
        } else if all(&key) && list.len() >= 6 {
            &mut out.signatures
        } else {
            continue;
        };
        if slot.is_empty() {
            *slot = list;
        }
    }
    out
}

/// The compiled default of `GSSAPIKexAlgorithms`: a list of prefixes, each ending in `-`.
fn gss_kex(marks: &Marks) -> Option<String> {
    let prefixes = |string: &&String| {
        string.starts_with("gss-")
            && string.contains(',')
            && string.split(',').all(|name| name.starts_with("gss-") && name.ends_with('-'))
    };
    marks.strings.iter().find(prefixes).cloned()
}

/// Default lists where the binary cannot be read: upstream's.
struct Assumed {
    ciphers: &'static str,
    macs: &'static str,
    kex: &'static str,
    keys: &'static str,
}

const ASSUMED_MACS: &str = "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,\
     hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1";

const ECDH: &str =
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521";

fn assumed(version: u16) -> Assumed {
    const CTR_FIRST: &str =
        "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com";
    const GCM_FIRST: &str =
        "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr";
    const _: &str = ECDH;
    Assumed {
        ciphers: if version < 1000 { CTR_FIRST } else { GCM_FIRST },
        macs: ASSUMED_MACS,
        kex: match version {
            0..800 => {
                "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
                 diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
                 diffie-hellman-group14-sha256,diffie-hellman-group14-sha1"
            }
            800..900 => {
                "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
                 diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
                 diffie-hellman-group14-sha256"
            }
            900..1000 => {
                "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,\
                 ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,\
                 diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256"
            }
            _ => {
                "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,curve25519-sha256,\
                 curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521"
            }
        },
        keys: match version {
            0..709 => {
                "ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,\
                 ecdsa-sha2-nistp521-cert-v01@openssh.com,ssh-ed25519-cert-v01@openssh.com,ssh-rsa-cert-v01@openssh.com,\
                 ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-ed25519,rsa-sha2-512,rsa-sha2-256,ssh-rsa"
            }
            709..805 => {
                "ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,\
                 ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,ssh-ed25519-cert-v01@openssh.com,\
                 sk-ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,\
                 ssh-rsa-cert-v01@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
                 sk-ecdsa-sha2-nistp256@openssh.com,ssh-ed25519,sk-ssh-ed25519@openssh.com,rsa-sha2-512,rsa-sha2-256,ssh-rsa"
            }
            _ => {
                "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384-cert-v01@openssh.com,\
                 ecdsa-sha2-nistp521-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,\
                 sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,\
                 ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,sk-ssh-ed25519@openssh.com,\
                 sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"
            }
        },
    }
}

/// `kex_names_cat`: the second list's names that the first lacks are put behind it.
fn cat(first: &str, second: &str) -> String {
    if first.is_empty() {
        return second.to_owned();
    }
    let mut out = first.to_owned();
    for name in second.split(',').take_while(|name| !name.is_empty()) {
        if !out.split(',').any(|known| known == name) {
            out.push(',');
            out.push_str(name);
        }
    }
    out
}

/// `kex_assemble_names`: a configured list made into names. None: sshd calls it an invalid argument.
pub(crate) fn assemble(version: u16, configured: &str, default: &[String], all: &[String]) -> Option<String> {
    let default = default.join(",");
    let (list, head) = match configured.split_at_checked(1) {
        None => return Some(default),
        Some(("-", names)) => {
            let kept = default
                .split(',')
                .filter(|name| match_pattern_list(name.as_bytes(), names.as_bytes(), false) != ListMatch::Yes);
            return Some(kept.collect::<Vec<_>>().join(","));
        }
        Some(("+", names)) => (cat(&default, names), false),
        Some(("^", names)) if version >= 800 => (cat(names, &default), true),
        Some(_) => (configured.to_owned(), false),
    };
    let _ = head;
    if version < 709 {
        return Some(list);
    }
    let mut out = String::new();
    for pattern in list.split(',') {
        if pattern.starts_with('!') {
            return None;
        }
        let matching =
            all.iter().filter(|name| match_pattern_list(name.as_bytes(), pattern.as_bytes(), false) == ListMatch::Yes);
        let matching: Vec<&str> = matching.map(String::as_str).collect();
        out = cat(&out, &matching.join(","));
    }
    (!out.is_empty()).then_some(out)
}

/// Whether a configured list passes the check at its line: exact names for ciphers, MACs and key exchange; patterns and
/// short type names too for keys. `plain_only` refuses certificates (`CASignatureAlgorithms` from 9.3 on).
pub(crate) fn valid(family: Family, configured: &str, all: &Lists, plain_only: bool) -> bool {
    if configured.is_empty() {
        return false;
    }
    configured.split(',').take_while(|name| !name.is_empty()).all(|name| match family {
        Family::Ciphers | Family::Macs | Family::Kex => all.get(family).iter().any(|known| known == name),
        Family::Keys | Family::Signatures => {
            let short = ["RSA", "DSA", "ECDSA", "ED25519", "ECDSA-SK", "ED25519-SK"];
            let exact = all.keys.iter().any(|known| known == name);
            if exact || short.iter().any(|short| short.eq_ignore_ascii_case(name)) {
                return !plain_only || plain(name);
            }
            all.keys.iter().any(|known| match_pattern_list(known.as_bytes(), name.as_bytes(), false) != ListMatch::No)
        }
    })
}
