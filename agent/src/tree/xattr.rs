//! Extended attributes: labels, access lists, capabilities.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// Its name, with the name space before the first dot.
    pub name: CString,
    /// Its value.
    pub value: Vec<u8>,
}

/// The longest list and the longest value (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const LIMIT: usize = 64 << 10;

/// Attributes that are made from the content: they do not fit another one, and the kernel makes them anew.
fn of_content(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"security.ima" | b"security.evm")
}

/// All attributes of an open node but those made from its content, in order of their names. A file system without
/// attributes has none.
///
/// # Errors
/// The kernel's.
pub fn read(node: impl AsFd) -> Result<Vec<Xattr>, Errno> {
    let mut list = Vec::with_capacity(LIMIT);
    match rustix::fs::flistxattr(&node, rustix::buffer::spare_capacity(&mut list)) {
        Ok(_) => {}
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    let mut found = Vec::new();
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let Ok(name) = CString::new(name) else { continue };
        if of_content(&name) {
            continue;
        }
        let mut value = Vec::with_capacity(LIMIT);
        match rustix::fs::fgetxattr(&node, &name, rustix::buffer::spare_capacity(&mut value)) {
            Ok(_) => found.push(Xattr { name, value }),
            // Gone since, or listed and not for us.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort();
    Ok(found)
}

/// Gives a new node the SELinux label of its directory where the kernel gave it none: an image of a host with SELinux that is mended
/// on one without would boot with files that its sshd may not read.
///
/// # Errors
/// The kernel's.
pub fn inherit_label(dir: impl AsFd, node: impl AsFd) -> Result<(), Errno> {
    const LABEL: &CStr = c"security.selinux";
    let label = |of: Vec<Xattr>| of.into_iter().find(|xattr| xattr.name.as_c_str() == LABEL);
    match (label(read(dir)?), label(read(&node)?)) {
        (Some(label), None) => rustix::fs::fsetxattr(node, LABEL, &label.value, XattrFlags::empty()),
        _ => Ok(()),
    }
}

/// Gives an open node exactly these attributes.
///
/// # Errors
/// The kernel's.
pub fn write(node: impl AsFd, wanted: &[Xattr]) -> Result<(), Errno> {
    let standing = read(&node)?;
    for old in standing.iter().filter(|old| !wanted.iter().any(|new| new.name == old.name)) {
        match rustix::fs::fremovexattr(&node, &old.name) {
            // A label that the kernel gives every node cannot be taken away.
            Err(_) if old.name.to_bytes().starts_with(b"security.") => {}
            answer => answer?,
        }
    }
    for new in wanted.iter().filter(|new| !standing.contains(new)) {
        rustix::fs::fsetxattr(&node, &new.name, &new.value, XattrFlags::empty())?;
    }
    Ok(())
}
