//! Templates that are pasted into other people's consoles.

use hcl::{Block, Body, Expression};
use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

use crate::made::project;

/// A file of `packaging/`.
fn read(name: &str) -> String {
    std::fs::read_to_string(project().join("packaging").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A template or component, with every scalar as its text.
pub(crate) fn yaml(name: &str) -> Value {
    let text = read(name);
    let mut events = Parser::new_from_str(&text).map(|event| event.unwrap_or_else(|error| panic!("{name}: {error}")).0);
    let first = events.find(|event| !matches!(event, Event::StreamStart | Event::DocumentStart(_))).unwrap();
    let value = node(first, &mut events);
    assert!(matches!(events.next(), Some(Event::DocumentEnd)), "{name} is one document");
    value
}

fn node<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match event {
        Event::Scalar(text, ..) => Value::String(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next().unwrap() {
                    Event::SequenceEnd => return Value::Array(items),
                    item => items.push(node(item, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut map = Map::new();
            loop {
                match events.next().unwrap() {
                    Event::MappingEnd => return Value::Object(map),
                    key => {
                        let key = node(key, events).as_str().unwrap().to_owned();
                        let value = events.next().unwrap();
                        assert!(map.insert(key.clone(), node(value, events)).is_none(), "{key} twice");
                    }
                }
            }
        }
        other => panic!("{other:?}"),
    }
}

/// The tasks of a template or component, in their order: name, action, properties.
fn tasks(template: &Value) -> Vec<(&str, &str, &Value)> {
    let word = |task: &'static str, value: &'_ Value| value[task].as_str().map(str::to_owned);
    template["Tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| {
            assert!(word("Name", task).is_some() && word("Action", task).is_some(), "{task}");
            (task["Name"].as_str().unwrap(), task["Action"].as_str().unwrap(), &task["Properties"])
        })
        .collect()
}

/// What each of the names between double braces stands for is there.
fn references(template: &Value) {
    let text = template.to_string();
    let declared =
        template["Parameters"].as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let steps: Vec<&str> = tasks(template).iter().map(|task| task.0).collect();
    for reference in text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim()) {
        let known = match reference.split_once('.') {
            Some((task, output)) => {
                let task = template["Tasks"].as_array().unwrap().iter().find(|one| one["Name"] == task);
                task.is_some_and(|task| {
                    !task["Outputs"][output].is_null() || !task["Loop"]["Outputs"][output].is_null()
                })
            }
            None => reference.starts_with("ACS::") || declared.iter().any(|name| name == reference),
        };
        assert!(known, "nobody knows {reference}: {declared:?} {steps:?}");
    }
}

#[test]
fn a_fleet_is_scanned_with_what_the_scripts_run() {
    let template = yaml("cloud-assistant/fleet.oos.yml");
    assert_eq!(template["FormatVersion"], "OOS-2019-06-01");
    references(&template);
    let tasks = tasks(&template);
    let actions: Vec<&str> = tasks.iter().map(|task| task.1).collect();
    assert_eq!(actions, ["ACS::SelectTargets", "ACS::ECS::RunCommand"]);
    let content = tasks[1].2["commandContent"].as_str().unwrap();
    let scan = read("cloud-assistant/scan.sh");
    let line = scan.lines().find_map(|line| line.strip_prefix("exec ")).unwrap();
    assert!(content.lines().any(|one| one == line), "{content}");
    assert!(content.len() < 18 * 1024 * 3 / 4, "it goes over in Base64");
    assert!(tasks[1].2["timeout"].as_str().unwrap().parse::<u64>().unwrap() >= 60);
}

#[test]
fn components_of_an_image_build_go_in_order() {
    let build = yaml("image-builder/build.yml");
    references(&build);
    let names: Vec<&str> = tasks(&build).iter().map(|task| task.0).collect();
    assert_eq!(names, ["fetch", "install", "harden", "seal"], "the fix before the gate, and nothing after it");
    let actions: Vec<&str> = tasks(&build).iter().map(|task| task.1).collect();
    assert_eq!(actions, ["WebDownload", "RunShellCommand", "RunShellCommand", "RunShellCommand"]);
    let test = yaml("image-builder/test.yml");
    let names: Vec<(&str, &str)> = tasks(&test).iter().map(|task| (task.0, task.1)).collect();
    assert_eq!(names, [("test", "RunShellCommand")]);
    for (content, script) in tasks(&build)[2..]
        .iter()
        .chain(&tasks(&test))
        .map(|task| task.2["commandContent"].as_str().unwrap())
        .zip(["harden.sh", "seal.sh", "test.sh"])
    {
        assert_eq!(content.trim_end(), read(&format!("image-builder/{script}")).trim_end(), "{script}");
    }
    // The host keys go in the last step, after all that needs a new login; the gate is its end.
    let seal = read("image-builder/seal.sh");
    let (keys, gate) = (seal.find(" sshd.host-keys").unwrap(), seal.find("/usr/bin/hostward scan").unwrap());
    assert!(keys < gate && !read("image-builder/harden.sh").contains(" sshd.host-keys"));
    assert!(seal[gate..].trim_end().lines().count() == 1, "the gate's exit code is that of the step");
}

/// The blocks of this kind, in their order.
fn blocks<'a>(body: &'a Body, kind: &str) -> Vec<&'a Block> {
    body.blocks().filter(|block| block.identifier() == kind).collect()
}

fn attribute<'a>(block: &'a Block, key: &str) -> Option<&'a Expression> {
    block.body().attributes().find(|attribute| attribute.key() == key).map(hcl::Attribute::expr)
}

fn strings(list: &Expression) -> Vec<&str> {
    let Expression::Array(items) = list else { panic!("{list:?}") };
    items
        .iter()
        .map(|item| if let Expression::String(text) = item { text.as_str() } else { panic!("{item:?}") })
        .collect()
}

#[test]
fn packer_hardens_before_it_judges_and_the_builder_comes_in_until_then() {
    let body: Body = hcl::parse(&read("packer/hostward.pkr.hcl")).unwrap();
    assert_eq!(blocks(&body, "packer").len(), 1);
    let variables: Vec<&str> = blocks(&body, "variable").iter().map(|block| block.labels()[0].as_str()).collect();
    assert_eq!(variables, ["region", "source_image", "package"]);
    let source = blocks(&body, "source")[0];
    let labels: Vec<&str> = source.labels().iter().map(hcl::BlockLabel::as_str).collect();
    assert_eq!(labels, ["alicloud-ecs", "hardened"]);
    // The key of the build is taken out of the image by Packer itself, after the last step.
    assert_eq!(attribute(source, "ssh_clear_authorized_keys"), Some(&Expression::Bool(true)));
    let build = blocks(&body, "build")[0];
    assert_eq!(strings(attribute(build, "sources").unwrap()), ["source.alicloud-ecs.hardened"]);
    let provisioners = blocks(build.body(), "provisioner");
    let kinds: Vec<&str> = provisioners.iter().map(|block| block.labels()[0].as_str()).collect();
    assert_eq!(kinds, ["file", "shell", "shell"]);
    let installs = strings(attribute(provisioners[1], "inline").unwrap());
    assert!(installs[0].starts_with("dpkg -i "), "{installs:?}");
    let last = strings(attribute(provisioners[2], "scripts").unwrap());
    assert_eq!(last, ["../image-builder/harden.sh", "../image-builder/seal.sh"]);
    for script in last {
        assert!(project().join("packaging/packer").join(script).is_file(), "{script}");
    }
}

/// Image Builder takes no more than 16 KB of a component.
#[test]
fn components_of_an_image_build_fit() {
    for component in ["image-builder/build.yml", "image-builder/test.yml"] {
        assert!(read(component).len() < 16 * 1024, "{component}");
    }
}
