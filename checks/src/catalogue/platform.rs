//! The area platform: Alibaba Cloud's own agent, the kernel's settings, what is kept of logs, and who tries to log in.

pub mod audit;
pub mod kernel;
pub mod login_anomaly;
pub mod security_center;
pub mod trusted_boot;

/// Where the question does not arise.
const NOT_ECS: crate::check::Text =
    crate::check::Text { en: "this is not an ECS instance", zh: "这不是 ECS 实例" };
pub mod updates;

#[cfg(test)]
pub(super) mod shown;
#[cfg(test)]
mod testing;
