//! A fake DHCP server in the network around a host: every VPC has one, and cloud-init asks it before it asks for metadata.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::socket::{setsockopt, sockopt::BindToDevice};

use crate::host::{INSTANCE, PRIVATE_CLIENT};
use crate::netns::Netns;

/// Where a message's options begin: after the fixed fields and the magic number (RFC 2131, RFC 2132).
const OPTIONS: usize = 240;
const MAGIC: [u8; 4] = [99, 130, 83, 99];
const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const LEASE_SECONDS: u32 = 3600;
const BROADCAST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::BROADCAST, 68);

/// A running server; it ends with its handle.
#[derive(Debug)]
pub struct Dhcp {
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Dhcp {
    /// Gives the instance's address to whoever asks on the cable of `vpc`.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(vpc: &Netns) -> Result<Self> {
        let socket = vpc.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 67)))?.context("failed to bind port 67")?;
        // Without a route to everybody the cable has to be named.
        setsockopt(&socket, BindToDevice, &"vpc0".into()).context("failed to bind to the cable")?;
        socket.set_broadcast(true)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let serving = thread::spawn(move || {
            let mut message = [0; 1500];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, _)) = socket.recv_from(&mut message) else { continue };
                if let Some(answer) = message.get(..length).and_then(answer) {
                    let _ = socket.send_to(&answer, BROADCAST);
                }
            }
        });
        Ok(Self { stop, serving: Some(serving) })
    }
}

impl Drop for Dhcp {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

/// The offer to a DHCPDISCOVER, the acknowledgement of a DHCPREQUEST.
fn answer(message: &[u8]) -> Option<Vec<u8>> {
    let kind = match option(message.get(OPTIONS..)?, 53)?.first()? {
        1 => 2,
        3 => 5,
        _ => return None,
    };
    let (address, gateway): (Ipv4Addr, Ipv4Addr) = (INSTANCE.parse().ok()?, PRIVATE_CLIENT.parse().ok()?);
    let mut answer = message.get(..OPTIONS)?.to_vec();
    let mut set = |at: usize, bytes: &[u8]| {
        if let Some(place) = answer.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    // BOOTREPLY, to everybody: the client has no address yet.
    set(0, &[2]);
    set(10, &[0x80, 0]);
    set(16, &address.octets());
    set(20, &gateway.octets());
    set(236, &MAGIC);
    let network = address & MASK;
    for (code, value) in [
        (53, vec![kind]),
        (54, gateway.octets().to_vec()),
        (51, LEASE_SECONDS.to_be_bytes().to_vec()),
        (1, MASK.octets().to_vec()),
        (28, (network | !MASK).octets().to_vec()),
        (3, gateway.octets().to_vec()),
    ] {
        answer.extend([code, u8::try_from(value.len()).ok()?]);
        answer.extend(value);
    }
    answer.push(255);
    // BOOTP's smallest message.
    answer.resize(answer.len().max(300), 0);
    Some(answer)
}

/// The value of an option.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        let (code, rest) = options.split_first()?;
        options = match code {
            0 => rest,
            255 => return None,
            _ => {
                let (length, rest) = rest.split_first()?;
                let (value, rest) = rest.split_at_checked(usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                rest
            }
        };
    }
}
