//! iptables rules, from what `iptables-save` and `ip6tables-save` write.

use super::Defect;
use super::ruleset::{Base, Family, Hook, Ruleset};
use crate::check::bytes_text;

mod rule;

/// Adds the tables of one family. A line that is not understood is a defect; a match that is not modelled holds perhaps.
pub fn read(bytes: &[u8], family: Family, rules: &mut Ruleset) -> Vec<Defect> {
    let (mut table, mut defects) = (String::new(), Vec::new());
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = bytes_text(line.trim_ascii());
        let mut words = split(&line).into_iter();
        let Some(first) = words.next() else { continue };
        match first.split_at_checked(1) {
            Some(("*", name)) => name.clone_into(&mut table),
            Some((":", chain)) => {
                let order = rules.chains.len();
                let entry = rules.chains.entry((family, table.clone(), chain.to_owned())).or_default();
                let policy = words.next();
                // `-` stands where a policy would: nobody hooks such a chain in.
                let built_in = policy.as_deref().is_some_and(|policy| policy != "-");
                entry.base = built_in.then(|| base(&table, chain)).flatten();
                entry.order = order;
                entry.drops = policy.as_deref() == Some("DROP");
            }
            Some(("#", _)) => {}
            _ if first == "COMMIT" => {}
            _ if first == "-A" || first.starts_with('[') => {
                let mut words = words.skip_while(|word| first.starts_with('[') && word != "-A");
                if first.starts_with('[') {
                    words.next();
                }
                let Some(chain) = words.next() else { continue };
                let rule = rule::read(&words.collect::<Vec<_>>(), family, u64::from(number));
                rules.chains.entry((family, table.clone(), chain)).or_default().rules.push(rule);
            }
            _ => defects.push(Defect { line: number, what: "not a line of iptables-save".to_owned() }),
        }
    }
    defects
}

/// Where a built-in chain hangs (`NF_IP_PRI_…`).
fn base(table: &str, chain: &str) -> Option<Base> {
    let hook = match chain {
        "PREROUTING" => Hook::Prerouting,
        "INPUT" => Hook::Input,
        "FORWARD" => Hook::Forward,
        "OUTPUT" => Hook::Output,
        "POSTROUTING" => Hook::Postrouting,
        _ => return None,
    };
    let priority = match table {
        "raw" => -300,
        "mangle" => -150,
        "security" => 50,
        _ => 0,
    };
    Some(Base { nat: table == "nat", ..Base::filter(hook, priority) })
}

/// Words, `"` quoting with backslashes as iptables-save writes comments.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' if quoted => word.extend(chars.next()),
            c if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests;
