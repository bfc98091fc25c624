//! Any bytes as sshd_config and as a file it includes, for a version that the first byte picks.
#![no_main]

use std::path::Path;

use hostward_checks::snapshot::{Reader, Sketch};
use hostward_checks::sshd::{Build, CommandLine, Configuration, Subject};

const VERSIONS: [u16; 12] = [704, 706, 709, 802, 804, 807, 902, 906, 908, 1000, 1003, 1006];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let version = VERSIONS[usize::from(*first) % VERSIONS.len()];
    let (main, included) = bytes.split_at(bytes.len() / 2);
    let snapshot = Sketch::new().file("/etc/ssh/sshd_config", main).file("/etc/ssh/i", included).snapshot();
    let command_line = CommandLine::of_file(Path::new("/etc/ssh/sshd_config"));
    let configuration = Configuration::read(&Reader::new(&snapshot), Build::plain(version), command_line);
    let mut subject = Subject::test();
    subject.add("user=root,host=h,addr=10.1.2.3,laddr=::1,lport=22").unwrap();
    match configuration.dump(Some(&subject)) {
        Ok(effective) => assert!(effective.settings.len() > 50),
        Err(refusal) => assert!(!refusal.said.is_empty()),
    }
});
