//! The right name for a wrong one.

/// The candidate that is fewest changes away. None: there is none, or none that anybody could have meant.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let scored = candidates.into_iter().map(|known| (distance(known, word), known));
    let (changes, known) = scored.min_by_key(|(changes, _)| *changes)?;
    (changes <= known.chars().count().max(word.chars().count()) / 2).then_some(known)
}

/// The edit distance between two short words (Levenshtein).
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(200).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(200).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(x != *y)).min(*cell + 1).min(left + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshtein() {
        for (a, b, want) in
            [("", "", 0), ("abc", "abc", 0), ("kitten", "sitting", 3), ("", "ab", 2), ("flaw", "lawn", 2)]
        {
            assert_eq!(distance(a, b), want, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_is_one_that_could_have_been_meant() {
        let known = ["sshd.limits", "sshd.logging", "keys.weak"];
        assert_eq!(nearest("sshd.limit", known), Some("sshd.limits"));
        assert_eq!(nearest("completely-else", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
