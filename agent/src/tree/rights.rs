//! Another user's rights on files, for as long as one call takes, and in this thread alone.

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::io::Errno;

/// A user without any other groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// The only group.
    pub gid: u32,
}

impl User {
    /// Does something with this user's rights on files.
    ///
    /// # Errors
    /// As what is done; or the rights cannot be taken.
    pub fn act<T>(self, act: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        with(Some(self), act)
    }
}

/// Does something with the file rights of this user (`setfsuid(2)`, `setfsgid(2)`, no other group): the kernel takes the
/// capabilities over files away with them. None: with our own rights.
///
/// # Errors
/// What was done failed, or the rights cannot be taken: then nothing was done.
pub(super) fn with<T>(user: Option<User>, act: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let Some(user) = user else { return act() };
    let _taken = Taken::take(user)?;
    act()
}

/// Rights taken, given back with the value.
struct Taken {
    groups: Vec<rustix::fs::Gid>,
    uid: Uid,
    gid: Gid,
}

impl Taken {
    fn take(user: User) -> Result<Self, Errno> {
        let groups = groups()?;
        rustix::thread::set_thread_groups(&[])?;
        let gid = setfsgid(Gid::from_raw(user.gid));
        let uid = setfsuid(Uid::from_raw(user.uid));
        let taken = Self { groups, uid, gid };
        // These two calls tell no error: asked for what cannot be, they answer what is.
        let (gid, uid) = (setfsgid(Gid::from_raw(u32::MAX)), setfsuid(Uid::from_raw(u32::MAX)));
        if (uid.as_raw(), gid.as_raw()) != (user.uid, user.gid) {
            return Err(Errno::PERM);
        }
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        setfsuid(self.uid);
        setfsgid(self.gid);
        // Root may always set its groups: it just did.
        let _ = rustix::thread::set_thread_groups(&self.groups);
    }
}

/// This thread's groups. The C library's call is the same for all threads, which is only true outside of [`with`].
fn groups() -> Result<Vec<rustix::fs::Gid>, Errno> {
    let groups = nix::unistd::getgroups().map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
    Ok(groups.into_iter().map(|group| rustix::fs::Gid::from_raw(group.as_raw())).collect())
}
