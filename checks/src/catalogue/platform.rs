//! The area platform: Alibaba Cloud's own agent, the kernel's settings, what is kept of logs, and who tries to log in.

pub mod audit;
pub mod kernel;
pub mod security_center;

#[cfg(test)]
mod testing;
