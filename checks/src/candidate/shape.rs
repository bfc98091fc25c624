//! What people do to a word to make a password of it: case, joiner, tail, and a few tricks.

use super::word::Word;

/// How the word itself is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    AsIs,
    Capital,
    Upper,
    /// `p@ssw0rd`
    Leet,
    /// `P@ssw0rd`
    LeetCapital,
    Reversed,
    Twice,
}

/// One thing to do to a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    spelling: Spelling,
    joiner: &'static str,
    tail: String,
    /// The tail stands in front.
    leading: bool,
}

const SPELLINGS: &[(Spelling, u32)] = &[
    (Spelling::AsIs, 0),
    (Spelling::Capital, 1),
    (Spelling::Upper, 4),
    (Spelling::Leet, 4),
    (Spelling::LeetCapital, 4),
    (Spelling::Twice, 4),
    (Spelling::Reversed, 5),
];

const JOINERS: &[(&str, u32)] =
    &[("", 0), ("@", 1), ("_", 3), ("#", 3), (".", 4), ("!", 4), ("-", 5), ("*", 6), ("$", 6)];

/// Tails that follow with or without a joiner.
const TAILS: &[(u32, &[&str])] = &[
    (1, &["123", "123456", "1234"]),
    (2, &["1", "12345", "888", "666", "520", "1314", "!@#", "111", "000"]),
    (
        3,
        &[
            "12", "321", "12345678", "123!", "123.com", "456", "789", "01", "88", "66", "5201314", "qwe", "abc",
            "123!@#", "123#", "1!",
        ],
    ),
    (
        4,
        &[
            "2",
            "123456789",
            "1234567",
            "654321",
            "999",
            "222",
            "333",
            "555",
            "777",
            "8888",
            "6666",
            "123123",
            "99",
            "00",
            "11",
            "!",
            "pwd",
            "pass",
        ],
    ),
    (
        5,
        &[
            "1q2w3e",
            "1qaz",
            "qwer",
            "!@#$",
            "987",
            "147",
            "258",
            "1234567890",
            "0",
            "02",
            "007",
            "09",
            "password",
            "admin",
            "root",
            "mima",
            "qaz",
            "asd",
            "zxc",
        ],
    ),
    (
        6,
        &[
            "3", "5", "6", "7", "8", "9", "10", "22", "33", "44", "55", "77", "168", "886", "100", "110", "119",
            "112233", "abc123", "!!", "..", "?", "ok", "vip", "com",
        ],
    ),
];

/// Tails that people put in front.
const LEADING: &[(u32, &str)] = &[
    (4, "123"),
    (4, "123456"),
    (5, "1"),
    (5, "!@#"),
    (5, "520"),
    (5, "qwe"),
    (5, "abc"),
    (6, "my"),
    (6, "1234"),
    (6, "888"),
];

/// All shapes, by level.
#[derive(Debug)]
pub(super) struct Shapes(Vec<Vec<Shape>>);

impl Shapes {
    pub(super) fn new(year: u16) -> Self {
        let mut all = Self((0..=super::LAST_LEVEL).map(|_| Vec::new()).collect());
        let mut tails: Vec<(u32, String)> = Vec::new();
        for (level, texts) in TAILS {
            tails.extend(texts.iter().map(|text| (*level, (*text).to_owned())));
        }
        for age in 0..30 {
            let level = match age {
                0 | 1 => 2,
                2..=4 => 3,
                5..=10 => 5,
                _ => 7,
            };
            tails.push((level, year.saturating_sub(age).to_string()));
        }
        for &(spelling, spelled) in SPELLINGS {
            all.push(spelled, spelling, "", "", false);
            for (tail_level, tail) in &tails {
                for &(joiner, joined) in JOINERS {
                    all.push(spelled + joined + tail_level, spelling, joiner, tail, false);
                }
                // "root@123." and "Root123!": a last mark to satisfy a policy.
                for (mark, marked) in [("!", 3), (".", 3), ("@", 4), ("#", 4)] {
                    all.push(spelled + marked + tail_level, spelling, "", &format!("{tail}{mark}"), false);
                    all.push(spelled + marked + tail_level + 2, spelling, "@", &format!("{tail}{mark}"), false);
                }
            }
            for &(level, tail) in LEADING {
                all.push(spelled + level, spelling, "", tail, true);
                all.push(spelled + level + 2, spelling, "@", tail, true);
            }
            for (mark, level) in [("!", 4), ("@", 5), (".", 5), ("#", 5)] {
                all.push(spelled + level, spelling, "", mark, false);
            }
        }
        all
    }

    fn push(&mut self, level: u32, spelling: Spelling, joiner: &'static str, tail: &str, leading: bool) {
        if let Some(shapes) = self.0.get_mut(level as usize) {
            shapes.push(Shape { spelling, joiner, tail: tail.to_owned(), leading });
        }
    }

    pub(super) fn at(&self, level: u32) -> &[Shape] {
        self.0.get(level as usize).map_or(&[], Vec::as_slice)
    }
}

impl Shape {
    /// The word in this shape; nothing where it makes no difference to the word.
    pub(super) fn apply(&self, word: &Word) -> Option<Vec<u8>> {
        let spelled = spell(self.spelling, &word.text)?;
        let mut out = Vec::with_capacity(spelled.len() + self.joiner.len() + self.tail.len());
        if self.leading {
            out.extend_from_slice(self.tail.as_bytes());
            out.extend_from_slice(self.joiner.as_bytes());
            out.extend_from_slice(&spelled);
        } else {
            out.extend_from_slice(&spelled);
            out.extend_from_slice(self.joiner.as_bytes());
            out.extend_from_slice(self.tail.as_bytes());
        }
        Some(out)
    }
}

fn spell(spelling: Spelling, word: &[u8]) -> Option<Vec<u8>> {
    let out = match spelling {
        Spelling::AsIs => return Some(word.to_vec()),
        Spelling::Capital => capital(word.to_vec()),
        Spelling::Upper => word.to_ascii_uppercase(),
        Spelling::Leet => leet(word),
        Spelling::LeetCapital => match leet(word) {
            plain if plain == word => return None,
            changed => capital(changed),
        },
        Spelling::Reversed => word.iter().rev().copied().collect(),
        Spelling::Twice => [word, word].concat(),
    };
    (out != word).then_some(out)
}

fn capital(mut word: Vec<u8>) -> Vec<u8> {
    if let Some(first) = word.first_mut() {
        first.make_ascii_uppercase();
    }
    word
}

/// The usual `a` → `@`, `o` → `0`; the others are rarer than they seem.
fn leet(word: &[u8]) -> Vec<u8> {
    let swap = |&c: &u8| match c {
        b'a' | b'A' => b'@',
        b'o' | b'O' => b'0',
        other => other,
    };
    word.iter().map(swap).collect()
}
