//! What apt says of an overlay: its own, where it has one, else this machine's with the overlay as its directory.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hostward_tests::suite::Overlay;

/// Packages with a newer version in a security archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Those that `apt-get upgrade` installs, or names as kept back.
    pub(crate) pending: BTreeSet<String>,
    /// Those of which it says nothing, for its preferences choose another version.
    pub(crate) excluded: BTreeSet<String>,
    /// Of the first, those whose chosen version itself comes from a security archive.
    pub(crate) by_origin: BTreeSet<String>,
}

impl Said {
    /// Without what only apt tells.
    pub(crate) fn without_names_of_origin(&self) -> Self {
        Self { by_origin: BTreeSet::new(), ..self.clone() }
    }
}

/// apt, for one overlay.
pub(crate) struct Apt<'o> {
    overlay: &'o Overlay,
    /// The overlay has an apt.
    pub(crate) own: bool,
}

impl<'o> Apt<'o> {
    pub(crate) fn of(overlay: &'o Overlay) -> Self {
        Self { overlay, own: overlay.path("/usr/bin/apt-get").is_file() }
    }

    /// Where apt sees a path of the overlay.
    pub(crate) fn path(&self, inside: &str) -> String {
        if self.own { inside.to_owned() } else { self.overlay.path(inside).display().to_string() }
    }

    /// A command of this machine's, for the overlay.
    fn outside(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-o").arg(format!("Dir={}", self.overlay.root().display()));
        command.args(["-o", "Dir::Bin::dpkg=/usr/bin/dpkg", "-o", "APT::Sandbox::User=root"]);
        let status = self.overlay.path("/var/lib/dpkg/status");
        command.arg("-o").arg(format!("Dir::State::status={}", status.display()));
        let keyrings =
            [hostward_tests::cache().join("ubuntu-keyring/usr/share/keyrings"), "/usr/share/keyrings".into()];
        // Where the root file system has no keys of its own, those that it was made with.
        let keys = keyrings.iter().find(|keys| self.own || keys.is_dir()).unwrap_or(&keyrings[1]);
        command
            .arg("-o")
            .arg(format!("Dir::Etc::TrustedParts={}", if self.own { &keyrings[1] } else { keys }.display()));
        command.env("APT_CONFIG", "/dev/null").env("LC_ALL", "C");
        command
    }

    fn command(&self, program: &str) -> Command {
        if self.own { self.overlay.command(program) } else { self.outside(program) }
    }

    fn run(mut command: Command) -> Result<String> {
        let output = command.output().context("failed to run apt")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && !error.contains("Failed to fetch"), "{command:?}: {error}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Fetches the lists over the network, with this machine's apt: the overlay's has none.
    pub(crate) fn fetch(&self, options: &[&str]) -> Result<()> {
        let mut command = self.outside("apt-get");
        command.args([
            "-o",
            "Acquire::Retries=2",
            "-o",
            "Acquire::http::Timeout=30",
            "-o",
            "Acquire::Check-Valid-Until=false",
        ]);
        Self::run({
            command.args(options).args(["-qq", "update"]);
            command
        })
        .map(drop)
    }

    /// Installs packages over the network, with this machine's apt.
    pub(crate) fn install(&self, packages: &[&str]) -> Result<()> {
        self.fetch(&[])?;
        let mut command = self.outside("apt-get");
        command.arg("-o").arg(format!("DPkg::Options::=--root={}", self.overlay.root().display()));
        command
            .args(["-qq", "-y", "--no-install-recommends", "install"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive");
        Self::run(command).map(drop)
    }

    /// Reads archives that are files.
    pub(crate) fn update(&self, options: &[&str]) -> Result<()> {
        let mut command = self.command("apt-get");
        Self::run({
            command.args(options).args(["-o", "APT::Sandbox::User=root", "-qq", "update"]);
            command
        })
        .map(drop)
    }

    /// What it would install and remove so that all dependencies are met, by the lists of a directory alone.
    pub(crate) fn mends(&self, lists: &str) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
        let mut command = self.command("apt-get");
        command.arg("-o").arg(format!("Dir::State::Lists={}", self.path(lists)));
        command.args(["-s", "-o", "Debug::NoLocking=1", "--no-install-recommends", "--fix-broken", "install"]);
        let said = Self::run(command)?;
        let each = |word: &str| {
            let lines = said.lines().filter_map(|line| line.strip_prefix(word)?.split_whitespace().next());
            lines.map(|name| name.split(':').next().unwrap_or_default().to_owned()).collect()
        };
        Ok((each("Inst "), each("Remv ")))
    }

    /// Which one it is: `apt 2.8.3`.
    pub(crate) fn version(&self) -> Result<String> {
        let mut command = self.command("apt-get");
        command.arg("--version");
        Ok(Self::run(command)?.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
    }

    /// What it says.
    pub(crate) fn says(&self, options: &[&str]) -> Result<Said> {
        let mut upgrade = self.command("apt-get");
        upgrade.args(options).args(["-s", "-o", "Debug::NoLocking=1", "upgrade"]);
        let upgrade = Self::run(upgrade)?;
        let list = |head: &str| {
            let list = upgrade.split_once(head).map_or("", |(_, rest)| rest);
            list.lines().skip(1).take_while(|line| line.starts_with(' ')).flat_map(str::split_whitespace)
        };
        let kept = list("kept back:").chain(list("deferred due to phasing:"));
        let installs: Vec<&str> = upgrade.lines().filter_map(|line| line.strip_prefix("Inst ")).collect();
        let name = |line: &&str| line.split(' ').next().unwrap_or_default().to_owned();
        let mut spoken_of: BTreeSet<String> = installs.iter().map(name).collect();
        spoken_of.extend(kept.map(|name| name.split(':').next().unwrap_or_default().to_owned()));
        let from_security = |line: &&&str| line.contains("-security") || line.contains("Debian-Security");
        let (mut pending, mut excluded) = (BTreeSet::new(), BTreeSet::new());
        for one in self.newer(options)? {
            if one.chosen || one.held {
                ensure!(
                    !one.chosen || spoken_of.contains(&one.name),
                    "`upgrade` says nothing of {}: {upgrade}",
                    one.name
                );
                pending.insert(one.name);
            } else {
                excluded.insert(one.name);
            }
        }
        let by_origin = installs.iter().filter(from_security).map(name).filter(|name| pending.contains(name)).collect();
        Ok(Said { pending, excluded, by_origin })
    }

    /// Installed packages of which a security archive has a newer version, by apt's table of versions.
    fn newer(&self, options: &[&str]) -> Result<Vec<Newer>> {
        let status = std::fs::read_to_string(self.overlay.path("/var/lib/dpkg/status"))?;
        let names = status.lines().filter_map(|line| line.strip_prefix("Package: "));
        let mut command = self.command("apt-cache");
        command.args(options).arg("policy").args(names);
        let (mut newer, mut package, mut installed, mut candidate) = (Vec::<Newer>::new(), "", "", "");
        let (mut version, table) = ("", Self::run(command)?);
        for line in table.lines() {
            // The same version is another one to apt where the archive has it with other dependencies.
            let entry = line.strip_prefix("     ").filter(|rest| !rest.starts_with(' '));
            if !line.starts_with(' ') {
                package = line.trim_end_matches(':');
            } else if let Some(its) = line.strip_prefix("  Installed: ") {
                installed = its;
            } else if let Some(its) = line.strip_prefix("  Candidate: ") {
                candidate = its;
            } else if let Some(entry) = entry.or_else(|| line.strip_prefix(" *** ")) {
                version = entry.split(' ').next().unwrap_or_default();
            } else if line.contains("-security/")
                && is(version, "gt", installed)?
                && newer.last().is_none_or(|last| last.name != package)
            {
                // The newest comes first.
                let of = format!("\nPackage: {package}\nStatus: hold ");
                let held = format!("\n{status}").contains(&of);
                newer.push(Newer { name: package.to_owned(), chosen: is(candidate, "ge", version)?, held });
            }
        }
        Ok(newer)
    }
}

/// A package of which a security archive has a newer version.
struct Newer {
    name: String,
    /// apt's choice is as new.
    chosen: bool,
    held: bool,
}

/// What dpkg says of two versions.
fn is(version: &str, order: &str, other: &str) -> Result<bool> {
    Ok(Command::new("dpkg").args(["--compare-versions", version, order, other]).status()?.success())
}
