//! The plugin, run by a stand-in that does what Cloud Assistant's plugin manager does with a package file.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hostward_tests::assistant::{Input, QUOTA, Ran, USUAL, Way, run};
use hostward_tests::host::Host;
use hostward_tests::results;
use hostward_tests::suite::Suite;
use serde_json::Value;

use crate::TEST;
use crate::made::{done, packages};

/// Where the manager keeps plugins.
const PLUGINS: &str = "/usr/local/share/aliyun-assist/plugin";
/// What the manager says where it is not the plugin that ended.
const PACKAGE_FORMAT: i32 = 235;
const UNMARSHAL: i32 = 237;
const PLUGIN_FORMAT: i32 = 238;

/// `acs-plugin-manager --exec --file ZIP --params PARAMS` in a host: what it checks, in its order, and what the plugin then says.
fn manager(host: &Host, package: &Path, params: &str, input: Input) -> Result<Ran, i32> {
    let unzip = |to: &[&str]| Command::new("unzip").arg("-q").args(to).output().unwrap();
    let package = package.to_str().unwrap();
    if !unzip(&["-t", package]).status.success() {
        return Err(PACKAGE_FORMAT);
    }
    let config = unzip(&["-p", package, "config.json"]);
    if !config.status.success() {
        return Err(PLUGIN_FORMAT);
    }
    let config: Value = serde_json::from_slice(&config.stdout).map_err(|_| UNMARSHAL)?;
    let word = |key: &str| config[key].as_str().unwrap_or_default();
    let arch = if cfg!(target_arch = "aarch64") { "arm" } else { "x64" };
    if word("osType") != "linux" || ![arch, "all"].contains(&word("arch")) {
        return Err(PLUGIN_FORMAT);
    }
    // It is kept under its name and version; the program is made one for its owner.
    let inside = format!("{PLUGINS}/{}/{}", word("name"), word("version"));
    let outside = PathBuf::from(format!("/proc/{}/root{inside}", host.leader()));
    std::fs::create_dir_all(&outside).unwrap();
    done(Command::new("unzip").args(["-q", "-o", package, "-d"]).arg(&outside));
    let program = outside.join(word("runPath"));
    if !program.is_file() {
        return Err(PLUGIN_FORMAT);
    }
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o744)).unwrap();
    assert!(word("timeout").parse::<u32>().unwrap() >= 60, "a scan has the time that it needs");
    // Neither started, asked nor stopped by words of the manager's own: it runs, and its code is passed on.
    assert_eq!(word("pluginType"), "Once");
    let arguments = params.split(',').filter(|one| !one.is_empty()).collect::<Vec<_>>().join(" ");
    let (dir, before) = (format!("PLUGIN_DIR={inside}"), "PRE_PLUGIN_DIR=".to_owned());
    let way = Way { input, environment: &[&dir, &before], ..USUAL };
    Ok(run(host, &format!("exec {inside}/{} {arguments}", word("runPath")), way))
}

/// The package with one thing in it that is otherwise.
fn spoilt(to: &Path, script: &str) -> PathBuf {
    let copy = to.join("spoilt.zip");
    std::fs::copy(packages().path(".zip"), &copy).unwrap();
    done(Command::new("bash").args(["-ec", script, "bash"]).arg(&copy).current_dir(to));
    copy
}

#[test]
fn the_plugin_does_what_its_manager_asks() {
    let host = Host::of(&Suite::find("bookworm").unwrap()).boot().unwrap();
    let package = packages().path(".zip");
    let scan = "scan,--format,json-summary,--password-budget,0";
    for input in [Input::Null, Input::Closed] {
        // Installed, and installed again.
        let ran = manager(&host, &package, scan, input).unwrap();
        assert!(matches!(ran.code, Some(0..=2)) && ran.said.len() <= 8192, "{ran:?}");
        let summary: Value = serde_json::from_str(&ran.said).unwrap();
        assert!(summary["summary"]["verdict"].is_string(), "{summary}");
    }
    let text = manager(&host, &package, "scan,--password-budget,0", Input::Null).unwrap();
    assert!(text.said.len() < QUOTA && text.said.lines().rev().nth(1).unwrap().starts_with("FAIL: "), "{}", text.said);
    let mut codes = vec![text.code];
    for params in ["", "--status", "--start", "scan,--no-such", "status", "rollback"] {
        let ran = manager(&host, &package, params, Input::Closed).unwrap();
        assert!(ran.code.is_some_and(|code| code < 126) && ran.said.len() < QUOTA, "{params}: {ran:?}");
        codes.push(ran.code);
    }
    let place = tempfile::tempdir().unwrap();
    let spoil = |script: &str| manager(&host, &spoilt(place.path(), script), scan, Input::Null).map(|ran| ran.code);
    assert_eq!(spoil("head -c 100000 \"$1\" >cut; mv cut \"$1\""), Err(PACKAGE_FORMAT));
    let other = "unzip -q -o \"$1\" config.json; sed -i 's/\"arch\": \"[a-z0-9]*\"/\"arch\": \"x86\"/' config.json; zip -q \"$1\" config.json";
    assert_eq!(spoil(other), Err(PLUGIN_FORMAT));
    assert_eq!(spoil("zip -q -d \"$1\" config.json"), Err(PLUGIN_FORMAT));
    results::tested(
        TEST,
        "plugin",
        format!("run as its manager runs it, ended with {codes:?}; three spoilt packages refused"),
    );
}
