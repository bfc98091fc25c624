//! Runs a PAM stack on paper: `_pam_dispatch_aux` of Linux-PAM, with modules whose answer may not be known.

use std::collections::BTreeSet;

/// What a module returns, as far as stacks tell the codes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Code {
    Success,
    Ignore,
    NewAuthtokReqd,
    AuthErr,
    PermDenied,
    UserUnknown,
    AcctExpired,
    AuthtokExpired,
    ServiceErr,
    ModuleUnknown,
}

impl Code {
    /// Its name in a `[value=action]` control.
    fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Ignore => "ignore",
            Self::NewAuthtokReqd => "new_authtok_reqd",
            Self::AuthErr => "auth_err",
            Self::PermDenied => "perm_denied",
            Self::UserUnknown => "user_unknown",
            Self::AcctExpired => "acct_expired",
            Self::AuthtokExpired => "authtok_expired",
            Self::ServiceErr => "service_err",
            Self::ModuleUnknown => "module_unknown",
        }
    }
}

/// What happens on a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Ignore,
    Ok,
    Done,
    Bad,
    Die,
    Reset,
    Jump(usize),
}

/// A control field, as actions for codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    named: Vec<(String, Action)>,
    default: Action,
}

impl Control {
    /// The words of `pam.conf(5)`; None for what is no control.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let simple = |pairs: &[(&str, Action)], default| {
            Some(Self { named: pairs.iter().map(|(word, action)| ((*word).to_owned(), *action)).collect(), default })
        };
        let (ok, done) = (Action::Ok, Action::Done);
        match text.to_ascii_lowercase().as_str() {
            "required" => simple(&[("success", ok), ("new_authtok_reqd", ok), ("ignore", Action::Ignore)], Action::Bad),
            "requisite" => {
                simple(&[("success", ok), ("new_authtok_reqd", ok), ("ignore", Action::Ignore)], Action::Die)
            }
            "sufficient" => simple(&[("success", done), ("new_authtok_reqd", done)], Action::Ignore),
            "optional" => simple(&[("success", ok), ("new_authtok_reqd", ok)], Action::Ignore),
            other => Self::bracketed(other.strip_prefix('[')?.strip_suffix(']')?),
        }
    }

    fn bracketed(inside: &str) -> Option<Self> {
        // What is not named is ignored only where `default=` says so; else it is bad (`_pam_parse_control`).
        let mut control = Self { named: Vec::new(), default: Action::Bad };
        for pair in inside.split_whitespace() {
            let (value, action) = pair.split_once('=')?;
            let action = match action {
                "ignore" => Action::Ignore,
                "ok" => Action::Ok,
                "done" => Action::Done,
                "bad" => Action::Bad,
                "die" => Action::Die,
                "reset" => Action::Reset,
                number => Action::Jump(number.parse().ok()?),
            };
            match value {
                "default" => control.default = action,
                _ => control.named.push((value.to_owned(), action)),
            }
        }
        Some(control)
    }

    fn action(&self, code: Code) -> Action {
        self.named.iter().find(|(word, _)| word == code.word()).map_or(self.default, |(_, action)| *action)
    }
}

/// One entry of a stack. `M` is whatever tells what the module would answer.
#[derive(Clone, Debug)]
pub(crate) enum Entry<M> {
    /// A module.
    Module(Control, M),
    /// A stack of its own: `die` and `done` end only it. (`include` is laid flat before.)
    Substack(Vec<Entry<M>>),
}

/// The outcomes that a stack may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes(pub(crate) BTreeSet<Code>);

impl Outcomes {
    /// Whether it may succeed.
    pub(crate) fn may_succeed(&self) -> bool {
        self.0.contains(&Code::Success)
    }

    /// Whether it may end otherwise.
    pub(crate) fn may_fail(&self) -> bool {
        self.0.iter().any(|code| *code != Code::Success)
    }

    /// Whether it may ask for a new password.
    pub(crate) fn may_want_change(&self) -> bool {
        self.0.contains(&Code::NewAuthtokReqd)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Impression {
    Undefined,
    Positive,
    Negative,
}

type State = (Impression, Code);

/// Runs the stack; `answer` gives all codes a module may return.
pub(crate) fn run<M>(stack: &[Entry<M>], answer: &impl Fn(&M) -> Vec<Code>) -> Outcomes {
    let start = BTreeSet::from([(Impression::Undefined, Code::PermDenied)]);
    let ended = level(stack, start, answer);
    let codes = ended.into_iter().map(|(impression, code)| match (impression, code) {
        (Impression::Undefined | Impression::Negative, Code::Success) => Code::PermDenied,
        (_, code) => code,
    });
    Outcomes(codes.collect())
}

fn level<M>(stack: &[Entry<M>], start: BTreeSet<State>, answer: &impl Fn(&M) -> Vec<Code>) -> BTreeSet<State> {
    // States waiting at each entry; what ends early or runs off the end is collected.
    let mut waiting: Vec<BTreeSet<State>> = vec![BTreeSet::new(); stack.len()];
    let mut ended = BTreeSet::new();
    let base: Vec<State> = start.iter().copied().collect();
    match waiting.first_mut() {
        None => return start,
        Some(first) => *first = start,
    }
    for (index, entry) in stack.iter().enumerate() {
        let states = waiting.get_mut(index).map(std::mem::take).unwrap_or_default();
        if states.is_empty() {
            continue;
        }
        let mut go = |to: usize, state: State| match waiting.get_mut(to) {
            Some(set) => _ = set.insert(state),
            None => _ = ended.insert(state),
        };
        let (control, module) = match entry {
            Entry::Substack(inner) => {
                for state in level(inner, states, answer) {
                    go(index + 1, state);
                }
                continue;
            }
            Entry::Module(control, module) => (control, module),
        };
        for code in answer(module) {
            for state in &states {
                for (to, state) in step(control.action(code), code, *state, &base) {
                    match to {
                        Some(skip) => go(index + 1 + skip, state),
                        None => go(usize::MAX, state),
                    }
                }
            }
        }
    }
    ended
}

/// One module's code in one state: how many entries are skipped (None: the stack ends) and the state after.
fn step(action: Action, code: Code, (impression, status): State, base: &[State]) -> Vec<(Option<usize>, State)> {
    let positive = || {
        let open =
            impression == Impression::Undefined || (impression == Impression::Positive && status == Code::Success);
        if open && code != Code::Ignore { (Impression::Positive, code) } else { (impression, status) }
    };
    let negative = || match impression {
        Impression::Negative => (impression, status),
        _ => (Impression::Negative, if code == Code::Ignore { Code::PermDenied } else { code }),
    };
    match action {
        Action::Ignore => vec![(Some(0), (impression, status))],
        Action::Ok => vec![(Some(0), positive())],
        Action::Done => {
            let state = positive();
            vec![((state.0 != Impression::Positive).then_some(0), state)]
        }
        Action::Bad => vec![(Some(0), negative())],
        Action::Die => vec![(None, negative())],
        Action::Reset => base.iter().map(|state| (Some(0), *state)).collect(),
        Action::Jump(skip) => vec![(Some(skip), positive())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(stack: &[(&str, &[Code])]) -> BTreeSet<Code> {
        let stack: Vec<Entry<Vec<Code>>> = stack
            .iter()
            .map(|(control, codes)| Entry::Module(Control::parse(control).unwrap(), codes.to_vec()))
            .collect();
        run(&stack, &|codes: &Vec<Code>| codes.clone()).0
    }

    #[test]
    fn debian_common_auth_and_account() {
        use Code::*;
        let auth = |unix: &'static [Code]| {
            outcome(&[("[success=1 default=ignore]", unix), ("requisite", &[AuthErr]), ("required", &[Success])])
        };
        assert_eq!(auth(&[Success]), BTreeSet::from([Success]));
        assert_eq!(auth(&[AuthErr]), BTreeSet::from([AuthErr]));
        assert_eq!(auth(&[Success, AuthErr]), BTreeSet::from([Success, AuthErr]));
        let account = |unix: &'static [Code]| {
            outcome(&[
                ("required", &[Ignore]),
                ("[success=1 new_authtok_reqd=done default=ignore]", unix),
                ("requisite", &[AuthErr]),
                ("required", &[Success]),
            ])
        };
        assert_eq!(account(&[NewAuthtokReqd]), BTreeSet::from([NewAuthtokReqd]));
        assert_eq!(account(&[AcctExpired]), BTreeSet::from([AuthErr]));
    }

    #[test]
    fn the_simple_controls_mean_what_pam_conf_says() {
        use Code::*;
        for (stack, want) in [
            (&[("required", &[AuthErr][..]), ("sufficient", &[Success])][..], &[AuthErr][..]),
            (&[("sufficient", &[Success]), ("required", &[AuthErr])], &[Success]),
            (&[("requisite", &[PermDenied]), ("required", &[AuthErr])], &[PermDenied]),
            (&[("optional", &[AuthErr])], &[PermDenied]),
            (&[("optional", &[Success])], &[Success]),
            (&[("required", &[Ignore])], &[PermDenied]),
            (&[("[default=2]", &[Success]), ("required", &[AuthErr])], &[Success]),
            (&[], &[PermDenied]),
        ] {
            assert_eq!(outcome(stack), want.iter().copied().collect(), "{stack:?}");
        }
    }

    #[test]
    fn done_and_die_end_only_their_substack() {
        let module = |control: &str, code| Entry::Module(Control::parse(control).unwrap(), code);
        let stack = vec![
            Entry::Substack(vec![module("sufficient", Code::Success), module("required", Code::AuthErr)]),
            module("required", Code::AcctExpired),
        ];
        assert_eq!(run(&stack, &|code| vec![*code]).0, BTreeSet::from([Code::AcctExpired]));
    }
}
