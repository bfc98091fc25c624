//! The service manager, hostward's own units, and the journal.

use std::path::Path;

use super::{Item, State, Words, item, named, works};
use crate::live::manager;
use crate::resident::tell::JOURNAL;

/// The first version that understands the usual units; before it the variant in systemd-219 serves.
const USUAL: u32 = 238;
/// The oldest that the variant is for.
const OLDEST: u32 = 219;
pub(super) fn items() -> Vec<Item> {
    let booted = manager::is_booted();
    let mut items = vec![version(booted), systemd_run()];
    items.extend(UNITS.iter().map(|unit| self::unit(unit, booted)));
    items.push(journal());
    items
}

fn version(booted: bool) -> Item {
    let without = Words::new(
        "nothing is fixed on the running system, because nobody would undo it; --root works, and scans do",
        "不在运行中的系统上修复（无人负责撤销）；扫描与 --root 照常可用",
    );
    let Ok(version) = manager::version() else {
        return item("systemd", State::Missing, works(false), without);
    };
    let number = version.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u32>().ok());
    let version = named(&version);
    let (state, en, zh) = match number {
        _ if !booted => (State::Missing, "installed, and does not run this system", "已安装，但本系统不由它运行"),
        Some(USUAL..) => (State::There, "the usual units serve", "使用通常的单元"),
        Some(OLDEST..) => (State::There, "the units of systemd-219 serve", "使用 systemd-219 目录中的单元"),
        _ => (State::Missing, "older than 219: no units for it", "早于 219：没有适用的单元"),
    };
    item("systemd", state, Words::new(format!("{version}: {en}"), format!("{version}：{zh}")), without)
}

fn systemd_run() -> Item {
    let without = Words::new("nothing is fixed on the running system", "不在运行中的系统上修复");
    let there = manager::runs_units();
    item("systemd-run", State::of(there), works(there), without)
}

/// A unit, and what is without it.
struct Ours {
    id: &'static str,
    /// Whether it is off unless somebody wants it.
    optional: bool,
    en: &'static str,
    zh: &'static str,
}

const UNITS: [Ours; 4] = [
    Ours {
        id: "hostward.service",
        optional: false,
        en: "nobody hears of changes: `hostward scan` looks when it is run",
        zh: "没有人监视变化：运行 `hostward scan` 时才检查",
    },
    Ours {
        id: "hostward-recover.service",
        optional: false,
        en: "a fix brings a unit of its own that undoes it at the next boot",
        zh: "修复时会自带一个单元，在下次启动时撤销未确认的修复",
    },
    Ours {
        id: "hostward-firewall.service",
        optional: true,
        en: "a fix that limits a port brings the unit with it",
        zh: "限制端口的修复会自带该单元",
    },
    Ours {
        id: "hostward-scan.timer",
        optional: true,
        en: "no daily scan, which a host with the resident does not need",
        zh: "没有每日扫描；有常驻进程的主机不需要它",
    },
];

fn unit(ours: &Ours, booted: bool) -> Item {
    let without = Words::new(ours.en, ours.zh);
    let missing = if ours.optional { State::Idle } else { State::Missing };
    let known = if booted { manager::unit(ours.id).ok() } else { None };
    let Some(unit) = known.filter(|unit| unit.load == "loaded") else {
        return item(ours.id, missing, Words::new("not installed", "未安装"), without);
    };
    // Its own words: both are systemd's, and the same in every language.
    let found = [named(&unit.file_state), named(&unit.active)].join(", ");
    // What runs once at boot is not active afterwards.
    let serves =
        unit.runs() || (unit.file_state == "enabled" && ours.id != "hostward.service" && unit.active != "failed");
    item(ours.id, if serves { State::There } else { missing }, Words::plain(found), without)
}

fn journal() -> Item {
    let without = Words::new(
        "events go to /var/log/hostward/events.jsonl alone, and no login proves that a key is held: fixes need --i-hold",
        "事件只写入 /var/log/hostward/events.jsonl；没有登录记录能证明密钥有人持有，修复需要 --i-hold",
    );
    let reads = ["/usr/bin/journalctl", "/bin/journalctl"].iter().any(|program| Path::new(program).is_file());
    let takes = Path::new(JOURNAL).exists();
    let found = match (takes, reads) {
        (true, true) => works(true),
        (true, false) => Words::new("takes messages; journalctl is missing", "可写入；没有 journalctl"),
        (false, true) => Words::new("journalctl is there; nobody takes messages", "有 journalctl；无人接收消息"),
        (false, false) => works(false),
    };
    item("journal", State::of(takes && reads), found, without)
}
