//! Guards of what limits the network: nobody's lifeline is cut, and who would be cut is counted first.

use std::net::IpAddr;

use super::{Case, Circumstances, Guard, Rule, Ruling};
use crate::check::{Input, Text, message, path_text};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::observation::Mode;
use crate::observation::socket::Protocol;
use crate::plan::Said;
use crate::plan::table::limits::{self, Limits, holds, net};
use crate::plan::table::rules::{CLOUD, Hook, METADATA, Packet, Table, WORKBENCH};
use crate::plan::table::{self, serves_logins};

/// The guards of stopping a unit.
pub static OF_STOP: [&Guard; 1] = [&STOP];
/// The guards of limiting a port.
pub static OF_PORT: [&Guard; 5] = [&READABLE, &PROGRAM, &LOGIN_PORT, &PEERS, &LIFELINES];
/// The guards of limiting the metadata service.
pub static OF_METADATA: [&Guard; 4] = [&READABLE, &PROGRAM, &METADATA_USERS, &LIFELINES];

/// The host firewall can be read and changed: else nothing could be verified.
pub static READABLE: Guard = Guard {
    id: "network.readable",
    title: Text {
        en: "the host firewall can be read, and nft is there", zh: "可以读取主机防火墙，且已安装 nft"
    },
    rule: Rule::Edit(readable),
};

/// The unit can find this program again.
pub static PROGRAM: Guard = Guard {
    id: "network.program",
    title: Text { en: "the unit can start this program again", zh: "systemd 单元能够再次启动本程序" },
    rule: Rule::Edit(program),
};

/// A port of remote login stays open to who administers.
pub static LOGIN_PORT: Guard = Guard {
    id: "network.login-port",
    title: Text {
        en: "no port of remote login is closed to administrators", zh: "不会对管理员关闭远程登录端口"
    },
    rule: Rule::Edit(login_port),
};

/// Who uses the port now is counted before it is limited.
pub static PEERS: Guard = Guard {
    id: "network.peers",
    title: Text {
        en: "whoever uses the port now is let in or accepted as cut",
        zh: "正在使用该端口的来源已放行或已确认断开",
    },
    rule: Rule::Edit(peers),
};

/// Established connections, Alibaba Cloud's own and the present session pass the resulting rules.
pub static LIFELINES: Guard = Guard {
    id: "network.lifelines",
    title: Text {
        en: "established connections, Alibaba Cloud's own services and the present session pass the new rules",
        zh: "已建立的连接、阿里云自身服务和当前会话都能通过新规则",
    },
    rule: Rule::Host(lifelines),
};

/// Who asks the metadata service was observed, and stays allowed.
pub static METADATA_USERS: Guard = Guard {
    id: "network.metadata-users",
    title: Text {
        en: "who asks the metadata service was observed, and none of them is cut",
        zh: "已观察哪些用户访问元数据服务，且不会切断其中任何一个",
    },
    rule: Rule::Edit(metadata_users),
};

/// What needs a unit, and who talks to it, is shown and accepted before it is stopped.
pub static STOP: Guard = Guard {
    id: "network.stop",
    title: Text {
        en: "what needs the unit, and who talks to it, was accepted",
        zh: "已确认依赖该单元的其他单元以及正在与其通信的客户端",
    },
    rule: Rule::Edit(stop),
};

message!(
    UNREADABLE,
    "firewall-unreadable",
    "the host firewall cannot be read, so no rule of ours could be verified: {why}. Install nftables (0.9 or later), or limit the port in the instance's security group",
    "无法读取主机防火墙，因而无法验证我们的规则：{why}。请安装 nftables（0.9 或更高版本），或在实例的安全组中限制该端口"
);
message!(
    NO_NFT,
    "nft-missing",
    "nft is not installed: install nftables, or limit the port in the instance's security group",
    "未安装 nft：请安装 nftables，或在实例的安全组中限制该端口"
);
message!(
    PLACE,
    "program-place",
    "{path} is no place that a unit could start this program from at the next boot: install the package, or copy it to /usr/local/bin",
    "systemd 单元无法在下次启动时从 {path} 运行本程序：请安装软件包，或将其复制到 /usr/local/bin"
);
message!(
    LOGINS,
    "login-port",
    "{port} is a port of remote login: hostward limits it only to sources that policy names (`admin_sources`)",
    "{port} 是远程登录端口：只有策略指定了来源（`admin_sources`）时 hostward 才会限制它"
);
message!(
    SESSION,
    "login-port-session",
    "{port} is a port of remote login, and the present session comes from {source}, which is not among the sources that policy names: add it to `admin_sources`",
    "{port} 是远程登录端口，而当前会话来自 {source}，不在策略指定的来源之内：请将其加入 `admin_sources`"
);
message!(
    SESSION_UNKNOWN,
    "login-port-session-unknown",
    "{port} is a port of remote login, and it is not known from where the present session comes: run fix in a session over ssh",
    "{port} 是远程登录端口，但无法得知当前会话来自何处：请在 ssh 会话中运行 fix"
);
message!(
    USED,
    "port-used",
    "{port} is used now from {peers}, which would be cut: name them as sources of the listener in the policy, or accept it with --accept-cut {port}",
    "{port} 正被 {peers} 使用，限制后将被切断：请在策略中将其列为该监听的来源，或用 --accept-cut {port} 确认"
);
message!(
    UNSEEN,
    "metadata-unseen",
    "nobody has looked yet who asks the metadata service: run `hostward firewall observe`, let the host do its usual work (a day, with its timers), then run fix again",
    "尚未观察哪些用户访问元数据服务：请运行 `hostward firewall observe`，让主机正常工作一段时间（例如一天，包含其定时任务），然后重新运行 fix"
);
message!(
    ASKS,
    "metadata-asks",
    "users {users} ask the metadata service and would be cut: name them in the policy (`metadata_users`), or end what asks",
    "用户 {users} 正在访问元数据服务，限制后将被切断：请在策略中列出（`metadata_users`），或停用相应程序"
);
message!(
    NEEDED,
    "unit-needed",
    "{unit} is needed or used by {dependents}: accept it with --accept-stop {unit}, or limit the port instead (policy: exposed ports are limited, not stopped)",
    "{unit} 被 {dependents} 依赖或使用：请用 --accept-stop {unit} 确认，或改为限制端口（在策略中选择限制而非停止）"
);
message!(
    NOT_ASKED,
    "unit-not-asked",
    "what needs {unit} could not be found out: stop it by hand, or limit its port instead",
    "无法查明哪些单元依赖 {unit}：请手工停止，或改为限制其端口"
);
message!(
    NEVER_STOPPED,
    "unit-never-stopped",
    "{unit} is a way in or Alibaba Cloud's own agent: hostward does not stop it",
    "{unit} 是登录入口或阿里云自身的代理程序：hostward 不会停止它"
);
message!(
    CUTS,
    "lifeline-cut",
    "the rules would drop {what} to {port}: this is an error in hostward, nothing is changed",
    "规则会丢弃到 {port} 的{what}：这是 hostward 的错误，不做任何修改"
);
message!(
    PASSES,
    "lifelines-pass",
    "{port}: new connections come from {sources} only; established ones, loopback and 100.64.0.0/10 always pass",
    "{port}：仅允许来自 {sources} 的新连接；已建立的连接、回环和 100.64.0.0/10 始终放行"
);
message!(
    CLOSED,
    "port-closed",
    "{port}: no new connections, except from this host and 100.64.0.0/10; established ones live on",
    "{port}：除本机和 100.64.0.0/10 外不接受新连接；已建立的连接保持不变"
);
message!(
    PRESENT,
    "present-connections",
    "{port}: present connections from {peers} live on; new ones from there would be dropped",
    "{port}：来自 {peers} 的现有连接保持不变；来自这些地址的新连接将被丢弃"
);
message!(
    USERS,
    "metadata-limited",
    "100.100.100.200 answers the user ids {users} only; Cloud Assistant runs as root",
    "只有用户 ID {users} 可以访问 100.100.100.200；云助手以 root 运行"
);

/// Where a unit finds a program at the next boot.
const PLACES: [&str; 4] = ["/usr/", "/opt/", "/bin/", "/sbin/"];

/// Ways in, and Alibaba Cloud's own (design: what it must never do).
const NEVER: [&str; 11] = [
    "ssh.service",
    "sshd.service",
    "ssh.socket",
    "sshd.socket",
    "aliyun.service",
    "AssistDaemon.service",
    "assist_daemon.service",
    "aegis.service",
    "cloudmonitor.service",
    "ilogtaild.service",
    "hostward-firewall.service",
];

/// At most as many names in one message.
const NAMED: usize = 8;

fn place(protocol: Protocol, port: u16) -> String {
    format!("{}/{port}", limits::word(protocol))
}

fn listed(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    if let Some(more) = names.len().checked_sub(NAMED).filter(|more| *more > 0) {
        names.truncate(NAMED);
        names.push(format!("… (+{more})"));
    }
    names
}

fn readable(_: &Edit, input: &Input<'_>, circumstances: &Circumstances) -> Result<(), Said> {
    match &input.seen.firewall {
        _ if circumstances.nft_missing => Err(Said::new(&NO_NFT)),
        Fact::Unknown(why) => Err(Said::new(&UNREADABLE).with("why", why.to_string())),
        Fact::Known(_) | Fact::Absent => Ok(()),
    }
}

fn program(_: &Edit, _: &Input<'_>, circumstances: &Circumstances) -> Result<(), Said> {
    match &circumstances.program {
        Some(path) if !PLACES.iter().any(|place| path.starts_with(place)) => {
            Err(Said::new(&PLACE).with("path", path_text(path)))
        }
        _ => Ok(()),
    }
}

fn login_port(edit: &Edit, input: &Input<'_>, circumstances: &Circumstances) -> Result<(), Said> {
    let Some((protocol, port, sources)) = limit(edit) else { return Ok(()) };
    if !serves_logins(input, protocol, port) {
        return Ok(());
    }
    let about = |message| Said::new(message).with("port", place(protocol, port));
    let named = |source: &String| input.policy.admin_sources.contains(source);
    if sources.is_empty() || !sources.iter().any(named) {
        return Err(about(&LOGINS));
    }
    match &circumstances.session {
        None => Ok(()),
        Some(session) => match session.source {
            None => Err(about(&SESSION_UNKNOWN)),
            Some(source) if lets_in(sources, source, true) => Ok(()),
            Some(source) => Err(about(&SESSION).with("source", source.to_string())),
        },
    }
}

fn limit(edit: &Edit) -> Option<(Protocol, u16, &[String])> {
    match edit {
        Edit::LimitPort { protocol, port, sources } => Some((limits::protocol(protocol)?, *port, sources)),
        _ => None,
    }
}

/// Whether a new connection from there gets to a port that these sources may use.
fn lets_in(sources: &[String], from: IpAddr, logins: bool) -> bool {
    let workbench = WORKBENCH.into_iter().filter(|_| logins);
    let mut nets = sources.iter().filter_map(|source| net(source)).chain([CLOUD]).chain(workbench);
    from.to_canonical().is_loopback() || nets.any(|net| holds(net, from))
}

/// Present peers that could not come again.
fn cut(
    input: &Input<'_>,
    circumstances: &Circumstances,
    at: (Protocol, u16),
    lets_in: impl Fn(IpAddr) -> bool,
) -> Vec<String> {
    let own = |address: &IpAddr| input.seen.addresses.known().is_some_and(|own| own.contains(&address.to_canonical()));
    let peers = circumstances.peers.get(&at).into_iter().flatten();
    listed(peers.filter(|peer| !own(peer) && !lets_in(**peer)).map(ToString::to_string))
}

fn peers(edit: &Edit, input: &Input<'_>, circumstances: &Circumstances) -> Result<(), Said> {
    let Some((protocol, port, sources)) = limit(edit) else { return Ok(()) };
    let logins = serves_logins(input, protocol, port);
    let cut = cut(input, circumstances, (protocol, port), |peer| lets_in(sources, peer, logins));
    let place = place(protocol, port);
    if cut.is_empty() || circumstances.consent.cut.contains(&place) {
        return Ok(());
    }
    Err(Said::new(&USED).with("port", place).with_list("peers", cut))
}

fn metadata_users(edit: &Edit, input: &Input<'_>, circumstances: &Circumstances) -> Result<(), Said> {
    let Edit::LimitMetadata { uids } = edit else { return Ok(()) };
    let Some(seen) = &circumstances.metadata_users else { return Err(Said::new(&UNSEEN)) };
    let name = |uid: &u32| {
        let account = input.host.accounts.by_uid(*uid);
        account.map_or_else(|| uid.to_string(), |user| user.name().text().into_owned())
    };
    let cut = listed(seen.iter().filter(|uid| **uid != 0 && !uids.contains(uid)).map(name));
    if cut.is_empty() { Ok(()) } else { Err(Said::new(&ASKS).with_list("users", cut)) }
}

fn stop(edit: &Edit, input: &Input<'_>, circumstances: &Circumstances) -> Result<(), Said> {
    let Edit::StopUnit { unit } = edit else { return Ok(()) };
    let about = |message| Said::new(message).with("unit", unit.as_str());
    let mut daemons = input.seen.daemons.known().into_iter().flatten();
    if NEVER.contains(&unit.as_str()) || daemons.any(|daemon| daemon.unit.as_ref() == Some(unit)) {
        return Err(about(&NEVER_STOPPED));
    }
    if input.seen.mode == Mode::Offline || circumstances.consent.stop.contains(unit) {
        return Ok(());
    }
    match circumstances.dependents.get(unit) {
        None => Err(about(&NOT_ASKED)),
        Some(dependents) if dependents.is_empty() => Ok(()),
        Some(dependents) => Err(about(&NEEDED).with_list("dependents", listed(dependents.iter().cloned()))),
    }
}

/// Packets of a port that must pass, each with what it is called.
fn must_pass(case: &Case<'_>, protocol: Protocol, port: u16) -> Vec<(&'static str, Packet)> {
    let first = |source: IpAddr| Packet::first(protocol, source, port);
    let old = |source: IpAddr| Packet { established: true, opens: false, ..first(source) };
    let anybody = [IpAddr::from([203, 0, 113, 7]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])];
    let mut packets: Vec<(&'static str, Packet)> =
        anybody.iter().map(|source| ("an established connection", old(*source))).collect();
    if protocol == Protocol::Tcp {
        // Tracking may start with our table: what is older has no entry.
        let untracked = |source: &IpAddr| Packet { opens: false, ..first(*source) };
        packets.extend(anybody.iter().map(|source| ("a connection older than the table", untracked(source))));
    }
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    packets.extend(loopback.map(|source| ("loopback", first(source))));
    packets.extend([[100, 64, 0, 1], [100, 127, 255, 254]].map(|source| ("a health check", first(source.into()))));
    packets.push(("Workbench", first([100, 104, 0, 1].into())));
    packets.push(("the metadata service", first(METADATA)));
    let dhcp = [(67, 68, anybody[0]), (547, 546, anybody[1])];
    packets.extend(
        dhcp.into_iter()
            .filter(|(_, to, _)| (protocol, port) == (Protocol::Udp, *to))
            .map(|(from_port, _, source)| ("DHCP", Packet { from_port, to_host: false, ..first(source) })),
    );
    let session = case.circumstances.session.as_ref().and_then(|session| session.source);
    if let Some(source) = session {
        packets.push(("the present session", old(source)));
    }
    if serves_logins(case.after, protocol, port) {
        packets.extend(session.map(|source| ("a new session from the present one's source", first(source))));
        packets.extend(WORKBENCH.map(|(source, _)| ("Workbench", first(source))));
    }
    packets
}

fn lifelines(case: &Case<'_>) -> Ruling {
    let Some(limits) = table::planned(case.plan) else { return Ruling::Holds(Vec::new()) };
    let Some(rules) = Table::of(&limits) else { return Ruling::Holds(Vec::new()) };
    let mut refusals = Vec::new();
    for (protocol, port) in limits.ports.keys() {
        for (what, packet) in must_pass(case, *protocol, *port) {
            if [Hook::Arriving, Hook::Input].iter().any(|hook| !rules.passes(*hook, &packet)) {
                refusals.push(Said::new(&CUTS).with("what", what).with("port", place(*protocol, *port)));
            }
        }
    }
    let own = Packet { sender: Some(0), destination: METADATA, ..Packet::first(Protocol::Tcp, METADATA, 80) };
    let elsewhere = Packet { sender: Some(65_534), destination: [100, 100, 2, 136].into(), ..own };
    if [own, elsewhere].iter().any(|packet| !rules.passes(Hook::Output, packet)) {
        refusals.push(Said::new(&CUTS).with("what", "root").with("port", METADATA.to_string()));
    }
    if refusals.is_empty() { Ruling::Holds(evidence(case, &limits)) } else { Ruling::Refuses(refusals) }
}

fn evidence(case: &Case<'_>, limits: &Limits) -> Vec<Said> {
    let mut said = Vec::new();
    for ((protocol, port), sources) in &limits.ports {
        let at = place(*protocol, *port);
        let names = listed(sources.iter().map(|(address, length)| format!("{address}/{length}")));
        said.push(match names.as_slice() {
            [] => Said::new(&CLOSED).with("port", at.as_str()),
            _ => Said::new(&PASSES).with("port", at.as_str()).with_list("sources", names),
        });
        let lets_in = |peer: IpAddr| {
            sources.iter().chain([&CLOUD]).any(|net| holds(*net, peer)) || peer.to_canonical().is_loopback()
        };
        let cut = cut(case.before, case.circumstances, (*protocol, *port), lets_in);
        if !cut.is_empty() {
            said.push(Said::new(&PRESENT).with("port", at).with_list("peers", cut));
        }
    }
    if let Some(users) = &limits.metadata {
        said.push(Said::new(&USERS).with_list("users", listed(users.iter().map(u32::to_string))));
    }
    said
}

#[cfg(test)]
mod tests;
