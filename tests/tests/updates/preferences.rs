//! Preferences of every kind, against what apt makes of them.

use std::collections::BTreeSet;

use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use hostward_tests::{binary, results};

use crate::updates::apt::Apt;
use crate::updates::repository::{self, Packed};
use crate::{offline, own_apt, reason, told};

/// A file of preferences, and what of it hostward says not to read.
const TABLE: [(&str, &str, bool); 33] = [
    ("a name", "Package: bash\nPin: release a=SUITE-security\nPin-Priority: -1\n", false),
    ("another case", "Package: DASH\nPin: Release a=SUITE-security\nPin-Priority: -1\n", false),
    ("an architecture", "Package: libc6:amd64\nPin: release a=SUITE-security\nPin-Priority: -1\n", false),
    ("any architecture", "Package: libc6:any\nPin: release a=SUITE-security\nPin-Priority: -1\n", false),
    ("another architecture", "Package: libc6:i386\nPin: release a=SUITE-security\nPin-Priority: -1\n", false),
    ("patterns", "Package: lib[a-m]* ?ash *-base\nPin: release a=SUITE-security\nPin-Priority: -1\n", false),
    (
        "sources",
        "Package: src:systemd src:util-lin* src:bash\nPin: release a=SUITE-security\nPin-Priority: -1\n",
        false,
    ),
    ("a source's version", "Package: src:systemd\nPin: version *+own1\nPin-Priority: -1\n", false),
    ("a version", "Package: lib*\nPin: version *+own1\nPin-Priority: -1\n", false),
    ("a version's beginning", "Package: lib*\nPin: version 1*\nPin-Priority: 50\n", false),
    ("a version of all", "Package: *\nPin: version *+own1\nPin-Priority: -1\n", false),
    ("versions beside all", "Package: lib* *\nPin: version *+own1\nPin-Priority: -1\n", false),
    ("a host", "Package: *\nPin: origin security.test\nPin-Priority: -1\n", false),
    ("a host in quotes", "Package: lib*\nPin: origin \"security.test\"\nPin-Priority: 90\n", false),
    ("a host's pattern", "Package: *\nPin: origin *.test\nPin-Priority: -1\n", false),
    ("no host", "Package: *\nPin: origin \"\"\nPin-Priority: 990\n", false),
    ("a code name", "Package: *\nPin: release n=SUITE, l=Own-Security\nPin-Priority: -10\n", false),
    ("a suite alone", "Package: *\nPin: release SUITE-security\nPin-Priority: 90\n", false),
    ("a number alone", "Package: *\nPin: release 42\nPin-Priority: 90\n", false),
    ("a component", "Package: *\nPin: release c=main\nPin-Priority: 90\n", false),
    ("another component", "Package: *\nPin: release a=SUITE-security, c=universe\nPin-Priority: -1\n", false),
    ("an architecture's archive", "Package: *\nPin: release a=SUITE-security, b=amd64\nPin-Priority: -1\n", false),
    ("another architecture's archive", "Package: *\nPin: release a=SUITE-security, b=i386\nPin-Priority: -1\n", false),
    ("what is installed", "Package: *\nPin: release a=now\nPin-Priority: 995\n", false),
    ("an older version", "Package: lib*\nPin: release a=SUITE\nPin-Priority: 1001\n", false),
    (
        "never",
        "Package: *\nPin: release l=Own-Security\nPin-Priority: never\n\nPackage: bash dash\nPin: release l=Own-Security\nPin-Priority: 900\n",
        false,
    ),
    (
        "the first that names it",
        "Package: lib*\nPin: release l=Own\nPin-Priority: 500\n\nPackage: libc*\nPin: release l=Own-Security\nPin-Priority: -1\n\nPackage: libc6\nPin: release l=Own-Security\nPin-Priority: 600\n",
        false,
    ),
    (
        "all after some",
        "Package: *\nPin: release l=Own-Security\nPin-Priority: 90\n\nPackage: lib*\nPin: release l=Own-Security\nPin-Priority: 600\n\nPackage: *\nPin: release l=Own-Security\nPin-Priority: 900\n",
        false,
    ),
    (
        "remarks",
        "# Package: bash\n\nExplanation: x\nPackage: bash\n# and\nPin: release a=SUITE-security\nPin-Priority: -1\n\n# the end\n",
        false,
    ),
    ("names by an expression", "Package: /^lib[a-m]/\nPin: release a=SUITE-security\nPin-Priority: -1\n", true),
    (
        "sources by an expression",
        "Package: src:/systemd|bash/\nPin: release a=SUITE-security\nPin-Priority: -1\n",
        true,
    ),
    ("versions by an expression", "Package: lib*\nPin: version /own1$/\nPin-Priority: -1\n", true),
    ("an archive by an expression", "Package: *\nPin: release a=/security$/\nPin-Priority: -1\n", true),
];

#[test]
fn preferences_are_read_as_apt_reads_them() {
    let test = "updates, preferences";
    let suites = Tier::current().pick(vec![Suite::find("bookworm").unwrap()], Suite::all(test).unwrap());
    binary().unwrap();
    for suite in &suites {
        let (overlay, name) = (suite.overlay().unwrap(), suite.name());
        let apt = if Tier::current() == Tier::Long { own_apt(&overlay, suite, test) } else { Apt::of(&overlay) };
        repository::make(&overlay, name, &apt, Packed::Not).unwrap();
        repository::moved(&overlay, name).unwrap();
        let (mut kept, mut unclear, mut wrong, table) = (0, 0, Vec::new(), TABLE.len());
        for (what, text, expression) in TABLE {
            overlay.write("/etc/apt/preferences.d/test", text.replace("SUITE", name), 0o644).unwrap();
            let (said, scan) = (apt.says(&[]).unwrap().without_names_of_origin(), offline(&overlay));
            let told = told(&scan);
            let reason = reason(&scan);
            if !expression {
                if told != said || !reason.is_empty() {
                    let odd = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
                        one.symmetric_difference(other).cloned().collect::<Vec<_>>()
                    };
                    wrong.push(format!("{what}: {:?} {reason}", odd(&told.excluded, &said.excluded)));
                }
                kept += said.excluded.len();
                continue;
            }
            // What is pending is known. Of what apt keeps back and hostward does not, it says that this is not clear.
            let all = |of: &crate::Said| of.pending.union(&of.excluded).cloned().collect::<BTreeSet<_>>();
            assert_eq!(all(&told), all(&said), "{suite}, {what}");
            assert!(reason.contains("regular expression"), "{suite}, {what}: {reason}");
            for package in said.excluded.difference(&told.excluded) {
                let source = repository::source(&overlay, package).unwrap();
                assert!(reason.contains(&format!("package:{source}")), "{suite}, {what}, {package}: {reason}");
                unclear += 1;
            }
        }
        let figures = format!(
            "{}: {table} files, {kept} updates kept back as apt does, {unclear} told not to be clear",
            apt.version().unwrap()
        );
        assert!(kept > 100 && unclear > 10, "{figures}");
        results::tested(test, name, figures);
    }
}
