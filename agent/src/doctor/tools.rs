//! Programs of the host that hostward runs, or names in what it says.

use std::path::Path;
use std::time::Duration;

use hostward_checks::fact::Fact;

use super::{Item, State, Words, item, named, works};
use crate::firewall::nft;
use crate::live::validate::visudo;
use crate::observe::command::ask;

pub(super) fn items() -> Vec<Item> {
    vec![
        program(
            "visudo",
            visudo(),
            Words::new(
                "a change of sudoers is not shown to visudo before it counts",
                "修改 sudoers 时不经 visudo 校验",
            ),
        ),
        nft_program(),
        nf_tables(),
        program(
            "ssh-keygen",
            Some("/usr/bin/ssh-keygen").filter(|program| Path::new(program).is_file()),
            Words::new(
                "the commands shown with key findings cannot be tried; hostward runs none",
                "无法试用密钥问题附带的命令；hostward 本身不运行它",
            ),
        ),
    ]
}

fn program(id: &'static str, path: Option<&str>, without: Words) -> Item {
    item(id, State::of(path.is_some()), path.map_or_else(|| works(false), Words::plain), without)
}

fn firewall_unknown() -> Words {
    Words::new(
        "what the host firewall lets in is unknown, and no port is limited",
        "无法得知主机防火墙放行什么，也不限制任何端口",
    )
}

fn nft_program() -> Item {
    let Some(path) = nft::program() else { return program("nft", None, firewall_unknown()) };
    let said = ask(&[path], &["--version"], Duration::from_secs(5), 4096);
    let version = match said {
        Fact::Known(output) if output.success => named(&String::from_utf8_lossy(&output.bytes)),
        _ => "?".to_owned(),
    };
    item("nft", State::There, Words::plain(version), firewall_unknown())
}

fn nf_tables() -> Item {
    let (state, found) = match nft::program() {
        _ if !nix::unistd::geteuid().is_root() => {
            (State::Unseen, Words::new("only root may ask", "只有 root 可以查询"))
        }
        None => (State::Missing, Words::new("nobody to ask: nft is missing", "没有 nft，无从查询")),
        // Changes nothing: the kernel is asked for its rules, to see whether a table could be added.
        Some(_) => match nft::check("add table inet hostward\n") {
            Ok(()) => (State::There, works(true)),
            Err(_) => (State::Missing, Words::new("the kernel refuses it", "内核拒绝")),
        },
    };
    item("nf_tables", state, found, firewall_unknown())
}
