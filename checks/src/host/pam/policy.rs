//! The password policy that PAM enforces: what new passwords must be, how many old ones are remembered, when guessing is stopped.

use std::path::{Path, PathBuf};

use super::{Module, Pam, Service};
use crate::fact::{Fact, Why};
use crate::parse::security_conf::Setting;

/// A value with the line that sets it; none where it is the module's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced {
    /// The value.
    pub value: i64,
    /// File and line.
    pub place: Option<(PathBuf, u32)>,
}

/// What a new password must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quality {
    /// `pam_pwquality`, `pam_cracklib` or `pam_passwdqc`.
    pub module: Module,
    /// Its least length.
    pub length: Sourced,
    /// Classes of characters (lower, upper, digits, others) that it must have.
    pub classes: Sourced,
}

/// How many old passwords are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remember {
    /// `pam_pwhistory` or `pam_unix`.
    pub module: Module,
    /// How many.
    pub count: Sourced,
}

/// What stops guessing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// `pam_faillock`, `pam_tally2` or `pam_tally`.
    pub module: Module,
    /// Failures after which the account is locked; 0: never.
    pub deny: Sourced,
}

impl Pam {
    /// What the quality module of a service's password stack demands. Absent: there is none.
    pub fn quality(&self, service: &Service) -> Fact<Quality> {
        let modules = match &service.password {
            Fact::Known(entries) => super::modules(entries),
            Fact::Absent => return Fact::Absent,
            Fact::Unknown(why) => return Fact::Unknown(why.clone()),
        };
        let Some(module) = modules
            .into_iter()
            .find(|module| ["pam_pwquality", "pam_cracklib", "pam_passwdqc"].contains(&module.name.as_str()))
        else {
            return Fact::Absent;
        };
        let (length, classes) = match module.name.as_str() {
            "pam_passwdqc" => passwdqc(module),
            name => {
                let conf: &[(PathBuf, Setting)] = match (name, &self.pwquality) {
                    ("pam_pwquality", Fact::Known(conf)) => conf,
                    ("pam_pwquality", Fact::Unknown(why)) => return Fact::Unknown(why.clone()),
                    _ => &[],
                };
                let length = number(module, conf, "minlen").unwrap_or(Sourced { value: 8, place: None });
                // A negative credit demands a character of its class.
                let credits = ["lcredit", "ucredit", "dcredit", "ocredit"];
                let credits: Vec<_> =
                    credits.iter().filter_map(|key| number(module, conf, key)).filter(|c| c.value < 0).collect();
                let demanded = i64::try_from(credits.len()).unwrap_or(0);
                let classes = number(module, conf, "minclass").unwrap_or(Sourced { value: 0, place: None });
                let by_credit = credits.into_iter().next().map(|credit| Sourced { value: demanded, ..credit });
                (length, by_credit.filter(|by| by.value > classes.value).unwrap_or(classes))
            }
        };
        Fact::Known(Quality { module: module.clone(), length, classes })
    }

    /// How many old passwords a service's password stack refuses: the most of its modules. Absent: none.
    pub fn remember(&self, service: &Service) -> Fact<Remember> {
        let modules = match &service.password {
            Fact::Known(entries) => super::modules(entries),
            Fact::Absent => return Fact::Absent,
            Fact::Unknown(why) => return Fact::Unknown(why.clone()),
        };
        let mut best: Option<Remember> = None;
        for module in modules {
            let count = match (module.name.as_str(), &self.pwhistory) {
                ("pam_unix", _) => number(module, &[], "remember"),
                ("pam_pwhistory", Fact::Unknown(why)) => return Fact::Unknown(why.clone()),
                ("pam_pwhistory", conf) => {
                    let conf = conf.known().map_or(&[][..], Vec::as_slice);
                    Some(number(module, conf, "remember").unwrap_or(Sourced { value: 10, place: None }))
                }
                _ => None,
            };
            let Some(count) = count else { continue };
            if best.as_ref().is_none_or(|best| best.count.value < count.value) {
                best = Some(Remember { module: module.clone(), count });
            }
        }
        best.map_or(Fact::Absent, Fact::Known)
    }

    /// What stops guessing at a service. Absent: nothing does, or not before and behind the password's check.
    pub fn lockout(&self, service: &Service) -> Fact<Lockout> {
        let modules = match &service.auth {
            Fact::Known(entries) => super::modules(entries),
            Fact::Absent => return Fact::Absent,
            Fact::Unknown(why) => return Fact::Unknown(why.clone()),
        };
        let unix = modules.iter().position(|module| module.name == "pam_unix").unwrap_or(modules.len());
        let (before, behind) = modules.split_at_checked(unix).unwrap_or((&modules, &[]));
        let find = |list: &[&Module], name: &str, word: &str| {
            list.iter()
                .find(|module| module.name == name && (word.is_empty() || module.has(word)))
                .map(|m| (*m).clone())
        };
        // preauth refuses a locked account, authfail counts: without both nothing is stopped (pam_faillock(8)).
        if let (Some(module), Some(_)) =
            (find(before, "pam_faillock", "preauth"), find(behind, "pam_faillock", "authfail"))
        {
            let conf = match (&self.faillock, module.value("conf")) {
                (Fact::Known(conf), None) => conf.as_slice(),
                (Fact::Unknown(why), None) => return Fact::Unknown(why.clone()),
                (_, Some(_)) if module.number("deny").is_none() => {
                    return Fact::Unknown(Why::NotAsked("pam_faillock reads a file of its own"));
                }
                _ => &[],
            };
            let deny = number(&module, conf, "deny").unwrap_or(Sourced { value: 3, place: None });
            return Fact::Known(Lockout { module, deny });
        }
        for name in ["pam_tally2", "pam_tally"] {
            if let Some(module) = find(before, name, "") {
                let deny = number(&module, &[], "deny").unwrap_or(Sourced { value: 0, place: None });
                return Fact::Known(Lockout { module, deny });
            }
        }
        Fact::Absent
    }

    /// The pam_unix lines of a service's password stack: they decide how new passwords are hashed.
    pub fn hashing<'s>(&self, service: &'s Service) -> Vec<&'s Module> {
        service.password_modules().into_iter().filter(|module| module.name == "pam_unix").collect()
    }
}

/// A number of a module: its argument, else the last of its settings file.
fn number(module: &Module, conf: &[(PathBuf, Setting)], key: &str) -> Option<Sourced> {
    if let Some(value) = module.number(key) {
        return Some(Sourced { value, place: Some((module.file.clone(), module.line)) });
    }
    // libpwquality compares keys without case (`settings.c`), pam_faillock with it (`faillock_config.c`).
    let same = |setting: &Setting| match module.name.as_str() {
        "pam_pwquality" => setting.key.eq_ignore_ascii_case(key),
        _ => setting.key == key,
    };
    conf.iter().rev().filter(|(_, setting)| same(setting)).find_map(|(file, setting)| {
        let value = setting.value.parse().ok()?;
        Some(Sourced { value, place: Some((Path::new(file).to_path_buf(), setting.line)) })
    })
}

/// `min=N0,N1,N2,N3,N4` of pam_passwdqc: least lengths of passwords of one, two, (phrases,) three and four classes. A kind that wants 20
/// characters or more makes up for its classes by length.
fn passwdqc(module: &Module) -> (Sourced, Sourced) {
    let place = module.value("min").map(|_| (module.file.clone(), module.line));
    let text = module.value("min").unwrap_or("disabled,24,11,8,7");
    let least: Vec<Option<i64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    let at = |kind: usize| least.get(kind).copied().flatten();
    let kinds = [(1, at(0)), (2, at(1)), (3, at(3)), (4, at(4))];
    let classes = kinds.iter().find(|(_, n)| n.is_some_and(|n| n < 20)).map_or(4, |(classes, _)| *classes);
    let length = kinds.iter().filter_map(|(_, n)| *n).min().unwrap_or(i64::MAX);
    (Sourced { value: length, place: place.clone() }, Sourced { value: classes, place })
}
