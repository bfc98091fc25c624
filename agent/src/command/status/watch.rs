//! `hostward status --watch`: the status as it changes, on a terminal or in lines of JSON.
//!
//! It asks once a second, as long as it runs: a resident that nobody watches does nothing for it.

use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use hostward_checks::check::Lang;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Shown;
use crate::exit_code::{Ends, ExitCode};
use crate::resident::status::{Cost, SOCKET, Status, ask};
use crate::sanitize::escape;

/// How often it is asked, milliseconds.
const EVERY: u16 = 1000;

/// So many findings are shown before anything of how they are known.
const FEW: usize = 4;

/// The terminal's other screen, without a cursor, and where a line that the terminal takes for longer does not run into the next.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Watches until it is told to end, or nobody reads any more.
///
/// # Errors
/// Exit code 3: no resident runs. 64: this is no terminal.
pub(super) fn watch(json: bool, lang: Lang) -> anyhow::Result<()> {
    let draws = std::io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    if !json && !draws {
        let message = "--watch needs a terminal to draw on: --watch --json writes a line for each change instead";
        return Err(Ends::with(ExitCode::Usage, message));
    }
    let first = ask(Path::new(SOCKET))?;
    let ours = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGWINCH];
    let ours = SigSet::from_iter(ours);
    ours.thread_block().context("failed to block signals")?;
    let signals = SignalFd::with_flags(&ours, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .context("failed to wait for signals")?;
    let mut view = View { screen: (!json).then_some(lang), status: first, gone: None, shown: String::new() };
    let mut reads = view.enter()? && view.show()?;
    while reads {
        reads = match wait(&signals)? {
            News::End => false,
            News::Resized => view.show_again()?,
            News::Stop => {
                view.leave();
                raise(Signal::SIGSTOP).context("failed to stop")?;
                view.enter()? && view.show_again()?
            }
            News::Time => {
                view.take(ask(Path::new(SOCKET)));
                view.show()?
            }
        };
    }
    Ok(())
}

/// What comes while it waits.
enum News {
    /// It is time to ask.
    Time,
    /// It is told to end, or nobody reads any more.
    End,
    /// The terminal has another size.
    Resized,
    /// Ctrl-Z.
    Stop,
}

fn wait(signals: &SignalFd) -> anyhow::Result<News> {
    let out = std::io::stdout();
    // Of standard output nothing is asked but whether its other end is there.
    let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(out.as_fd(), PollFlags::empty())];
    match poll(&mut fds, PollTimeout::from(EVERY)) {
        Ok(0) | Err(Errno::EINTR) => return Ok(News::Time),
        Ok(_) => {}
        Err(errno) => return Err(errno).context("failed to wait"),
    }
    let signal = signals.read_signal().ok().flatten().and_then(|signal| i32::try_from(signal.ssi_signo).ok());
    Ok(match signal.and_then(|number| Signal::try_from(number).ok()) {
        Some(Signal::SIGWINCH) => News::Resized,
        Some(Signal::SIGTSTP) => News::Stop,
        _ => News::End,
    })
}

/// What is watched, and where it is shown.
struct View {
    /// On a terminal, in this language; else in lines of JSON.
    screen: Option<Lang>,
    /// The last answer.
    status: Status,
    /// Why there is none now.
    gone: Option<String>,
    /// What was shown last.
    shown: String,
}

impl View {
    fn take(&mut self, answer: anyhow::Result<Status>) {
        match answer {
            Ok(status) => (self.status, self.gone) = (status, None),
            Err(error) => self.gone = Some(format!("{error:#}")),
        }
    }

    /// Shows it where it is not what was shown last. False: nobody reads any more.
    fn show(&mut self) -> anyhow::Result<bool> {
        let (now, text) = match self.screen {
            Some(lang) => {
                let text = frame(&Shown::of(&self.status, lang), self.gone.as_deref(), lang, size());
                (text.clone(), text)
            }
            None => self.line()?,
        };
        if now == self.shown {
            return Ok(true);
        }
        self.shown = now;
        write(&text)
    }

    fn show_again(&mut self) -> anyhow::Result<bool> {
        self.shown.clear();
        self.show()
    }

    /// The line, and what is compared of it: what every answer has another of is no change.
    fn line(&self) -> anyhow::Result<(String, String)> {
        if let Some(gone) = &self.gone {
            let line = serde_json::json!({ "schema": "hostward.no-status/1", "message": gone }).to_string() + "\n";
            return Ok((line.clone(), line));
        }
        let same = Status { full_look_in: 0, cost: Cost::default(), ..self.status.clone() };
        Ok((serde_json::to_string(&same)?, serde_json::to_string(&self.status)? + "\n"))
    }

    fn enter(&self) -> anyhow::Result<bool> {
        if self.screen.is_some() { write(ENTER) } else { Ok(true) }
    }

    fn leave(&self) {
        if self.screen.is_some() {
            // A terminal that is gone need not be given back.
            let _ = write(LEAVE);
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.leave();
    }
}

/// False: nobody reads any more.
fn write(text: &str) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe || error.raw_os_error() == Some(nix::libc::EIO) => {
            Ok(false)
        }
        Err(error) => Err(error).context("failed to write to standard output"),
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    size.ok().filter(|(columns, rows)| *columns > 0 && *rows > 0).unwrap_or((80, 24))
}

/// One screen: where not all findings have room, the worst are shown, and how many there are more.
fn frame(shown: &Shown, gone: Option<&str>, lang: Lang, (columns, rows): (usize, usize)) -> String {
    let say = |en: String, zh: String| if lang == Lang::Zh { zh } else { en };
    let mut lines: Vec<String> =
        gone.map(|why| say(format!("waiting: {why}"), format!("等待中：{why}"))).into_iter().collect();
    lines.extend(shown.head.iter().cloned());
    // Where there is little room, it is for what is open.
    let foot =
        if rows < lines.len() + shown.findings.len().min(FEW) + shown.foot.len() { &[][..] } else { &shown.foot };
    let room = rows.saturating_sub(lines.len() + foot.len());
    if shown.findings.len() <= room {
        lines.extend(shown.findings.iter().cloned());
    } else if let Some(some) = room.checked_sub(1) {
        lines.extend(shown.findings.iter().take(some).cloned());
        let more = shown.findings.len() - some;
        lines
            .push(say(format!("  … {more} more: `hostward status`"), format!("  … 另有 {more} 项：`hostward status`")));
    }
    lines.extend(foot.iter().cloned());
    let lines: Vec<String> = lines.iter().take(rows).map(|line| cut(&escape(line), columns) + "\x1b[K").collect();
    format!("\x1b[H{}\x1b[J", lines.join("\r\n"))
}

/// As much of a line as has room: a Chinese character takes two columns.
fn cut(line: &str, columns: usize) -> String {
    if line.width() <= columns {
        return line.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let fits = c.width().unwrap_or(0) <= left;
        left = left.saturating_sub(c.width().unwrap_or(0));
        fits
    };
    line.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_its_columns_end() {
        for (line, columns, want) in [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 5, "abcd…"),
            ("中文字", 6, "中文字"),
            ("中文字", 5, "中文…"),
            ("中文字", 4, "中…"),
            ("a中文", 4, "a中…"),
            ("e\u{301}e\u{301}e", 2, "e\u{301}…"),
            ("x", 0, "…"),
        ] {
            assert_eq!(cut(line, columns), want, "{line} in {columns}");
        }
    }

    #[test]
    fn a_screen_has_no_more_lines_than_the_terminal_and_none_is_too_wide() {
        let shown = Shown {
            head: vec!["fail：3 项未解决".to_owned()],
            findings: vec!["  critical \x1b[2J一二三四五六".to_owned(), "  high b".to_owned(), "  low c".to_owned()],
            foot: vec!["foot".to_owned()],
        };
        for rows in 1..8 {
            let text = frame(&shown, Some("no resident"), Lang::Zh, (20, rows));
            let body = text.strip_prefix("\x1b[H").and_then(|text| text.strip_suffix("\x1b[J")).unwrap();
            let lines: Vec<&str> = body.split("\r\n").map(|line| line.strip_suffix("\x1b[K").unwrap()).collect();
            assert!(lines.len() == rows.min(6), "{rows}: {lines:?}");
            assert!(lines.iter().all(|line| line.width() <= 20 && !line.contains('\x1b')), "{lines:?}");
            assert_eq!(lines.iter().any(|line| line.contains("另有")), (3..5).contains(&rows), "{rows}: {lines:?}");
        }
    }
}
