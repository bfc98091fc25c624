//! A key is removed for a reason that stands on the host or in the policy, never because something else does not know it.

use crate::check::{Input, Message, Text, path_text};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::guard::{Circumstances, Guard, Rule};
use crate::parse::authorized_keys::KeyLine;
use crate::parse::key_blob::Fingerprint;
use crate::plan::Said;
use crate::policy::Policy;
use crate::weak_key::weaknesses;

/// Keys go because they are weak, or because an explicit list leaves them out.
pub(crate) static KEY_REASON: Guard = Guard {
    id: "keys.reason",
    title: Text {
        en: "A key is removed only if it is weak or missing from a list of approved ones",
        zh: "仅移除弱密钥或不在批准清单中的密钥",
    },
    rule: Rule::Edit(permits),
};

static NO_LIST: Message = Message {
    id: "no-approved-list",
    text: Text {
        en: "{key} in {path} is sound, and no list in the policy leaves it out: name the keys that are right in `approved_keys`, then it can go",
        zh: "{path} 中的密钥 {key} 强度足够，且策略中没有将其排除的清单：请在 `approved_keys` 中列出正确的密钥，之后方可移除",
    },
};
static APPROVED: Message = Message {
    id: "approved",
    text: Text {
        en: "{key} in {path} is sound and approved by the policy",
        zh: "{path} 中的密钥 {key} 强度足够，且已在策略中批准",
    },
};

fn permits(edit: &Edit, input: &Input<'_>, _: &Circumstances) -> Result<(), Said> {
    let Edit::RemoveLine { file, line, key } = edit else { return Ok(()) };
    let said = |message| Err(Said::new(message).with("key", key.to_string()).with("path", path_text(file)));
    let policy = input.policy;
    let limits = &policy.limits;
    let least = limits.rsa_bits.max(limits.rsa_bits_enhanced);
    let here = |found: &KeyLine| found.line == *line && found.key.fingerprint() == *key;
    if let Some((_, _, found)) = input.host.keys.lines().find(|(_, keys, found)| keys.canonical == *file && here(found))
    {
        if !weaknesses(&found.key, least, &input.host.keys.blocklist).is_empty() {
            return Ok(());
        }
        return match listed(policy, found.options().cert_authority, key) {
            None => said(&NO_LIST),
            Some(true) => said(&APPROVED),
            Some(false) => Ok(()),
        };
    }
    // A file of certificate authorities that sshd trusts.
    let authority = input
        .host
        .login_files
        .authorities
        .iter()
        .any(|(path, lines)| path == file && matches!(lines, Fact::Known(lines) if lines.iter().any(here)));
    match authority && listed(policy, true, key) == Some(false) {
        true => Ok(()),
        false => said(&NO_LIST),
    }
}

/// Whether the policy's list holds the key; None: it has no list. Authorities need no list to be unknown: each is named or is a stranger's.
fn listed(policy: &Policy, authority: bool, key: &Fingerprint) -> Option<bool> {
    let named = |list: &[String]| list.iter().any(|text| text.parse::<Fingerprint>().is_ok_and(|known| known == *key));
    if authority { Some(named(&policy.approved_authorities)) } else { policy.approved_keys.as_deref().map(named) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::parse::key_blob::samples;

    const FILE: &str = "/home/ann/.ssh/authorized_keys";

    fn remove(line: u32, key: &str) -> Edit {
        Edit::RemoveLine { file: FILE.into(), line, key: key.parse().unwrap() }
    }

    #[test]
    fn a_sound_key_goes_by_an_explicit_list_only() {
        let case = Case::new().file(FILE, &format!("{}\n{}\n", samples::ED25519.line, samples::DSA.line));
        let (sound, weak) = (remove(1, samples::ED25519.fingerprint), remove(2, samples::DSA.fingerprint));
        assert_eq!(case.refused(&KEY_REASON, &sound), Some("no-approved-list"));
        assert_eq!(case.refused(&KEY_REASON, &weak), None);
        // An empty list is a list too; one that holds the key keeps it.
        assert_eq!(case.approve(&[]).refused(&KEY_REASON, &sound), None);
        let other = case.approve(&[samples::RSA.fingerprint]);
        assert_eq!(other.refused(&KEY_REASON, &sound), None);
        let named = case.approve(&[samples::ED25519.fingerprint]);
        assert_eq!(named.refused(&KEY_REASON, &sound), Some("approved"));
        assert_eq!(case.approve(&[samples::DSA.fingerprint]).refused(&KEY_REASON, &weak), None);
        // The weakness of another line is no reason for this one.
        assert_eq!(case.refused(&KEY_REASON, &remove(2, samples::ED25519.fingerprint)), Some("no-approved-list"));
        assert_eq!(case.refused(&KEY_REASON, &remove(1, samples::DSA.fingerprint)), Some("no-approved-list"));
    }

    #[test]
    fn authorities_are_named_or_strangers() {
        let case = Case::new()
            .trusted("/etc/ssh/ca.pub")
            .file("/etc/ssh/ca.pub", samples::ED25519.line)
            .file(FILE, &format!("cert-authority {}\n", samples::ED25519.line));
        let key = samples::ED25519.fingerprint;
        let ca = Edit::RemoveLine { file: "/etc/ssh/ca.pub".into(), line: 1, key: key.parse().unwrap() };
        assert_eq!(case.refused(&KEY_REASON, &ca), None);
        assert_eq!(case.refused(&KEY_REASON, &remove(1, key)), None);
        let mut known = case.clone();
        known.policy.approved_authorities = vec![key.to_owned()];
        assert_eq!(known.refused(&KEY_REASON, &ca), Some("no-approved-list"));
        assert_eq!(known.refused(&KEY_REASON, &remove(1, key)), Some("approved"));
    }
}
