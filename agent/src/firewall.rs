//! hostward's own nftables table on the running system: loaded whole, read back, held, taken away. No other table is touched.

use hostward_checks::effect::NftTable;
use hostward_checks::plan::table::rules::NAME;

mod connections;
mod dependents;
mod gather;
pub mod hold;
pub(crate) mod monitor;
pub mod nft;
pub mod observe;

pub use gather::gather;

/// Puts the table into place, or takes it away where there is to be none. The kernel changes it in one step: who looks sees the
/// old one or the new one.
///
/// # Errors
/// nft is missing, does not take the text, or the kernel refuses it: the old table stands.
pub fn put(table: &NftTable) -> anyhow::Result<()> {
    match &table.after {
        Some(text) => {
            nft::check(text)?;
            nft::load(text)?;
            if nft::listing(NAME)?.is_none() {
                anyhow::bail!("the firewall table was loaded, and is not there");
            }
            Ok(())
        }
        None => remove(),
    }
}

/// Takes the table away, if it is there.
///
/// # Errors
/// The kernel refuses it. Without nft and without the kernel's part there is no table.
pub fn remove() -> anyhow::Result<()> {
    if nft::program().is_none() && !std::path::Path::new("/sys/module/nf_tables").exists() {
        return Ok(());
    }
    nft::load(&format!("add table inet {NAME}\ndelete table inet {NAME}\n"))
}
