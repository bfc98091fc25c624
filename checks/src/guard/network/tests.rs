use super::*;
use crate::access::Access;
use crate::check::{Finding, Profile, Severity};
use crate::effect::{Effect, Verb};
use crate::fact::Why;
use crate::guard::Session;
use crate::host::Host;
use crate::observation::Observations;
use crate::observation::firewall::{Firewall, MetadataUsers};
use crate::observation::socket::{Listener, Process};
use crate::plan::{Obstacles, Plan, Wanted, fold, lay, table::lay_observed};
use crate::policy::Policy;
use crate::snapshot::Sketch;

struct Scene {
    sketch: Sketch,
    seen: Observations,
    policy: Policy,
    circumstances: Circumstances,
}

impl Scene {
    fn new() -> Self {
        let mut seen = Observations::offline(1_780_000_000);
        seen.mode = Mode::Live;
        seen.firewall = Fact::Known(Firewall {
            default_accepts: Some(true),
            metadata: MetadataUsers::Everybody,
            ..Firewall::default()
        });
        seen.addresses = Fact::Known(vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 5])]);
        let sketch = Sketch::new().file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nwww:x:33:33::/:/bin/false\n");
        Self { sketch, seen, policy: Policy::builtin(Profile::Enhanced), circumstances: Circumstances::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&Input<'_>) -> T) -> T {
        let (host, _) = Host::read(&self.sketch.clone().snapshot(), &self.seen);
        work(&Input { host: &host, seen: &self.seen, access: &Access::default(), policy: &self.policy })
    }

    /// The plan for these edits, one finding each.
    fn plan(&self, edits: &[Edit]) -> Plan {
        let findings: Vec<Finding> =
            edits.iter().map(|edit| Finding::new(Severity::High, "x", "x").fixed_by(edit.clone())).collect();
        let wanted: Vec<Wanted<'_>> =
            findings.iter().map(|finding| Wanted { check: "ports.exposed", finding }).collect();
        let snapshot = self.sketch.clone().snapshot();
        self.with(|input| fold(&snapshot, input, &wanted, &Obstacles::new(), &self.circumstances).0)
    }

    fn refusal(&self, edit: &Edit) -> Option<&'static str> {
        let plan = self.plan(std::slice::from_ref(edit));
        assert_eq!(plan.is_empty(), !plan.unfixable.is_empty(), "whole or not at all");
        plan.unfixable.first().map(|unfixable| unfixable.why.message.id)
    }

    fn ruling(&self, plan: &Plan) -> Ruling {
        self.with(|input| {
            let (before, after, later) = (input, input, input);
            lifelines(&Case { before, after, later, plan, circumstances: &self.circumstances, first_boot: None })
        })
    }
}

fn port(port: u16, sources: &[&str]) -> Edit {
    Edit::LimitPort { protocol: "tcp", port, sources: sources.iter().map(|&source| source.to_owned()).collect() }
}

#[test]
fn a_plan_holds_files_table_and_unit_and_the_same_again_changes_nothing() {
    let mut scene = Scene::new();
    let plan = scene.plan(&[port(6379, &["10.0.0.0/8"]), port(6379, &["192.0.2.1"]), port(9200, &[])]);
    assert_eq!(plan.unfixable, []);
    let paths: Vec<_> = plan.files().map(|change| change.path.to_str().unwrap()).collect();
    let unit = "/etc/systemd/system/hostward-firewall.service";
    assert!(paths.contains(&table::STATE) && paths.contains(&unit), "{paths:?}");
    let limits = table::planned(&plan).unwrap();
    assert!(limits.text().contains("tcp 6379 10.0.0.0/8 192.0.2.1/32\ntcp 9200\n"), "what two findings allow is added");
    let [Effect::Table(nft)] = plan
        .effects
        .iter()
        .map(|planned| &planned.effect)
        .filter(|effect| matches!(effect, Effect::Table(_)))
        .collect::<Vec<_>>()[..]
    else {
        panic!("one table")
    };
    assert_eq!(nft.before, None);
    assert_eq!(nft.after, Table::of(&limits).map(|table| table.text()));
    let Some(Effect::Unit(action)) = plan.effects.last().map(|planned| &planned.effect) else { panic!("a unit") };
    assert_eq!((action.unit.as_str(), action.verb), (table::UNIT, Verb::EnableAndStart));
    for planned in &plan.effects {
        assert!(planned.guards.iter().any(|guard| guard.id == "network.lifelines"), "{:?}", planned.effect);
    }
    // Another fix later keeps what stands, and replaces what it is about.
    let mut snapshot = scene.sketch.clone().snapshot();
    lay(&mut snapshot, &plan);
    scene.sketch = scene.sketch.file(table::STATE, limits.text()).file(unit, "");
    let again = scene.plan(&[port(9200, &["10.1.0.0/16"])]);
    let text = table::planned(&again).unwrap().text();
    assert!(text.contains("tcp 6379 10.0.0.0/8 192.0.2.1/32\ntcp 9200 10.1.0.0/16\n"), "{text}");
    let same = scene.plan(&[port(9200, &[])]);
    assert!(!same.files().any(|change| change.path.to_str() == Some(table::STATE)), "nothing to write");
}

#[test]
fn a_packaged_unit_is_left_alone_and_a_broken_state_is_refused() {
    let mut scene = Scene::new();
    scene.sketch = scene.sketch.file("/usr/lib/systemd/system/hostward-firewall.service", "");
    let plan = scene.plan(&[port(6379, &[])]);
    assert!(!plan.files().any(|change| change.path.starts_with("/etc/systemd")));
    scene.sketch = scene.sketch.file(table::STATE, "tcp 6379\nnonsense\n");
    assert_eq!(scene.refusal(&port(9200, &[])), Some("firewall-state"));
    let scene = Scene::new();
    assert_eq!(scene.refusal(&port(9200, &["10.0.0.0/8", "here; drop"])), Some("firewall-source"));
}

#[test]
fn the_finding_is_gone_on_the_simulated_host() {
    let scene = Scene::new();
    let metadata = Edit::LimitMetadata { uids: vec![0, 33] };
    let mut with = Scene::new();
    with.circumstances.metadata_users = Some(vec![0]);
    let plan = with.plan(&[port(6379, &["10.0.0.0/8"]), metadata]);
    let mut seen = scene.seen.clone();
    lay_observed(&mut seen, &plan);
    let firewall = seen.firewall.known().unwrap();
    assert!(firewall.filters_input && firewall.keeps_strangers_out(Protocol::Tcp, 6379));
    assert!(!firewall.keeps_strangers_out(Protocol::Udp, 6379) && !firewall.keeps_strangers_out(Protocol::Tcp, 6380));
    assert_eq!(firewall.accepts(Protocol::Tcp, 80), Some(true));
    assert_eq!(firewall.metadata, MetadataUsers::Only(vec![0, 33]));
}

#[test]
fn what_cannot_be_verified_is_not_begun() {
    let mut scene = Scene::new();
    scene.seen.firewall = Fact::Unknown(Why::Failed("nft -j: failed".into()));
    assert_eq!(scene.refusal(&port(6379, &[])), Some("firewall-unreadable"));
    scene.circumstances.nft_missing = true;
    assert_eq!(scene.refusal(&port(6379, &[])), Some("nft-missing"));
    let mut scene = Scene::new();
    for (path, refused) in [
        ("/tmp/hostward", true),
        ("/usr/local/bin/hostward", false),
        ("/opt/x/hostward", false),
        ("/root/hostward", true),
    ] {
        scene.circumstances.program = Some(path.into());
        assert_eq!(scene.refusal(&port(6379, &[])).is_some(), refused, "{path}");
    }
}

#[test]
fn ports_of_remote_login_stay_open_to_who_administers() {
    let mut scene = Scene::new();
    assert_eq!(scene.refusal(&port(22, &[])), Some("login-port"));
    assert_eq!(scene.refusal(&port(22, &["198.51.100.0/24"])), Some("login-port"), "policy names none");
    scene.policy.admin_sources = vec!["198.51.100.0/24".into()];
    assert_eq!(scene.refusal(&port(22, &["198.51.100.0/24"])), None);
    let session = |source: Option<&str>| {
        Some(Session { user: "root".into(), source: source.map(|source| source.parse().unwrap()), since: 0 })
    };
    for (source, expected) in [
        (Some("203.0.113.7"), Some("login-port-session")),
        (None, Some("login-port-session-unknown")),
        (Some("198.51.100.9"), None),
        (Some("::ffff:198.51.100.9"), None),
        (Some("47.96.60.3"), None),
        (Some("100.104.1.1"), None),
    ] {
        scene.circumstances.session = session(source);
        assert_eq!(scene.refusal(&port(22, &["198.51.100.0/24"])), expected, "{source:?}");
        if expected.is_none() {
            let plan = scene.plan(&[port(22, &["198.51.100.0/24"])]);
            assert!(matches!(scene.ruling(&plan), Ruling::Holds(_)), "{source:?}");
        }
    }
    // Workbench's ranges are let in there, and nowhere else.
    let plan = scene.plan(&[port(22, &["198.51.100.0/24"]), port(6379, &[])]);
    let text = table::planned(&plan).unwrap().text();
    assert!(text.contains("tcp 22 8.139.99.192/26") && text.contains("tcp 6379\n"), "{text}");
}

#[test]
fn who_uses_the_port_is_counted_first() {
    let mut scene = Scene::new();
    let at = (Protocol::Tcp, 6379);
    let peers = ["10.0.0.5", "127.0.0.1", "::1", "100.64.3.3", "10.9.9.9", "::ffff:10.9.9.9"];
    scene.circumstances.peers.insert(at, peers.map(|peer| peer.parse().unwrap()).to_vec());
    assert_eq!(scene.refusal(&port(6379, &["10.9.0.0/16"])), None, "this host, health checks and who is let in");
    assert_eq!(scene.refusal(&port(6379, &["10.8.0.0/16"])), Some("port-used"));
    assert_eq!(scene.refusal(&port(6380, &[])), None, "another port's");
    scene.circumstances.consent.cut = vec!["udp/6379".into(), "www".into()];
    assert_eq!(scene.refusal(&port(6379, &[])), Some("port-used"));
    scene.circumstances.consent.cut = vec!["tcp/6379".into()];
    assert_eq!(scene.refusal(&port(6379, &[])), None);
    let plan = scene.plan(&[port(6379, &[])]);
    let Ruling::Holds(evidence) = scene.ruling(&plan) else { panic!("refused") };
    let ids: Vec<_> = evidence.iter().map(|said| said.message.id).collect();
    assert_eq!(ids, ["port-closed", "present-connections"]);
}

#[test]
fn rules_that_cut_a_lifeline_stop_the_plan() {
    let scene = Scene::new();
    let plan = scene.plan(&[port(6379, &[]), Edit::LimitPort { protocol: "udp", port: 68, sources: vec![] }]);
    assert!(matches!(scene.ruling(&plan), Ruling::Holds(_)));
    let rules = Table::of(&table::planned(&plan).unwrap()).unwrap();
    // Each rule that lets something pass is needed: without it some lifeline is cut.
    let limited = rules.chains.iter().position(|chain| chain.name == "limited").unwrap();
    let count = rules.chains[limited].rules.iter().filter(|rule| rule.1 == table::rules::Action::Accept).count();
    for rule in 0..count {
        let mut broken = rules.clone();
        broken.chains[limited].rules.remove(rule);
        let cut = scene.with(|input| {
            let case = Case {
                before: input,
                after: input,
                later: input,
                plan: &plan,
                circumstances: &scene.circumstances,
                first_boot: None,
            };
            let ports = [(Protocol::Tcp, 6379), (Protocol::Udp, 68), (Protocol::Udp, 546)];
            // DHCPv6 is asked of a table that limits its port.
            if rule == 0 {
                // It stands behind the tests for a SYN and for what is new: without both, whatever comes is dropped.
                broken.chains[limited].rules.push((Vec::new(), table::rules::Action::Drop));
            }
            if rule == 4 {
                broken.chains[limited]
                    .rules
                    .push((vec![table::rules::Test::Opens(Protocol::Udp, 546)], table::rules::Action::Drop));
            }
            ports
                .into_iter()
                .flat_map(|(protocol, port)| must_pass(&case, protocol, port))
                .any(|(_, packet)| !broken.passes(Hook::Input, &packet))
        });
        assert!(cut, "rule {rule} of {count}: {:?}", rules.chains[limited].rules[rule]);
    }
}

#[test]
fn metadata_is_limited_after_somebody_looked_and_nobody_who_asks_is_cut() {
    let mut scene = Scene::new();
    let edit = Edit::LimitMetadata { uids: vec![0] };
    assert_eq!(scene.refusal(&edit), Some("metadata-unseen"));
    for (users, expected) in [
        (vec![], None),
        (vec![0], None),
        (vec![0, 33], Some("metadata-asks")),
        (vec![4_000_000_000], Some("metadata-asks")),
    ] {
        scene.circumstances.metadata_users = Some(users.clone());
        assert_eq!(scene.refusal(&edit), expected, "{users:?}");
    }
    scene.circumstances.metadata_users = Some(vec![0, 33]);
    let allowed = Edit::LimitMetadata { uids: vec![33] };
    assert_eq!(scene.refusal(&allowed), None);
    let plan = scene.plan(&[allowed]);
    assert_eq!(table::planned(&plan).unwrap().metadata, Some([0, 33].into()), "root always may");
    assert!(matches!(scene.ruling(&plan), Ruling::Holds(_)));
}

#[test]
fn a_unit_is_not_stopped_under_those_who_need_it() {
    let mut scene = Scene::new();
    let stop = |unit: &str| Edit::StopUnit { unit: unit.to_owned() };
    assert_eq!(scene.refusal(&stop("redis.service")), Some("unit-not-asked"));
    scene.circumstances.dependents.insert("redis.service".into(), vec![]);
    assert_eq!(scene.refusal(&stop("redis.service")), None);
    scene.circumstances.dependents.insert("redis.service".into(), vec!["app.service".into(), "10.0.0.9".into()]);
    assert_eq!(scene.refusal(&stop("redis.service")), Some("unit-needed"));
    scene.circumstances.consent.stop = vec!["redis.service".into(), "ssh.service".into(), "aliyun.service".into()];
    assert_eq!(scene.refusal(&stop("redis.service")), None);
    for unit in ["ssh.service", "ssh.socket", "aliyun.service"] {
        assert_eq!(scene.refusal(&stop(unit)), Some("unit-never-stopped"), "{unit}");
    }
    let plan = scene.plan(&[stop("redis.service")]);
    let mut seen = scene.seen.clone();
    seen.sockets = Fact::Known(crate::observation::socket::Sockets {
        listeners: vec![listener("redis.service"), listener("other.service")],
        unseen_namespaces: Vec::new(),
    });
    lay_observed(&mut seen, &plan);
    let left: Vec<_> = seen.sockets.known().unwrap().listeners.iter().map(|listener| listener.uid).collect();
    assert_eq!(left, [13], "redis's is gone");
    let image = Scene { seen: Observations::offline(0), ..Scene::new() };
    assert_eq!(image.refusal(&stop("telnet.service")), None, "an image has no clients");
}

fn listener(unit: &str) -> Listener {
    let owner = Process {
        pid: 7,
        name: "x".into(),
        executable: Fact::Absent,
        deleted: false,
        uid: 0,
        unit: Some(unit.into()),
        started: None,
    };
    Listener {
        protocol: Protocol::Tcp,
        address: IpAddr::from([0, 0, 0, 0]),
        port: 6379,
        v6only: None,
        device: None,
        inode: 1,
        uid: u32::try_from(unit.len()).unwrap(),
        namespace: None,
        owners: Fact::Known(vec![owner]),
        container: None,
    }
}
