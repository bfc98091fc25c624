//! Integration tests, test hosts and benches of hostward.
