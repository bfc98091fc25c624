//! The host firewall, asked of its own programs and read only: nftables, and iptables where it has tables of its own.

use std::time::Duration;

use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::firewall::Firewall;
use hostward_checks::observation::socket::{Listener, Sockets};
use hostward_checks::parse::ruleset::{Family, Ruleset};
use hostward_checks::parse::{iptables, nft};
use hostward_checks::plan::table::{Table, shown};

use super::command::{Output, ask};

const TIME: Duration = Duration::from_secs(5);
const BYTES: usize = 16 << 20;
/// Listeners that are asked about each for itself; the others by their ports.
const MOST_LISTENERS: usize = 2000;

const NFT: &[&str] = &["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"];

/// iptables writes its tables with two programs, one a family.
const SAVE: [(Family, &[&str], &str); 2] = [
    (
        Family::V4,
        &["/usr/sbin/iptables-nft-save", "/sbin/iptables-nft-save", "/usr/sbin/iptables-save", "/sbin/iptables-save"],
        "/proc/thread-self/net/ip_tables_names",
    ),
    (
        Family::V6,
        &[
            "/usr/sbin/ip6tables-nft-save",
            "/sbin/ip6tables-nft-save",
            "/usr/sbin/ip6tables-save",
            "/sbin/ip6tables-save",
        ],
        "/proc/thread-self/net/ip6_tables_names",
    ),
];

/// Variants that read the legacy tables whatever the default is.
const LEGACY: [&[&str]; 2] = [
    &["/usr/sbin/iptables-legacy-save", "/sbin/iptables-legacy-save", "/usr/sbin/iptables-save", "/sbin/iptables-save"],
    &[
        "/usr/sbin/ip6tables-legacy-save",
        "/sbin/ip6tables-legacy-save",
        "/usr/sbin/ip6tables-save",
        "/sbin/ip6tables-save",
    ],
];

/// What the host firewall lets in, and which of these listeners. Where a program that would know is missing or fails, the answer is unknown, never "no
/// firewall".
pub fn firewall(sockets: &Fact<Sockets>) -> Fact<Firewall> {
    let own = |listener: &&Listener| listener.namespace.is_none() && !listener.address.is_loopback();
    let listeners = sockets.known().map_or(&[][..], |sockets| &sockets.listeners).iter().filter(own);
    let mut listeners: Vec<_> =
        listeners.map(|listener| (listener.protocol, listener.address, listener.port)).take(MOST_LISTENERS).collect();
    listeners.sort_unstable();
    listeners.dedup();
    match rules() {
        Ok((rules, source)) => Fact::Known(rules.judge_on(source, &super::network::network(), &listeners)),
        Err(why) => Fact::Unknown(why),
    }
}

/// The rules of the calling thread's network namespace, and which programs told them.
///
/// # Errors
/// One that would know them is missing or fails.
pub fn rules() -> Result<(Ruleset, &'static str), Why> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Why::Denied);
    }
    let mut legacy = false;
    let mut rules = Ruleset::default();
    for ((family, _, names), programs) in SAVE.iter().zip(LEGACY) {
        // The file is there once the kernel has legacy tables, and names them: asking loads no module.
        if std::fs::read(names).is_ok_and(|names| !names.trim_ascii().is_empty()) {
            save(programs, *family, &mut rules)?;
            legacy = true;
        }
    }
    let source = match ask(NFT, &["-j", "list", "ruleset"], TIME, BYTES) {
        // Without the kernel's part there is nothing that nft could tell.
        Fact::Absent if legacy && !std::path::Path::new("/sys/module/nf_tables").exists() => "iptables",
        Fact::Absent => return Err(Why::Failed("nft is not installed: no other program tells all rules".to_owned())),
        Fact::Unknown(why) => return Err(why),
        Fact::Known(output) => {
            // Before 0.9 nft writes no JSON: then only an empty rule set, and our own table, are understood.
            match without_json(&output) {
                Some(own) => rules.chains.extend(own.chains),
                None => nftables(&output, &mut rules)?,
            }
            if legacy { "nftables and iptables" } else { "nftables" }
        }
    };
    Ok((rules, source))
}

fn without_json(output: &Output) -> Option<Ruleset> {
    if output.success || output.cut {
        return None;
    }
    let Fact::Known(text) = ask(NFT, &["-nnn", "list", "ruleset"], TIME, BYTES) else { return None };
    let limits = shown::read(std::str::from_utf8(&text.bytes).ok().filter(|_| text.success)?)?;
    Some(Table::of(&limits).map(|table| table.ruleset()).unwrap_or_default())
}

fn nftables(output: &Output, rules: &mut Ruleset) -> Result<(), Why> {
    let failed = |what: &str| Why::Failed(format!("nft -j list ruleset: {what}"));
    if output.cut {
        return Err(failed("too slow or too long"));
    }
    if !output.success {
        return Err(failed("failed"));
    }
    let (read, defects) = nft::read(&output.bytes);
    if let Some(defect) = defects.first() {
        return Err(failed(&defect.what));
    }
    let mut known = read.rules;
    if nft::lacks_devices(&known)
        && let Fact::Known(listing) = ask(NFT, &["list", "chains"], TIME, BYTES)
        && listing.success
    {
        nft::add_devices(&String::from_utf8_lossy(&listing.bytes), &mut known);
    }
    // iptables wrote these tables with extensions that only it can name again; else they stay as doubts.
    for (family, programs, _) in SAVE {
        let mut again = Ruleset::default();
        if read.extensions.iter().any(|(of, _)| *of == family) && save(programs, family, &mut again).is_ok() {
            known
                .chains
                .retain(|(of, table, _), _| !(*of == family && again.chains.keys().any(|(_, name, _)| name == table)));
            known.chains.extend(again.chains);
        }
    }
    // A legacy table and one of nft may have the same name: both decide.
    let legacy: Vec<(Family, String)> =
        rules.chains.keys().map(|(family, table, _)| (*family, table.clone())).collect();
    for ((family, table, chain), value) in known.chains {
        let taken = legacy.contains(&(family, table.clone()));
        let table = if taken { format!("nft {table}") } else { table };
        rules.chains.insert((family, table, chain), value);
    }
    Ok(())
}

fn save(programs: &[&str], family: Family, rules: &mut Ruleset) -> Result<(), Why> {
    let program = programs.first().copied().unwrap_or_default();
    match ask(programs, &[], TIME, BYTES) {
        Fact::Known(output) if output.success => match iptables::read(&output.bytes, family, rules).first() {
            None => Ok(()),
            Some(defect) => Err(Why::Failed(format!("{program}: {}", defect.what))),
        },
        Fact::Known(_) => Err(Why::Failed(format!("{program} failed"))),
        Fact::Absent => Err(Why::Failed(format!("{program} is not installed"))),
        Fact::Unknown(why) => Err(why),
    }
}
