//! The order, the words and the promise of no repetition.

use std::collections::HashSet;

use super::*;

fn all(user: &str, gecos: &str, host: &[&str]) -> Vec<String> {
    Generator::new(host.iter().map(|name| name.as_bytes()), 2026)
        .account(user.as_bytes(), gecos.as_bytes())
        .map(|c| String::from_utf8_lossy(c.as_bytes()).into_owned())
        .collect()
}

#[track_caller]
fn rank(all: &[String], word: &str) -> usize {
    all.iter().position(|candidate| candidate == word).unwrap_or_else(|| panic!("{word} is not tried"))
}

#[test]
fn the_habits_are_covered_and_the_likely_comes_first() {
    let all = all("zhang_san", "Li Si,Room 12,138", &["web-01.shop.example", "acme"]);
    let mut late = Vec::new();
    for (word, within) in [
        ("123456", 20),
        ("Admin@123", 20),
        ("zhang_san", 60),
        ("zhang_san123", 200),
        ("Zhang_san@123", 800),
        ("zhangsan", 2_000),
        ("zhang_san@2026", 2_000),
        ("P@ssw0rd", 200),
        ("1qaz@WSX", 200),
        ("5201314", 500),
        ("woaini1314", 500),
        ("root@123", 500),
        ("admin@123", 500),
        ("Aliyun@123", 500),
        ("acme@123", 1_000),
        ("Acme@2026", 6_000),
        ("lisi123", 3_000),
        ("shop@123", 5_000),
        ("Test@123", 500),
        ("Huawei@123", 500),
        ("Oracle123", 1_500),
        ("1314520", 500),
        ("qwe123!@#", 500),
        ("wang123456", 1_500),
        ("123qwe!@#", 500),
        ("19900101", 200_000),
        ("13800138000", 20_000),
        ("Mysql@2024", 60_000),
        ("p@ssw0rd123", 20_000),
    ] {
        let rank = rank(&all, word);
        if rank >= within {
            late.push(format!("{word} comes {rank}th"));
        }
    }
    assert!(late.is_empty(), "of {}: {late:?}", all.len());
}

#[test]
fn none_comes_twice_among_the_first_and_all_runs_are_equal() {
    let once = all("root", "root", &["iZbp1abcdefghijklZ"]);
    let first: HashSet<&String> = once.iter().take(DISTINCT).collect();
    assert_eq!(first.len(), DISTINCT);
    assert_eq!(once, all("root", "root", &["iZbp1abcdefghijklZ"]));
    let distinct: HashSet<&String> = once.iter().collect();
    assert!(distinct.len() * 100 > once.len() * 85, "{} of {}", distinct.len(), once.len());
    let at_most = Generator::new([b"iZbp1abcdefghijklZ".as_slice()], 2026).account(b"root", b"root").at_most();
    assert!((once.len() as u64..once.len() as u64 * 2).contains(&at_most), "{at_most}, {}", once.len());
    assert!((50_000..400_000).contains(&once.len()), "{}", once.len());
}

#[test]
fn foreign_and_empty_names_do_no_harm() {
    let generator = Generator::new([b"".as_slice(), b"\xff\xfe", "主机".as_bytes()], 2026);
    for (user, gecos) in
        [(b"".as_slice(), b"".as_slice()), (b"\xff\x00\n", b",,,,"), ("张三".as_bytes(), "张 三,".as_bytes())]
    {
        assert!(generator.account(user, gecos).take(3000).all(|c| !c.as_bytes().is_empty()));
    }
    assert!(generator.account("张三".as_bytes(), b"").take(500).any(|c| c.as_bytes() == "张三123".as_bytes()));
}

#[test]
fn a_candidate_is_not_printed() {
    assert_eq!(format!("{:?}", Candidate(b"secret".to_vec())), "Candidate(…)");
}
