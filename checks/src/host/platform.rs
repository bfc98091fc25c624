//! What files say of the platform: whether Security Center's agent is installed, the kernel's settings, and what is kept of logs.

use std::path::Path;

use crate::fact::Fact;
use crate::observation::platform::SECURITY_CENTER;
use crate::snapshot::{Miss, Reader};

mod drop_ins;
pub mod logging;
pub mod sysctl;

/// What is installed and set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Whether the directory of Security Center's agent is there.
    pub security_center: Fact<()>,
    /// Kernel settings that the next boot makes.
    pub sysctl: sysctl::Sysctl,
    /// What is kept of logs.
    pub logging: logging::Logging,
}

impl Platform {
    /// Reads what there is.
    pub fn read(reader: &Reader<'_>) -> Self {
        let client = Path::new(SECURITY_CENTER).join("aegis_client");
        Self {
            security_center: reader.meta(&client).map_or_else(Miss::fact, |_| Fact::Known(())),
            sysctl: sysctl::Sysctl::read(reader),
            logging: logging::Logging::read(reader),
        }
    }
}
