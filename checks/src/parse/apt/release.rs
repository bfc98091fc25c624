//! Release and InRelease files: whose packages a list names, and when the archive wrote it (`repository format` of Debian).

use super::paragraphs;
use crate::observation::UnixSeconds;
use crate::parse::sshd_log::days;

/// What an archive says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// `Origin`, e.g. `Debian`.
    pub origin: String,
    /// `Label`, e.g. `Debian-Security`.
    pub label: String,
    /// `Suite`, e.g. `stable-security`, `jammy-security`.
    pub suite: String,
    /// `Codename`, e.g. `trixie-security`.
    pub codename: String,
    /// `Version`, e.g. `12`.
    pub version: String,
    /// `Date`: when it was written.
    pub date: Option<UnixSeconds>,
    /// Nothing of it is installed unless it is asked for.
    pub not_automatic: bool,
    /// But what was asked for is upgraded.
    pub but_automatic_upgrades: bool,
}

const FIELDS: &[&str] =
    &["Origin", "Label", "Suite", "Codename", "Version", "Date", "NotAutomatic", "ButAutomaticUpgrades"];

/// Reads a release file, signed in its own text or not. None: it has none of the fields.
pub fn release(bytes: &[u8]) -> Option<Release> {
    let mut found = None;
    paragraphs::all(FIELDS, bytes, &mut |one| {
        // The paragraph before is the signature's header, the one behind the signature itself.
        if found.is_some() || FIELDS.iter().all(|name| one.get(name).is_none()) {
            return;
        }
        let text = |name| one.get(name).unwrap_or_default().to_owned();
        let yes = |name| one.get(name).is_some_and(|value| value.eq_ignore_ascii_case("yes"));
        found = Some(Release {
            origin: text("Origin"),
            label: text("Label"),
            suite: text("Suite"),
            codename: text("Codename"),
            version: text("Version"),
            date: one.get("Date").and_then(date),
            not_automatic: yes("NotAutomatic"),
            but_automatic_upgrades: yes("ButAutomaticUpgrades"),
        });
    });
    found
}

impl Release {
    /// Whether what it holds are security updates: Debian's by the label, which old releases have with a suite like any other; Ubuntu's,
    /// and those of Ubuntu Pro, by the pocket.
    pub fn is_security(&self) -> bool {
        self.label == "Debian-Security" || self.suite.ends_with("-security") || self.codename.ends_with("-security")
    }

    /// What to call it: the code name, which stays what it is when the suite is renamed; Ubuntu's has no pocket in it.
    pub fn name(&self) -> &str {
        let all = [self.codename.as_str(), &self.suite, &self.label];
        let pocket = all.iter().find(|name| name.ends_with("-security"));
        pocket.or_else(|| all.iter().find(|name| !name.is_empty())).map_or("?", |name| name)
    }
}

/// `Sat, 22 Nov 2025 09:11:12 UTC`.
fn date(text: &str) -> Option<UnixSeconds> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(',')?.1.split_ascii_whitespace();
    let day = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = (1..).zip(MONTHS).find(|(_, month)| *month == name)?.0;
    let day = days(words.next()?.parse().ok()?, month, day)?;
    let mut time = words.next()?.splitn(3, ':').map(|part| part.parse::<u32>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if hour > 23 || minute > 59 || second > 60 || !matches!(words.next()?, "UTC" | "GMT" | "Z" | "+0000") {
        return None;
    }
    Some(day * 86_400 + i64::from(hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: Debian\nLabel: Debian-Security\n\
        Suite: stable-security\nVersion: 13\nCodename: trixie-security\nDate: Sun, 22 Nov 2026 09:11:12 UTC\nSHA256:\n abc 1 main/x\n\
        -----BEGIN PGP SIGNATURE-----\n\nOrigin: x\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn reads_what_an_archive_says_of_itself() {
        let read = release(SIGNED.as_bytes()).unwrap();
        assert_eq!(
            (read.origin.as_str(), read.label.as_str(), read.version.as_str()),
            ("Debian", "Debian-Security", "13")
        );
        assert_eq!((read.date, read.not_automatic), (Some(1_795_338_672), false));
        assert!(read.is_security());
        assert_eq!(read.name(), "trixie-security");
        let back = release(b"Suite: bookworm-backports\nNotAutomatic: yes\nButAutomaticUpgrades: yes\n").unwrap();
        assert!(back.not_automatic && back.but_automatic_upgrades && !back.is_security());
        assert_eq!(release(b"\n\nhello\n"), None);
    }

    #[test]
    fn security_archives_are_told_by_label_or_pocket() {
        for (text, security) in [
            ("Origin: Ubuntu\nSuite: jammy-security\nCodename: jammy\n", true),
            ("Origin: Ubuntu\nSuite: jammy-updates\nCodename: jammy\n", false),
            ("Origin: UbuntuESM\nSuite: bionic-infra-security\n", true),
            ("Origin: Debian\nLabel: Debian-Security\nSuite: oldstable\nCodename: stretch\n", true),
            ("Origin: Docker\nLabel: Docker CE\nSuite: bookworm\n", false),
        ] {
            assert_eq!(release(text.as_bytes()).unwrap().is_security(), security, "{text}");
        }
        assert_eq!(release(b"Suite: jammy-security\nCodename: jammy\n").unwrap().name(), "jammy-security");
    }

    #[test]
    fn dates_are_read_or_not_there() {
        for (text, wanted) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", Some(0)),
            ("Thu,  1 Jan 1970 00:01:01 +0000", Some(61)),
            ("Thu, 01 Jan 1970 00:00:00 CET", None),
            ("Thu, 31 Feb 2020 00:00:00 UTC", None),
            ("01 Jan 1970 00:00:00 UTC", None),
            ("Thu, 01 Jan 1970 24:00:00 UTC", None),
        ] {
            assert_eq!(date(text), wanted, "{text}");
        }
    }
}
