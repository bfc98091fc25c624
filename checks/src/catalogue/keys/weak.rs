//! `keys.weak`: a key that somebody else can use, or soon can.

use super::{Place, by_key, doubt_unread, key_subject, places, removing, seen, users};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::weak_key::{Weakness, weaknesses};

/// The check.
pub static CHECK: Check = Check {
    id: "keys.weak",
    title: Text {
        en: "No weak or published key opens an account", zh: "没有弱密钥或已公开的密钥可以登录"
    },
    rationale: Text {
        en: "The public half of a key is no secret. Where the key is short, made by a defective generator, or its private half \
             ships with a product, whoever sees the public half can log in.",
        zh: "公钥并不保密。如果密钥过短、由有缺陷的生成器产生，或其私钥随产品公开发布，任何看到公钥的人都能登录。",
    },
    severity: Severity::Critical,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: "NIST SP 800-131A", item: "RSA of at least 2048 bits, no DSA" },
        Reference { source: "CVE-2017-15361", item: "ROCA" },
        Reference { source: "CVE-2022-26320", item: "close primes" },
        Reference { source: "CVE-2008-0166", item: "Debian's predictable keys" },
    ],
    reads: &["authorized_keys of every account"],
    fix: Some(Text { en: "removes the line", zh: "删除该行" }),
    remedy: Text {
        en: "Make a new key (`ssh-keygen -t ed25519`), add it, log in with it, then remove the weak one from every file named.",
        zh: "生成新密钥（`ssh-keygen -t ed25519`），加入并用它登录成功后，再从所列文件中删除弱密钥。",
    },
    messages: &[
        Message {
            id: "published",
            text: Text {
                en: "the private half of {key} is public ({owner}, {reference}); it opens: {users}",
                zh: "密钥 {key} 的私钥已公开（{owner}，{reference}）；可登录账号：{users}",
            },
        },
        Message {
            id: "blocklisted",
            text: Text {
                en: "{key} stands in this host's list of predictable keys (CVE-2008-0166); it opens: {users}",
                zh: "密钥 {key} 在本机的可预测密钥列表中（CVE-2008-0166）；可登录账号：{users}",
            },
        },
        Message {
            id: "factor",
            text: Text {
                en: "the modulus of {key} is divisible by {factor}, so it can be factored; it opens: {users}",
                zh: "密钥 {key} 的模数可被 {factor} 整除，可被分解；可登录账号：{users}",
            },
        },
        Message {
            id: "close-primes",
            text: Text {
                en: "the two primes of {key} are close together and found at once (Fermat); it opens: {users}",
                zh: "密钥 {key} 的两个素数过于接近，可立即分解（费马法）；可登录账号：{users}",
            },
        },
        Message {
            id: "roca",
            text: Text {
                en: "{key} was made by a chip with the ROCA defect (CVE-2017-15361); it opens: {users}",
                zh: "密钥 {key} 由存在 ROCA 缺陷的芯片生成（CVE-2017-15361）；可登录账号：{users}",
            },
        },
        Message {
            id: "exponent",
            text: Text {
                en: "{key} has an exponent that no RSA key may have; it opens: {users}",
                zh: "密钥 {key} 的指数不符合 RSA 要求；可登录账号：{users}",
            },
        },
        Message {
            id: "dsa",
            text: Text {
                en: "{key} is a DSA key (1024 bits, SHA-1); it opens: {users}",
                zh: "密钥 {key} 是 DSA 密钥（1024 位，SHA-1）；可登录账号：{users}",
            },
        },
        Message {
            id: "short",
            text: Text {
                en: "{key} has {bits} bits, {least} are asked for; it opens: {users}",
                zh: "密钥 {key} 只有 {bits} 位，要求至少 {least} 位；可登录账号：{users}",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let limits = &input.policy.limits;
    let enhanced = input.policy.profile == Profile::Enhanced;
    let least = if enhanced { limits.rsa_bits.max(limits.rsa_bits_enhanced) } else { limits.rsa_bits };
    for places in by_key(places(input).filter(|place| place.line.refused.is_none())).values() {
        let Some(Place { line, .. }) = places.first() else { continue };
        // The worst comes first, and one is reason enough.
        let found = weaknesses(&line.key, least, &input.host.keys.blocklist);
        let Some(weakness) = found.first() else { continue };
        let severity = match weakness {
            weakness if weakness.is_broken() => Severity::Critical,
            Weakness::Short { bits, .. } if *bits >= limits.rsa_bits => Severity::Low,
            _ => Severity::High,
        };
        let finding = Finding::new(severity, key_subject(&line.key), message(weakness))
            .with("key", line.key.fingerprint().to_string())
            .with_list("users", users(places));
        let finding = match weakness {
            Weakness::Published(known) => finding.with("owner", known.owner).with("reference", known.reference),
            Weakness::SmallFactor(factor) => finding.with_number("factor", *factor),
            Weakness::Short { bits, least } => finding.with_number("bits", *bits).with_number("least", *least),
            _ => finding,
        };
        tally.fail(removing(seen(finding, places), places));
    }
    doubt_unread(input, &mut tally);
    tally.verdict()
}

fn message(weakness: &Weakness) -> &'static str {
    match weakness {
        Weakness::Published(_) => "published",
        Weakness::Blocklisted => "blocklisted",
        Weakness::SmallFactor(_) => "factor",
        Weakness::ClosePrimes => "close-primes",
        Weakness::Roca => "roca",
        Weakness::BadExponent => "exponent",
        Weakness::Dsa => "dsa",
        Weakness::Short { .. } => "short",
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, VAGRANT, rsa};
    use super::*;
    use std::path::Path;

    use crate::parse::key_blob::samples;
    use crate::plan::testing::refusals;
    use crate::snapshot::Reader;

    #[test]
    fn weak_keys_are_found_and_sound_ones_pass() {
        let short = rsa(&[0xb5; 192], &[1, 0, 1]);
        let even = rsa(&[0xb4; 384], &[1, 0, 1]);
        let exponent = rsa(&[0xb5; 384], &[2]);
        for (line, profile, want) in [
            (samples::ED25519.line, Profile::Enhanced, &[][..]),
            (samples::RSA.line, Profile::Basic, &[]),
            (samples::RSA.line, Profile::Enhanced, &["low short"]),
            (samples::DSA.line, Profile::Basic, &["high dsa"]),
            (VAGRANT, Profile::Image, &["critical published"]),
            (short.as_str(), Profile::Basic, &["critical factor"]),
            (even.as_str(), Profile::Basic, &["critical factor"]),
            (exponent.as_str(), Profile::Basic, &["critical exponent"]),
            // sshd does not use these lines at all.
            (samples::RSA_CERT.line, Profile::Enhanced, &[]),
        ] {
            let case = Case::new().profile(profile).bob(line);
            assert_eq!(case.findings(&CHECK), want, "{line}");
            case.bob("").clean(&CHECK);
        }
    }

    #[test]
    fn a_key_is_reported_once_with_every_place() {
        let case = Case::new().bob(VAGRANT).root(&format!("\n{VAGRANT} a\n{VAGRANT} b\n"));
        let Verdict::Fail(findings, _) = case.verdict(&CHECK) else { panic!() };
        assert_eq!(findings.len(), 1);
        let places: Vec<_> = findings[0].evidence.iter().map(|e| (e.file.as_str(), e.line.unwrap())).collect();
        assert_eq!(
            places,
            [
                ("/root/.ssh/authorized_keys", 2),
                ("/root/.ssh/authorized_keys", 3),
                ("/home/bob/.ssh/authorized_keys", 1)
            ]
        );
        assert_eq!(findings[0].fix.len(), 3);
        assert_eq!(findings[0].reproduce.as_deref(), Some("ssh-keygen -lf /root/.ssh/authorized_keys"));
    }

    #[test]
    fn the_fix_removes_the_lines_and_nothing_else() {
        let case = Case::new().bob(&format!("# mine\r\n{VAGRANT}\r\n{}\n", samples::ED25519.line));
        let case = case.root(&format!("\n{VAGRANT} a\n{VAGRANT} b\n"));
        let (after, reader) = (case.mends(&CHECK), Reader::new);
        let file = |path| str::from_utf8(reader(&after).file(Path::new(path)).unwrap().bytes).unwrap().to_owned();
        assert_eq!(file("/home/bob/.ssh/authorized_keys"), format!("# mine\r\n{}\n", samples::ED25519.line));
        assert_eq!(file("/root/.ssh/authorized_keys"), "\n");
    }

    #[test]
    fn nobody_has_root_edit_the_file_of_another() {
        let als =
            Case::new().file("/home/al/notes", &format!("{VAGRANT}\n")).owned("/home/al/notes", 1000, 1000, 0o644);
        let case = als.link("/home/bob/.ssh/authorized_keys", "/home/al/notes");
        assert_eq!(refusals(&case.planned(&CHECK)), ["others-link"]);
        // His own file behind his own link, and a file that root has put there for him.
        als.owned("/home/al/notes", 1001, 1001, 0o644)
            .link("/home/bob/.ssh/authorized_keys", "../../al/notes")
            .mends(&CHECK);
        als.owned("/home/al/notes", 0, 0, 0o644)
            .link("/home/bob/.ssh/authorized_keys", "/home/al/notes")
            .owned("/home/bob/.ssh/authorized_keys", 0, 0, 0o777)
            .mends(&CHECK);
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        assert_eq!(Case::new().unreadable().doubts(&CHECK), ["file:/home/bob/.ssh/authorized_keys"]);
        let both = Case::new().unreadable().root(VAGRANT);
        assert_eq!((both.findings(&CHECK).len(), both.doubts(&CHECK).len()), (1, 1));
    }
}
