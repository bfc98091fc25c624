//! hostward's entry point.
fn main() {}
