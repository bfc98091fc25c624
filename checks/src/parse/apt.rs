//! What apt and dpkg keep: paragraphs of fields (`deb822(5)`), release files, preferences (`apt_preferences(5)`), configuration.

pub mod conf;
pub mod paragraphs;
pub mod preferences;
pub mod release;
