//! hostward's own nftables table.

use super::fold::{Refused, Work};
use crate::check::Input;
use crate::edit::Edit;
use crate::effect::NftTable;
use crate::plan::Obstacle;

/// What the table is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    edits: Vec<Edit>,
}

/// Adds a limit.
pub(super) fn limit(work: &mut Work<'_, '_>, _: &Input<'_>, edit: &Edit) -> Result<(), Refused> {
    work.table.edits.push(edit.clone());
    Err(("/etc/hostward/firewall.nft".into(), Obstacle::Missing))
}

/// The table as an effect, where there is anything for it to do.
pub(super) fn effect(rules: &Rules, _: &Input<'_>) -> Option<NftTable> {
    rules.edits.first().map(|_| NftTable { after: None })
}
