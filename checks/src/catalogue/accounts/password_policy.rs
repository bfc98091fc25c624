//! `accounts.password-policy`: what PAM demands of a new password.

use super::{BASELINE, MLPS};
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::host::pam::{Module, Quality, Sourced};

/// Its settings file. Drop-ins are read before it, so that only what stands here surely holds (`pwquality_read_config`).
const PWQUALITY: &str = "/etc/security/pwquality.conf";

/// The check.
pub static CHECK: Check = Check {
    id: "accounts.password-policy",
    title: Text {
        en: "New passwords must be long, mixed and new", zh: "新口令须满足长度、复杂度和不重复要求"
    },
    rationale: Text {
        en: "Without a policy passwd(1) accepts nearly anything. Alibaba Cloud's baseline asks for at least 9 characters of 3 \
             classes and for the last 5 passwords to be refused, enforced by PAM: a settings file alone enforces nothing.",
        zh: "没有策略时 passwd 几乎接受任何口令。阿里云基线要求至少 9 位、3 类字符，并禁止使用最近 5 次的口令；策略必须由 PAM 模块执行，只有配置文件并不生效。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: BASELINE, item: "CheckId 52 密码复杂度检查" },
        Reference { source: BASELINE, item: "CheckId 58 检查密码重用是否受限制" },
        Reference { source: MLPS, item: "password complexity and reuse" },
    ],
    reads: &["PAM: passwd", "pwquality.conf", "pwhistory.conf"],
    fix: Some(Text {
        en: "sets pwquality.conf where PAM reads it; PAM's own files are explained only",
        zh: "在 PAM 已启用 pwquality 时设置 pwquality.conf；PAM 文件本身只给出说明",
    }),
    remedy: Text {
        en: "Install libpam-pwquality (Debian, Ubuntu) or libpwquality and wire it with pam-auth-update or authselect; set `minlen \
             = 10` and `minclass = 3` in /etc/security/pwquality.conf; add `remember=5` to pam_pwhistory or pam_unix.",
        zh: "安装 libpam-pwquality（Debian、Ubuntu）或 libpwquality，用 pam-auth-update 或 authselect 启用；在 /etc/security/pwquality.conf 中设置 `minlen = 10`、`minclass = 3`；为 pam_pwhistory 或 pam_unix 加上 `remember=5`。",
    },
    messages: &[
        Message {
            id: "not-wired",
            text: Text {
                en: "no module checks new passwords: neither pwquality nor cracklib nor passwdqc stands in PAM's password stack",
                zh: "没有模块检查新口令：PAM 的 password 栈中没有 pwquality、cracklib 或 passwdqc",
            },
        },
        Message {
            id: "length",
            text: Text {
                en: "{module} accepts passwords of {value} characters; at least {least} are asked for",
                zh: "{module} 接受 {value} 位的口令，要求至少 {least} 位",
            },
        },
        Message {
            id: "classes",
            text: Text {
                en: "{module} accepts passwords of {value} classes of characters; at least {least} are asked for",
                zh: "{module} 只要求 {value} 类字符，要求至少 {least} 类",
            },
        },
        Message {
            id: "history",
            text: Text {
                en: "the last {value} passwords are refused; at least {least} are asked for",
                zh: "仅禁止最近 {value} 次使用过的口令，要求至少 {least} 次",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let (pam, limits) = (&input.host.pam, &input.policy.limits);
    let Some(service) = pam.service("passwd").filter(|service| service.password != Fact::Absent) else {
        return Verdict::NotApplicable(Text {
            en: "PAM has no stack for changing passwords here",
            zh: "此处 PAM 没有用于修改口令的栈",
        });
    };
    let mut tally = Tally::new();
    match pam.quality(service) {
        Fact::Unknown(why) => tally.doubt("pam:passwd", why),
        Fact::Absent => tally.fail(Finding::new(Severity::Medium, "pam:quality", "not-wired")),
        Fact::Known(quality) => {
            judge(&mut tally, &quality, "length", &quality.length, limits.password_length);
            judge(&mut tally, &quality, "classes", &quality.classes, limits.password_classes);
        }
    }
    let remember = pam.remember(service);
    if let Fact::Unknown(why) = &remember {
        tally.doubt("pam:passwd", why.clone());
    } else {
        let known = remember.known();
        let value = known.map_or(0, |remember| remember.count.value);
        if value < limits.password_history {
            let finding = Finding::new(Severity::Medium, "pam:history", "history")
                .with_number("value", value)
                .with_number("least", limits.password_history);
            tally.fail(known.map_or(finding.clone(), |remember| seen(finding, &remember.module, &remember.count)));
        }
    }
    tally.verdict()
}

fn judge(tally: &mut Tally, quality: &Quality, what: &'static str, value: &Sourced, least: i64) {
    if value.value >= least {
        return;
    }
    let module = &quality.module;
    let finding = Finding::new(Severity::Medium, format!("pam:{what}"), what)
        .with("module", module.name.as_str())
        .with_number("value", value.value)
        .with_number("least", least);
    let finding = seen(finding, module, value);
    // What stands on PAM's own line overrides every file.
    let by_argument = value.place.as_ref().is_some_and(|(file, _)| *file == module.file);
    let (key, wanted) = if what == "length" { ("minlen", least.max(10)) } else { ("minclass", least.clamp(3, 4)) };
    tally.fail(if module.name == "pam_pwquality" && !by_argument {
        finding.fixed_by(Edit::SetKey { file: PWQUALITY.into(), key, value: wanted.to_string() })
    } else {
        finding
    });
}

fn seen(finding: Finding, module: &Module, value: &Sourced) -> Finding {
    let finding = finding.seen(path_text(&module.file), Some(module.line), module.text());
    match &value.place {
        Some((file, line)) if *file != module.file => {
            finding.seen(path_text(file), Some(*line), value.value.to_string())
        }
        _ => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    const UNIX: &str = "password required pam_unix.so sha512 remember=5\n";

    fn passwd(lines: &str) -> Case {
        Case::new().file("/etc/pam.d/passwd", &format!("{lines}{UNIX}"))
    }

    #[test]
    fn a_policy_counts_where_pam_enforces_it() {
        let conf = "minlen = 9\nminclass = 3\n";
        passwd("password requisite pam_pwquality.so\n").file(PWQUALITY, conf).clean(&CHECK);
        passwd("password requisite pam_cracklib.so minlen=9 minclass=3\n").clean(&CHECK);
        assert_eq!(passwd("").file(PWQUALITY, conf).findings(&CHECK), ["pam:quality not-wired"]);
        let weak = passwd("password requisite pam_pwquality.so\n").file(PWQUALITY, "minlen = 8\n");
        assert_eq!(weak.findings(&CHECK), ["pam:length length", "pam:classes classes"]);
        let set = |key, value: &str| Edit::SetKey { file: PWQUALITY.into(), key, value: value.to_owned() };
        assert_eq!(weak.finding(&CHECK).fix, [set("minlen", "10")]);
        assert_eq!(weak.becomes(&CHECK, PWQUALITY), "0:0 0644 minlen = 10\nminclass = 3\n");
        let none = passwd("password requisite pam_pwquality.so\n");
        assert_eq!(none.becomes(&CHECK, PWQUALITY), "0:0 0644 minlen = 10\nminclass = 3\n");
        let fixed = passwd("password requisite pam_pwquality.so minlen=6\n").file(PWQUALITY, conf);
        assert_eq!(fixed.finding(&CHECK).fix, [], "an argument of PAM's line is explained only");
    }

    #[test]
    fn old_passwords_are_remembered() {
        let case = |lines: &str| {
            Case::new().file(
                "/etc/pam.d/passwd",
                &format!("password requisite pam_passwdqc.so min=disabled,24,12,9,9\n{lines}\n"),
            )
        };
        case("password required pam_unix.so remember=5").clean(&CHECK);
        case("password required pam_pwhistory.so\npassword required pam_unix.so").clean(&CHECK);
        for lines in ["password required pam_unix.so remember=4", "password required pam_unix.so"] {
            assert_eq!(case(lines).findings(&CHECK), ["pam:history history"], "{lines}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_without_pam_there_is_no_question() {
        assert_eq!(Case::new().deny("/etc/pam.d/passwd").doubts(&CHECK), ["pam:passwd"]);
        assert_eq!(passwd("password requisite pam_pwquality.so\n").deny(PWQUALITY).doubts(&CHECK), ["pam:passwd"]);
        assert!(matches!(Case::new().verdict(&CHECK), Verdict::NotApplicable(_)));
    }
}
