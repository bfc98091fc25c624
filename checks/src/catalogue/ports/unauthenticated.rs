//! `ports.unauthenticated`: a database, cache, queue or control interface serves whoever comes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{about, is_agent, is_local, main_owner, program, services, subject};
use crate::access::{SourceClass, classify};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::fact::{Fact, Why};
use crate::observation::service::{Answer, Asked};
use crate::observation::socket::{Listener, Process, Protocol};
use crate::observation::{Observations, UnixSeconds};
use crate::probe::{self, Power, Probe};

/// The check.
pub static CHECK: Check = Check {
    id: "ports.unauthenticated",
    title: Text { en: "No service serves whoever comes", zh: "没有服务允许未授权访问" },
    rationale: Text {
        en: "A Redis, Docker or Elasticsearch that asks for no password gives its data, and often the host, to the first who finds it; \
             one on loopback gives it to every local account and to whoever can make a local program fetch an address. hostward asks \
             each one that listens a single harmless question, at most once a day, and tells only that it answered.",
        zh: "不需要口令的 Redis、Docker、Elasticsearch 会把数据（往往还有整台主机）交给第一个发现它的人；只监听回环地址的服务同样向所有本地账号\
             以及能诱使本地程序访问任意地址的人开放。hostward 每天最多向每个正在监听的服务提出一个无害的问题，只报告它作了应答。",
    },
    severity: Severity::Critical,
    profiles: &[Profile::Enhanced],
    scope: Scope::Live,
    references: &[
        Reference { source: "Alibaba Cloud Security Center baseline", item: "unauthorized access" },
        Reference { source: "Alibaba Cloud Security Center baseline", item: "hc_exploit_redis" },
    ],
    reads: &[
        "listening sockets and owners",
        "what services answer, remembered for a day",
        "policy: whether they are asked",
    ],
    fix: None,
    remedy: Text {
        en: "Set a password or turn access control on, and bind the service to 127.0.0.1 or close its port. It is asked again a day \
             after the last time.",
        zh: "设置口令或启用访问控制，并将服务绑定到 127.0.0.1 或关闭其端口。距上次询问满一天后会再次询问。",
    },
    messages: &[
        Message {
            id: "open",
            text: Text {
                en: "{service} on {place} ({who}) serves whoever comes, without credentials",
                zh: "{place} 上的 {service}（{who}）无需任何凭据即可访问",
            },
        },
        Message {
            id: "local",
            text: Text {
                en: "{service} on {place} ({who}) serves every local program without credentials",
                zh: "{place} 上的 {service}（{who}）对所有本地程序开放，无需任何凭据",
            },
        },
        Message {
            id: "login",
            text: Text {
                en: "{service} on {place} ({who}) lets in {login}, the first login that anybody tries",
                zh: "{place} 上的 {service}（{who}）接受 {login} 登录，这是攻击者最先尝试的账号和口令",
            },
        },
        Message {
            id: "tells",
            text: Text {
                en: "{service} on {place} ({who}) tells its state to whoever comes; whether its data wants a login was not asked, \
                     because that leaves a trace in it",
                zh: "{place} 上的 {service}（{who}）向任何人透露其状态；数据是否需要登录未作询问，因为那会在其中留下记录",
            },
        },
        Message {
            id: "figures",
            text: Text {
                en: "{service} on {place} ({who}) shows figures about the host to whoever comes",
                zh: "{place} 上的 {service}（{who}）向任何人展示主机的监控指标",
            },
        },
    ],
    check,
};

/// A service that listens, and what it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The listener. The same program's on the same port, at the other family's address, is not asked too.
    pub listener: &'a Listener,
    /// What is asked.
    pub probe: &'static Probe,
    /// Where. Err: why it cannot be asked at all.
    pub to: Result<IpAddr, &'static str>,
}

/// Who holds a listener, as far as it tells one life of a service from the next.
pub fn holder(listener: &Listener) -> Option<&Process> {
    main_owner(listener)
}

/// Every service that is known to listen and can be asked.
pub fn questions(seen: &Observations) -> Vec<Question<'_>> {
    let listeners = seen.sockets.known().map_or(&[][..], |sockets| &sockets.listeners);
    let mut out: Vec<Question<'_>> = Vec::new();
    // Those at a port, for a local user may open thousands.
    let mut at: BTreeMap<u16, Vec<&Listener>> = BTreeMap::new();
    // What listens in another namespace is reached through this one only, and asked there.
    for listener in listeners.iter().filter(|listener| listener.namespace.is_none() && !is_agent(listener)) {
        let Some(probe) = probe_of(listener) else { continue };
        let others = at.entry(listener.port).or_default();
        if !others.iter().any(|other| is_twin(other, listener)) {
            others.push(listener);
            out.push(Question { listener, probe, to: target(listener, seen) });
        }
    }
    out
}

fn probe_of(listener: &Listener) -> Option<&'static Probe> {
    let (protocol, port) = (listener.protocol, listener.port);
    let program = main_owner(listener).map(program).unwrap_or_default();
    let Some(service) = services::find(protocol, port, Some(&program)) else {
        return probe::find_shared(protocol, port, &program);
    };
    probe::find(service.name, protocol, port, service.runs(&program), service.listens(protocol, port))
}

/// Whether two sockets are the ends of one service: the same program, port and reach.
fn is_twin(one: &Listener, other: &Listener) -> bool {
    let life = |listener| {
        holder(listener).map(|owner: &Process| (owner.executable.known(), owner.started, owner.unit.as_ref()))
    };
    (one.protocol, one.port, is_local(one)) == (other.protocol, other.port, is_local(other)) && life(one) == life(other)
}

/// Where a listener is asked: at its address; one that listens everywhere as a neighbour would, at an address of the host's own, for
/// many services trust loopback alone.
fn target(listener: &Listener, seen: &Observations) -> Result<IpAddr, &'static str> {
    if main_owner(listener).is_some_and(|owner| owner.pid == 1) {
        return Err("systemd listens for it, and would start it");
    }
    let address = listener.address;
    let all = || seen.addresses.known().into_iter().flatten();
    if !address.is_unspecified() {
        // Whoever listens may bind an address that is nobody's or another host's (`IP_FREEBIND`), or a group's: nothing leaves this host.
        let is_own =
            address.to_canonical().is_loopback() || all().any(|own| own.to_canonical() == address.to_canonical());
        return match address {
            IpAddr::V6(address) if address.is_unicast_link_local() => Err("it listens on a link-local address"),
            _ if !is_own => Err("it listens on an address that is not seen to be this host's own"),
            _ => Ok(address),
        };
    }
    let loopback = if address.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() };
    if listener.device.as_deref() == Some("lo") {
        return Ok(loopback);
    }
    let family =
        |own: &&IpAddr| own.is_ipv4() == address.is_ipv4() || (own.is_ipv4() && listener.v6only == Some(false));
    let own = || all().filter(family);
    let private = seen.metadata.known().and_then(|metadata| metadata.private_address.known());
    let usable = |own: &&IpAddr| matches!(classify(**own), SourceClass::Private | SourceClass::Public);
    let chosen = own().find(|own| Some(*own) == private).or_else(|| own().find(usable));
    Ok(chosen.copied().unwrap_or(loopback))
}

fn check(input: &Input<'_>) -> Verdict {
    if !input.policy.ask_services {
        return Verdict::NotApplicable(Text {
            en: "the policy says that services are not asked",
            zh: "策略规定不询问服务",
        });
    }
    let mut tally = Tally::new();
    if let Fact::Unknown(why) = &input.seen.sockets {
        tally.doubt("sockets", why.clone());
        return tally.verdict();
    }
    let mut concerned = false;
    let asked = input.seen.services.known().into_iter().flatten();
    // The first of a place holds.
    let answers: BTreeMap<Place, &Asked> = asked.rev().map(|asked| (place_of(asked), asked)).collect();
    for question in questions(input.seen) {
        match answer(&question, &answers, input.seen) {
            Ok(Asked { answer: Answer::Other, .. }) => continue,
            Ok(asked) => judge(&question, asked, input.seen.now, &mut tally),
            Err(why) => tally.doubt(subject(question.listener), why),
        }
        concerned = true;
    }
    if concerned {
        return tally.verdict();
    }
    Verdict::NotApplicable(Text {
        en: "no service listens that could be asked", zh: "没有可询问的服务在监听"
    })
}

/// Which listener: whether by TCP, its address and port.
type Place = (bool, IpAddr, u16);

fn place_of(asked: &Asked) -> Place {
    (asked.protocol == Protocol::Tcp, asked.address, asked.port)
}

fn answer<'a>(
    question: &Question<'_>,
    answers: &BTreeMap<Place, &'a Asked>,
    seen: &Observations,
) -> Result<&'a Asked, Why> {
    question.to.map_err(Why::NotAsked)?;
    let listener = question.listener;
    let answer = answers.get(&(listener.protocol == Protocol::Tcp, listener.address, listener.port));
    match &seen.services {
        Fact::Unknown(why) => Err(why.clone()),
        _ => answer.copied().ok_or(Why::NotAsked("it was not asked")),
    }
}

fn judge(question: &Question<'_>, asked: &Asked, now: UnixSeconds, tally: &mut Tally) {
    let (probe, listener) = (question.probe, question.listener);
    let local = is_local(listener);
    let (severity, message, version) = match (&asked.answer, probe.power) {
        (Answer::Unclear(why), _) => {
            let why = asked
                .at
                .filter(|at| now.saturating_sub(*at) >= 60)
                .map_or_else(|| why.clone(), |at| Why::Failed(format!("{why} (asked {})", age(now, at))));
            return tally.doubt(subject(listener), why);
        }
        (Answer::Closed | Answer::Other, _) => return,
        // Who is on the host reads them there.
        (Answer::Open(_) | Answer::Tells(_), Power::Figures) if local => return,
        (Answer::Open(version) | Answer::Tells(version), Power::Figures) => (Severity::Info, "figures", version),
        (Answer::Tells(version), _) => (if local { Severity::Low } else { Severity::Medium }, "tells", version),
        (Answer::Open(version), power) => {
            let severity = match (local, power) {
                (false, _) => Severity::Critical,
                (true, Power::Commands) => Severity::High,
                (true, _) => Severity::Medium,
            };
            let message = if probe.login.is_some() {
                "login"
            } else if local {
                "local"
            } else {
                "open"
            };
            (severity, message, version)
        }
    };
    let version = version.as_ref().map_or_else(String::new, |version| format!(" (version {version})"));
    let when = asked.at.map_or_else(String::new, |at| format!(", asked {}", age(now, at)));
    let finding = about(Finding::new(severity, subject(listener), message), listener).with("service", probe.service);
    let finding = match probe.login {
        Some(login) => finding.with("login", login),
        None => finding,
    };
    tally.fail(finding.seen("(service)", None, format!("{}{version} answered{when}", probe.service)));
}

/// How long ago, in one unit.
fn age(now: UnixSeconds, at: UnixSeconds) -> String {
    match now.saturating_sub(at) {
        ..60 => "just now".to_owned(),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
