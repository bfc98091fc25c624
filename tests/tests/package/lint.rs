//! What the distributions' own tools have against the packages: nothing that is not explained beside the package.

use std::process::Command;

use hostward_tests::place::text;
use hostward_tests::results;

use crate::TEST;
use crate::made::{packages, project};

/// A build for tests may still have its symbols; the shipped one has none.
fn has_symbols() -> bool {
    let program = std::fs::read(hostward_tests::binary().unwrap()).unwrap();
    program.windows(8).any(|window| window == b".symtab\0")
}

/// lintian and rpmlint: any error and any warning counts.
#[test]
fn the_tools_of_the_distributions_find_nothing() {
    let packages = packages();
    let allowed = |line: &str| has_symbols() && line.contains("unstripped-binary-or-object");
    let lintian = Command::new("lintian")
        .args(["--allow-root", "--tag-display-limit", "0", "--show-overrides"])
        .arg(packages.path("64.deb"))
        .output()
        .expect("lintian: run tests/setup.sh");
    let said = text(&lintian.stdout);
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("E: ") || line.starts_with("W: "))
        .filter(|line| !allowed(line))
        .collect();
    assert_eq!(complaints, Vec::<&str>::new(), "{}", text(&lintian.stderr));
    let overridden = said.lines().filter(|line| line.starts_with("O: ")).count();
    assert!(overridden > 0, "lintian reads our overrides: {said}");

    let rpmlint = Command::new("rpmlint")
        .arg("-c")
        .arg(project().join("packaging/rpm/rpmlint.toml"))
        .arg(packages.path(".rpm"))
        .output()
        .expect("rpmlint: run tests/setup.sh");
    let said = text(&rpmlint.stdout);
    assert!(said.contains("1 packages and 0 specfiles checked"), "{said}{}", text(&rpmlint.stderr));
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| line.contains(": E: ") || line.contains(": W: "))
        .filter(|line| !allowed(line))
        .collect();
    assert_eq!(complaints, Vec::<&str>::new());
    results::tested(TEST, "lint", format!("lintian: nothing but {overridden} overrides; rpmlint: nothing"));
}
