//! Giving back what the program itself takes of memory: most of its pages are needed while it starts and while a look is heard, and
//! none of them for days between. The kernel keeps them as it keeps any file, and maps those again that are needed.

/// The parts of the program in memory that nobody has ever written to.
#[derive(Debug, Default)]
pub(super) struct Program(Vec<(usize, usize)>);

impl Program {
    /// Of this process.
    pub(super) fn new() -> Self {
        let path = std::fs::read_link("/proc/self/exe").unwrap_or_default();
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        Self(unwritten(&smaps, &path.to_string_lossy()))
    }

    /// Gives their pages back.
    pub(super) fn trim(&self) {
        for (start, length) in &self.0 {
            forget(*start, *length);
        }
    }
}

/// Start and length of what is mapped of a file, cannot be written, and holds no page of the process's own.
fn unwritten(smaps: &str, path: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut mapped = None;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if let Some((start, end)) = first.split_once('-') {
            let ours = !path.is_empty() && line.ends_with(path) && matches!(second, "r--p" | "r-xp");
            let range = usize::from_str_radix(start, 16).ok().zip(usize::from_str_radix(end, 16).ok());
            mapped = range.filter(|(start, end)| ours && start < end).map(|(start, end)| (start, end - start));
        } else if first == "Anonymous:" && second == "0" {
            found.extend(mapped.take());
        }
    }
    found
}

#[expect(unsafe_code, reason = "madvise(2) takes an address")]
fn forget(start: usize, length: usize) {
    let address = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: [`unwritten`] says that this is mapped of the program's file for reading alone and holds no page of its own, such as
    // those that the linker relocates: whoever reads there afterwards reads the same from the file, which cannot be written while
    // it is run.
    let _ = unsafe { nix::libc::madvise(address, length, nix::libc::MADV_DONTNEED) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
7f0000000000-7f0000010000 r--p 00000000 08:01 17 /usr/bin/hostward
Rss:                  64 kB
Anonymous:             0 kB
7f0000010000-7f0000090000 r-xp 00010000 08:01 17 /usr/bin/hostward
Anonymous:             0 kB
7f0000090000-7f00000a0000 r--p 00090000 08:01 17 /usr/bin/hostward
Anonymous:            64 kB
7f00000a0000-7f00000a1000 rw-p 000a0000 08:01 17 /usr/bin/hostward
Anonymous:             0 kB
7f00000b0000-7f00000b1000 r--p 00000000 08:01 18 /usr/lib/other
Anonymous:             0 kB
";

    #[test]
    fn only_what_nobody_wrote_is_given_back() {
        let parts = unwritten(SMAPS, "/usr/bin/hostward");
        assert_eq!(parts, [(0x7f00_0000_0000, 0x10000), (0x7f00_0001_0000, 0x80000)]);
        assert!(unwritten(SMAPS, "").is_empty());
    }

    #[test]
    fn the_program_goes_on_without_its_pages() {
        let rss = || -> usize {
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').nth(1).unwrap().parse().unwrap()
        };
        let program = Program::new();
        assert!(!program.0.is_empty());
        let before = rss();
        program.trim();
        let after = rss();
        assert!(after < before, "{before} -> {after} pages");
        assert!("still here".to_owned().contains("here"));
    }
}
