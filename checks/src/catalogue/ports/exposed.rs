//! `ports.exposed`: a service can be reached that policy does not allow.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::services::{self, CLIENT_PORTS, EXPECTED, Kind, Service};
use super::{about, allowance, is_agent, is_local, is_sshd, main_owner, program, public_address, subject, unit, word};
use crate::access::{SourceClass, classify};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::edit::Edit;
use crate::fact::{Fact, Why};
use crate::observation::firewall::{Published, Reach};
use crate::observation::socket::{Listener, Protocol, Sockets};
use crate::policy::AllowedListener;

/// The check.
pub static CHECK: Check = Check {
    id: "ports.exposed",
    title: Text { en: "Only intended services can be reached", zh: "仅对外开放必要的服务" },
    rationale: Text {
        en: "Whatever listens beyond loopback can be reached from the VPC, and with a public address from the internet: ECS \
             translates that address, so a service bound to the private address is reachable through it too. Databases, caches \
             and container or cluster APIs are taken over within minutes.",
        zh: "监听在回环地址之外的服务可以从专有网络访问；实例有公网地址时还可从互联网访问：ECS 的公网地址经过地址转换，因此监听在私网地址\
             上的服务同样可达。数据库、缓存以及容器、集群接口往往几分钟内就会被入侵。",
    },
    severity: Severity::High,
    profiles: &[Profile::Basic, Profile::Enhanced],
    scope: Scope::Live,
    references: &[
        Reference { source: "Alibaba Cloud security protection system practice", item: "minimal exposed ports" },
        Reference { source: "Alibaba Cloud Config", item: "sg-risky-ports-check" },
        Reference { source: "Alibaba Cloud Security Center baseline", item: "unauthorized access" },
    ],
    reads: &["listening sockets and owners", "host firewall", "public addresses", "policy: allowed listeners"],
    fix: Some(Text {
        en: "limits the port in an nftables table of hostward's own, or stops the unit, as policy says",
        zh: "按策略在 hostward 自己的 nftables 表中限制该端口，或停止对应的 systemd 单元",
    }),
    remedy: Text {
        en: "Bind the service to 127.0.0.1, close the port in the security group, or name the listener in the policy.",
        zh: "将服务绑定到 127.0.0.1，在安全组中关闭该端口，或在策略中登记该监听。",
    },
    messages: &[
        Message {
            id: "service",
            text: Text {
                en: "{service} listens on {place} ({who}), reachable from {reach}",
                zh: "{service} 监听 {place}（{who}），可从{reach}访问",
            },
        },
        Message {
            id: "listener",
            text: Text {
                en: "{who} listens on {place}, reachable from {reach}",
                zh: "{who} 监听 {place}，可从{reach}访问",
            },
        },
        Message {
            id: "wider",
            text: Text {
                en: "{who} listens on {place} for {sources}, says the policy; no host firewall limits it to them",
                zh: "按策略，{who} 监听的 {place} 只对 {sources} 开放，但主机防火墙没有限制来源",
            },
        },
        Message {
            id: "blocked",
            text: Text {
                en: "{who} listens on {place}; only the host firewall keeps others out",
                zh: "{who} 监听 {place}，仅靠主机防火墙阻止外部访问",
            },
        },
        Message {
            id: "limited",
            text: Text {
                en: "{who} listens on {place}; the host firewall lets only sources in that its rules name",
                zh: "{who} 监听 {place}，主机防火墙只放行规则中列出的来源",
            },
        },
        Message {
            id: "published",
            text: Text {
                en: "{service}: port {place} is published to {to}, past the host firewall's input rules",
                zh: "{service}：端口 {place} 被转发到 {to}，不经过主机防火墙的入站规则",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let sockets = match &input.seen.sockets {
        Fact::Known(sockets) => sockets,
        Fact::Absent => return tally.verdict(),
        Fact::Unknown(why) => {
            tally.doubt("sockets", why.clone());
            return tally.verdict();
        }
    };
    let public = public_address(input);
    let mut said = BTreeSet::new();
    // A foreign namespace is reached through this one only: by a proxy process or a published port, both seen here.
    for listener in sockets.listeners.iter().filter(|listener| listener.namespace.is_none()) {
        if is_local(listener)
            || is_agent(listener)
            || is_sshd(listener, input)
            || allowance(listener, input).is_some_and(|allowed| keeps_to(allowed, listener, input))
            || is_client(listener)
        {
            continue;
        }
        let narrow = classify(listener.address) == SourceClass::Private && !listener.address.is_unspecified();
        match public {
            Ok(false) if narrow => continue,
            Err(why) if narrow => {
                tally.doubt(subject(listener), why.clone());
                continue;
            }
            _ => {}
        }
        if said.insert(subject(listener)) {
            tally.fail(exposed(listener, public, input));
        }
    }
    match &input.seen.firewall {
        Fact::Known(firewall) => {
            for published in &firewall.published {
                judge_published(published, sockets, public, input, &mut said, &mut tally);
            }
        }
        Fact::Absent => {}
        // What is published without a listener stands in the rules alone.
        Fact::Unknown(why) => tally.doubt("firewall", why.clone()),
    }
    tally.verdict()
}

/// What is kept from strangers before it is translated is not among the published ports.
fn judge_published(
    published: &Published,
    sockets: &Sockets,
    public: Result<bool, &Why>,
    input: &Input<'_>,
    said: &mut BTreeSet<String>,
    tally: &mut Tally,
) {
    let at = (published.protocol, published.port);
    let listens = |listener: &Listener| {
        listener.namespace.is_none() && (listener.protocol, listener.port) == at && !is_local(listener)
    };
    let subject = format!("published:{}/{}", word(published.protocol), published.port);
    // A proxy process that listens on the same port was told of before.
    let told = sockets.listeners.iter().any(listens);
    if reaches(published, input) && !told && !allowed(published, input) && said.insert(subject.clone()) {
        tally.fail(forwarded(published, subject, public, input));
    }
}

fn service(listener: &Listener) -> Option<&'static Service> {
    let program = main_owner(listener).map(program);
    services::find(listener.protocol, listener.port, program.as_deref())
}

fn is_client(listener: &Listener) -> bool {
    let owner = main_owner(listener).map(program);
    let expected = |(protocol, port, programs): &(Protocol, u16, &[&str])| {
        (*protocol, *port) == (listener.protocol, listener.port)
            && owner.as_deref().is_some_and(|owner| programs.contains(&owner))
    };
    let waits = listener.protocol == Protocol::Udp && listener.port >= CLIENT_PORTS && service(listener).is_none();
    waits || EXPECTED.iter().any(expected)
}

/// How bad: by what it is, and whether the internet may come.
fn weigh(service: Option<&Service>, public: Result<bool, &Why>) -> Severity {
    match (service.map(|service| service.kind), public) {
        (Some(Kind::Control), _) => Severity::High,
        (Some(Kind::Public), Ok(false)) => Severity::Info,
        (Some(Kind::Public), _) | (Some(Kind::Figures) | None, Ok(false)) => Severity::Low,
        (Some(Kind::Figures) | None, _) => Severity::Medium,
    }
}

fn lower(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::High,
        Severity::High => Severity::Medium,
        Severity::Medium => Severity::Low,
        Severity::Low | Severity::Info => Severity::Info,
    }
}

fn reach(public: Result<bool, &Why>) -> &'static str {
    match public {
        Ok(true) => "internet",
        Ok(false) => "VPC",
        Err(_) => "VPC, internet?",
    }
}

/// Whether the host firewall lets strangers come to a listener. Nothing known of it: they come.
fn reached(listener: &Listener, input: &Input<'_>) -> Reach {
    let firewall = input.seen.firewall.known();
    firewall.map_or(Reach::Open, |firewall| firewall.reach(listener.protocol, listener.address, listener.port))
}

/// Whether an allowed listener is as closed as policy wants it: to everybody, or behind rules that do not let everybody in. Where the rules
/// could not be read that is doubted, not denied.
fn keeps_to(allowed: &AllowedListener, listener: &Listener, input: &Input<'_>) -> bool {
    let unread = matches!(input.seen.firewall, Fact::Unknown(_));
    allowed.sources.is_empty() || unread || reached(listener, input) != Reach::Open
}

/// Whether the host firewall lets nobody in, whoever it is.
fn blocked(listener: &Listener, input: &Input<'_>) -> bool {
    let firewall = input.seen.firewall.known();
    firewall.is_some_and(|firewall| firewall.accepts(listener.protocol, listener.port) == Some(false))
}

fn exposed(listener: &Listener, public: Result<bool, &Why>, input: &Input<'_>) -> Finding {
    let service = service(listener);
    let severity = weigh(service, public);
    let allowed = allowance(listener, input);
    let what = if service.is_some() { "service" } else { "listener" };
    let reached = reached(listener, input);
    let (severity, message) = match &reached {
        _ if allowed.is_some() => (severity, "wider"),
        Reach::Closed if blocked(listener, input) => (Severity::Info, "blocked"),
        Reach::Closed => (Severity::Info, "limited"),
        Reach::Unknown(_) => (lower(severity), what),
        Reach::Open => (severity, what),
    };
    let mut finding = about(Finding::new(severity, subject(listener), message), listener).with("reach", reach(public));
    if let Some(service) = service {
        finding = finding.with("service", service.name);
    }
    if let Reach::Unknown(rule) = &reached {
        finding = not_understood(finding, rule);
    }
    if let Some(allowed) = allowed {
        let sources = allowed.sources.clone();
        let limit = Edit::LimitPort { protocol: word(listener.protocol), port: listener.port, sources };
        return finding.with("sources", allowed.sources.join(", ")).fixed_by(limit);
    }
    if severity < Severity::Medium {
        return finding;
    }
    match unit(listener).filter(|_| input.policy.stop_exposed_units) {
        Some(unit) => finding.fixed_by(Edit::StopUnit { unit: unit.to_owned() }),
        None => finding.fixed_by(Edit::LimitPort {
            protocol: word(listener.protocol),
            port: listener.port,
            sources: input.policy.admin_sources.clone(),
        }),
    }
}

/// Says on which rule it hangs whether anybody comes.
fn not_understood(finding: Finding, rule: &str) -> Finding {
    if rule.is_empty() { finding } else { finding.seen("(firewall)", None, format!("not understood: {rule}")) }
}

/// Whether a published port is anybody else's than loopback's or the cluster's own.
fn reaches(published: &Published, input: &Input<'_>) -> bool {
    let own = |address: IpAddr| input.seen.addresses.known().is_none_or(|own| own.contains(&address));
    published.address.is_none_or(|address| classify(address) != SourceClass::Loopback && own(address))
}

fn allowed(published: &Published, input: &Input<'_>) -> bool {
    input.policy.allowed_listeners.iter().any(|allowed| {
        allowed.port == Some(published.port)
            && allowed.protocol.is_none_or(|protocol| protocol == published.protocol)
            && allowed.process.is_none()
            && allowed.unit.is_none()
            // Whom policy limits to some sources would not be here, were it limited to them.
            && allowed.sources.is_empty()
    })
}

/// The sources that policy gives a published port; else where administrators come from.
fn sources(published: &Published, input: &Input<'_>) -> Vec<String> {
    let named = input.policy.allowed_listeners.iter().find(|allowed| {
        allowed.port == Some(published.port)
            && allowed.protocol.is_none_or(|protocol| protocol == published.protocol)
            && !allowed.sources.is_empty()
    });
    named.map_or_else(|| input.policy.admin_sources.clone(), |allowed| allowed.sources.clone())
}

fn forwarded(published: &Published, subject: String, public: Result<bool, &Why>, input: &Input<'_>) -> Finding {
    let inner = published.to.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(published.port);
    let service = services::find(published.protocol, inner, None)
        .or_else(|| services::find(published.protocol, published.port, None));
    let severity = match &published.reach {
        Reach::Unknown(_) => lower(weigh(service, public)),
        _ => weigh(service, public),
    };
    let mut finding = Finding::new(severity, subject, "published")
        .with("service", service.map_or("?", |service| service.name))
        .with("place", format!("{}/{}", word(published.protocol), published.port))
        .with("to", published.to.clone())
        .seen("(firewall)", None, format!("{} {} -> {}", word(published.protocol), published.port, published.to));
    if let Reach::Unknown(rule) = &published.reach {
        finding = not_understood(finding, rule);
    }
    if severity < Severity::Medium {
        return finding;
    }
    let (protocol, port) = (word(published.protocol), published.port);
    finding.fixed_by(Edit::LimitPort { protocol, port, sources: sources(published, input) })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, listener};
    use super::*;
    use crate::check::Doubt;
    use crate::observation::firewall::{Asked, Firewall, PortRule};

    fn firewall(accepts_any: Option<bool>) -> Fact<Firewall> {
        let ports = vec![PortRule { protocol: Protocol::Tcp, low: 6379, high: 6379, accepts_any }];
        Fact::Known(Firewall { filters_input: true, default_accepts: Some(false), ports, ..Firewall::default() })
    }

    #[test]
    fn what_is_expected_or_local_is_no_finding() {
        let quiet = [
            "tcp 127.0.0.1 6379 /usr/bin/redis-server",
            "tcp ::1 3306 /usr/sbin/mysqld",
            "udp 127.0.0.53 53 /usr/lib/systemd/systemd-resolved",
            "udp 0.0.0.0 68 /usr/sbin/dhclient",
            "udp 10.0.0.5 68 /usr/lib/systemd/systemd-networkd",
            "udp 0.0.0.0 123 /usr/sbin/ntpd",
            "udp 0.0.0.0 41234 /usr/bin/java",
            "tcp 0.0.0.0 2222 /usr/sbin/sshd",
            "tcp :: 22 /usr/lib/systemd/systemd",
            "tcp 0.0.0.0 15579 /usr/local/cloudmonitor/bin/argusagent",
            "tcp 0.0.0.0 7000 /usr/local/aegis/aegis_client/aegis_12_81/AliYunDun",
            "tcp 10.0.0.5 8080 /opt/app",
        ];
        for text in quiet {
            assert_eq!(Scene::one(text).run(&CHECK), Verdict::Pass, "{text}");
        }
        let mut fake = listener("tcp 0.0.0.0 15579 /usr/local/cloudmonitor/bin/argusagent");
        if let Fact::Known(owners) = &mut fake.owners {
            owners[0].uid = 1000;
        }
        assert_eq!(Scene::of(vec![fake]).findings(&CHECK).len(), 1);
    }

    #[test]
    fn severity_follows_service_public_address_and_firewall() {
        let redis = "tcp 0.0.0.0 6379 /usr/bin/redis-server";
        assert_eq!(Scene::one(redis).findings(&CHECK), ["high socket:tcp/0.0.0.0:6379 service"]);
        assert_eq!(
            Scene::one("tcp :: 7777 /usr/bin/redis-server").findings(&CHECK),
            ["high socket:tcp/[::]:7777 service"]
        );
        let app = "tcp 0.0.0.0 8080 /opt/app";
        assert_eq!(Scene::one(app).findings(&CHECK), ["low socket:tcp/0.0.0.0:8080 listener"]);
        let mut scene = Scene::of(vec![
            listener(app),
            listener("tcp 10.0.0.5 8081 /opt/app"),
            listener("tcp 0.0.0.0 443 /usr/sbin/nginx"),
        ]);
        scene.seen.addresses = Fact::Known(vec!["203.0.113.9".parse().unwrap()]);
        assert_eq!(
            scene.findings(&CHECK),
            [
                "medium socket:tcp/0.0.0.0:8080 listener",
                "medium socket:tcp/10.0.0.5:8081 listener",
                "low socket:tcp/0.0.0.0:443 service"
            ]
        );
        for (accepts, expected) in [
            (Some(true), "high socket:tcp/0.0.0.0:6379 service"),
            (None, "medium socket:tcp/0.0.0.0:6379 service"),
            (Some(false), "info socket:tcp/0.0.0.0:6379 blocked"),
        ] {
            let mut scene = Scene::one(redis);
            scene.seen.firewall = firewall(accepts);
            assert_eq!(scene.findings(&CHECK), [expected]);
        }
    }

    #[test]
    fn a_port_for_named_sources_alone_is_no_more_than_told_of() {
        let mut scene = Scene::one("tcp 0.0.0.0 6379 /usr/bin/redis-server");
        let Fact::Known(mut firewall) = firewall(None) else { panic!("known") };
        scene.seen.firewall = Fact::Known(firewall.clone());
        assert_eq!(scene.findings(&CHECK), ["medium socket:tcp/0.0.0.0:6379 service"]);
        firewall.closed = vec![(Protocol::Tcp, 6000, 6400)];
        scene.seen.firewall = Fact::Known(firewall);
        let Verdict::Fail(findings, _) = scene.run(&CHECK) else { panic!("no finding") };
        assert_eq!((findings[0].message, findings[0].severity), ("limited", Severity::Info));
        assert_eq!(findings[0].fix, []);
    }

    #[test]
    fn the_rules_are_asked_about_each_listener_at_its_own_address() {
        let mut scene = Scene::one("tcp 0.0.0.0 6379 /usr/bin/redis-server");
        let asked = |reach| {
            let address = "0.0.0.0".parse().unwrap();
            let listeners = vec![Asked { protocol: Protocol::Tcp, address, port: 6379, reach }];
            Fact::Known(Firewall { listeners, ..firewall(None).known().unwrap().clone() })
        };
        let why = "inet filter input 7: socket mark".to_owned();
        for (reach, expected) in [
            (Reach::Open, "high socket:tcp/0.0.0.0:6379 service"),
            (Reach::Closed, "info socket:tcp/0.0.0.0:6379 limited"),
            (Reach::Unknown(why.clone()), "medium socket:tcp/0.0.0.0:6379 service"),
        ] {
            scene.seen.firewall = asked(reach);
            assert_eq!(scene.findings(&CHECK), [expected]);
        }
        let Verdict::Fail(findings, _) = scene.run(&CHECK) else { panic!("no finding") };
        assert!(format!("{:?}", findings[0]).contains(&why), "the rule is named: {:?}", findings[0]);
    }

    #[test]
    fn what_cannot_be_told_is_doubted() {
        assert!(matches!(Scene::blind().run(&CHECK), Verdict::Unknown(_)));
        let mut scene = Scene::one("tcp 10.0.0.5 8080 /opt/app");
        scene.seen.metadata = Fact::Unknown(Why::TimedOut);
        assert!(matches!(scene.run(&CHECK), Verdict::Unknown(_)), "private: exposed only with a public address");
        // A port that is published without a listener, and what limits an allowed one, stand in rules that were not read.
        let mut scene = Scene::one("tcp 0.0.0.0 6379 /usr/bin/redis-server");
        let sources = vec!["10.0.0.0/8".into()];
        scene.policy.allowed_listeners = vec![AllowedListener { port: Some(6379), sources, ..Default::default() }];
        scene.seen.firewall = Fact::Unknown(Why::Denied);
        let doubt = Doubt { subject: "firewall".to_owned(), why: Why::Denied };
        assert_eq!(scene.run(&CHECK), Verdict::Unknown(vec![doubt]));
    }

    #[test]
    fn policy_allows_and_chooses_the_fix() {
        let redis = "tcp 0.0.0.0 6379 /usr/bin/redis-server";
        let mut scene = Scene::one(redis);
        let Verdict::Fail(findings, _) = scene.run(&CHECK) else { panic!("no finding") };
        assert_eq!(findings[0].fix, [Edit::LimitPort { protocol: "tcp", port: 6379, sources: vec![] }]);
        scene.policy.stop_exposed_units = true;
        let Verdict::Fail(findings, _) = scene.run(&CHECK) else { panic!("no finding") };
        assert_eq!(findings[0].fix, [Edit::StopUnit { unit: "x.service".into() }]);
        scene.policy.allowed_listeners = vec![AllowedListener {
            port: Some(6379),
            process: Some("/usr/bin/redis-server".into()),
            ..Default::default()
        }];
        assert_eq!(scene.run(&CHECK), Verdict::Pass);
        scene.policy.allowed_listeners[0].process = Some("/tmp/redis-server".into());
        assert_eq!(scene.findings(&CHECK).len(), 1);
        scene.policy.allowed_listeners[0] =
            AllowedListener { port: Some(6379), sources: vec!["10.0.0.0/8".into()], ..Default::default() };
        let Verdict::Fail(findings, _) = scene.run(&CHECK) else { panic!("no finding") };
        assert_eq!((findings[0].message, findings.len()), ("wider", 1));
        let sources = vec!["10.0.0.0/8".to_owned()];
        assert_eq!(findings[0].fix, [Edit::LimitPort { protocol: "tcp", port: 6379, sources }]);
        for (accepts, quiet) in [(Some(true), false), (None, true), (Some(false), true)] {
            scene.seen.firewall = firewall(accepts);
            assert_eq!(scene.run(&CHECK) == Verdict::Pass, quiet, "{accepts:?}");
        }
    }

    #[test]
    fn a_published_port_needs_no_listener() {
        let publish = |address: Option<&str>| {
            let address = address.map(|address| address.parse().unwrap());
            Published {
                protocol: Protocol::Tcp,
                port: 16379,
                address,
                to: "172.17.0.2:6379".into(),
                reach: Reach::Open,
            }
        };
        let with = |published, listeners: Vec<Listener>| {
            let mut scene = Scene::of(listeners);
            scene.seen.firewall = Fact::Known(Firewall { published: vec![published], ..Firewall::default() });
            scene.findings(&CHECK)
        };
        assert_eq!(with(publish(None), vec![]), ["high published:tcp/16379 published"]);
        assert_eq!(with(publish(Some("10.0.0.5")), vec![]).len(), 1);
        assert_eq!(with(publish(Some("10.96.0.1")), vec![]).len(), 0);
        assert_eq!(with(publish(Some("127.0.0.1")), vec![]).len(), 0);
        let mut scene = Scene::of(vec![]);
        let published = vec![publish(None)];
        scene.seen.firewall = Fact::Known(Firewall { published, ..Firewall::default() });
        let Verdict::Fail(findings, _) = scene.run(&CHECK) else { panic!("no finding") };
        assert_eq!(findings[0].fix, [Edit::LimitPort { protocol: "tcp", port: 16379, sources: vec![] }]);
        let proxy = listener("tcp 0.0.0.0 16379 /usr/bin/docker-proxy");
        assert_eq!(with(publish(None), vec![proxy]), ["low socket:tcp/0.0.0.0:16379 listener"]);
    }
}
