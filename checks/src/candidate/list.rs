//! The ranked list: passwords that stand for themselves, one a line, likeliest first. Written for this project from what
//! administrators of Chinese servers are known to choose.

/// What is tried at `level`, likeliest first.
pub(super) fn at(level: u32) -> impl Iterator<Item = &'static str> {
    let words = match level {
        0 => include_str!("list/0.txt"),
        1 => include_str!("list/1.txt"),
        2 => include_str!("list/2.txt"),
        3 => include_str!("list/3.txt"),
        4 => include_str!("list/4.txt"),
        _ => "",
    };
    words.lines()
}
