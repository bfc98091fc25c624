//! `nsswitch.conf(5)`: which services answer for accounts and groups.

use crate::check::bytes_text;
use crate::parse::Defect;

/// A service named for a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The line, from 1.
    pub line: u32,
    /// The database, e.g. `passwd`.
    pub database: String,
    /// The service, e.g. `files`, `sss`.
    pub service: String,
}

/// Parses nsswitch.conf. Actions in brackets are left out: whatever they are, the service is asked for some names.
pub fn nsswitch(bytes: &[u8]) -> (Vec<Service>, Vec<Defect>) {
    let (mut services, mut defects) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = bytes_text(text.split(|byte| *byte == b'#').next().unwrap_or_default());
        if text.trim().is_empty() {
            continue;
        }
        let Some((database, rest)) = text.split_once(':') else {
            defects.push(Defect { line, what: "names no database".to_owned() });
            continue;
        };
        let mut rest = rest.to_owned();
        while let Some(open) = rest.find('[') {
            let close = rest.get(open..).and_then(|tail| tail.find(']')).map_or(rest.len(), |at| open + at + 1);
            rest.replace_range(open..close, " ");
        }
        services.extend(rest.split_whitespace().map(|service| Service {
            line,
            database: database.trim().to_owned(),
            service: service.to_owned(),
        }));
    }
    (services, defects)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn services_without_their_actions() {
        let (services, defects) =
            nsswitch(b"passwd: files [NOTFOUND=return] sss # ldap\n group:compat[!UNAVAIL=return]systemd\nnonsense\n");
        let brief: Vec<_> = services.iter().map(|s| (s.line, s.database.as_str(), s.service.as_str())).collect();
        assert_eq!(
            brief,
            [(1, "passwd", "files"), (1, "passwd", "sss"), (2, "group", "compat"), (2, "group", "systemd")]
        );
        assert_eq!(defects.len(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes in prop::collection::vec(prop_oneof![Just(b'['), Just(b']'), Just(b':'), any::<u8>()], 0..200)) {
            let (services, _) = nsswitch(&bytes);
            prop_assert!(services.iter().all(|s| !s.service.contains('[')));
        }
    }
}
