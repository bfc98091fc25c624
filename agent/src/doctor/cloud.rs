//! Alibaba Cloud: whether this is one of its instances, and what of it is there.

use std::path::Path;

use hostward_checks::fact::{Fact, Why};

use super::{Item, State, Words, item, nothing, works};
use crate::config::Settings;
use crate::live::session_manager_runs;
use crate::observe::metadata;
use crate::survey::Survey;

pub(super) fn items(survey: Option<&Survey>, settings: &Settings) -> Vec<Item> {
    let product = survey.map_or(Fact::Absent, |survey| survey.seen.dmi_product.clone());
    let endpoint = metadata::endpoint(&product, settings.platform.says_ecs(), settings.metadata_endpoint);
    let on_ecs = metadata::endpoint(&product, settings.platform.says_ecs(), None);
    let mut items = vec![platform(&product, &on_ecs), service(endpoint)];
    items.extend(agents(on_ecs.is_ok()));
    items
}

fn platform(product: &Fact<String>, on_ecs: &Result<metadata::Endpoint, Why>) -> Item {
    let (state, found) = match (on_ecs, product) {
        (Ok(_), _) => (State::There, Words::new("an ECS instance", "ECS 实例")),
        (Err(_), Fact::Known(_)) => (State::Idle, Words::new("no ECS instance", "不是 ECS 实例")),
        (Err(_), Fact::Absent) => (State::Idle, Words::new("the machine does not say", "机器未说明")),
        (Err(_), Fact::Unknown(_)) => (State::Unseen, Words::new("DMI cannot be read", "无法读取 DMI")),
    };
    let without = Words::new(
        "the metadata service is not asked, unless hostward.toml says platform = \"ecs\"",
        "不查询元数据服务，除非 hostward.toml 写明 platform = \"ecs\"",
    );
    item("ecs", state, found, without)
}

/// A token is asked for, which counts as no access in normal mode.
fn service(endpoint: Result<metadata::Endpoint, Why>) -> Item {
    let without = Words::new(
        "checks of the metadata service are unknown, and so is whether a public address leads here",
        "元数据服务相关检查无法判定，也无法得知是否有公网地址指向本机",
    );
    let (state, found) = match endpoint.map(metadata::gives_token) {
        Err(Why::NotAsked(_)) => (State::Idle, Words::new("not asked", "未查询")),
        Err(_) => (State::Unseen, Words::new("not asked", "未查询")),
        Ok(Ok(true)) => (State::There, Words::new("gives a token", "可取得令牌")),
        Ok(Ok(false)) => (State::Missing, Words::new("answers and gives no token", "有回答，但不给令牌")),
        Ok(Err(Why::TimedOut)) => (State::Missing, Words::new("does not answer in time", "超时无回答")),
        Ok(Err(_)) => (State::Missing, Words::new("does not answer", "无回答")),
    };
    item("metadata", state, found, without)
}

fn agents(on_ecs: bool) -> [Item; 2] {
    let missing = if on_ecs { State::Missing } else { State::Idle };
    let installed = |dir: &str| Path::new(dir).is_dir();
    let assistant = match (session_manager_runs(), installed("/usr/local/share/aliyun-assist")) {
        (true, _) => (State::There, Words::new("runs", "运行中")),
        (false, true) => (missing, Words::new("installed, and does not run", "已安装，未运行")),
        (false, false) => (missing, works(false)),
    };
    let without = Words::new(
        "no commands from outside, and --accept-session-manager counts for nothing",
        "无法从外部下发命令，--accept-session-manager 不起作用",
    );
    let security = installed("/usr/local/aegis");
    // hostward asks nothing of it.
    let state = if security { State::There } else { State::Idle };
    let found = if security { Words::new("installed", "已安装") } else { works(false) };
    [item("cloud-assistant", assistant.0, assistant.1, without), item("security-center", state, found, nothing())]
}
