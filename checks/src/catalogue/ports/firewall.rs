//! `ports.firewall`: nothing on the host itself limits who may open connections to it.

use super::public_address;
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::fact::{Fact, Why};

/// The check.
pub static CHECK: Check = Check {
    id: "ports.firewall",
    title: Text { en: "A host firewall limits what comes in", zh: "主机防火墙限制入站连接" },
    rationale: Text {
        en: "The security group is the first fence, and one mistake in it opens every port of the instance to the internet. Rules on \
             the host itself still hold then, and for what comes from inside the VPC.",
        zh: "安全组是第一道防线，但安全组的一次误配置就会把实例的所有端口暴露给互联网。此时主机自身的防火墙规则依然有效，\
             对来自专有网络内部的访问也同样有效。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Enhanced],
    scope: Scope::Live,
    references: &[Reference {
        source: "Alibaba Cloud ECS security best practices",
        item: "instance network access control",
    }],
    reads: &["host firewall", "public addresses"],
    fix: None,
    remedy: Text {
        en: "Let ufw, firewalld or nftables drop what is not meant to be reached; allow the ways that administrators come by first.",
        zh: "使用 ufw、firewalld 或 nftables 丢弃不应放行的入站连接；启用前请先放行管理员使用的访问方式。",
    },
    messages: &[Message {
        id: "none",
        text: Text {
            en: "the instance has a public address, and no rule of the host's own keeps any new connection out",
            zh: "实例有公网地址，而主机自身没有任何规则阻止新的入站连接",
        },
    }],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    match public_address(input) {
        Ok(true) => {}
        Ok(false) => return tally.verdict(),
        Err(why) => {
            tally.doubt("public address", why.clone());
            return tally.verdict();
        }
    }
    let limits = match &input.seen.firewall {
        Fact::Known(firewall) => firewall.limits_input(),
        Fact::Absent => Some(false),
        Fact::Unknown(why) => {
            tally.doubt("firewall", why.clone());
            return tally.verdict();
        }
    };
    match limits {
        Some(true) => {}
        Some(false) => {
            tally.fail(Finding::new(Severity::Low, "firewall", "none").reproduce("nft list ruleset".to_owned()));
        }
        None => tally.doubt("firewall", Why::NotAsked("the host firewall's rules say more than hostward models")),
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scene;
    use super::*;
    use crate::observation::firewall::{Firewall, PortRule};
    use crate::observation::socket::Protocol::Tcp;

    fn scene(firewall: Firewall) -> Scene {
        let mut scene = Scene::of(Vec::new());
        scene.seen.addresses = Fact::Known(vec!["203.0.113.9".parse().unwrap()]);
        scene.seen.firewall = Fact::Known(firewall);
        scene
    }

    #[test]
    fn rules_that_keep_nobody_out_are_as_good_as_none() {
        let open = Firewall { default_accepts: Some(true), ..Firewall::default() };
        assert_eq!(scene(open.clone()).findings(&CHECK), ["low firewall none"]);
        // What drops named sources only (fail2ban), or by rates, keeps no stranger out.
        let named = PortRule { protocol: Tcp, low: 22, high: 22, accepts_any: None };
        let bans = Firewall { filters_input: true, ports: vec![named], ..open.clone() };
        assert_eq!(scene(bans).findings(&CHECK), ["low firewall none"]);
        let one = PortRule { accepts_any: Some(false), ..named };
        for closed in [
            Firewall { filters_input: true, default_accepts: Some(false), ..Firewall::default() },
            Firewall { filters_input: true, ports: vec![one], ..open.clone() },
            Firewall { filters_input: true, closed: vec![(Tcp, 22, 22)], ..open.clone() },
        ] {
            assert_eq!(scene(closed.clone()).run(&CHECK), Verdict::Pass, "{closed:?}");
        }
    }

    #[test]
    fn only_what_the_internet_reaches_needs_one() {
        let mut scene = scene(Firewall { default_accepts: Some(true), ..Firewall::default() });
        scene.seen.addresses = Fact::Known(vec!["10.0.0.5".parse().unwrap()]);
        assert_eq!(scene.run(&CHECK), Verdict::Pass);
        scene.seen.metadata = Fact::Unknown(Why::TimedOut);
        assert!(matches!(scene.run(&CHECK), Verdict::Unknown(_)));
    }

    #[test]
    fn what_is_not_known_is_doubted() {
        let unclear = Firewall { filters_input: true, default_accepts: None, ..Firewall::default() };
        assert!(matches!(scene(unclear).run(&CHECK), Verdict::Unknown(_)));
        let mut unread = scene(Firewall::default());
        unread.seen.firewall = Fact::Unknown(Why::Denied);
        assert!(matches!(unread.run(&CHECK), Verdict::Unknown(_)));
    }
}
