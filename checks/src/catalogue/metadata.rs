//! The area metadata: what 100.100.100.200 tells, and whom.

use crate::check::{Input, Text, Verdict};
use crate::fact::{Fact, Why};
use crate::observation::metadata::Metadata;

pub mod hardened;
pub mod local_access;
pub mod readiness;
pub mod user_data;

/// The evidence's place where it was no file.
const SERVICE: &str = "(metadata service)";
/// What a finding about the service itself is about: there is one.
const SUBJECT: &str = "metadata:100.100.100.200";

/// Where the question does not arise.
const NOT_ECS: Text = Text {
    en: "the metadata service was not asked: this is not an ECS instance",
    zh: "未询问元数据服务：这不是 ECS 实例",
};

/// What the service answered. An error is the verdict.
fn answers<'a>(input: &Input<'a>) -> Result<&'a Metadata, Verdict> {
    let doubt = |why: Why| {
        let mut tally = crate::check::Tally::new();
        tally.doubt(SUBJECT, why);
        Err(tally.verdict())
    };
    match &input.seen.metadata {
        Fact::Known(metadata) => Ok(metadata),
        Fact::Absent | Fact::Unknown(Why::NotAsked(_)) => Err(Verdict::NotApplicable(NOT_ECS)),
        Fact::Unknown(why) => doubt(why.clone()),
    }
}

#[cfg(test)]
pub(super) mod shown;
#[cfg(test)]
mod testing;
