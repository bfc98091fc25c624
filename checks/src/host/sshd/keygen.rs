//! What makes the host keys that are missing when sshd is to start: Red Hat's units always do, Debian's since 13 only at what
//! systemd takes for a first boot, Debian's before and Ubuntu's before 25.10 never.

use super::units::Units;
use crate::parse::systemd_unit::Unit;
use crate::snapshot::Reader;

/// When the host's own units make host keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keygen {
    /// Never.
    #[default]
    Never,
    /// Only at a first boot, `ConditionFirstBoot=yes`: never where /etc/machine-id is an empty file (`machine-id(5)`).
    FirstBoot,
    /// Whenever one is missing.
    Missing,
}

/// The units that make them, as Red Hat and Debian call them.
pub const UNIT: &str = "sshd-keygen.service";
const NAMES: [&str; 2] = [UNIT, "sshd-keygen@.service"];
/// What starts them: a link beside these, or a line in them.
const STARTERS: [&str; 6] =
    ["sshd.service", "ssh.service", "sshd.socket", "ssh.socket", "sshd-keygen.target", "multi-user.target"];

impl Keygen {
    /// Looks at the units.
    pub fn read(reader: &Reader<'_>) -> Self {
        let units = Units::new(reader);
        let wants = |name: &str| {
            let unit = units.load(name).map(|(unit, _)| unit).unwrap_or_default();
            ["Wants", "Requires"]
                .iter()
                .flat_map(|key| unit.values("Unit", key))
                .any(|value| holds(value, b"sshd-keygen"))
        };
        if !units.is_enabled("sshd-keygen") && !STARTERS.iter().any(|name| wants(name)) {
            return Self::Never;
        }
        let each = NAMES.iter().filter_map(|name| units.load(name)).map(|(unit, _)| waits_for_first_boot(&unit));
        match each.reduce(|one, other| one && other) {
            None => Self::Never,
            Some(true) => Self::FirstBoot,
            Some(false) => Self::Missing,
        }
    }
}

/// Whether a first boot is a condition of the unit. An empty condition of any kind takes all of them away (`systemd.unit(5)`).
fn waits_for_first_boot(unit: &Unit) -> bool {
    let conditions = unit.assignments.iter().filter(|one| one.section == b"Unit" && one.key.starts_with(b"Condition"));
    conditions.fold(false, |waits, one| match (one.key.as_slice(), one.value.as_slice()) {
        (_, b"") => false,
        (b"ConditionFirstBoot", value) => waits || [&b"yes"[..], b"true", b"on", b"1"].contains(&value),
        _ => waits,
    })
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Sketch;

    const DEBIAN: &str =
        "[Unit]\nConditionFirstBoot=yes\nConditionPathIsReadWrite=/etc/ssh\n[Service]\nExecStart=ssh-keygen -A\n";
    const RED_HAT: &str = "[Unit]\nConditionFileNotEmpty=|!/etc/ssh/ssh_host_%i_key\n[Service]\n";

    #[test]
    fn units_make_host_keys_where_something_starts_them() {
        let vendor = "/usr/lib/systemd/system/sshd-keygen.service";
        let link = |sketch: Sketch| sketch.link("/etc/systemd/system/ssh.service.wants/sshd-keygen.service", vendor);
        let debian = || link(Sketch::new().file(vendor, DEBIAN));
        let red_hat = Sketch::new()
            .file("/usr/lib/systemd/system/sshd-keygen@.service", RED_HAT)
            .file("/usr/lib/systemd/system/sshd.service", "[Unit]\nWants=sshd-keygen.target\n");
        let drop_in = "/etc/systemd/system/sshd-keygen.service.d/50.conf";
        for (sketch, want) in [
            (Sketch::new(), Keygen::Never),
            (Sketch::new().file(vendor, DEBIAN), Keygen::Never),
            (debian(), Keygen::FirstBoot),
            (debian().file(drop_in, "[Unit]\nConditionFirstBoot=\n"), Keygen::Missing),
            (
                debian().link("/etc/systemd/system/sshd-keygen.service", "/dev/null").file("/dev/null", ""),
                Keygen::Never,
            ),
            (red_hat, Keygen::Missing),
            (link(Sketch::new().file("/etc/systemd/system/sshd-keygen.service", "[Service]\n")), Keygen::Missing),
        ] {
            let snapshot = sketch.clone().snapshot();
            assert_eq!(Keygen::read(&Reader::new(&snapshot)), want, "{sketch:?}");
        }
    }
}
