//! hostward's own nftables table: what the findings want limited, added to what an earlier fix limited, as files and one table.

use std::collections::BTreeSet;
use std::path::Path;

use super::fold::{Refused, Work};
use super::{Obstacle, Said};
use crate::check::{Input, Message, Text};
use crate::edit::Edit;
use crate::effect::{NftTable, Owner, Verb};
use crate::snapshot::{Miss, Reader};

mod lay;
pub mod limits;
pub mod rules;
pub mod shown;
mod unit;

pub use lay::{lay_observed, planned};
pub use limits::Limits;
pub use rules::Table;
pub use unit::UNIT;

/// What the table is to do, and outlives a boot.
pub const STATE: &str = "/etc/hostward/firewall.conf";

static REFUSED: Message = Message {
    id: "firewall-state",
    text: Text {
        en: "{path}, line {line}: {what}; mend or remove the line, then run fix again",
        zh: "{path} 第 {line} 行：{what}；请修正或删除该行，然后重新运行 fix",
    },
};

static SOURCE: Message = Message {
    id: "firewall-source",
    text: Text {
        en: "{source} is no address or network: mend it in the policy",
        zh: "{source} 不是地址或网段：请在策略中修正",
    },
};

/// What the table is to do, from before and from this plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// As the file has them; None: it was not looked at yet.
    before: Option<Limits>,
    /// As they would be.
    after: Limits,
    /// Ports that this plan has set already: what else it wants for them is added.
    set: BTreeSet<(crate::observation::socket::Protocol, u16)>,
    /// Whether this plan has set the users.
    users: bool,
}

/// Adds a limit.
pub(super) fn limit(work: &mut Work<'_, '_>, input: &Input<'_>, edit: &Edit) -> Result<(), Refused> {
    let state = Path::new(STATE);
    let refused = |said| (state.to_path_buf(), Obstacle::Refused(said));
    let mut rules = work.table.clone();
    if rules.before.is_none() {
        let before = read(work.draft.reader())?;
        (rules.before, rules.after) = (Some(before.clone()), before);
    }
    match edit {
        Edit::LimitPort { protocol, port, sources } => {
            let Some(protocol) = limits::protocol(protocol) else { return Ok(()) };
            let net =
                |source: &String| limits::net(source).ok_or_else(|| refused(Said::new(&SOURCE).with("source", source)));
            let mut allowed = sources.iter().map(net).collect::<Result<BTreeSet<_>, _>>()?;
            if serves_logins(input, protocol, *port) {
                allowed.extend(rules::WORKBENCH);
            }
            // What an earlier fix allowed gives way; what another finding of this plan allows is added.
            if rules.set.insert((protocol, *port)) {
                rules.after.ports.remove(&(protocol, *port));
            }
            rules.after.ports.entry((protocol, *port)).or_default().extend(allowed);
        }
        Edit::LimitMetadata { uids } => {
            if !std::mem::replace(&mut rules.users, true) {
                rules.after.metadata = None;
            }
            rules.after.metadata.get_or_insert_with(|| BTreeSet::from([0])).extend(uids);
        }
        _ => return Ok(()),
    }
    let written = work.draft.write(state, rules.after.text().into_bytes(), Owner::root(0o644));
    written.map_err(|obstacle| (state.to_path_buf(), obstacle))?;
    work.table = rules;
    unit::install(work)?;
    work.ask(UNIT, Verb::EnableAndStart);
    Ok(())
}

/// Whether a daemon of remote login listens on the port.
pub fn serves_logins(input: &Input<'_>, protocol: crate::observation::socket::Protocol, port: u16) -> bool {
    let mut daemons = input.access.daemons.iter().flat_map(|daemon| &daemon.listeners);
    protocol == crate::observation::socket::Protocol::Tcp
        && (port == 22 || port == 3389 || daemons.any(|listener| listener.port() == port))
}

/// What an earlier fix limited.
fn read(reader: &Reader<'_>) -> Result<Limits, Refused> {
    let state = Path::new(STATE);
    let bytes = match reader.file(state) {
        Ok(view) => view.bytes,
        Err(Miss::Absent) => return Ok(Limits::default()),
        Err(Miss::Pending) => return Err((state.to_path_buf(), Obstacle::Pending)),
        Err(Miss::Unreadable(why)) => return Err((state.to_path_buf(), Obstacle::Unreadable(why))),
    };
    let (limits, defects) = Limits::read(bytes);
    match defects.into_iter().next() {
        None => Ok(limits),
        Some(defect) => {
            let said = Said::new(&REFUSED).with("path", STATE).with("line", defect.line.to_string());
            Err((state.to_path_buf(), Obstacle::Refused(said.with("what", defect.what))))
        }
    }
}

/// The table as an effect, where there is anything for it to do.
pub(super) fn effect(rules: &Rules, _: &Input<'_>) -> Option<NftTable> {
    let before = rules.before.as_ref()?;
    let text = |limits: &Limits| Table::of(limits).map(|table| table.text());
    Some(NftTable { before: text(before), after: text(&rules.after) })
}
