//! Pending security updates: what hostward reads from dpkg's and apt's files is what apt itself says, live and offline.

#![cfg(test)]

mod updates {
    pub(crate) mod apt;
    mod dnf;
    mod preferences;
    pub(crate) mod repository;
    mod rpm;
}

use std::collections::BTreeSet;
use std::process::Command;

use hostward_checks::parse::package_version;
use hostward_tests::rng::Rng;
use hostward_tests::scan::{self, Scan};
use hostward_tests::suite::{Overlay, Suite};
use hostward_tests::tier::Tier;
use hostward_tests::{binary, results};
use updates::apt::{Apt, Said};
use updates::repository::{self, Packed};

const CHECK: &str = "platform.updates";

/// What a scan told of packages, by message.
fn told(scan: &Scan) -> Said {
    let mut said = Said::default();
    let check = scan.checks().find(|check| check["id"] == CHECK).unwrap();
    for finding in check["findings"].as_array().unwrap() {
        let names =
            finding["params"]["packages"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
        match finding["message_id"].as_str().unwrap() {
            "pending" | "held" => said.pending.extend(names),
            "preferences" => said.excluded.extend(names),
            other => panic!("{other}"),
        }
    }
    said
}

fn reason(scan: &Scan) -> String {
    let check = scan.checks().find(|check| check["id"] == CHECK).unwrap();
    check["reason"].as_str().unwrap_or_default().to_owned()
}

fn offline(overlay: &Overlay) -> Scan {
    let mut command = scan::offline(overlay.root()).unwrap();
    command.args(["--only", CHECK]);
    scan::json(command).unwrap()
}

fn live(overlay: &Overlay) -> Scan {
    // By another process: one that this one starts meanwhile would still hold the file open for writing, and nobody could run it.
    let copied = Command::new("cp").arg(binary().unwrap()).arg(overlay.path("/hostward")).status().unwrap();
    assert!(copied.success());
    let mut command = overlay.command("/hostward");
    command.args(["scan", "--only", CHECK]);
    scan::json(command).unwrap()
}

/// How apt is told to treat updates that Ubuntu gives to some hosts first. Security updates are for all at once.
const PHASING: [&[&str]; 3] = [
    &[],
    &["-o", "APT::Get::Always-Include-Phased-Updates=true"],
    &["-o", "APT::Get::Never-Include-Phased-Updates=true"],
];

/// Compares with apt, live and offline, whether or not it takes part in phased updates. What it says by itself.
fn agrees(overlay: &Overlay, apt: &Apt<'_>, what: &str) -> Said {
    let said = PHASING.map(|options| apt.says(options).unwrap());
    for (how, scan) in [("offline", offline(overlay)), ("live", live(overlay))] {
        let told = told(&scan);
        for (said, options) in said.iter().zip(PHASING) {
            assert_eq!(told, said.without_names_of_origin(), "{what}, {how}, {options:?}");
            // Whatever apt itself calls a security update is one.
            let missing: BTreeSet<_> = said.by_origin.difference(&told.pending).collect();
            assert!(missing.is_empty(), "{what}, {how}, {options:?}: {missing:?}");
        }
    }
    let [said, ..] = said;
    said
}

/// The suite's own apt, where the root file system has none and its archive answers.
fn own_apt<'o>(overlay: &'o Overlay, suite: &Suite, test: &str) -> Apt<'o> {
    let apt = Apt::of(overlay);
    if !apt.own
        && let Err(error) = apt.install(&["apt"])
    {
        results::skipped(test, suite.name(), format!("NOT TESTED with its own apt: {error:#}"));
    }
    Apt::of(overlay)
}

#[test]
fn an_archive_of_our_own_is_read_as_apt_reads_it() {
    let test = "updates, own archive";
    let suites = Tier::current().pick(
        ["bookworm", "jammy"].iter().filter_map(|name| Suite::find(name).ok()).collect::<Vec<_>>(),
        Suite::all(test).unwrap(),
    );
    assert!(!suites.is_empty());
    for suite in &suites {
        let overlay = suite.overlay().unwrap();
        // The quick size asks no archive.
        let apt = if Tier::current() == Tier::Long { own_apt(&overlay, suite, test) } else { Apt::of(&overlay) };
        let mut figures = Vec::new();
        figures.push(apt.version().unwrap());
        for packed in [Packed::Not, Packed::Lz4, Packed::Gzip] {
            repository::make(&overlay, suite.name(), &apt, packed).unwrap();
            // The quick size: all preferences for one way of keeping the lists.
            let all = packed == Packed::Not || Tier::current() == Tier::Long;
            for (preferences, text) in repository::PREFERENCES.into_iter().take(if all { 4 } else { 1 }) {
                overlay.write("/etc/apt/preferences.d/test", text, 0o644).unwrap();
                let said = agrees(&overlay, &apt, &format!("{suite}, {packed:?}, {preferences}"));
                assert!(said.pending.len() > 10, "{suite}: only {} are pending", said.pending.len());
                figures.push(format!("{preferences} {}+{}", said.pending.len(), said.excluded.len()));
            }
        }
        results::tested(test, suite.name(), format!("pending+excluded as apt says: {}", figures.join(", ")));
        is_stale_after_a_week(&overlay);
    }
}

/// Old lists tell what they tell, and no more.
fn is_stale_after_a_week(overlay: &Overlay) {
    assert_eq!(reason(&offline(overlay)), "");
    overlay
        .shell("sed -i 's/^Date:.*/Date: Thu, 01 Jan 2026 00:00:00 UTC/' /var/lib/apt/lists/*security*Release")
        .unwrap();
    let old = offline(overlay);
    assert!(reason(&old).contains("days old") && !told(&old).pending.is_empty(), "{}", reason(&old));
    overlay.shell("rm -r /var/lib/apt/lists; mkdir /var/lib/apt/lists").unwrap();
    let none = offline(overlay);
    assert_eq!((none.verdict(CHECK).as_str(), none.code), ("unknown", 2));
}

/// The lists of the distribution's own archives, as they are today.
#[test]
fn the_archives_of_the_distributions_are_read_as_apt_reads_them() {
    let test = "updates, real archives";
    if Tier::current() == Tier::Quick {
        return;
    }
    for suite in Suite::all(test).unwrap() {
        let overlay = suite.overlay().unwrap();
        if let Err(error) = Apt::of(&overlay).fetch(&["-o", "Acquire::GzipIndexes=false"]) {
            results::skipped(test, suite.name(), format!("NOT TESTED: its archive did not answer: {error:#}"));
            continue;
        }
        let apt = own_apt(&overlay, &suite, test);
        let today = agrees(&overlay, &apt, suite.name()).pending.len();
        let packages = repository::as_released(&overlay, suite.name(), &apt).unwrap();
        let said = agrees(&overlay, &apt, suite.name());
        let scan = offline(&overlay);
        let (verdict, reason) = (scan.verdict(CHECK), reason(&scan));
        let figures = format!(
            "{}: {today} pending as it says; of {packages} packages as released {}, {} of them by its own origin; {verdict} {reason}; {} ms offline",
            apt.version().unwrap(),
            said.pending.len(),
            said.by_origin.len(),
            scan.took.as_millis()
        );
        results::tested(test, suite.name(), figures);
    }
}

/// At most so many bytes that may stand in a version.
fn text(rng: &mut Rng, most: usize) -> String {
    (0..rng.below(most + 1)).map(|_| rng.pick(&["0", "1", "9", "10", "a", "b", "Z", "~", "~~", "+", "."])).collect()
}

fn version(rng: &mut Rng) -> String {
    let epoch = rng.pick(&["", "", "", "0:", "1:", "10:"]);
    let upstream = format!("{}{}", rng.pick(&["0", "1", "2", "10"]), text(rng, 6));
    let revision =
        if rng.chance(60) { format!("-{}{}", rng.pick(&["0", "1", "1~", "2"]), text(rng, 3)) } else { String::new() };
    format!("{epoch}{upstream}{revision}")
}

/// dpkg orders these versions, in one process each.
#[test]
fn versions_are_ordered_as_dpkg_orders_them() {
    let (mut rng, pairs) = (Rng::new(7), Tier::current().pick(500, 10_000));
    for _ in 0..pairs {
        let one = version(&mut rng);
        // Versions that differ in their end alone are the ones that are wrong first.
        let other = if rng.chance(50) { version(&mut rng) } else { format!("{one}{}", text(&mut rng, 3)) };
        let order = package_version::debian(one.as_bytes(), other.as_bytes());
        let word = if order.is_lt() {
            "lt"
        } else if order.is_gt() {
            "gt"
        } else {
            "eq"
        };
        let output = Command::new("dpkg").args(["--compare-versions", &one, word, &other]).output().unwrap();
        assert!(output.status.success(), "dpkg does not say that {one} {word} {other}");
    }
    results::tested("dpkg's order", "versions", format!("{pairs} pairs"));
}

/// The text is fit for people too.
#[test]
fn what_is_told_can_be_read() {
    let suite = Suite::find("bookworm").unwrap();
    let overlay = suite.overlay().unwrap();
    repository::make(&overlay, suite.name(), &Apt::of(&overlay), Packed::Not).unwrap();
    let text = scan::text(|| {
        let mut command = scan::offline(overlay.root())?;
        command.args(["--only", CHECK]);
        Ok(command)
    });
    let text = text.unwrap();
    assert!(text.contains("a security update of ") && text.contains("available is"), "{text}");
}
