//! apt's configuration (`apt.conf(5)`), as far as it names values: scopes in braces, values in quotes.

use crate::check::bytes_text;

/// The last value that is given to a name, in any scope: `APT::Default-Release`. Names are told without case.
pub fn value(bytes: &[u8], name: &str) -> Option<String> {
    let (mut scopes, mut words, mut found) = (Vec::<String>::new(), Vec::new(), None);
    for token in tokens(bytes) {
        match token {
            Token::Word(word) => words.push(word),
            Token::Open => scopes.push(std::mem::take(&mut words).into_iter().next().unwrap_or_default()),
            Token::Close => {
                scopes.pop();
                words.clear();
            }
            Token::End => {
                let mut words = std::mem::take(&mut words).into_iter();
                let (Some(last), Some(value)) = (words.next(), words.next()) else { continue };
                let full = scopes.iter().filter(|scope| !scope.is_empty()).chain([&last]);
                let full = full.map(String::as_str).collect::<Vec<_>>().join("::");
                if full.eq_ignore_ascii_case(name) {
                    found = Some(value);
                }
            }
        }
    }
    found
}

enum Token {
    Word(String),
    Open,
    Close,
    End,
}

fn tokens(bytes: &[u8]) -> Vec<Token> {
    let text = bytes_text(bytes);
    let (mut out, mut rest) = (Vec::new(), text.as_str());
    while let Some(first) = rest.chars().next() {
        let behind = |count: usize| rest.get(count..).unwrap_or_default();
        let from = |mark: &str| rest.split_once(mark).map_or("", |(_, behind)| behind);
        rest = match first {
            '{' | '}' | ';' => {
                out.push(if first == '{' {
                    Token::Open
                } else if first == '}' {
                    Token::Close
                } else {
                    Token::End
                });
                behind(1)
            }
            '"' => {
                let (word, behind) = behind(1).split_once('"').unwrap_or((behind(1), ""));
                out.push(Token::Word(word.to_owned()));
                behind
            }
            '#' => from("\n"),
            '/' if rest.starts_with("//") => from("\n"),
            '/' if rest.starts_with("/*") => from("*/"),
            _ if first.is_whitespace() => behind(first.len_utf8()),
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "{};\"".contains(c)).unwrap_or(rest.len());
                out.push(Token::Word(rest.get(..end).unwrap_or_default().to_owned()));
                behind(end)
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_found_in_every_form() {
        for (text, wanted) in [
            ("APT::Default-Release \"stable\";", Some("stable")),
            ("apt::default-release stable;\n", Some("stable")),
            ("APT { Default-Release \"a\"; Install-Recommends \"0\"; };\nAPT::Default-Release \"b\";", Some("b")),
            ("// APT::Default-Release \"a\";\n/* APT::Default-Release \"b\"; */ # x\n", None),
            ("APT::NeverAutoRemove { \"^linux\"; \"x\"; };", None),
            ("DPkg::Post-Invoke { \"rm; APT::Default-Release x;\"; };", None),
        ] {
            assert_eq!(value(text.as_bytes(), "APT::Default-Release").as_deref(), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse(bytes in prop::collection::vec(prop_oneof![Just(b'{'), Just(b'}'), Just(b'"'), Just(b'/'), any::<u8>()], 0..200)) {
            value(&bytes, "APT::Default-Release");
        }
    }
}
