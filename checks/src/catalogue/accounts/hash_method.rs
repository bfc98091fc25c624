//! `accounts.hash-method`: passwords kept by a method that is broken or too cheap, now or when they are next changed.

use super::{passwords, shown, subject};
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::crypt::{Crypt, Hash, Method};
use crate::edit::Edit;
use crate::fact::{Fact, Why};
use crate::host::accounts::LOGIN_DEFS;

/// Rounds of sha256crypt, sm3crypt and sha512crypt where none are given (`crypt(5)`): fewer were asked for by somebody.
const USUAL_ROUNDS: u32 = 5000;

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.hash-method",
    title: Text { en: "Passwords are hashed by a strong method", zh: "口令使用强哈希算法保存" },
    rationale: Text {
        en: "Who obtains the hashes of DES or MD5 tries hundreds of thousands of candidates a second on one core. A method with \
             many rounds makes the same theft nearly worthless.",
        zh: "DES、MD5 等算法的哈希一旦泄露，单核每秒就能尝试数十万个候选口令；多轮次的强算法能让同样的泄露几乎失去价值。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference { source: "libxcrypt", item: "crypt(5), hashes.conf: STRONG" }],
    reads: &["passwd", "shadow", "login.defs", "PAM: passwd"],
    fix: Some(Text { en: "sets ENCRYPT_METHOD for new passwords", zh: "为新口令设置 ENCRYPT_METHOD" }),
    remedy: Text {
        en: "Set a strong method (`sha512` or `yescrypt` at pam_unix, ENCRYPT_METHOD in login.defs), then change the passwords: a \
             hash changes only with its password.",
        zh: "先设置强算法（pam_unix 的 `sha512` 或 `yescrypt`、login.defs 的 ENCRYPT_METHOD），再修改口令：只有修改口令才会更新哈希。",
    },
    messages: &[
        Message {
            id: "account",
            text: Text {
                en: "the password of {user} is kept as {method}", zh: "账号 {user} 的口令以 {method} 保存"
            },
        },
        Message {
            id: "rounds",
            text: Text {
                en: "the password of {user} is kept as {method} with only {rounds} rounds",
                zh: "账号 {user} 的口令以 {method} 保存，轮数仅为 {rounds}",
            },
        },
        Message {
            id: "new",
            text: Text {
                en: "{file} has new passwords hashed by {method}", zh: "{file} 规定新口令使用 {method}"
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    for (user, password) in passwords(input, &mut tally) {
        let name = user.name().text();
        let known = match password.field.hash().map(Hash::parse) {
            Some(Hash::Known(known)) => known,
            Some(Hash::Unrecognised) => {
                tally.doubt(
                    subject(user),
                    Why::Failed("its hash is of a method that hostward does not know".to_owned()),
                );
                continue;
            }
            _ => continue,
        };
        let Some(message) = weakness(&known) else { continue };
        let finding = Finding::new(Severity::Medium, subject(user), message)
            .with("user", name)
            .with("method", known.method().name());
        let finding = if message == "rounds" {
            finding.with_number("rounds", known.cost().rounds.unwrap_or_default())
        } else {
            finding
        };
        tally.fail(shown(finding, user, &password, "(hash)"));
    }
    new_passwords(input, &mut tally);
    tally.verdict()
}

fn weakness(known: &Crypt) -> Option<&'static str> {
    let few = known.cost().rounds.is_some_and(|rounds| rounds < USUAL_ROUNDS);
    match known.method() {
        Method::Sha512 | Method::Sha256 | Method::Sm3 => few.then_some("rounds"),
        method => (!method.strong()).then_some("account"),
    }
}

/// `passwd(1)` goes by pam_unix's word; programs without PAM, and pam_unix without a word, by login.defs.
fn new_passwords(input: &Input<'_>, tally: &mut Tally) {
    const WEAK: [&str; 4] = ["md5", "bigcrypt", "des", "sha1"];
    const STRONG: [&str; 8] =
        ["yescrypt", "gost_yescrypt", "sm3", "sm3_yescrypt", "sha512", "sha256", "blowfish", "bcrypt"];
    let weak = |word: &str| WEAK.iter().any(|weak| weak.eq_ignore_ascii_case(word));
    let strong = |word: &str| STRONG.iter().any(|strong| strong.eq_ignore_ascii_case(word));
    let mut by_defs = true;
    if let Some(service) = input.host.pam.service("passwd") {
        if let Fact::Unknown(why) = &service.password {
            tally.doubt("pam:passwd", why.clone());
        }
        for module in input.host.pam.hashing(service) {
            by_defs &= !module.args.iter().any(|arg| weak(arg) || strong(arg));
            // The last word counts, as pam_unix reads its arguments.
            let Some(word) = module.args.iter().rev().find(|arg| weak(arg) || strong(arg)).filter(|arg| weak(arg))
            else {
                continue;
            };
            let file = path_text(&module.file);
            let finding = Finding::new(Severity::Medium, format!("file:{file}"), "new");
            let finding = finding.with("file", file.clone()).with("method", word.as_str());
            tally.fail(finding.seen(file, Some(module.line), module.text()));
        }
    }
    match &input.host.accounts.login_defs {
        Fact::Known(defs) => {
            // The last holds for shadow-utils, the first for pam_unix (`pam_modutil_search_key`).
            let mut settings = defs.settings.iter().filter(|setting| setting.key == "ENCRYPT_METHOD");
            let Some(setting) = settings.find(|setting| !strong(&setting.value)) else { return };
            let edit = Edit::SetKey { file: LOGIN_DEFS.into(), key: "ENCRYPT_METHOD", value: "SHA512".to_owned() };
            let finding = Finding::new(Severity::Medium, format!("file:{LOGIN_DEFS}"), "new")
                .with("file", LOGIN_DEFS)
                .with("method", setting.value.as_str())
                .seen(LOGIN_DEFS, Some(setting.line), format!("ENCRYPT_METHOD {}", setting.value));
            tally.fail(finding.fixed_by(edit));
        }
        Fact::Unknown(why) if by_defs => tally.doubt(format!("file:{LOGIN_DEFS}"), why.clone()),
        Fact::Absent | Fact::Unknown(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, SHA512};
    use super::*;

    #[test]
    fn hashes_are_judged_by_their_method_and_rounds() {
        for (hash, want) in [
            (SHA512, None),
            ("$y$j9T$abcdefgh$zOkLmB2xRy3Oon3hNKXk7mGmHs6Y2fr6VVWqDoUyUj2", None),
            ("$1$abcdefgh$G/8vpOTgVUWxsqPIJjM/J1", Some("account")),
            ("abJnggxhB/yWI", Some("account")),
            (
                "$6$rounds=1000$abcdefgh$BGHPYnkaWUYd5Iz0Sc8bN1A9sYtxhPuTMDXNEbPgOcDCPHIYm1dWy7YoLbcDfjYjbUb1j3Td3x1Tj2J0lJ3yq1",
                Some("rounds"),
            ),
        ] {
            let findings = Case::new().password("alice", hash).findings(&CHECK);
            assert_eq!(
                findings,
                want.map(|want| format!("account:alice {want}")).into_iter().collect::<Vec<_>>(),
                "{hash}"
            );
        }
        assert_eq!(Case::new().password("alice", "$new$abc$def").doubts(&CHECK), ["account:alice"]);
        assert_eq!(Case::new().deny("/etc/shadow").doubts(&CHECK), ["file:/etc/shadow"]);
    }

    #[test]
    fn the_method_of_new_passwords_is_judged_where_it_is_set() {
        let pam =
            |line: &str| Case::new().file("/etc/pam.d/passwd", &format!("password required pam_unix.so {line}\n"));
        pam("sha512 shadow").clean(&CHECK);
        assert_eq!(pam("md5 shadow").findings(&CHECK), ["file:/etc/pam.d/passwd new"]);
        let defs = pam("yescrypt").file("/etc/login.defs", "ENCRYPT_METHOD DES\n");
        assert_eq!(defs.findings(&CHECK), ["file:/etc/login.defs new"]);
        assert_eq!(defs.finding(&CHECK).fix.len(), 1);
        assert_eq!(defs.becomes(&CHECK, "/etc/login.defs"), "0:0 0644 ENCRYPT_METHOD SHA512\n");
        // The first holds for pam_unix, the last for shadow-utils.
        let twice = pam("").file("/etc/login.defs", "ENCRYPT_METHOD MD5\nENCRYPT_METHOD YESCRYPT\n");
        assert_eq!(twice.becomes(&CHECK, "/etc/login.defs"), "0:0 0644 ENCRYPT_METHOD SHA512\nENCRYPT_METHOD SHA512\n");
        pam("").file("/etc/login.defs", "ENCRYPT_METHOD SHA512\n").clean(&CHECK);
        assert_eq!(pam("").deny("/etc/login.defs").doubts(&CHECK), ["file:/etc/login.defs"]);
        pam("sha512").deny("/etc/login.defs").clean(&CHECK);
        assert_eq!(pam("sha512").deny("/etc/pam.d/passwd").doubts(&CHECK), ["pam:passwd"]);
    }
}
