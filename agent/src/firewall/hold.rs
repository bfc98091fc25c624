//! Holding the table: what the unit runs. It loads what the file says, sleeps in the kernel until somebody changes the table,
//! and puts it back; it stops where nothing is to be held, and does not fight for ever.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hostward_checks::plan::table::rules::NAME;
use hostward_checks::plan::table::{Limits, Table};

use super::monitor::Monitor;
use super::nft;
use crate::notify::notify;
use crate::warning::warn;

/// The table is put back this often in [`WINDOW`]; then whoever takes it away has the last word until the window is over.
const FIGHTS: usize = 10;
/// See [`FIGHTS`].
const WINDOW: Duration = Duration::from_secs(120);
/// How long after a failure it is tried again, the first time and at most.
const FIRST: Duration = Duration::from_secs(2);
const LAST: Duration = Duration::from_secs(600);

/// Holds the table that the file asks for, until there is nothing to hold.
///
/// # Errors
/// The file cannot be read or understood, the table cannot be loaded at the start, or the kernel tells no news.
pub fn hold(state: &Path) -> anyhow::Result<()> {
    // Before the table is loaded: what happens from now on is heard.
    let mut monitor = Monitor::of(NAME).context("failed to listen for changes of firewall rules")?;
    let Some(mut wanted) = wanted(state)? else {
        notify("READY=1\nSTATUS=nothing is limited");
        return Ok(());
    };
    let mut held = load(&wanted)?;
    notify("READY=1\nSTATUS=the table is in place");
    let mut fights = Fights::default();
    let (mut retry, mut delay) = (None, FIRST);
    loop {
        let woken = monitor.wait(retry).context("failed to hear of changes of firewall rules")?;
        if !woken && retry.is_none() {
            continue;
        }
        wanted = match self::wanted(state) {
            Ok(Some(wanted)) => wanted,
            // Rolled back: the table went with the file, or goes now.
            Ok(None) => return Ok(()),
            // A file that is being written, or that somebody broke: what was right stays right.
            Err(error) => {
                warn(&format!("{error:#}"));
                wanted
            }
        };
        match mend(&wanted, &mut held, &mut fights) {
            Ok(None) => (retry, delay) = (None, FIRST),
            // Whoever fights is not listened to meanwhile.
            Ok(Some(rest)) => {
                std::thread::sleep(rest);
                retry = Some(Duration::ZERO);
            }
            Err(error) => {
                warn(&format!("{error:#}"));
                retry = Some(delay);
                delay = (delay * 2).min(LAST);
            }
        }
    }
}

/// What is held: the text that was loaded, and how nft showed it.
struct Held {
    text: String,
    listing: String,
}

/// Puts the table back where it is not as it was. How long to rest before the next look, where the fight has been too hard.
fn mend(wanted: &str, held: &mut Held, fights: &mut Fights) -> anyhow::Result<Option<Duration>> {
    if held.text == wanted && nft::listing(NAME)?.as_ref() == Some(&held.listing) {
        return Ok(None);
    }
    if held.text == wanted {
        if let Some(rest) = fights.too_many(Instant::now()) {
            warn(&format!("the firewall table is taken away again and again: put back in {} s", rest.as_secs()));
            notify("STATUS=contended: somebody takes the table away");
            return Ok(Some(rest));
        }
        warn("the firewall table was changed or taken away: put back");
    }
    *held = load(wanted)?;
    notify("STATUS=the table is in place");
    Ok(None)
}

fn load(text: &str) -> anyhow::Result<Held> {
    nft::load(text)?;
    let Some(listing) = nft::listing(NAME)? else { bail!("the firewall table was loaded, and is not there") };
    Ok(Held { text: text.to_owned(), listing })
}

/// The table that the file asks for; None: none.
fn wanted(state: &Path) -> anyhow::Result<Option<String>> {
    let bytes = match std::fs::read(state) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("failed to read {}", state.display())),
    };
    let (limits, defects) = Limits::read(&bytes);
    if let Some(defect) = defects.first() {
        bail!("{}, line {}: {}", state.display(), defect.line, defect.what);
    }
    Ok(Table::of(&limits).map(|table| table.text()))
}

/// When the table was put back lately.
#[derive(Default)]
struct Fights(VecDeque<Instant>);

impl Fights {
    /// Counts one more; where there were too many, says how long to wait instead.
    fn too_many(&mut self, now: Instant) -> Option<Duration> {
        while self.0.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            self.0.pop_front();
        }
        if self.0.len() < FIGHTS {
            self.0.push_back(now);
            return None;
        }
        let first = self.0.front()?;
        Some((*first + WINDOW).saturating_duration_since(now).max(Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fight_ends_and_may_begin_again() {
        let (mut fights, start) = (Fights::default(), Instant::now());
        for second in 0..10 {
            assert_eq!(fights.too_many(start + Duration::from_secs(second)), None);
        }
        assert_eq!(fights.too_many(start + Duration::from_secs(20)), Some(Duration::from_secs(100)));
        assert_eq!(fights.too_many(start + Duration::from_secs(120)), None);
        assert!(fights.too_many(start + Duration::from_millis(120_500)).is_some());
    }

    #[test]
    fn the_file_says_what_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("firewall.conf");
        assert_eq!(wanted(&state).unwrap(), None);
        std::fs::write(&state, "# nothing\n").unwrap();
        assert_eq!(wanted(&state).unwrap(), None);
        std::fs::write(&state, "tcp 6379 10.0.0.0/8\n").unwrap();
        assert!(wanted(&state).unwrap().unwrap().contains("tcp dport 6379"));
        std::fs::write(&state, "tcp 6379 10.0.0.0/8\nudp\n").unwrap();
        assert!(wanted(&state).unwrap_err().to_string().ends_with("line 2: not a port"));
    }
}
