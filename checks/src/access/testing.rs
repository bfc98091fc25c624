//! Settings drawn by hand for tests of single rules.

use crate::sshd::{Effective, Origin, Setting, Value};

/// What sshd 9.2 holds for a connection where nothing is set, with these keywords set otherwise.
pub(crate) fn effective(set: &[(&'static str, &str)]) -> Effective {
    const DEFAULTS: &[(&str, &str)] = &[
        ("usepam", "no"),
        ("permitrootlogin", "without-password"),
        ("pubkeyauthentication", "yes"),
        ("passwordauthentication", "yes"),
        ("kbdinteractiveauthentication", "yes"),
        ("hostbasedauthentication", "no"),
        ("gssapiauthentication", "no"),
        ("permitemptypasswords", "no"),
        ("strictmodes", "yes"),
        ("maxsessions", "10"),
        ("allowtcpforwarding", "yes"),
        ("allowstreamlocalforwarding", "yes"),
        ("disableforwarding", "no"),
        ("permitopen", "any"),
        ("permitlisten", "any"),
        ("forcecommand", "none"),
        ("chrootdirectory", "none"),
        ("authenticationmethods", "any"),
    ];
    let value = |text: &str| Value {
        text: text.to_owned(),
        words: text.split_whitespace().map(str::to_owned).collect(),
        origin: Origin::Default,
    };
    let mut settings: Vec<Setting> =
        DEFAULTS.iter().map(|(keyword, text)| Setting { keyword, values: vec![value(text)] }).collect();
    for (keyword, text) in set {
        settings.retain(|setting| setting.keyword != *keyword);
        settings.push(Setting { keyword, values: vec![value(text)] });
    }
    Effective { settings }
}
