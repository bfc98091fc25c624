//! Which ways succeed: each method's own answer, combined by `AuthenticationMethods` as `auth2.c` does.

use std::collections::BTreeMap;

use super::grant::{After, KeyTerms, Shell, grant};
use super::rules::Rules;
use super::{Grant, Method, Way};
use crate::fact::Why;

/// Whether one method succeeds for whoever holds the right secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It does.
    Yes,
    /// It does not, and why, in words.
    No(String),
    /// It may: what that rests on could not be read or understood.
    Maybe(Why),
}

/// A key that this sshd takes for this account from this source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsableKey<'k> {
    /// `SHA256:…`
    pub(crate) fingerprint: String,
    /// What it allows.
    pub(crate) terms: KeyTerms<'k>,
    /// Whether sshd takes it for sure.
    pub(crate) certain: bool,
}

/// What every method says, `AuthenticationMethods` aside.
#[derive(Clone, Debug)]
pub(crate) struct Answers<'k> {
    pub(crate) of: BTreeMap<Method, Answer>,
    /// Keys that are taken (whether or not the root rule then lets them through).
    pub(crate) keys: Vec<UsableKey<'k>>,
    pub(crate) after: After,
    pub(crate) shell: Shell,
}

/// What came of combining.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Combined {
    pub(crate) ways: Vec<Way>,
    pub(crate) refused: Vec<String>,
    /// What a way rests on that is not known, and the method that does.
    pub(crate) doubts: Vec<(Method, Why)>,
}

/// Combines. `root_key` says of a key whether `PermitRootLogin` lets it through (always for other accounts).
pub(crate) fn combine(
    rules: &Rules<'_>,
    answers: &Answers<'_>,
    root_key: &impl Fn(&UsableKey<'_>) -> bool,
) -> Combined {
    let mut out = Combined::default();
    match &rules.lists {
        None => {
            for method in answers.of.keys() {
                out.add(rules, answers, &[*method], root_key);
            }
        }
        Some(lists) => {
            let mut whole = 0;
            for list in lists {
                let methods: Option<Vec<Method>> =
                    list.iter().map(|step| step.method.filter(|_| step.device)).collect();
                // A list with a method that is switched off is dropped (`auth2_setup_methods_lists`).
                let methods = methods.filter(|methods| methods.iter().all(|method| rules.enabled(*method)));
                let Some(methods) = methods else { continue };
                whole += 1;
                out.add(rules, answers, &methods, root_key);
            }
            if whole == 0 {
                out.refuse("AuthenticationMethods names no list whose methods are all enabled".to_owned());
            }
        }
    }
    out.ways.sort();
    out.ways.dedup();
    out
}

impl Combined {
    fn refuse(&mut self, why: String) {
        if !self.refused.contains(&why) {
            self.refused.push(why);
        }
    }

    fn doubt(&mut self, method: Method, why: &Why) {
        let doubt = (method, why.clone());
        if !self.doubts.contains(&doubt) {
            self.doubts.push(doubt);
        }
    }

    fn add(
        &mut self,
        rules: &Rules<'_>,
        answers: &Answers<'_>,
        methods: &[Method],
        root_key: &impl Fn(&UsableKey<'_>) -> bool,
    ) {
        let mut certain = true;
        for method in methods {
            match answers.of.get(method) {
                Some(Answer::Yes) => {}
                Some(Answer::Maybe(why)) => {
                    certain = false;
                    self.doubt(*method, why);
                }
                Some(Answer::No(why)) => return self.refuse(why.clone()),
                None => return self.refuse(format!("{} is not enabled", method.word())),
            }
        }
        match spoilt_by_none(rules, answers, methods) {
            Spoilt::No => {}
            Spoilt::Yes => return self.refuse(CUT_OFF.to_owned()),
            Spoilt::Maybe(why) => {
                certain = false;
                self.doubt(Method::KeyboardInteractive, &why);
            }
        }
        let steps = methods.iter().filter(|method| **method == Method::Publickey).count();
        if steps == 0 {
            let grants = grant(rules, None, answers.shell, answers.after);
            self.ways.push(Way { methods: methods.to_vec(), grants, keys: Vec::new(), certain });
            return;
        }
        let keys: Vec<&UsableKey<'_>> = answers.keys.iter().filter(|key| root_key(key)).collect();
        if answers.of.get(&Method::Publickey) == Some(&Answer::Yes) && keys.len() < steps {
            return self.refuse(match keys.len() {
                0 => "PermitRootLogin refuses the keys".to_owned(),
                _ => "AuthenticationMethods wants more different keys than there are".to_owned(),
            });
        }
        let password = methods.iter().any(|method| matches!(method, Method::Password | Method::KeyboardInteractive));
        let mut grants: BTreeMap<(Grant, bool), Vec<String>> = BTreeMap::new();
        for key in &keys {
            let given = grant(rules, Some(key.terms), answers.shell, answers.after);
            // passwd asks for the old password, which the holder of a key need not know.
            let given = if answers.after.must_change && !password { Grant::Nothing } else { given };
            grants.entry((given, key.certain)).or_default().push(key.fingerprint.clone());
        }
        if keys.is_empty() {
            let given = grant(rules, None, answers.shell, answers.after);
            grants.insert((given, true), Vec::new());
        }
        for ((grants, sure), mut keys) in grants {
            keys.sort();
            keys.dedup();
            self.ways.push(Way { methods: methods.to_vec(), grants, keys, certain: certain && sure });
        }
    }
}

/// Why keyboard-interactive may be right and yet end the connection.
const CUT_OFF: &str = "keyboard-interactive is cut off: PermitEmptyPasswords has sshd try the empty password first, and PAM's \
                       pam_setcred then fails as that try did";

/// Whether a right keyboard-interactive answer is worth nothing because an empty password was tried before it.
enum Spoilt {
    No,
    Yes,
    Maybe(Why),
}

/// Where PermitEmptyPasswords and PasswordAuthentication are on, a request for the method `none` makes sshd's monitor call
/// `pam_authenticate` with the empty password (`auth2-none.c`, `sshpam_auth_passwd`). libpam then holds the chain of modules
/// frozen as that call left it (`_pam_dispatch_aux`), so `pam_setcred` fails where it failed. Only after
/// keyboard-interactive, whose own `pam_authenticate` runs in a child and leaves the monitor's chain as it is, does sshd
/// take that for fatal (`do_pam_setcred`, `sshpam_authenticated`): it says that the login succeeded and hangs up. A right
/// password by the method `password` thaws the chain; after a key the failure is only logged.
///
/// Real logins show it on 7.6, 8.2, 8.4, 8.9, 9.2, 9.6, 9.9, 10.0, 10.3 and 10.6, and not on 10.2, which begins PAM anew for
/// keyboard-interactive; 10.1, whose successor came a few days later, is taken to be like it.
///
/// It is the usual client that is cut off, ssh(1) and all that ask for `none` first to learn the methods. One that does not
/// is let in, but without AuthenticationMethods the same secret opens `password` too, so no way is hidden; with a list that
/// begins with `none` the answer stays open.
fn spoilt_by_none(rules: &Rules<'_>, answers: &Answers<'_>, methods: &[Method]) -> Spoilt {
    let asks = methods.contains(&Method::KeyboardInteractive)
        && !methods.iter().any(|method| matches!(method, Method::Password | Method::None));
    // The list decides whether sshd tries the method at all (`auth2_method_allowed`).
    let begins = |list: &Vec<super::rules::Step>| list.first().is_some_and(|step| step.method == Some(Method::None));
    let tries = rules.lists.as_ref().is_none_or(|lists| lists.iter().any(begins));
    let anew = ((10, 1)..=(10, 2)).contains(&rules.release);
    // It is only asked where the two settings are on.
    match answers.of.get(&Method::None) {
        _ if !rules.pam || !asks || !tries || anew => Spoilt::No,
        None | Some(Answer::Yes) => Spoilt::No,
        Some(Answer::No(_)) if rules.lists.is_none() => Spoilt::Yes,
        Some(Answer::No(_)) => {
            Spoilt::Maybe(Why::NotAsked("whether the client asks for `none` first: then it is cut off"))
        }
        Some(Answer::Maybe(why)) => Spoilt::Maybe(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::testing::effective;

    fn key(name: &str, command: Option<&'static [u8]>) -> UsableKey<'static> {
        UsableKey { fingerprint: name.to_owned(), terms: KeyTerms { command, no_forwarding: false }, certain: true }
    }

    fn paths(settings: &[(&'static str, &str)], of: &[(Method, Answer)], keys: Vec<UsableKey<'static>>) -> Vec<String> {
        let effective = effective(settings);
        let answers = Answers { of: of.iter().cloned().collect(), keys, after: After::default(), shell: Shell::Full };
        let combined = combine(&Rules::of(&effective, (9, 2)), &answers, &|_| true);
        combined.ways.iter().map(|way| format!("{}={}", way.path(), way.grants.word())).collect()
    }

    const KEY: (Method, Answer) = (Method::Publickey, Answer::Yes);
    const PASSWORD: (Method, Answer) = (Method::Password, Answer::Yes);

    #[test]
    fn openssh_20_authentication_methods_combine() {
        let one = || vec![key("a", None)];
        for (value, want) in [
            ("any", &["publickey=shell", "password=shell"][..]),
            ("publickey", &["publickey=shell"]),
            ("publickey,password", &["publickey,password=shell"]),
            ("password,publickey password", &["password=shell", "password,publickey=shell"]),
            ("publickey,publickey", &[]),
            ("hostbased", &[]),
            ("hostbased publickey", &["publickey=shell"]),
            ("keyboard-interactive:bsdauth", &[]),
        ] {
            assert_eq!(paths(&[("authenticationmethods", value)], &[KEY, PASSWORD], one()), want, "{value}");
        }
        let off = [("authenticationmethods", "publickey"), ("pubkeyauthentication", "no")];
        assert!(paths(&off, &[PASSWORD], Vec::new()).is_empty());
        let two = vec![key("a", None), key("b", None)];
        let steps = [("authenticationmethods", "publickey,publickey")];
        assert_eq!(paths(&steps, &[KEY], two), ["publickey,publickey=shell"]);
    }

    #[test]
    fn keyboard_interactive_fails_after_the_empty_try() {
        const INTERACTIVE: (Method, Answer) = (Method::KeyboardInteractive, Answer::Yes);
        let tried = || (Method::None, Answer::No("none: the account has a password".to_owned()));
        let pam = |methods| [("usepam", "yes"), ("permitemptypasswords", "yes"), ("authenticationmethods", methods)];
        let all = || [KEY, PASSWORD, INTERACTIVE, tried()];
        let one = || vec![key("a", None)];
        assert_eq!(paths(&pam("any"), &all(), one()), ["publickey=shell", "password=shell"]);
        assert_eq!(paths(&pam("any"), &[INTERACTIVE, (Method::None, Answer::Yes)], one()).len(), 2);
        assert_eq!(paths(&pam("any"), &[INTERACTIVE], one()), ["keyboard-interactive=shell"], "nothing was tried");
        // A list that does not begin with none keeps sshd from trying it.
        for list in ["keyboard-interactive", "publickey,keyboard-interactive", "password,keyboard-interactive"] {
            assert_eq!(paths(&pam(list), &all(), one()), [format!("{list}=shell")]);
        }
        let newer = effective(&pam("any"));
        let answers = Answers { of: all().into(), keys: one(), after: After::default(), shell: Shell::Full };
        for (release, ways) in [((10, 0), 2), ((10, 2), 3), ((10, 3), 2)] {
            assert_eq!(combine(&Rules::of(&newer, release), &answers, &|_| true).ways.len(), ways, "{release:?}");
        }
        // With one that does, a right password makes up for it; otherwise it depends on the client.
        let certain = |list| {
            let effective = effective(&pam(list));
            let answers = Answers { of: all().into(), keys: one(), after: After::default(), shell: Shell::Full };
            let combined = combine(&Rules::of(&effective, (9, 2)), &answers, &|_| true);
            combined.ways.iter().map(|way| way.certain).collect::<Vec<_>>()
        };
        assert_eq!(certain("none keyboard-interactive,password"), [true]);
        assert_eq!(certain("none keyboard-interactive"), [false]);
        assert_eq!(certain("none publickey,keyboard-interactive"), [false]);
    }

    #[test]
    fn keys_with_different_terms_are_different_ways() {
        let keys = vec![key("a", None), key("b", Some(b"exit 1")), key("c", Some(b"/bin/report"))];
        assert_eq!(paths(&[], &[KEY], keys), ["publickey=shell", "publickey=command", "publickey=forward"]);
    }

    #[test]
    fn what_may_succeed_is_a_way_with_a_doubt() {
        let effective = effective(&[]);
        let why = Why::Defect("pam_custom.so".to_owned());
        let of = BTreeMap::from([(Method::Password, Answer::Maybe(why.clone()))]);
        let answers = Answers { of, keys: Vec::new(), after: After::default(), shell: Shell::Full };
        let combined = combine(&Rules::of(&effective, (9, 2)), &answers, &|_| true);
        assert_eq!((combined.ways.len(), combined.doubts), (1, vec![(Method::Password, why)]));
    }
}
