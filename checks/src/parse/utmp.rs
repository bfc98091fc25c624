//! Binary login records: `wtmp` and `btmp` (`utmp(5)`), and `lastlog(8)`, in the layouts of x86-64 and aarch64.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Defect;
use crate::check::bytes_text;
use crate::observation::UnixSeconds;

/// A login that a record tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The account's name; empty in lastlog, which knows numbers only.
    pub user: String,
    /// The account's number, in lastlog.
    pub uid: Option<u32>,
    /// The process that served the login; 0 in lastlog.
    pub pid: i32,
    /// The terminal.
    pub line: String,
    /// From where, where the record holds an address.
    pub source: Option<IpAddr>,
    /// When.
    pub at: UnixSeconds,
}

/// `ut_type` of a login.
const USER_PROCESS: i16 = 7;
/// `ut_type` of a login that sshd refused.
const LOGIN_PROCESS: i16 = 6;

/// Where fields stand: the times have 32 bits on x86-64 (`__WORDSIZE_TIME64_COMPAT32`) and 64 on aarch64.
#[derive(Clone, Copy)]
struct Layout {
    size: usize,
    time: usize,
    wide: bool,
    address: usize,
}

const WTMP: [Layout; 2] = [
    Layout { size: 384, time: 340, wide: false, address: 348 },
    Layout { size: 400, time: 344, wide: true, address: 360 },
];

/// The logins of a wtmp file, in its order. Records that are not logins are left out; a type that does not exist, or a
/// record cut short, is a defect with the record's number in place of the line.
pub fn wtmp(bytes: &[u8]) -> (Vec<Record>, Vec<Defect>) {
    read(bytes, &[USER_PROCESS])
}

/// The records of a btmp file that count as one refused login each, where `is_known` says whose name is an account's.
///
/// sshd writes one record when it is given a name that nobody has (`getpwnamallow` in auth.c), and one for each wrong password.
pub fn attempts(mut records: Vec<Record>, is_known: impl Fn(&str) -> bool) -> Vec<Record> {
    let mut of_connection: BTreeMap<(i32, Option<IpAddr>, String), u32> = BTreeMap::new();
    records.retain(|record| {
        if record.pid == 0 || is_known(&record.user) {
            return true;
        }
        let count = of_connection.entry((record.pid, record.source, record.user.clone())).or_default();
        *count += 1;
        // The record of the name stands for the first password.
        *count != 2
    });
    records
}

/// The refused logins of a btmp file, in its order. Whoever mistypes has a password for a name there: it is nothing to tell.
pub fn btmp(bytes: &[u8]) -> (Vec<Record>, Vec<Defect>) {
    read(bytes, &[LOGIN_PROCESS, USER_PROCESS])
}

fn read(bytes: &[u8], kinds: &[i16]) -> (Vec<Record>, Vec<Defect>) {
    // With the wrong stride most types are read from text or padding.
    let sound = |layout: &Layout| {
        let kinds = bytes.chunks(layout.size).filter_map(kind).filter(|kind| *kind != 0);
        kinds.map(|kind| if (1..=9).contains(&kind) { 1_i64 } else { -1 }).sum::<i64>()
    };
    let Some(layout) = WTMP.into_iter().max_by_key(|layout| (sound(layout), usize::MAX - layout.size)) else {
        return Default::default();
    };
    let (mut records, mut defects) = (Vec::new(), Vec::new());
    for (number, chunk) in (1..).zip(bytes.chunks(layout.size)) {
        match (kind(chunk), wtmp_record(chunk, layout)) {
            (Some(kind), Some(record)) if kinds.contains(&kind) => records.push(record),
            (Some(0..=9), Some(_)) => {}
            _ => defects.push(Defect { line: number, what: "not a login record".to_owned() }),
        }
    }
    (records, defects)
}

fn kind(chunk: &[u8]) -> Option<i16> {
    Some(i16::from_ne_bytes(chunk.get(..2)?.try_into().ok()?))
}

fn wtmp_record(chunk: &[u8], layout: Layout) -> Option<Record> {
    if chunk.len() != layout.size {
        return None;
    }
    let host = text(chunk.get(76..332)?);
    Some(Record {
        user: text(chunk.get(44..76)?),
        uid: None,
        pid: i32::from_ne_bytes(chunk.get(4..8)?.try_into().ok()?),
        line: text(chunk.get(8..40)?),
        source: address(chunk.get(layout.address..layout.address + 16)?).or_else(|| host.parse().ok()),
        at: time(chunk.get(layout.time..)?, layout.wide)?,
    })
}

/// The last logins of all accounts. `wide` says whether the times have 64 bits: the file does not tell.
pub fn lastlog(bytes: &[u8], wide: bool) -> Vec<Record> {
    let width = if wide { 8 } else { 4 };
    let record = |(uid, chunk): (u32, &[u8])| {
        let at = time(chunk, wide).filter(|at| *at > 0)?;
        let source = text(chunk.get(width + 32..)?).parse().ok();
        Some(Record {
            user: String::new(),
            uid: Some(uid),
            pid: 0,
            line: text(chunk.get(width..width + 32)?),
            source,
            at,
        })
    };
    (0..).zip(bytes.chunks_exact(width + 288)).filter_map(record).collect()
}

fn time(bytes: &[u8], wide: bool) -> Option<UnixSeconds> {
    if wide {
        Some(i64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?))
    } else {
        // Unsigned: good until 2106.
        Some(i64::from(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?)))
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    let (first, rest) = bytes.split_first_chunk::<4>()?;
    match (*first, rest.iter().all(|byte| *byte == 0)) {
        ([0, 0, 0, 0], true) => None,
        (first, true) => Some(IpAddr::V4(Ipv4Addr::from(first))),
        (_, false) => Some(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()),
    }
}

fn text(bytes: &[u8]) -> String {
    bytes_text(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(layout: Layout, kind: i16, user: &str, host: &str, at: i64, address: &[u8]) -> Vec<u8> {
        let mut out = vec![0; layout.size];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &kind.to_ne_bytes());
        put(8, b"pts/0");
        put(44, user.as_bytes());
        put(76, host.as_bytes());
        if layout.wide {
            put(layout.time, &at.to_ne_bytes());
        } else {
            put(layout.time, &u32::try_from(at).unwrap().to_ne_bytes());
        }
        put(layout.address, address);
        out
    }

    #[test]
    fn both_layouts_are_told_apart() {
        for layout in WTMP {
            let mut file = Vec::new();
            file.extend(record(layout, 2, "reboot", "6.1.0", 5, &[]));
            file.extend(record(layout, 7, "root", "host.example", 1_700_000_000, &[192, 0, 2, 1]));
            file.extend(record(layout, 8, "", "", 1_700_000_100, &[]));
            file.extend(record(layout, 7, "bob", "2001:db8::7", 1_700_000_200, &[]));
            let (records, defects) = wtmp(&file);
            assert_eq!(defects, []);
            let seen: Vec<_> =
                records.iter().map(|r| (r.user.as_str(), r.source.map(|s| s.to_string()), r.at)).collect();
            assert_eq!(
                seen,
                [
                    ("root", Some("192.0.2.1".to_owned()), 1_700_000_000),
                    ("bob", Some("2001:db8::7".to_owned()), 1_700_000_200)
                ]
            );
            file.truncate(layout.size * 3 + 7);
            let (records, defects) = wtmp(&file);
            assert_eq!((records.len(), defects.len(), defects[0].line), (1, 1, 4));
            let file = [6, 7, 2].map(|kind| record(layout, kind, "hunter2", "192.0.2.4", 5, &[]));
            let (records, defects) = btmp(&file.concat());
            assert_eq!((records.len(), defects), (2, vec![]));
            assert!(records.iter().all(|one| one.source == "192.0.2.4".parse().ok()));
        }
        assert_eq!(wtmp(&[]), (vec![], vec![]));
    }

    #[test]
    fn an_attempt_on_a_name_that_nobody_has_is_one() {
        let record = |pid: i32, user: &str| {
            let mut bytes = record(WTMP[0], 6, user, "192.0.2.4", 5, &[192, 0, 2, 4]);
            bytes[4..8].copy_from_slice(&pid.to_ne_bytes());
            bytes
        };
        for (records, want) in [
            (&[(7, "ann"), (7, "ann"), (7, "ann")][..], 3),
            (&[(7, "x"), (7, "x"), (7, "x")], 2),
            (&[(7, "x"), (8, "x"), (8, "x"), (9, "x"), (9, "y")], 4),
            (&[(7, "x"), (8, "x"), (7, "x"), (8, "x"), (7, "ann"), (8, "x")], 4),
            (&[(0, "x"), (0, "x")], 2),
        ] {
            let bytes: Vec<u8> = records.iter().flat_map(|(pid, user)| record(*pid, user)).collect();
            let (all, defects) = btmp(&bytes);
            assert_eq!((all.len(), defects), (records.len(), vec![]));
            assert_eq!(attempts(all, |user| user == "ann").len(), want, "{records:?}");
        }
    }

    #[test]
    fn lastlog_counts_by_user_number() {
        let mut file = vec![0; 292 * 3];
        file[292 * 2..292 * 2 + 4].copy_from_slice(&1_700_000_000_u32.to_ne_bytes());
        file[292 * 2 + 36..292 * 2 + 45].copy_from_slice(b"192.0.2.9");
        let found = lastlog(&file, false);
        assert_eq!((found.len(), found[0].uid, found[0].source), (1, Some(2), Some("192.0.2.9".parse().unwrap())));
    }
}
