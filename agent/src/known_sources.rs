//! The sources that have logged in before, kept over scans: `/var/lib/hostward/sources.json`, root's alone.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::UnixSeconds;
use hostward_checks::observation::login::{KnownSources, Logins, network_of};
use serde::{Deserialize, Serialize};

/// The version of the file's shape.
const SCHEMA: &str = "hostward.sources/1";
/// Most sources; of more those that were seen longest ago are forgotten.
const MOST: usize = 4096;
/// Most bytes of the file: [`MOST`] entries, and room.
const SIZE: u64 = 1 << 20;
/// A later login from a source is noted when it is so much later: each writing costs.
const DAY: i64 = 86_400;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    schema: String,
    /// Seconds since the epoch.
    began: UnixSeconds,
    sources: BTreeMap<IpAddr, Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    first: UnixSeconds,
    last: UnixSeconds,
}

/// Notes where the logins came from, in a directory of ours, and says who was known. The first time all of them are.
pub fn note(dir: &Path, logins: &Logins, now: UnixSeconds) -> KnownSources {
    match keep(dir, logins, now) {
        Ok(kept) => {
            let first = kept.sources.into_iter().map(|(source, seen)| (source, seen.first)).collect();
            KnownSources { first: Fact::Known(first), began: kept.began }
        }
        Err(error) => KnownSources { first: Fact::Unknown(Why::Failed(format!("{error:#}"))), began: 0 },
    }
}

fn keep(dir: &Path, logins: &Logins, now: UnixSeconds) -> anyhow::Result<Kept> {
    let path = dir.join("sources.json");
    let old = read(&path)?;
    let mut kept =
        old.clone().unwrap_or_else(|| Kept { schema: SCHEMA.to_owned(), began: now, sources: BTreeMap::new() });
    let fresh = old.is_none();
    for (source, at) in logins.accepted.iter().filter_map(|login| Some((network_of(login.source?), login.at))) {
        // Who is there when the list is begun is no stranger, whatever their clock says.
        let first = if fresh { at.min(now) } else { at };
        let seen = kept.sources.entry(source).or_insert(Seen { first, last: at });
        if at > seen.last + DAY {
            seen.last = at;
        }
    }
    while kept.sources.len() > MOST {
        let oldest = kept.sources.iter().min_by_key(|(_, seen)| seen.last).map(|(source, _)| *source);
        oldest.map(|oldest| kept.sources.remove(&oldest));
    }
    if old.as_ref() != Some(&kept) {
        crate::files::private_dir(dir)?;
        crate::files::replace(&path, &serde_json::to_vec(&kept)?)?;
    }
    Ok(kept)
}

fn read(path: &Path) -> anyhow::Result<Option<Kept>> {
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOFOLLOW;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("failed to open {}", path.display()))?,
    };
    let meta = file.metadata().with_context(|| format!("failed to look at {}", path.display()))?;
    let me = nix::unistd::geteuid().as_raw();
    if !meta.is_file() || meta.mode() & 0o022 != 0 || (meta.uid() != 0 && meta.uid() != me) {
        bail!("{}: others could have written it; remove it, and sources are learnt anew", path.display());
    }
    let mut bytes = Vec::new();
    file.take(SIZE).read_to_end(&mut bytes).with_context(|| format!("failed to read {}", path.display()))?;
    let kept: Kept = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is broken: remove it, and sources are learnt anew", path.display()))?;
    if kept.schema != SCHEMA {
        bail!("{} is of another version of hostward", path.display());
    }
    Ok(Some(kept))
}

#[cfg(test)]
mod tests {
    use hostward_checks::observation::login::{Login, Teller};

    use super::*;

    fn logins(list: &[(&str, i64)]) -> Logins {
        let login = |(source, at): &(&str, i64)| Login {
            at: *at,
            user: "root".to_owned(),
            method: "password".to_owned(),
            source: source.parse().ok(),
            key: None,
            authority: None,
            told_by: Teller::Journal,
        };
        Logins { accepted: list.iter().map(login).collect(), ..Logins::default() }
    }

    fn first(known: &KnownSources, source: &str) -> Option<i64> {
        known.first.known().unwrap().get(&source.parse().unwrap()).copied()
    }

    #[test]
    fn the_list_begins_with_whoever_is_there_and_grows() {
        let dir = tempfile::tempdir().unwrap();
        let known = note(dir.path(), &logins(&[("192.0.2.1", 50), ("2001:db8::1:2:3:4", 60)]), 100);
        assert_eq!((known.began, first(&known, "192.0.2.1"), first(&known, "2001:db8::")), (100, Some(50), Some(60)));
        let path = dir.path().join("sources.json");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let stamp = || std::fs::metadata(&path).unwrap().ino();
        let before = stamp();
        let known = note(dir.path(), &logins(&[("192.0.2.1", 80), ("192.0.2.9", 150)]), 200);
        assert_eq!((known.began, first(&known, "192.0.2.1"), first(&known, "192.0.2.9")), (100, Some(50), Some(150)));
        assert_ne!(stamp(), before);
        let before = stamp();
        note(dir.path(), &logins(&[("192.0.2.9", 160)]), 300);
        assert_eq!(stamp(), before, "what says nothing new is not written");
    }

    #[test]
    fn it_keeps_to_its_size_and_forgets_who_was_away_longest() {
        let dir = tempfile::tempdir().unwrap();
        let many: Vec<(String, i64)> =
            (0..5000_u32).map(|n| (IpAddr::from(n.to_be_bytes()).to_string(), n.into())).collect();
        let many: Vec<(&str, i64)> = many.iter().map(|(source, at)| (source.as_str(), *at)).collect();
        let known = note(dir.path(), &logins(&many), 9000);
        assert_eq!((known.first.known().unwrap().len(), first(&known, "0.0.0.1")), (MOST, None));
        assert!(std::fs::metadata(dir.path().join("sources.json")).unwrap().len() < SIZE / 2);
    }

    #[test]
    fn a_list_that_is_broken_or_not_ours_is_told_and_left() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sources.json");
        for (content, mode) in
            [("{", 0o600), ("{\"schema\":\"hostward.sources/9\",\"began\":1,\"sources\":{}}", 0o600), ("{}", 0o666)]
        {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let known = note(dir.path(), &logins(&[("192.0.2.1", 50)]), 100);
            assert!(matches!(known.first, Fact::Unknown(_)), "{content}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }
}
