//! The command line of a listening sshd, from what stands in its place in `/proc/PID/cmdline`.

/// Options of `sshd(8)` that take an argument, of every version.
const WITH_ARGUMENT: &[u8] = b"CEbcfghkopu";

/// The arguments of a listening sshd. None: it is the process of a session, or no sshd.
///
/// From 8.2 on a listener's title is `sshd: `, its arguments joined by spaces, and ` [listener] 0 of 10-100 startups`; what a
/// client chooses (a user's name) never stands at a title's end. An argument that held a space is put together again:
/// sshd takes no operands, so that a word that is neither an option nor an option's argument belongs to the one before it.
pub fn argv(cmdline: &[u8]) -> Option<Vec<Vec<u8>>> {
    let Some(title) = cmdline.strip_prefix(b"sshd: ") else {
        let plain: Vec<_> =
            cmdline.strip_suffix(b"\0").unwrap_or(cmdline).split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        let program = plain.first()?.rsplit(|byte| *byte == b'/').next()?;
        return (program == b"sshd").then_some(plain);
    };
    let end = title.iter().rposition(|byte| !matches!(byte, 0 | b' ' | b'\n'))?;
    let words: Vec<&[u8]> = title.get(..=end)?.split(|byte| *byte == b' ').collect();
    let (tail, words) = (words.get(words.len().checked_sub(5)?..)?, words.get(..words.len() - 5)?);
    let [b"[listener]", _, b"of", _, b"startups"] = tail else { return None };
    let mut out: Vec<Vec<u8>> = Vec::new();
    for word in words {
        match out.last_mut() {
            Some(last) if out_of_place(last, word) => {
                last.push(b' ');
                last.extend_from_slice(word);
            }
            _ => out.push(word.to_vec()),
        }
    }
    // The first word is the program: nothing may be joined to it.
    Some(out).filter(|words| !words.is_empty())
}

/// Whether a word cannot be an argument of its own after `last`.
fn out_of_place(last: &[u8], word: &[u8]) -> bool {
    if word.starts_with(b"-") {
        return false;
    }
    match last {
        [b'-', flags @ .., option] if !flags.contains(&b'=') => !WITH_ARGUMENT.contains(option),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_give_their_arguments_and_sessions_none() {
        let cases: [(&[u8], Option<&[&str]>); 12] = [
            (b"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\0\0\0", Some(&["/usr/sbin/sshd", "-D"])),
            (b"sshd: sshd [listener] 1 of 10-100 startups", Some(&["sshd"])),
            (b"/usr/sbin/sshd\0-D\0-o\0Port 22\0", Some(&["/usr/sbin/sshd", "-D", "-o", "Port 22"])),
            (
                b"sshd: /usr/sbin/sshd -D -o PermitRootLogin no -p 23 -4 [listener] 0 of 10-100 startups",
                Some(&["/usr/sbin/sshd", "-D", "-o", "PermitRootLogin no", "-p", "23", "-4"]),
            ),
            (
                b"sshd: /usr/sbin/sshd -Df /etc/ssh/a b -oPort=22 [listener] 0 of 10-100 startups",
                Some(&["/usr/sbin/sshd", "-Df", "/etc/ssh/a b", "-oPort=22"]),
            ),
            (b"sshd: root@pts/0\0", None),
            (b"sshd: bob [priv]", None),
            (b"sshd: [listener] 0 of 10-100 startups@pts/0", None),
            (b"sshd: [listener] [priv]", None),
            (b"/usr/bin/nginx\0", None),
            (b"", None),
            (b"sshd: ", None),
        ];
        for (line, expected) in cases {
            let expected = expected.map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
            assert_eq!(argv(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }
}
