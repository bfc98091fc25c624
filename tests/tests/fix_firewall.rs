//! hostward's firewall table against packets: real rules of others beside it, real connections through it, hosts that flush it.

#![cfg(test)]

#[path = "fix_firewall/booted.rs"]
mod booted;
#[path = "fix_firewall/fail2ban.rs"]
mod fail2ban;
#[path = "fix_firewall/lab.rs"]
mod lab;
#[path = "fix_firewall/spaces.rs"]
mod spaces;
