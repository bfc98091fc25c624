//! Passwords worth trying, likeliest first: a list of our own, and rules over the words that an account and its host offer.
//!
//! Everything has a level, the sum of how unusual its parts are: `root@123` is a likely word (0), a usual joiner (1) and the
//! likeliest tail (1). Levels come one after the other, and nothing is built before it is asked for.

mod derived;
mod list;
mod shape;
mod word;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroize;

use shape::Shapes;
use word::Word;

/// The last level: what is less likely than this is left to a word list.
const LAST_LEVEL: u32 = 11;

/// Candidates among which none comes twice; later ones may repeat, so that memory stays small.
pub const DISTINCT: usize = 8192;

/// One password to try; it is erased when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate(Vec<u8>);

impl Candidate {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Candidate {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Candidate(…)")
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What all accounts of a host share.
#[derive(Clone, Debug)]
pub struct Generator {
    common: Vec<Word>,
    shapes: Arc<Shapes>,
    year: u16,
    /// Candidates that are the same for all.
    listed: u64,
}

impl Generator {
    /// `host_words` are the host's name, its organisation's and its products' names, split as [`Generator::account`] splits;
    /// `year` is the present one.
    #[must_use]
    pub fn new<'a>(host_words: impl IntoIterator<Item = &'a [u8]>, year: u16) -> Self {
        let mut common = word::of_host(host_words);
        common.extend(word::everywhere());
        let listed = (0..=LAST_LEVEL)
            .map(|level| list::at(level).count() + derived::at(level, year).count())
            .sum::<usize>() as u64;
        Self { common, shapes: Arc::new(Shapes::new(year)), year, listed }
    }

    /// The candidates for one account: its name, and the GECOS field of passwd(5).
    #[must_use]
    pub fn account(&self, user: &[u8], gecos: &[u8]) -> Candidates {
        self.accounts([(user, gecos)])
    }

    /// The candidates for accounts that share one hash.
    #[must_use]
    pub fn accounts<'a>(&self, accounts: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Candidates {
        let mut words: Vec<Word> =
            accounts.into_iter().flat_map(|(user, gecos)| word::of_account(user, gecos)).collect();
        words.extend_from_slice(&self.common);
        word::distinct(&mut words);
        self.made_of(words)
    }

    /// What the lists and the rules make of one word: the same as long as lists and rules are the same.
    #[must_use]
    pub fn sample(&self) -> Candidates {
        // It has every letter that a rule treats in a way of its own.
        self.made_of(vec![Word { text: b"sample-digits-bcz".to_vec(), level: 0 }])
    }

    fn made_of(&self, words: Vec<Word>) -> Candidates {
        Candidates {
            words: words.into(),
            shapes: Arc::clone(&self.shapes),
            year: self.year,
            listed: self.listed,
            level: 0,
            of_level: Box::new(std::iter::empty()),
            seen: HashSet::new(),
        }
    }
}

/// The candidates for one account, likeliest first, always the same for the same input.
pub struct Candidates {
    words: Arc<[Word]>,
    shapes: Arc<Shapes>,
    year: u16,
    listed: u64,
    /// The level that comes next.
    level: u32,
    of_level: Box<dyn Iterator<Item = Vec<u8>> + Send>,
    /// Digests of the first [`DISTINCT`] candidates.
    seen: HashSet<u64>,
}

impl fmt::Debug for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidates").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Candidates {
    /// How many there are, counting those that turn out to be repetitions.
    #[must_use]
    pub fn at_most(&self) -> u64 {
        let products: usize = self
            .words
            .iter()
            .flat_map(|word| (0..=LAST_LEVEL.saturating_sub(word.level)).map(|left| self.shapes.at(left).len()))
            .sum();
        self.listed + products as u64
    }

    /// The words that they are made of, each with how unusual it is: where [`Generator::sample`] is the same too, so are they.
    pub fn words(&self) -> impl Iterator<Item = (&[u8], u32)> {
        self.words.iter().map(|word| (word.text.as_slice(), word.level))
    }

    fn level(&self, level: u32) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
        let words = Arc::clone(&self.words);
        let shapes = Arc::clone(&self.shapes);
        let products = (0..words.len()).flat_map(move |at| {
            let word = words.get(at).cloned();
            let shapes = Arc::clone(&shapes);
            let left = word.as_ref().and_then(|word| level.checked_sub(word.level));
            let count = left.map_or(0, |left| shapes.at(left).len());
            (0..count).filter_map(move |i| shapes.at(left?).get(i)?.apply(word.as_ref()?))
        });
        let listed = list::at(level).map(|text| text.as_bytes().to_vec());
        Box::new(listed.chain(products).chain(derived::at(level, self.year)))
    }
}

impl Iterator for Candidates {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        loop {
            let Some(text) = self.of_level.next() else {
                if self.level > LAST_LEVEL {
                    return None;
                }
                self.of_level = self.level(self.level);
                self.level += 1;
                continue;
            };
            let candidate = Candidate(text);
            let digest = digest(candidate.as_bytes());
            if self.seen.len() < DISTINCT {
                if !self.seen.insert(digest) {
                    continue;
                }
            } else if self.seen.contains(&digest) {
                continue;
            }
            return Some(candidate);
        }
    }
}

/// FNV-1a: enough to tell candidates apart, and the same in every run.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
