//! The unit that loads the table at boot and holds it: written where no package brought it.

use std::path::Path;

use super::super::fold::{Refused, Work};
use crate::effect::Owner;

/// The unit.
pub const UNIT: &str = "hostward-firewall.service";

/// Where packages put it.
const PACKAGED: [&str; 2] =
    ["/usr/lib/systemd/system/hostward-firewall.service", "/lib/systemd/system/hostward-firewall.service"];
/// Where we do.
const OURS: &str = "/etc/systemd/system/hostward-firewall.service";

/// The program where a package puts it.
const PROGRAM: &str = "/usr/bin/hostward";

/// The unit, as a package brings it.
const PACKAGE: &str = include_str!("../../../../systemd/hostward-firewall.service");

/// The same for a program that stands elsewhere.
fn text(program: &str) -> String {
    format!("# Written by hostward fix.\n{}", PACKAGE.replace(PROGRAM, program))
}

/// Writes the unit, where no package brought it.
pub(super) fn install(work: &mut Work<'_, '_>) -> Result<(), Refused> {
    let packaged = PACKAGED.iter().any(|path| work.draft.reader().meta(Path::new(path)).is_ok());
    if packaged {
        return Ok(());
    }
    let program = work.program.as_deref().and_then(Path::to_str).unwrap_or(PROGRAM);
    let written = work.draft.write(Path::new(OURS), text(program).into_bytes(), Owner::root(0o644));
    written.map_err(|obstacle| (OURS.into(), obstacle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_holds_the_table_of_this_state_with_the_program_that_is_there() {
        let text = text("/opt/hostward");
        for line in
            [format!("ConditionPathExists={}", super::super::STATE), "ExecStart=/opt/hostward firewall hold".to_owned()]
        {
            assert!(text.lines().any(|have| have == line), "{line}");
        }
        assert!(!text.contains(PROGRAM));
    }
}
