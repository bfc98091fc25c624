//! What a fix asks of the running system: who asks for it, what a reload would do, how the machine takes it, and that somebody
//! undoes it.

mod banner;
pub mod circumstances;
mod deadline;
mod kernel;
pub mod launch;
pub mod listeners;
pub(crate) mod manager;
pub mod pending;
mod probe;
mod program;
mod rereading;
mod services;
pub mod session;
pub(crate) mod validate;
mod verify;

pub use circumstances::{circumstances, session_manager_runs};
pub use deadline::tidy;
pub use listeners::unbindable;
pub use manager::start_unit as start;
pub use pending::pending;
pub use probe::probe;
pub use services::LiveServices;
pub use session::session;
