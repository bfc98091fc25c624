//! What the tests show of the checks of the platform.
#![cfg(test)]

use super::testing::{Scene, program};
use super::{audit, kernel, login_anomaly, security_center, trusted_boot, updates};
use crate::catalogue::shown::Shown;
use crate::fact::{Fact, Why};
use crate::observation::Observations;
use crate::observation::updates::Restart;

const AGENT: &str = "/usr/local/aegis/aegis_client/aegis_12_81/AliYunDun";

fn without_programs(mut scene: Scene) -> Scene {
    scene.seen.platform.programs = Fact::Unknown(Why::Denied);
    scene
}

fn without_logins() -> Scene {
    let mut scene = Scene::new();
    scene.seen.logins = Fact::Unknown(Why::TimedOut);
    scene
}

/// An image with auditd, whose journal is kept here.
fn journal(storage: &str) -> Scene {
    let seen = Observations::offline(0);
    let scene = Scene { seen, ..Scene::new() }.file("/usr/lib/systemd/systemd-journald", "");
    let scene = scene.file("/etc/systemd/system/multi-user.target.wants/auditd.service", "");
    scene.file("/etc/systemd/journald.conf", &format!("[Journal]\nStorage={storage}\n"))
}

/// A host whose kernel is set as kernels come, but for its address space; after the next boot, too.
fn addresses(randomized: &str) -> Scene {
    let mut scene = Scene::new().file("/usr/lib/systemd/systemd-sysctl", "");
    for (key, value) in kernel::keys().zip([randomized, "0", "1"]) {
        scene.seen.platform.kernel.insert(key, Fact::Known(value.to_owned()));
    }
    scene.file("/etc/sysctl.d/10-x.conf", &format!("kernel.randomize_va_space = {randomized}\n"))
}

fn measured(measured: Fact<bool>) -> Scene {
    let mut scene = Scene::new().on_ecs();
    scene.seen.platform.measured_boot = measured;
    scene
}

/// A host whose running kernel is older than the installed one.
fn to_be_rebooted() -> Scene {
    let mut scene = Scene::new().up_to_date(0);
    let (running, newest) = ("6.1.0-18-amd64".to_owned(), Fact::Known("6.1.0-20-amd64".to_owned()));
    let replaced = Fact::Known(Vec::new());
    scene.seen.restart = Fact::Known(Restart { running, newest, rebuilt: None, required: None, replaced });
    scene
}

/// One row for each check.
pub(crate) fn rows() -> Vec<Shown> {
    let ecs = || Scene::new().on_ecs();
    let mut blind = addresses("2");
    blind.sketch = blind.sketch.unreadable("/etc/sysctl.d/50-x.conf", Why::Denied);
    let minute = Scene::new().seen.now - 600;
    vec![
        Shown::of(
            &security_center::CHECK,
            &ecs().running(vec![program(AGENT)]),
            &ecs().running(vec![]),
            &without_programs(ecs()),
        ),
        Shown::of(
            &login_anomaly::CHECK,
            &Scene::new().told_of_logins(vec![], &[("198.51.100.1", minute, 3)]),
            &Scene::new().told_of_logins(vec![], &[("198.51.100.1", minute, 300)]),
            &without_logins(),
        ),
        Shown::of(
            &audit::CHECK,
            &journal("persistent"),
            &journal("volatile"),
            &journal("auto").deny("/etc/systemd/journald.conf.d/x.conf"),
        ),
        Shown::of(&kernel::CHECK, &addresses("2"), &addresses("0"), &blind),
        Shown::of(
            &trusted_boot::CHECK,
            &measured(Fact::Known(true)),
            &measured(Fact::Known(false)),
            &measured(Fact::Unknown(Why::Denied)),
        ),
        Shown::of(&updates::CHECK, &Scene::new().up_to_date(0), &to_be_rebooted(), &Scene::new().up_to_date(30)),
    ]
}
