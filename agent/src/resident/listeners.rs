//! Whether the listening sockets are others than before. The kernel is asked for its list, which is short; who owns them is the
//! look's to find out.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::observe::netlink;

/// What was heard last.
#[derive(Debug, Default)]
pub struct Listeners {
    seen: Option<u64>,
}

impl Listeners {
    /// Asks the kernel. Whether the answer is another one than the last time; the first is none.
    pub fn changed(&mut self) -> bool {
        let Ok(mut sockets) = netlink::listeners() else { return false };
        sockets.sort_by_key(|socket| (socket.inode, socket.port));
        let mut hash = DefaultHasher::new();
        for socket in &sockets {
            (socket.protocol as u8, socket.address, socket.port, socket.interface, socket.inode, socket.uid)
                .hash(&mut hash);
        }
        let now = hash.finish();
        self.seen.replace(now).is_some_and(|before| before != now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_listener_is_a_change() {
        // Other tests listen too: what is asked is whether ours is seen, not that nothing else happens.
        let mut listeners = Listeners::default();
        assert!(!listeners.changed());
        let ours = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(listeners.changed());
        drop(ours);
        assert!(listeners.changed());
    }
}
