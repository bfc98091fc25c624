//! Names read from disk are hostile: nothing that moves a cursor, starts a line or turns text around leaves here.

use hostward_checks::parse::access_key::masked;

/// Whether a character may stand in output as it is.
fn harmless(c: char) -> bool {
    !matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'          // C0, DEL, C1
        | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}'                  // zero width, marks of direction
        | '\u{2028}'..='\u{202e}'                  // separators, bidi embedding and override
        | '\u{2060}'..='\u{206f}'                  // invisible operators, bidi isolates
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'                // tags, variation selectors supplement
        | '\u{f0000}'..='\u{10ffff}' | '\u{e000}'..='\u{f8ff}')
}

/// The text with every control, format and private-use character escaped as `\xNN` or `\u{…}`, and every AccessKey's id in it masked:
/// settings and command lines are shown as evidence by many checks.
pub fn escape(text: &str) -> String {
    let text = masked(text);
    if text.chars().all(harmless) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if harmless(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x80 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    out
}

/// [`escape`], and cut to so many characters with `…` where it was longer.
pub fn brief(text: &str, most: usize) -> String {
    let escaped = escape(text);
    if escaped.chars().count() <= most {
        return escaped;
    }
    escaped.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_accesskey_survives() {
        let id = concat!("LTAI", "5tQ7xKp2VmZs9RwGd3Hc");
        assert_eq!(escape(&format!("SetEnv AK={id}\n")), "SetEnv AK=LTAI****Hc\\n");
    }

    #[test]
    fn nothing_that_moves_a_cursor_survives() {
        for (raw, want) in [
            ("plain 名字", "plain 名字"),
            ("a\x1b[2Jb", "a\\x1b[2Jb"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{202e}evil\u{2066}", "\\u{202e}evil\\u{2066}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{200b}\u{feff}\u{e0041}", "\\u{200b}\\u{feff}\\u{e0041}"),
            ("\u{2028}", "\\u{2028}"),
        ] {
            assert_eq!(escape(raw), want);
        }
        assert_eq!(brief("abcdef", 4), "abc…");
    }

    proptest::proptest! {
        #[test]
        fn escaping_is_final(text in ".*") {
            let once = escape(&text);
            proptest::prop_assert!(once.chars().all(harmless));
            proptest::prop_assert_eq!(escape(&once), once);
        }
    }
}
