//! `policy.waivers`: an accepted finding whose acceptance has ended, or never will.

use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::observation::UnixSeconds;
use crate::policy::Waiver;

/// The check.
pub static CHECK: Check = Check {
    id: "policy.waivers",
    title: Text { en: "Waivers hold, and end", zh: "豁免有效且有期限" },
    rationale: Text {
        en: "A waiver accepts a finding for a while. One that has ended covers nothing any more and should be renewed with a \
             reason or removed; one without an end hides its finding from everybody who comes later.",
        zh: "豁免只是在一段时间内接受某个问题。已到期的豁免不再生效，应说明理由续期或删除；没有期限的豁免会一直掩盖问题。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference { source: "hostward", item: "waivers carry a reason and an end" }],
    reads: &["policy", "clock"],
    fix: None,
    remedy: Text {
        en: "In the policy, give the waiver a new `expires` and a reason that still holds, or remove it and mend what it covers.",
        zh: "在策略中为该豁免设置新的 `expires` 并写明仍然成立的理由，或删除豁免并修复其所掩盖的问题。",
    },
    messages: &[
        Message {
            id: "ended",
            text: Text {
                en: "the waiver of {check} ended {days} days ago (reason: {reason})",
                zh: "{check} 的豁免已于 {days} 天前到期（理由：{reason}）",
            },
        },
        Message {
            id: "endless",
            text: Text {
                en: "the waiver of {check} has no end (reason: {reason})",
                zh: "{check} 的豁免没有期限（理由：{reason}）",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    for waiver in &input.policy.waivers {
        if let Some(finding) = finding(waiver, input.seen.now) {
            tally.fail(finding);
        }
    }
    tally.verdict()
}

fn finding(waiver: &Waiver, now: UnixSeconds) -> Option<Finding> {
    let subject = match &waiver.subject {
        Some(subject) => format!("waiver:{}:{subject}", waiver.check),
        None => format!("waiver:{}", waiver.check),
    };
    let finding = match waiver.expires {
        Some(end) if now >= end => {
            // The end is the first moment after its last day: from then on it is the first day without it.
            Finding::new(Severity::Low, subject, "ended").with_number("days", now.saturating_sub(end) / 86_400 + 1)
        }
        Some(_) => return None,
        None => Finding::new(Severity::Info, subject, "endless"),
    };
    Some(finding.with("check", &waiver.check).with("reason", &waiver.reason))
}

#[cfg(test)]
mod tests {
    use super::super::shown::Waived;
    use super::*;
    use crate::catalogue::shown::Drawn;

    const DAY: i64 = 86_400;

    fn run(expires: Option<i64>, now: i64) -> Verdict {
        Waived { expires, now }.judged(&CHECK)
    }

    #[test]
    fn one_that_holds_passes_and_one_that_ended_or_never_ends_does_not() {
        assert_eq!(run(Some(10 * DAY), 10 * DAY - 1), Verdict::Pass);
        for (expires, now, message, severity, days) in [
            (Some(10 * DAY), 10 * DAY, "ended", Severity::Low, Some(1)),
            (Some(10 * DAY), 12 * DAY + 5, "ended", Severity::Low, Some(3)),
            (None, 0, "endless", Severity::Info, None),
        ] {
            let Verdict::Fail(findings, doubts) = run(expires, now) else { panic!("{expires:?} {now} passes") };
            assert_eq!((findings[0].message, findings[0].severity, doubts.len()), (message, severity, 0));
            assert_eq!(findings[0].subject, "waiver:keys.weak:key:x");
            let told = findings[0].params.iter().find(|(name, _)| *name == "days").map(|(_, value)| value.clone());
            assert_eq!(told, days.map(crate::check::Param::Number));
        }
    }
}
