//! `sshd.other-methods`: ways in beside passwords and listed keys, which nobody watches.

use super::{account_subject, accounts, close, daemon_subject, evidence, fixed_by, set, setting, show, source_words};
use crate::access::{Grant, Method, SourceAccess};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::edit::Edit;
use crate::parse::authorized_keys::KeyLine;

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.other-methods",
    title: Text {
        en: "No way in but passwords and listed keys", zh: "除口令与登记的密钥外没有其他登录途径"
    },
    rationale: Text {
        en: "Host-based trust, Kerberos, programs that hand out keys, and certificate authorities open accounts without a line in \
             any authorized_keys file. PermitUserEnvironment lets a user get round a forced command.",
        zh: "基于主机的信任、Kerberos、动态提供密钥的程序以及证书颁发机构，都能在没有任何 authorized_keys 条目的情况下打开账号。\
             PermitUserEnvironment 使用户能够绕过强制命令。",
    },
    severity: Severity::High,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: "Alibaba Cloud Security Center baseline", item: "IgnoreRhosts, HostbasedAuthentication" },
        Reference { source: "hostward", item: "hardening" },
    ],
    reads: &["sshd configuration", "files that TrustedUserCAKeys names", "policy: key_commands, approved_authorities"],
    fix: Some(Text { en: "switches the method off", zh: "关闭该登录方式" }),
    remedy: Text {
        en: "Switch the method off, or name the program or authority in the policy.",
        zh: "关闭该方式，或在策略中登记该程序或证书颁发机构。",
    },
    messages: &[
        Message {
            id: "method",
            text: Text {
                en: "{user} can log in by {method} from: {sources}",
                zh: "{user} 可通过 {method} 登录，来源：{sources}",
            },
        },
        Message {
            id: "rhosts",
            text: Text {
                en: "{config}: HostbasedAuthentication honours the .rhosts and .shosts files of users (IgnoreRhosts {value})",
                zh: "{config}：HostbasedAuthentication 采信用户的 .rhosts 和 .shosts 文件（IgnoreRhosts {value}）",
            },
        },
        Message {
            id: "command",
            text: Text {
                en: "{config}: {keyword} runs {program}, which the policy does not know",
                zh: "{config}：{keyword} 运行策略未登记的程序 {program}",
            },
        },
        Message {
            id: "authority",
            text: Text {
                en: "{config}: certificates of {authority} open accounts, and the policy does not know that authority",
                zh: "{config}：{authority} 签发的证书可打开账号，而策略未登记该颁发机构",
            },
        },
        Message {
            id: "environment",
            text: Text {
                en: "{config}: PermitUserEnvironment is {value}: a user can get round a forced command",
                zh: "{config}：PermitUserEnvironment 为 {value}：用户可绕过强制命令",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    for (daemon, account) in accounts(input.access) {
        for (method, keyword) in
            [(Method::Hostbased, "HostbasedAuthentication"), (Method::Gssapi, "GSSAPIAuthentication")]
        {
            let by = |source: &&SourceAccess| {
                source.ways.iter().any(|way| way.methods.contains(&method) && way.grants != Grant::Nothing)
            };
            let open: Vec<&SourceAccess> = account.sources.iter().filter(by).collect();
            let Some(shown) = open.first() else { continue };
            let subject = format!("{} {}", account_subject(input.access, daemon, account), method.word());
            let finding = Finding::new(Severity::High, subject, "method")
                .with("user", &account.user)
                .with("method", method.word())
                .with_list("sources", source_words(open.iter().copied()))
                .reproduce(&shown.reproduce);
            let mut finding = evidence(finding, &shown.decided_by, &[keyword]);
            for source in &open {
                finding = fixed_by(finding, close(daemon, source, keyword, "no"));
            }
            tally.fail(finding);
        }
    }
    for daemon in &input.access.daemons {
        settings(input, daemon, &mut tally);
    }
    super::unread(input, &mut tally);
    tally.verdict()
}

/// What stands in the settings of any connection, each value once.
fn settings(input: &Input<'_>, daemon: &crate::access::DaemonAccess, tally: &mut Tally) {
    let config = crate::check::path_text(&daemon.config);
    let subject = |rest: &str| format!("{} {rest}", daemon_subject(daemon));
    let mut seen = std::collections::BTreeSet::new();
    for effective in daemon.settings() {
        let rhosts = effective.text("ignorerhosts");
        if effective.yes("hostbasedauthentication") && rhosts != "yes" && seen.insert(format!("rhosts {rhosts}")) {
            let finding = Finding::new(Severity::High, subject("IgnoreRhosts"), "rhosts")
                .with("config", &config)
                .with("value", rhosts)
                .reproduce(show(daemon));
            let finding = setting(finding, effective, "IgnoreRhosts", "ignorerhosts");
            tally.fail(fixed_by(finding, everywhere(daemon, "IgnoreRhosts", rhosts, "yes")));
        }
        for (keyword, key) in [
            ("AuthorizedKeysCommand", "authorizedkeyscommand"),
            ("AuthorizedPrincipalsCommand", "authorizedprincipalscommand"),
        ] {
            let Some(program) = program(effective.text(key)) else { continue };
            let known = input.policy.key_commands.iter().any(|known| known == program) || is_alibabas(program);
            if !known && seen.insert(format!("{key} {program}")) {
                let finding = Finding::new(Severity::High, subject(&format!("{keyword} {program}")), "command")
                    .with("config", &config)
                    .with("keyword", keyword)
                    .with("program", program)
                    .reproduce(show(daemon));
                let finding = setting(finding, effective, keyword, key);
                tally.fail(fixed_by(finding, everywhere(daemon, keyword, effective.text(key), "none")));
            }
        }
        let environment = effective.text("permituserenvironment");
        if !environment.is_empty() && environment != "no" && seen.insert(format!("environment {environment}")) {
            let finding = Finding::new(Severity::High, subject("PermitUserEnvironment"), "environment")
                .with("config", &config)
                .with("value", environment)
                .reproduce(show(daemon));
            let finding = setting(finding, effective, "PermitUserEnvironment", "permituserenvironment");
            tally.fail(fixed_by(finding, everywhere(daemon, "PermitUserEnvironment", environment, "no")));
        }
        authorities(input, effective, &config, &subject, &mut seen, tally);
    }
}

/// Replaces a value wherever it holds.
fn everywhere(daemon: &crate::access::DaemonAccess, keyword: &'static str, old: &str, new: &str) -> Vec<Edit> {
    let key = keyword.to_ascii_lowercase();
    daemon
        .settings()
        .filter(|effective| effective.text(&key) == old)
        .map(|effective| set(daemon, effective, keyword, new))
        .collect()
}

fn authorities(
    input: &Input<'_>,
    effective: &crate::sshd::Effective,
    config: &str,
    subject: &dyn Fn(&str) -> String,
    seen: &mut std::collections::BTreeSet<String>,
    tally: &mut Tally,
) {
    let words = effective.words("trustedusercakeys");
    let Some(file) = words.first().filter(|word| !word.is_empty() && **word != "none") else { return };
    if !seen.insert(format!("authorities {file}")) {
        return;
    }
    let lines: &[KeyLine] = match input.host.login_files.authorities.get(std::path::Path::new(file)) {
        Some(crate::fact::Fact::Known(lines)) => lines,
        Some(crate::fact::Fact::Unknown(why)) => return tally.doubt(subject(file), why.clone()),
        _ => &[],
    };
    for line in lines {
        let authority = line.key.fingerprint().to_string();
        if input.policy.approved_authorities.contains(&authority) {
            continue;
        }
        let finding = Finding::new(Severity::High, subject(&authority), "authority")
            .with("config", config)
            .with("authority", &authority)
            .seen(*file, Some(line.line), authority.clone())
            .fixed_by(Edit::RemoveLine { file: (*file).into(), line: line.line, key: line.key.fingerprint() });
        tally.fail(setting(finding, effective, "TrustedUserCAKeys", "trustedusercakeys"));
    }
}

/// The program of a command line; `timeout` and its time in front are passed over. None: no command.
pub(crate) fn program(command: &str) -> Option<&str> {
    let mut words = command.split_ascii_whitespace().map(|word| word.trim_matches('"'));
    let first = words.next().filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("none"))?;
    if first.rsplit('/').next() == Some("timeout") { words.nth(1).or(Some(first)) } else { Some(first) }
}

/// The program of Alibaba Cloud's own plugin `config_ecs_instance_connect`, which serves the one-time keys of Workbench.
pub(crate) fn is_alibabas(program: &str) -> bool {
    program.starts_with("/usr/local/share/aliyun-assist/plugin/config_ecs_instance_connect/")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect};
    use super::*;

    #[test]
    fn other_ways_in() {
        for case in [
            Case::pass("UsePAM yes\n"),
            Case::pass(
                "AuthorizedKeysCommand /usr/bin/timeout 5s /usr/local/share/aliyun-assist/plugin/config_ecs_instance_connect/\
                 ecs_config_instance_connect %u %f\nAuthorizedKeysCommandUser ecs-instance-connect\n",
            ),
            Case::fail("PermitUserEnvironment yes\n", &["sshd:/etc/ssh/sshd_config PermitUserEnvironment environment"]),
            Case::fail(
                "AuthorizedKeysCommand /opt/k %u\nAuthorizedKeysCommandUser root\n",
                &["sshd:/etc/ssh/sshd_config AuthorizedKeysCommand /opt/k command"],
            ),
            Case::fail(
                "UsePAM yes\nTrustedUserCAKeys /etc/ssh/ca.pub\n",
                &["sshd:/etc/ssh/sshd_config SHA256:8gN4OgU99kLqnOmMzbQ4OFKtG43g2XnqdhaMHivcaF0 authority"],
            )
            .with_file("/etc/ssh/ca.pub", super::super::testing::KEY),
            Case::unknown("UsePAM yes\nTrustedUserCAKeys /etc/ssh/ca.pub\n").with_unreadable("/etc/ssh/ca.pub"),
        ] {
            expect(&CHECK, &case);
        }
    }
}
