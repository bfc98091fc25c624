#![cfg(test)]

use super::*;
use crate::access::Access;
use crate::check::Profile;
use crate::guard::Circumstances;
use crate::guard::testing::{NOW, sketch};
use crate::observation::Observations;
use crate::plan::{Plan, draft};
use crate::policy::Policy;
use crate::snapshot::Sketch;

/// What the guard says of an image as it stands.
fn ruling(sketch: Sketch) -> Ruling {
    let mut snapshot = sketch.snapshot();
    let seen = Observations::offline(NOW);
    let (host, _) = Host::read(&snapshot, &seen);
    let additions = additions(&host, &Reader::new(&snapshot));
    additions.iter().for_each(|change| draft::lay(&mut snapshot, change));
    let (booted, _) = Host::read(&snapshot, &seen);
    let access = Access::resolve(&booted, &seen);
    let policy = Policy::builtin(Profile::Image);
    let input = Input { host: &booted, seen: &seen, access: &access, policy: &policy };
    let user = first_user(&host);
    let boot = FirstBoot { user: &user, input: &input };
    let (plan, circumstances) = (Plan::default(), Circumstances::default());
    let case = Case {
        before: &input,
        after: &input,
        later: &input,
        plan: &plan,
        circumstances: &circumstances,
        first_boot: Some(boot),
    };
    first_boot(&case)
}

#[test]
fn the_owner_of_an_image_gets_in_or_the_fix_is_refused() {
    const CLOUD: &str = "/etc/cloud/cloud.cfg";
    const DEFAULT: &str =
        "disable_root: true\nusers:\n  - default\nsystem_info:\n  default_user:\n    name: ecs-user\n";
    let open = "UsePAM yes\nPasswordAuthentication no\n";
    for (name, image, holds) in [
        ("root by key", sketch(open), true),
        ("root not at all", sketch(&format!("{open}PermitRootLogin no\n")), false),
        ("root outside AllowUsers", sketch(&format!("{open}AllowUsers ann\n")), false),
        ("root by key and password", sketch("UsePAM yes\nAuthenticationMethods publickey,password\n"), false),
        (
            "a user that is made at first boot",
            sketch(&format!("{open}PermitRootLogin no\n")).file(CLOUD, DEFAULT),
            true,
        ),
        ("such a user outside AllowGroups", sketch(&format!("{open}AllowGroups sudo\n")).file(CLOUD, DEFAULT), false),
        ("keys looked for elsewhere", sketch(&format!("{open}AuthorizedKeysFile /etc/ssh/keys/%u\n")), true),
        ("no sshd", Sketch::new().file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"), true),
    ] {
        let ruling = ruling(image);
        assert_eq!(matches!(ruling, Ruling::Holds(_)), holds, "{name}: {ruling:?}");
    }
}
