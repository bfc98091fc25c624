//! On booted hosts.
