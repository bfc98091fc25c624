//! What a fix asks of the running system: who asks for it, what a reload would do, and how the machine takes it.

pub mod circumstances;
pub mod listeners;
pub mod pending;
pub mod session;

pub use circumstances::circumstances;
pub use listeners::unbindable;
pub use pending::pending;
pub use session::session;
