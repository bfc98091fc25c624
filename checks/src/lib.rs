//! What hostward knows and judges.
