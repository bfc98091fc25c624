//! What a running system needs stays until the last step of the build that makes an image of it.

use std::path::Path;

use crate::check::{Input, Text, message, path_text};
use crate::edit::Edit;
use crate::guard::{Circumstances, Guard, Rule};
use crate::host::image::INITIATOR_NAME;
use crate::plan::Said;

/// Keys, passwords and traces of a system that runs go only when a check of images is named.
pub(crate) static LAST_STEP: Guard = Guard {
    id: "image.last-step",
    title: Text {
        en: "a system that runs is made an image of only when that is asked for",
        zh: "仅在明确要求时才把正在运行的系统清理为镜像",
    },
    rule: Rule::Edit(rule),
};

message!(
    STILL_RUNS,
    "still-runs",
    "{what} stays for now: this system runs, and once it is made an image of nobody can log in to it anew; the last step of a build names the area: `hostward fix --profile image --apply image`",
    "暂时保留 {what}：本系统正在运行，清理为镜像后将无法再次登录；请在构建的最后一步指明该类检查：`hostward fix --profile image --apply image`"
);

fn rule(edit: &Edit, _: &Input<'_>, circumstances: &Circumstances) -> Result<(), Said> {
    if !circumstances.serves || circumstances.consent.last_step {
        return Ok(());
    }
    let what = match edit {
        Edit::Erase { path, .. } => path_text(path),
        Edit::ForgetPassword { user } => user.clone(),
        Edit::WriteFile { file, .. } if file == Path::new(INITIATOR_NAME) => path_text(file),
        _ => return Ok(()),
    };
    Err(Said::new(&STILL_RUNS).with("what", what))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    #[test]
    fn a_system_that_runs_keeps_its_keys_until_the_last_step() {
        let mut case = Case::new().offline();
        let edits = [
            Edit::Erase { path: "/root/.bash_history".into(), leave_empty: false },
            Edit::ForgetPassword { user: "root".to_owned() },
            Edit::WriteFile { file: INITIATOR_NAME.into(), content: String::new(), mode: 0o600 },
        ];
        for edit in &edits {
            assert_eq!(case.refused(&LAST_STEP, edit), None);
        }
        case.circumstances.serves = true;
        for edit in &edits {
            assert_eq!(case.refused(&LAST_STEP, edit), Some("still-runs"), "{edit:?}");
        }
        assert_eq!(case.refused(&LAST_STEP, &Edit::LockPassword { user: "root".to_owned() }), None);
        let other = Edit::WriteFile { file: "/etc/x.conf".into(), content: String::new(), mode: 0o600 };
        assert_eq!(case.refused(&LAST_STEP, &other), None);
        case.circumstances.consent.last_step = true;
        for edit in &edits {
            assert_eq!(case.refused(&LAST_STEP, edit), None);
        }
    }
}
