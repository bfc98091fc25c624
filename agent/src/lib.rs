//! hostward: the binary and everything that touches the machine.
