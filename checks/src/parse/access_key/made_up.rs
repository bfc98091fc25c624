//! Whether a key is made up for a document or a test: real ones are drawn at random from 62 letters and digits.
//!
//! Each rule lets a random id of sixteen characters pass all but once in some ten thousand times or more; what each is, is said there.

/// Words of people who make up a key, in any case.
const WORDS: [&[u8]; 18] = [
    b"example",
    b"sample",
    b"placeholder",
    b"dummy",
    b"accesskey",
    b"access",
    b"secret",
    b"redacted",
    b"changeme",
    b"replace",
    b"insert",
    b"foobar",
    b"masked",
    b"hidden",
    b"keyid",
    b"testid",
    b"mykey",
    b"fixture",
];
/// Shorter words: only as people write them, in one case or with a capital.
const SHORT: [&[u8]; 4] = [b"your", b"test", b"fake", b"demo"];
/// A row of the keyboard, and letters and digits in their order.
const ORDERS: [&[u8]; 5] = [b"abcdefghijklmnopqrstuvwxyz", b"01234567890", b"qwertyuiop", b"asdfghjkl", b"zxcvbnm"];
/// So many neighbours of an order are no chance: one in a million.
const IN_ORDER: usize = 6;

/// Whether somebody made up this key (without its prefix), or this secret.
pub(super) fn is_made_up(key: &[u8]) -> bool {
    let lower = key.to_ascii_lowercase();
    let has_word = WORDS.iter().any(|word| lower.windows(word.len()).any(|part| part == *word));
    has_word || is_poor(key) || repeats(key) || is_in_order(&lower)
}

/// Fewer different characters than half its length, or digits alone.
fn is_poor(key: &[u8]) -> bool {
    let mut seen = [false; 256];
    let different =
        key.iter().filter(|byte| !seen.get_mut(usize::from(**byte)).is_none_or(|seen| std::mem::replace(seen, true)));
    // Words of thirty and more have few characters that they lack.
    different.count() * 2 < key.len().min(24) || key.iter().all(u8::is_ascii_digit)
}

/// One character five times in a row, or a part and the same part again.
fn repeats(key: &[u8]) -> bool {
    let same = |five: &[u8]| five.iter().all(|byte| five.first() == Some(byte));
    let periodic = |period: usize| key.get(period..) == key.get(..key.len() - period);
    key.windows(5).any(same) || (1..=key.len() / 2).any(periodic)
}

/// Letters or digits in their order or backwards, every one or every second one (`a1b2c3d4e5f6`).
fn is_in_order(lower: &[u8]) -> bool {
    let second = |from: usize| lower.iter().skip(from).step_by(2).copied().collect();
    let ways: [Vec<u8>; 3] = [lower.to_vec(), second(0), second(1)];
    ways.iter().any(|way| ORDERS.iter().any(|order| longest(way, order) >= IN_ORDER))
}

/// The most characters in a row of which each follows the one before it in that order; or each the one after it.
fn longest(text: &[u8], order: &[u8]) -> usize {
    let follows = |one: &u8, two: &u8| order.windows(2).any(|pair| pair == [*one, *two]);
    let (mut longest, mut up, mut down) = (0, 1, 1);
    for (one, two) in text.iter().zip(text.iter().skip(1)) {
        up = if follows(one, two) { up + 1 } else { 1 };
        down = if follows(two, one) { down + 1 } else { 1 };
        longest = longest.max(up).max(down);
    }
    longest
}

/// Whether part of an id (without its prefix) is filled with `x` or `0`, or a short word stands at its beginning, behind what all ids
/// begin with, or at its end: in between, and in secrets, chance writes four letters too often.
pub(super) fn is_filled_in(key: &[u8]) -> bool {
    if key.windows(4).any(|four| matches!(four, b"xxxx" | b"XXXX" | b"0000")) {
        return true;
    }
    let in_one_case =
        |part: &[u8]| part.iter().all(u8::is_ascii_uppercase) || part.iter().skip(1).all(u8::is_ascii_lowercase);
    SHORT.iter().any(|word| {
        [0, 1, 2, key.len().saturating_sub(word.len())].into_iter().any(|start| {
            let part = key.get(start..start + word.len()).unwrap_or_default();
            part.eq_ignore_ascii_case(word) && in_one_case(part)
        })
    })
}

/// Whether it is words written together: letters alone, all of one case, or each word with a capital. One random id of sixteen
/// characters in some ten thousands is, so this counts only where no secret stands beside it.
pub(super) fn reads_as_words(key: &[u8]) -> bool {
    let tail = key.strip_prefix(b"LTAI").or_else(|| key.strip_prefix(b"STS.")).unwrap_or(key);
    if !tail.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    let one_case = tail.iter().all(u8::is_ascii_lowercase) || tail.iter().all(u8::is_ascii_uppercase);
    let mut words: Vec<Vec<u8>> = Vec::new();
    for byte in tail {
        match words.last_mut().filter(|_| one_case || byte.is_ascii_lowercase()) {
            Some(word) => word.push(*byte),
            None => words.push(vec![*byte]),
        }
    }
    words.iter().all(|word| is_speakable(word))
}

/// Whether people could say it: three letters or more, one in five of them a vowel, and never five without one.
fn is_speakable(word: &[u8]) -> bool {
    let is_vowel = |byte: &u8| b"aeiouyAEIOUY".contains(byte);
    let vowels = word.iter().filter(|byte| is_vowel(byte)).count();
    word.len() >= 3 && vowels * 5 >= word.len() && !word.windows(5).any(|five| !five.iter().any(is_vowel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_told_from_what_is_drawn() {
        for key in [
            "xxxxxxxxxxxx",
            "5tExampleKey9Qz",
            "000000000000",
            "1234567890123456",
            "AbCdEfGhIjKlMnOp",
            "a1b2c3d4e5f6g7h8",
            "zyxwvutsrqponmlk",
            "qwertyuiopas",
            "YourOwnKey12",
            "5tTESTq8Kd02Lm",
            "abcabcabcabc",
            "8Kq2Zp8Kq2Zp",
            "AAAAAAAAAAAA",
            "9fake7Kp2Vm1",
            "123456789012",
        ] {
            assert!(is_made_up(key.as_bytes()) || is_filled_in(key.as_bytes()), "{key}");
        }
        for key in
            ["5tQ7xKp2VmZs9RwGd3Hc", "bM4hwDeVtL7pVs", "4G8FZk1sPq3TnRw6YbXc2Lm9UdJeAh", "Q7xK2VmZs9Rw", "eSt9TeQ4wKd1"]
        {
            assert!(!is_made_up(key.as_bytes()) && !is_filled_in(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn words_written_together_read_as_words() {
        for (key, want) in [
            ("LTAIAccessProvider", true),
            ("LTAIinternational", true),
            ("LTAIAUTHENTICATION", true),
            ("LTAIQwXkTrPlMnBv", false),
            ("LTAIjnbsgltpmqhx", false),
            ("LTAI5tAccessProvider", false),
        ] {
            assert_eq!(reads_as_words(key.as_bytes()), want, "{key}");
        }
    }
}
