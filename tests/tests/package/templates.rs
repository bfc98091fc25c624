//! Templates that are pasted into other people's consoles.

use crate::made::project;

/// Every template and component is YAML.
#[test]
fn templates_are_yaml() {
    for name in ["cloud-assistant/fleet.oos.yml", "image-builder/build.yml", "image-builder/test.yml"] {
        let text = std::fs::read_to_string(project().join("packaging").join(name)).unwrap();
        let events =
            saphyr_parser::Parser::new_from_str(&text).map(|event| event.map_err(|error| panic!("{name}: {error}")));
        assert!(events.count() > 10, "{name}");
    }
}

/// What is pasted into other people's consoles is what was tested, and fits there.
#[test]
fn components_of_an_image_build_hold_the_scripts_that_are_tested() {
    let read = |name: &str| std::fs::read_to_string(project().join("packaging/image-builder").join(name)).unwrap();
    let indented = |name: &str| read(name).lines().map(|line| format!("        {line}\n")).collect::<String>();
    for (component, scripts) in [("build.yml", &["harden.sh", "seal.sh"][..]), ("test.yml", &["test.sh"])] {
        let text = read(component);
        assert!(text.len() < 16 * 1024, "{component}: {} bytes", text.len());
        for script in scripts {
            let trim = |text: &str| text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
            assert!(trim(&text).contains(&trim(&indented(script))), "{component} lacks {script}");
        }
    }
}
