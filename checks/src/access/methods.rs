//! Each method's own answer: the setting, the root rule, the secret, and the PAM stack behind it.

use std::collections::BTreeMap;

use super::Method;
use super::keys::Found;
use super::pam::{Login, Secret, Verdict};
use super::rules::{RootRule, Rules};
use super::ways::Answer;
use crate::fact::{Fact, Why};
use crate::host::accounts::User;

/// What the methods look at.
pub(crate) struct Inputs<'a, 'k> {
    pub(crate) rules: &'a Rules<'a>,
    pub(crate) user: &'a User,
    pub(crate) found: &'a Found<'k>,
    pub(crate) pam: &'a Login<'a>,
    pub(crate) keytab: &'a Fact<crate::snapshot::Meta>,
}

/// What every method that is enabled says.
pub(crate) fn answers(inputs: &Inputs<'_, '_>) -> BTreeMap<Method, Answer> {
    let rules = inputs.rules;
    let mut of = BTreeMap::new();
    if rules.permit_empty && rules.password {
        of.insert(Method::None, root_by(inputs, Method::None).unwrap_or_else(|| empty(inputs)));
    }
    if rules.publickey {
        of.insert(Method::Publickey, root_by(inputs, Method::Publickey).unwrap_or_else(|| publickey(inputs)));
    }
    if rules.password {
        of.insert(Method::Password, root_by(inputs, Method::Password).unwrap_or_else(|| password(inputs)));
    }
    if rules.interactive && rules.pam {
        let answer = root_by(inputs, Method::KeyboardInteractive).unwrap_or_else(|| match rules.challenge_off {
            true => Answer::No("ChallengeResponseAuthentication no refuses keyboard-interactive".to_owned()),
            false => password(inputs),
        });
        of.insert(Method::KeyboardInteractive, answer);
    }
    if rules.hostbased {
        let trusts = Why::NotAsked("which client hosts hostbased authentication trusts was not looked at");
        of.insert(Method::Hostbased, root_by(inputs, Method::Hostbased).unwrap_or(Answer::Maybe(trusts)));
    }
    if rules.gssapi {
        let answer = root_by(inputs, Method::Gssapi).unwrap_or_else(|| match inputs.keytab {
            Fact::Absent => Answer::No("gssapi-with-mic: there is no /etc/krb5.keytab".to_owned()),
            _ => Answer::Maybe(Why::NotAsked("which Kerberos principals stand for the account was not looked at")),
        });
        of.insert(Method::Gssapi, answer);
    }
    of
}

/// `auth.c:auth_root_allowed` and `auth-passwd.c`, for uid 0. None: the rule does not forbid the method.
fn root_by(inputs: &Inputs<'_, '_>, method: Method) -> Option<Answer> {
    if !inputs.user.is_root() {
        return None;
    }
    let refused = match (inputs.rules.root, method) {
        (RootRule::Yes, _)
        | (RootRule::ProhibitPassword, Method::Publickey | Method::Hostbased | Method::Gssapi)
        // Whether a key has a command is asked of each key.
        | (RootRule::ForcedCommandsOnly, Method::Publickey) => false,
        (RootRule::ProhibitPassword | RootRule::ForcedCommandsOnly | RootRule::No, _) => true,
    };
    let word = match inputs.rules.root {
        RootRule::Yes => "yes",
        RootRule::ProhibitPassword => "prohibit-password",
        RootRule::ForcedCommandsOnly => "forced-commands-only",
        RootRule::No => "no",
    };
    refused.then(|| Answer::No(format!("PermitRootLogin {word} refuses {}", method.word())))
}

fn publickey(inputs: &Inputs<'_, '_>) -> Answer {
    let found = inputs.found;
    match (found.keys.is_empty(), found.doubts.first()) {
        (false, _) => Answer::Yes,
        (true, Some(why)) => Answer::Maybe(why.clone()),
        (true, None) => match found.refused.as_slice() {
            [] => Answer::No("publickey: the account has no key".to_owned()),
            [first, ..] => Answer::No(format!("publickey: {first}")),
        },
    }
}

/// The client asks for `none`, and sshd tries the empty password for it: `auth2-none.c`.
fn empty(inputs: &Inputs<'_, '_>) -> Answer {
    match checked(inputs, Secret::Empty) {
        Answer::No(_) => match inputs.user.password() {
            Fact::Known(password) if password.field.is_empty() => {
                Answer::No("PAM refuses the empty password".to_owned())
            }
            _ => Answer::No("none: the account has a password".to_owned()),
        },
        answer => answer,
    }
}

/// The client knows the password, if there is one that can be right.
///
/// An empty one opens `password` only as a second answer where AuthenticationMethods is set: the first answer, when it is
/// empty, sshd's monitor takes for the method `none` (`mm_answer_authpassword`), which then is in no list. That is a way in.
fn password(inputs: &Inputs<'_, '_>) -> Answer {
    if let Fact::Known(password) = inputs.user.password()
        && password.field.is_empty()
        && !inputs.rules.permit_empty
    {
        return Answer::No("PermitEmptyPasswords no refuses the empty password".to_owned());
    }
    checked(inputs, Secret::Right)
}

/// What checks the password: the PAM stack, or sshd itself.
fn checked(inputs: &Inputs<'_, '_>, secret: Secret) -> Answer {
    if inputs.rules.pam {
        return match inputs.pam.auth(secret) {
            Verdict::Yes => Answer::Yes,
            Verdict::No => Answer::No(no_password(inputs.user, "PAM refuses the password")),
            Verdict::Maybe(why) => Answer::Maybe(why),
        };
    }
    match inputs.user.password() {
        Fact::Known(password) => match password.field.hash() {
            Some(hash) if secret == Secret::Right && super::pam::can_match(hash) => Answer::Yes,
            None if password.field.is_empty() => Answer::Yes,
            _ => Answer::No("the account has no password".to_owned()),
        },
        // Without a shadow line sshd compares with passwd's own `x`.
        Fact::Absent => Answer::No("the account has no password".to_owned()),
        Fact::Unknown(why) => Answer::Maybe(Why::Failed(format!("/etc/shadow: {why}"))),
    }
}

fn no_password(user: &User, else_words: &str) -> String {
    let usable = user
        .password()
        .known()
        .is_some_and(|p| p.field.is_empty() || p.field.hash().is_some_and(super::pam::can_match));
    if usable { else_words.to_owned() } else { "the account has no password".to_owned() }
}
