//! The packages: built twice they are the same bytes; installed on booted hosts they do their work, and leave what they should.

#![cfg(test)]

mod bill;
mod cloud;
mod deb;
mod installed;
mod lint;
mod made;
mod plugin;
mod rpm;
mod tarball;
mod templates;

const TEST: &str = "package";
