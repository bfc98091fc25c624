//! The guards of sshd itself: what really runs after a reload is what was planned, and nothing else.

use super::{Case, Circumstances, Confirm, Guard, Rule, Ruling};
use crate::check::{Input, Text, message, path_text};
use crate::edit::Edit;
use crate::effect::{Effect, Verb};
use crate::observation::Mode;
use crate::plan::Said;

/// sshd accepts the configuration as it would be.
pub static ACCEPTED: Guard = Guard {
    id: "sshd.accepted",
    title: Text { en: "sshd accepts its configuration", zh: "sshd 接受其配置" },
    rule: Rule::Host(accepted),
};

/// A reload makes nothing of others effective unasked.
pub static PENDING: Guard = Guard {
    id: "sshd.pending",
    title: Text { en: "the reload makes no other change effective", zh: "重新加载不会使其他修改生效" },
    rule: Rule::Host(pending),
};

/// Every address can be bound again.
pub static BINDABLE: Guard = Guard {
    id: "sshd.bindable",
    title: Text { en: "sshd can bind every address after a reload", zh: "重新加载后 sshd 能绑定所有地址" },
    rule: Rule::Host(bindable),
};

/// Groups that decide about logins are read where they are.
pub static GROUPS: Guard = Guard {
    id: "sshd.groups",
    title: Text { en: "groups that decide about logins are known", zh: "决定登录的用户组成员可知" },
    rule: Rule::Host(groups),
};

/// A change of algorithms is proven by a new login.
pub static ALGORITHMS: Guard = Guard {
    id: "sshd.algorithms",
    title: Text {
        en: "a change of algorithms or host keys is confirmed by a new login",
        zh: "算法或主机密钥的修改须由新的登录确认",
    },
    rule: Rule::Edit(algorithms),
};

message!(RESOLVES, "resolves", "{config} is accepted", "{config} 可被接受");
message!(
    REFUSES,
    "refuses",
    "sshd would refuse {file}{line}: {why}; mend that first: a reload would leave no sshd",
    "sshd 会拒绝 {file}{line}：{why}；请先修复：否则重新加载后 sshd 将无法运行"
);
message!(
    NOTHING_PENDING,
    "nothing-pending",
    "nothing else has changed since sshd read its files",
    "sshd 读取文件之后没有其他修改"
);
message!(
    WAITS,
    "waits",
    "{path} has changed since {unit} read it, and the reload would make that effective too: reload {unit} yourself, or --accept-pending",
    "{path} 在 {unit} 读取之后已被修改，重新加载会使其一并生效：请先自行重新加载 {unit}，或使用 --accept-pending"
);
message!(
    TAKEN,
    "taken",
    "{path} has changed since {unit} read it; it takes effect too, as you accepted",
    "{path} 在 {unit} 读取之后已被修改；它将一并生效，你已接受"
);
message!(BINDS, "binds", "every address can be bound", "所有地址均可绑定");
message!(
    UNBINDABLE,
    "unbindable",
    "sshd could not bind {address} after a reload ({why}): mend ListenAddress first, or a reload leaves no sshd",
    "重新加载后 sshd 无法绑定 {address}（{why}）：请先修正 ListenAddress，否则重新加载后 sshd 将无法运行"
);
message!(GROUPS_KNOWN, "groups-known", "all groups come from files", "所有用户组均来自本地文件");
message!(
    GROUPS_ELSEWHERE,
    "groups-elsewhere",
    "AllowGroups, DenyGroups or a Match Group decides about logins, and members come from {where} too, which hostward does not read: --accept-cut '*' if you know that nobody is cut",
    "登录由 AllowGroups、DenyGroups 或 Match Group 决定，而成员还来自 hostward 不读取的 {where}：若确认无人会被切断，请使用 --accept-cut '*'"
);
message!(
    NOT_BY_PROBE,
    "not-by-probe",
    "a probe cannot tell whether your client still agrees on an algorithm: use --confirm-by login",
    "探测无法判断你的客户端能否继续协商算法：请使用 --confirm-by login"
);

fn accepted(case: &Case<'_>) -> Ruling {
    let (mut holds, mut refuses) = (Vec::new(), Vec::new());
    for daemon in &case.after.access.daemons {
        match &daemon.global {
            Ok(_) => holds.push(Said::new(&RESOLVES).with("config", path_text(&daemon.config))),
            Err(refusal) => {
                let line = refusal.line.map(|line| format!(":{line}")).unwrap_or_default();
                let said = Said::new(&REFUSES).with("file", path_text(&refusal.file)).with("line", line);
                refuses.push(said.with("why", &refusal.message));
            }
        }
    }
    if refuses.is_empty() { Ruling::Holds(holds) } else { Ruling::Refuses(refuses) }
}

/// The units that the plan reloads.
fn reloads<'a>(case: &Case<'a>) -> Vec<&'a str> {
    let units = case.plan.effects.iter().filter_map(|planned| match &planned.effect {
        Effect::Unit(action) if action.verb == Verb::Reload => Some(action.unit.as_str()),
        _ => None,
    });
    units.collect()
}

fn pending(case: &Case<'_>) -> Ruling {
    let units = reloads(case);
    let waiting = case.circumstances.pending.iter().filter(|(unit, _)| units.contains(&unit.as_str()));
    let accepts = case.circumstances.consent.pending;
    let said: Vec<Said> = waiting
        .map(|(unit, path)| {
            Said::new(if accepts { &TAKEN } else { &WAITS }).with("unit", unit).with("path", path_text(path))
        })
        .collect();
    match (said.is_empty(), accepts) {
        (true, _) => Ruling::Holds(vec![Said::new(&NOTHING_PENDING)]),
        (false, true) => Ruling::Holds(said),
        (false, false) => Ruling::Refuses(said),
    }
}

fn bindable(case: &Case<'_>) -> Ruling {
    if reloads(case).is_empty() || case.circumstances.unbindable.is_empty() {
        return Ruling::Holds(vec![Said::new(&BINDS)]);
    }
    let said = case
        .circumstances
        .unbindable
        .iter()
        .map(|(address, why)| Said::new(&UNBINDABLE).with("address", address.to_string()).with("why", why));
    Ruling::Refuses(said.collect())
}

fn groups(case: &Case<'_>) -> Ruling {
    let decides = case.before.host.sshd.instances.iter().any(|instance| {
        let configuration = &instance.configuration;
        ["allowgroups", "denygroups"].iter().any(|keyword| !configuration.named(keyword).is_empty())
            || configuration.criteria().iter().any(|(keyword, text)| keyword == "match" && names_a_group(text))
    });
    let accounts = &case.before.host.accounts;
    let elsewhere = ["group", "initgroups"].iter().find_map(|database| accounts.elsewhere_of(database));
    let accepted = case.circumstances.consent.cut.iter().any(|user| user == "*");
    match elsewhere {
        Some(source) if decides && !accepted => {
            Ruling::Refuses(vec![Said::new(&GROUPS_ELSEWHERE).with("where", &source.service)])
        }
        _ => Ruling::Holds(vec![Said::new(&GROUPS_KNOWN)]),
    }
}

/// Whether a Match line may ask for a group: `Group a`, and `Group=a` where sshd takes that. An account of that name costs a question.
fn names_a_group(line: &str) -> bool {
    let words = line.split(|sign: char| sign.is_whitespace() || "=\"'".contains(sign));
    words.into_iter().any(|word| word.eq_ignore_ascii_case("group"))
}

fn algorithms(_: &Edit, input: &Input<'_>, circumstances: &Circumstances) -> Result<(), Said> {
    match (input.seen.mode, circumstances.confirm) {
        (Mode::Live, Confirm::Probe) => Err(Said::new(&NOT_BY_PROBE)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
