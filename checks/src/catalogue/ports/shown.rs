//! What the tests show of the checks of ports.
#![cfg(test)]

use super::testing::Scene;
use super::{exposed, firewall, plaintext, process, unauthenticated};
use crate::catalogue::shown::Shown;
use crate::fact::{Fact, Why};
use crate::observation::firewall::Firewall;
use crate::observation::service::Answer;
use crate::policy::AllowedListener;

const REDIS: &str = "tcp 0.0.0.0 6379 /usr/bin/redis-server";

/// Redis, which policy allows to a network alone.
fn allowed_to_some() -> Scene {
    let mut scene = Scene::one(REDIS);
    let sources = vec!["10.0.0.0/8".to_owned()];
    scene.policy.allowed_listeners = vec![AllowedListener { port: Some(6379), sources, ..Default::default() }];
    scene
}

/// A host with a public address and these rules.
fn public(firewall: Fact<Firewall>) -> Scene {
    let mut scene = Scene::of(Vec::new());
    scene.seen.addresses = Fact::Known(vec!["203.0.113.9".parse().unwrap()]);
    scene.seen.firewall = firewall;
    scene
}

/// One row for each check.
pub(crate) fn rows() -> Vec<Shown> {
    let local = Scene::one("tcp 127.0.0.1 6379 /usr/bin/redis-server");
    let rules = |accepts| Fact::Known(Firewall { default_accepts: Some(accepts), ..Firewall::default() });
    vec![
        Shown::of(&exposed::CHECK, &local, &allowed_to_some(), &Scene::blind()),
        Shown::of(
            &unauthenticated::CHECK,
            &Scene::answering(&[(REDIS, Answer::Closed)]),
            &Scene::answering(&[(REDIS, Answer::Open(None))]),
            &Scene::answering(&[(REDIS, Answer::Unclear(Why::TimedOut))]),
        ),
        Shown::of(&plaintext::CHECK, &local, &Scene::one("tcp :: 21 /usr/sbin/vsftpd"), &Scene::blind()),
        Shown::of(&process::CHECK, &local, &Scene::one("tcp 0.0.0.0 80 /tmp/x"), &Scene::blind()),
        Shown::of(&firewall::CHECK, &public(rules(false)), &public(rules(true)), &public(Fact::Unknown(Why::Denied))),
    ]
}
