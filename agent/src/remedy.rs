//! What a resident may fix by itself, and when: what the policy names, in its window, with no hold, and not again and again.
//!
//! The resident cannot change the host: it asks systemd for the applier, a unit of its own ([`crate::command::remedy`]), which reads
//! the policy itself and decides by the same rules. So a resident that was talked into something can ask for nothing that the
//! policy does not allow anyway. What was tried stands in the [`ledger`], which the applier alone writes.

use std::path::{Path, PathBuf};

use hostward_checks::policy::{Remediate, Window};
use hostward_checks::snapshot::{Need, Want};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub mod hold;
pub mod ledger;
pub mod limit;
pub mod since;
pub mod writers;

/// What is fixed rests on the hold file: that it comes or goes is heard.
pub fn places() -> Need {
    [(PathBuf::from(hold::PATH), vec![Want::Content])].into()
}

/// What the policy lets a resident fix, as a look tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The checks.
    pub checks: Vec<String>,
    /// When.
    pub windows: Vec<String>,
    /// Why nothing is fixed now: what stands in the hold file. None: there is none.
    pub hold: Option<String>,
}

impl Named {
    /// What holds now.
    pub fn of(remediate: &Remediate) -> Self {
        Self {
            checks: remediate.checks.clone(),
            windows: remediate.windows.iter().map(ToString::to_string).collect(),
            hold: hold::reason(Path::new(hold::PATH)),
        }
    }

    /// [`Self::windows`], understood.
    fn understood(&self) -> Vec<Window> {
        self.windows.iter().filter_map(|text| text.parse().ok()).collect()
    }

    /// Whether it is the time.
    pub fn is_open(&self) -> bool {
        self.windows.is_empty()
            || is_open(&self.understood(), jiff::Timestamp::now(), &crate::observe::zone(Path::new("/")))
    }
}

/// The unit that fixes one check.
pub fn unit(check: &str) -> String {
    format!("hostward-fix@{check}.service")
}

/// Why nothing may be fixed now, in words; None: it may be.
pub fn forbidden(remediate: &Remediate, now: jiff::Timestamp) -> Option<String> {
    if let Some(reason) = hold::reason(Path::new(hold::PATH)) {
        return Some(format!(
            "{} stands{}",
            hold::PATH,
            if reason.is_empty() { reason } else { format!(": {reason}") }
        ));
    }
    if is_open(&remediate.windows, now, &crate::observe::zone(Path::new("/"))) {
        return None;
    }
    let windows: Vec<String> = remediate.windows.iter().map(ToString::to_string).collect();
    Some(format!("it is outside of the maintenance window ({})", windows.join("; ")))
}

/// Whether one of the windows is open, or there is none.
pub fn is_open(windows: &[Window], now: jiff::Timestamp, zone: &TimeZone) -> bool {
    let clock = now.to_zoned(zone.clone());
    let day = u8::try_from(clock.weekday().to_monday_zero_offset()).unwrap_or(0);
    let minute = u16::try_from(i16::from(clock.hour()) * 60 + i16::from(clock.minute())).unwrap_or(0);
    windows.is_empty() || windows.iter().any(|window| window.covers(day, minute))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_follows_the_hosts_clock_through_its_changes() {
        // New York: put forward 2026-03-08 02:00 to 03:00 (07:00 UTC), put back 2026-11-01 02:00 to 01:00 (06:00 UTC). A POSIX
        // rule at the end of a TZif file is all that this takes.
        let zone = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
        let shanghai = TimeZone::posix("CST-8").unwrap();
        for (window, zone, now, want) in [
            ("02:30-03:30", &zone, "2026-03-08T06:59:00Z", false),
            ("02:30-03:30", &zone, "2026-03-08T07:00:00Z", true),
            ("02:30-03:30", &zone, "2026-03-08T07:30:00Z", false),
            // The hour does not exist on that day.
            ("02:00-03:00", &zone, "2026-03-08T06:59:59Z", false),
            ("02:00-03:00", &zone, "2026-03-08T07:00:00Z", false),
            ("02:00-03:00", &zone, "2026-03-09T06:30:00Z", true),
            // Here it exists twice.
            ("01:00-02:00", &zone, "2026-11-01T05:30:00Z", true),
            ("01:00-02:00", &zone, "2026-11-01T06:30:00Z", true),
            ("01:00-02:00", &zone, "2026-11-01T07:00:00Z", false),
            ("Sat 23:00-01:00", &zone, "2026-03-08T04:30:00Z", true),
            ("Sun 00:00-01:00", &shanghai, "2026-03-07T16:30:00Z", true),
            ("Sun 00:00-01:00", &shanghai, "2026-03-07T15:59:00Z", false),
        ] {
            let windows = [window.parse().unwrap()];
            assert_eq!(is_open(&windows, now.parse().unwrap(), zone), want, "{window} {now}");
        }
        assert!(is_open(&[], jiff::Timestamp::UNIX_EPOCH, &zone));
    }
}
