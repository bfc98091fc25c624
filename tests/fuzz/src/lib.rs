//! What every parser of untrusted bytes promises, whatever the bytes.

use hostward_checks::parse::Defect;

/// Asserts that defects point into the input and can be printed as they are.
pub fn assert_defects(input: &[u8], defects: &[Defect]) {
    let lines = input.split(|byte| *byte == b'\n').count();
    for defect in defects {
        assert!((1..=lines).contains(&(defect.line as usize)), "line {} of {lines}: {}", defect.line, defect.what);
        assert!(!defect.what.chars().any(char::is_control), "a control character in {:?}", defect.what);
    }
}
