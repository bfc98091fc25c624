//! Looking again after a reload: what is on disk, what sshd says, that it answers, and that nobody's way in is lost.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};
use hostward_checks::access::{Access, Way};
use hostward_checks::check::bytes_text;
use hostward_checks::effect::Verb;
use hostward_checks::fact::Fact;
use hostward_checks::host::sshd::{Found, Instance};
use hostward_checks::observation::sshd::CrossCheck;

use super::banner::await_banner;
use super::listeners::daemon_of;
use super::validate::{concerns, look};
use super::{kernel, manager};
use crate::apply::{Settled, settled};
use crate::observe::cross_check::cross_checks;
use crate::survey::Survey;
use crate::transaction::{Manifest, Store};
use crate::tree::{Tree, look as look_at};

/// As many connections sshd is asked about: enough for every account of an ordinary host.
const QUESTIONS: usize = 24;

/// Looks at the live host again.
///
/// # Errors
/// What is off.
pub(super) fn verify(manifest: &Manifest) -> anyhow::Result<()> {
    files(manifest)?;
    units(manifest)?;
    kernel::verify(manifest)?;
    let survey = look()?;
    let access = Access::resolve(&survey.host, &survey.seen);
    let instances: Vec<&Instance> =
        survey.host.sshd.instances.iter().filter(|instance| concerns(manifest, instance)).collect();
    for instance in &instances {
        answers(instance, &survey)?;
    }
    if !instances.is_empty() {
        agrees(&access)?;
        refuses_nothing(&access)?;
    }
    keepers(manifest, &access)
}

/// Every file is what the plan says.
fn files(manifest: &Manifest) -> anyhow::Result<()> {
    let tree = Tree::open(Path::new("/"))?;
    for (_, file) in manifest.files() {
        let standing = tree.parent(&file.path).and_then(|(dir, name)| Ok(look_at(&dir, name)?.standing));
        let standing = standing.with_context(|| format!("failed to look at {} again", file.path.display()))?;
        if settled(file, &standing) != Settled::After {
            bail!("{} is not what was written a moment ago: somebody else changes it", file.path.display());
        }
    }
    Ok(())
}

/// Every unit does what it was told, and what ran before a reload runs.
fn units(manifest: &Manifest) -> anyhow::Result<()> {
    let store = Store::open(Path::new("/"))?;
    let transaction = store.get(&manifest.id)?;
    for action in manifest.units() {
        let runs = manager::unit(&action.unit)?.runs();
        let ran = transaction.unit_was(&action.unit)?.is_some_and(|was| was.active);
        match action.verb {
            Verb::Reload if ran && !runs => bail!("{} does not run any more", action.unit),
            Verb::StopAndDisable if runs => bail!("{} runs again after it was stopped", action.unit),
            Verb::EnableAndStart if !runs => bail!("{} does not run after it was started", action.unit),
            Verb::Reload | Verb::StopAndDisable | Verb::EnableAndStart => {}
        }
    }
    Ok(())
}

/// Every address of a daemon, or of the socket that it waits behind, gives a banner.
fn answers(instance: &Instance, survey: &Survey) -> anyhow::Result<()> {
    let listeners = match (&instance.found, daemon_of(instance, &survey.seen)) {
        (Found::Running { pid }, None) => bail!("sshd (process {pid}) listens no more"),
        (_, Some(daemon)) => daemon.listeners.clone(),
        // The first connection starts it, and shows whether it starts.
        (Found::Unit { enabled: true }, None) => match (&instance.socket, instance.dump(None)) {
            (Some(_), Ok(global)) => instance.socket_addresses(&global).unwrap_or_else(|| systemds(survey)),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let listeners: BTreeSet<_> = listeners.into_iter().collect();
    for listener in listeners {
        // `::` of a socket unit takes IPv4 too, or IPv6 is off.
        if let Err(why) = await_banner(listener)
            && !(matches!(instance.found, Found::Unit { .. }) && listener.is_ipv6())
        {
            bail!("{why}");
        }
    }
    Ok(())
}

/// Where systemd itself listens for ssh: on the port of a socket that a generator made.
fn systemds(survey: &Survey) -> Vec<std::net::SocketAddr> {
    let listeners = survey.seen.sockets.known().map(|sockets| sockets.listeners.as_slice()).unwrap_or_default();
    let ports: BTreeSet<u16> = survey
        .host
        .sshd
        .instances
        .iter()
        .filter_map(|instance| instance.dump(None).ok())
        .flat_map(|global| global.setting("port").map(|port| port.values.clone()).unwrap_or_default())
        .filter_map(|value| value.text.parse().ok())
        .collect();
    let ours = listeners.iter().filter(|listener| {
        ports.contains(&listener.port)
            && listener.namespace.is_none()
            && listener.owners.known().is_some_and(|owners| owners.iter().any(|owner| owner.pid == 1))
    });
    ours.map(|listener| std::net::SocketAddr::new(listener.address, listener.port)).collect()
}

/// sshd says what the resolver says, for the connections of the accounts that matter. An sshd that does not answer was validated,
/// and its banner is asked for.
fn agrees(access: &Access) -> anyhow::Result<()> {
    for check in cross_checks(access, QUESTIONS) {
        if let Some(said) = disagreement(access, &check) {
            let (user, address) = (&check.user, &check.address);
            bail!("sshd says `{said}` for {user} from {address}, which the files do not say");
        }
    }
    Ok(())
}

/// The first line of sshd's answer that the resolver does not give.
fn disagreement(access: &Access, check: &CrossCheck) -> Option<String> {
    let Fact::Known(lines) = &check.answer else { return None };
    let daemon = access.daemons.iter().find(|daemon| daemon.config == check.config)?;
    let account = daemon.accounts.iter().find(|account| account.user == check.user)?;
    let source = account.sources.iter().find(|source| source.example.to_string() == check.address)?;
    let ours = daemon.effective(source)?;
    let known: BTreeSet<String> = ours.dump().map(|line| line.to_ascii_lowercase()).collect();
    let odd = |line: &&String| {
        let line = line.to_ascii_lowercase();
        let keyword = line.split(' ').next().unwrap_or_default();
        ours.setting(keyword).is_some() && !known.contains(&line)
    };
    lines.iter().find(odd).cloned()
}

/// No daemon refuses its files as a whole.
fn refuses_nothing(access: &Access) -> anyhow::Result<()> {
    for daemon in &access.daemons {
        if let Err(refusal) = &daemon.global {
            bail!("sshd would refuse {}: {}", daemon.config.display(), refusal.message);
        }
    }
    Ok(())
}

/// Every account that the guards said keeps a way in has one, of the kind that they asked for.
fn keepers(manifest: &Manifest, access: &Access) -> anyhow::Result<()> {
    for keeper in &manifest.keepers {
        let mut accounts = access.daemons.iter().flat_map(|daemon| &daemon.accounts);
        let in_by_any = accounts.any(|account| {
            account.user == *keeper && account.sources.iter().flat_map(|source| &source.ways).any(Way::is_key_shell)
        });
        if !in_by_any {
            bail!("{} has no way in any more", bytes_text(keeper.as_bytes()));
        }
    }
    Ok(())
}
