//! What the tests show of the checks of the metadata service.
#![cfg(test)]

use super::testing::{Scene, metadata};
use super::{hardened, local_access, readiness, user_data};
use crate::catalogue::shown::Shown;
use crate::fact::Fact;
use crate::observation::firewall::{Firewall, MetadataUsers};
use crate::observation::metadata::Metadata;

/// Policy lets the API be called.
fn with_api(metadata: Metadata) -> Scene {
    let mut scene = Scene::new(metadata);
    scene.policy.openapi = true;
    scene
}

fn with_file(path: &str, content: &str) -> Scene {
    let mut scene = Scene::new(metadata());
    scene.sketch = scene.sketch.file(path, content);
    scene
}

fn for_users(users: MetadataUsers) -> Scene {
    let mut scene = with_file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    scene.seen.firewall = Fact::Known(Firewall { metadata: users, ..Firewall::default() });
    scene
}

fn with_user_data(text: &str) -> Scene {
    Scene::new(Metadata { user_data: Fact::Known(text.as_bytes().to_vec()), ..metadata() })
}

/// One row for each check.
pub(crate) fn rows() -> Vec<Shown> {
    let closed = Metadata { tokenless: Fact::Known(false), tokenless_status: Some(403), ..metadata() };
    vec![
        // That the call closes it shows only where the service answers: `fix_openapi` in the tests of the whole program.
        Shown::of(&hardened::CHECK, &with_api(closed), &with_api(metadata()), &Scene::silent())
            .only_planned(&["remote HttpTokens=required"]),
        Shown::of(
            &readiness::CHECK,
            &Scene::new(metadata()),
            &with_file("/usr/bin/afterburn", ""),
            &with_file("/usr/lib/python3/dist-packages/cloudinit/version.py", "?"),
        ),
        Shown::of(
            &local_access::CHECK,
            &for_users(MetadataUsers::Only(vec![0])),
            &for_users(MetadataUsers::Everybody),
            &for_users(MetadataUsers::Unknown),
        ),
        Shown::of(
            &user_data::CHECK,
            &with_user_data("#!/bin/sh\nyum -y update\n"),
            &with_user_data("#!/bin/sh\necho root:Hunter22 | chpasswd\n"),
            &Scene::silent(),
        ),
    ]
}
