//! Kernel settings: a line in a drop-in of ours for the next boot, and the value that runs.

use std::path::Path;

use super::fold::{Refused, Work};
use super::settings;
use crate::catalogue::platform::kernel::DROP_IN;
use crate::check::Input;
use crate::effect::{Effect, KernelSetting, Owner};
use crate::fact::Fact;
use crate::observation::{Mode, Observations};
use crate::plan::{Obstacle, Plan};

/// Why it is there, and how to be rid of it.
const HEADER: &str = "# Written by hostward fix for platform.kernel; `hostward rollback` undoes it.\n";

/// Sets a key for the next boot, where it is not set so already, and in the running kernel.
pub(super) fn set(work: &mut Work<'_, '_>, input: &Input<'_>, key: &'static str, value: i64) -> Result<(), Refused> {
    let wanted = value.to_string();
    let set = input.host.platform.sysctl.at_boot(key);
    if set.known().is_none_or(|set| set.value != wanted) {
        let file = Path::new("/etc/sysctl.d").join(DROP_IN);
        match work.draft.sheet(&file) {
            Ok(_) => {}
            Err(Obstacle::Missing) => {
                let written = work.draft.write(&file, HEADER.as_bytes(), Owner::root(0o644));
                written.map_err(|obstacle| (file.clone(), obstacle))?;
            }
            Err(obstacle) => return Err((file, obstacle)),
        }
        settings::set(work, &file, key, &wanted)?;
    }
    let running = input.seen.platform.kernel.get(key).filter(|_| input.seen.mode == Mode::Live);
    if let Some(Fact::Known(before)) = running.filter(|running| running.known().is_some_and(|text| *text != wanted)) {
        work.kernel.push(KernelSetting { key: key.to_owned(), before: before.clone(), after: wanted });
    }
    Ok(())
}

/// Lays the plan's settings over what was seen of the running kernel.
pub fn lay_observed(seen: &mut Observations, plan: &Plan) {
    for planned in &plan.effects {
        if let Effect::Kernel(setting) = &planned.effect
            && let Some(value) = seen.platform.kernel.get_mut(setting.key.as_str())
        {
            *value = Fact::Known(setting.after.clone());
        }
    }
}
