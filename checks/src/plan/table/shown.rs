//! The table as an nft without JSON (before 0.9) shows it: taken for ours only where every line is as we wrote it.

use super::limits::{Limits, net, protocol};
use super::rules::{NAME, Table};

/// The table that counts who asks the metadata service; everybody passes it.
const COUNTS: &str = "table inet hostward_observe {";

/// The limits that a rule set of `nft -nnn list ruleset` stands for: none where it is empty. None: there are other tables, or ours
/// is not as we wrote it.
pub fn read(listing: &str) -> Option<Limits> {
    let (mut ours, mut counting, mut limits) = (Vec::new(), false, Limits::default());
    for line in listing.lines().filter(|line| !line.trim().is_empty()) {
        match line {
            _ if counting => counting = line != "}",
            COUNTS => counting = true,
            _ => ours.push(plain(line)),
        }
    }
    let mut port = None;
    for line in &ours {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["chain", name, "{"] => {
                port = name.split_once('_').and_then(|(of, port)| Some((protocol(of)?, port.parse().ok()?)));
                if let Some(port) = port {
                    limits.ports.insert(port, Default::default());
                }
            }
            ["ip" | "ip6", "saddr", source, "accept"] => {
                if let Some(sources) = port.and_then(|port| limits.ports.get_mut(&port)) {
                    sources.insert(net(source)?);
                }
            }
            ["ip", "daddr", _, "skuid", "!=", "{", users @ .., "}", _, "reject"] => {
                let users = users.iter().map(|uid| uid.trim_end_matches(',').parse());
                limits.metadata = Some(users.collect::<Result<_, _>>().ok()?);
            }
            _ => {}
        }
    }
    let Some(table) = Table::of(&limits) else { return ours.is_empty().then_some(limits) };
    let text = table.text();
    let written = text.lines().skip_while(|line| *line != format!("table inet {NAME} {{")).map(plain);
    (written.collect::<Vec<_>>() == ours).then_some(limits)
}

/// A line without what differs between what is written and what is shown.
fn plain(line: &str) -> String {
    let mut words = line.split_ascii_whitespace().peekable();
    let mut out: Vec<&str> = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "packets" | "bytes" if words.peek().is_some_and(|next| next.bytes().all(|byte| byte.is_ascii_digit())) => {
                words.next();
            }
            "meta" if words.peek() == Some(&"skuid") => {}
            _ => out.push(word.strip_suffix("/32").or_else(|| word.strip_suffix("/128")).unwrap_or(word)),
        }
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &[u8] = b"tcp 6379 10.0.0.0/8 192.0.2.7 fd00::1\nudp 161\nmetadata 0 33\n";

    fn listing() -> String {
        let text = Table::of(&Limits::read(LIMITS).0).unwrap().text();
        let lines = text.lines().skip(2).map(|line| {
            let line = line.replace("meta skuid", "skuid").replace("counter ", "counter packets 12 bytes 99 ");
            line.replace("192.0.2.7/32", "192.0.2.7").replace("fd00::1/128", "fd00::1")
        });
        lines.collect::<Vec<_>>().join("\n\n")
    }

    #[test]
    fn only_what_we_wrote_is_taken_for_ours() {
        let listing = listing();
        assert_eq!(read(&listing), Some(Limits::read(LIMITS).0));
        assert_eq!(read(""), Some(Limits::default()));
        let counts = "table inet hostward_observe {\n\tset users {\n\t}\n}\n";
        assert_eq!(read(counts), Some(Limits::default()));
        assert_eq!(read(&format!("{counts}{listing}")), Some(Limits::read(LIMITS).0));
        assert_eq!(read("table ip filter {\n}\n"), None);
        assert_eq!(read(&format!("{listing}\ntable ip filter {{\n}}\n")), None);
        // Without any one of its lines it is not ours.
        let lines: Vec<&str> = listing.lines().filter(|line| !line.is_empty()).collect();
        for gone in 0..lines.len() {
            let kept: Vec<&str> =
                lines.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, line)| *line).collect();
            let seen = read(&kept.join("\n"));
            // A source less is another limit.
            assert_ne!(seen, Some(Limits::read(LIMITS).0), "{}", lines[gone]);
            assert!(seen.is_none() || lines[gone].contains("saddr"), "{}", lines[gone]);
        }
        assert_eq!(read(&listing.replace("priority -110", "priority -99")), None);
    }
}
