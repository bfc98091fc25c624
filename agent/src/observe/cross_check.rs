//! Asking the real sshd for what the resolver says: `sshd -T -C …`, by its absolute path, in bounded time.

use std::time::{Duration, Instant};

use hostward_checks::access::{Access, SourceClass};
use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::sshd::CrossCheck;

use super::command;

/// What one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What all answers may take together.
const TOTAL: Duration = Duration::from_secs(30);
/// The most bytes of one answer.
const MOST: usize = 1 << 20;

/// Asks for as many connections of the matrix as `most` says, root from a public address first. An sshd that cannot be asked
/// (no rights, no `/run/sshd`) leaves an answer that is unknown.
pub fn cross_checks(access: &Access, most: usize) -> Vec<CrossCheck> {
    let mut asked: Vec<(bool, bool, CrossCheck)> = Vec::new();
    for daemon in &access.daemons {
        // A name with a comma cannot be written into -C.
        for account in daemon.accounts.iter().filter(|account| !account.user.contains(',')) {
            for source in &account.sources {
                let check = CrossCheck {
                    command: words(&source.reproduce),
                    config: daemon.config.clone(),
                    user: account.user.clone(),
                    address: source.example.to_string(),
                    answer: Fact::Unknown(Why::NotAsked("out of time")),
                };
                asked.push((account.uid != 0, source.class != SourceClass::Public, check));
            }
        }
    }
    asked.sort_by_key(|(other, near, _)| (*other, *near));
    let until = Instant::now() + TOTAL;
    asked
        .into_iter()
        .take(most)
        .map(|(_, _, mut check)| {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                check.answer = ask(&check.command, left.min(PATIENCE));
            }
            check
        })
        .collect()
}

fn ask(words: &[String], time: Duration) -> Fact<Vec<String>> {
    let Some((program, arguments)) = words.split_first() else { return Fact::Absent };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match command::ask(&[program], &arguments, time, MOST) {
        Fact::Known(output) if output.success => {
            let text = hostward_checks::check::bytes_text(&output.bytes);
            Fact::Known(text.lines().map(str::to_owned).collect())
        }
        Fact::Known(_) => Fact::Unknown(Why::NotAsked("sshd could not be asked")),
        Fact::Absent => Fact::Absent,
        Fact::Unknown(why) => Fact::Unknown(why),
    }
}

/// The words of a command as the matrix writes it: blanks part them, single quotes hold them together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut open) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => (quoted, open) = (!quoted, true),
            '\\' if !quoted => word.extend(chars.next()),
            ' ' if !quoted => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            c => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_come_back() {
        assert_eq!(
            words("/usr/sbin/sshd -T -o 'A=b c' -C user=x"),
            ["/usr/sbin/sshd", "-T", "-o", "A=b c", "-C", "user=x"]
        );
        assert_eq!(words(r"a 'it'\''s' ''"), ["a", "it's", ""]);
    }

    #[test]
    fn a_program_that_refuses_is_unknown_and_one_that_answers_is_known() {
        let ask = |line: &str| ask(&words(line), PATIENCE);
        assert_eq!(
            ask("/bin/sh -c 'echo port 22; echo usepam yes'"),
            Fact::Known(vec!["port 22".into(), "usepam yes".into()])
        );
        assert!(matches!(ask("/bin/sh -c 'exit 255'"), Fact::Unknown(_)));
        assert_eq!(ask("/nonexistent/sshd -T"), Fact::Absent);
    }
}
