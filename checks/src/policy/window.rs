//! When a resident may fix something: a part of the day, on some days of the week.

use std::fmt;
use std::str::FromStr;

/// The days by their short names, the first day of the week first.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A window, `02:00-04:30` or `Mon-Fri,Sun 22:00-02:00`: open whenever a clock shows such a day and time. One that passes midnight
/// belongs to the day on which it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The days on which it opens, one bit each, Monday's the lowest.
    days: u8,
    /// The minute of the day at which it opens.
    from: u16,
    /// The minute of the day from which it is closed; up to that of the opening: on the next day.
    to: u16,
}

impl Window {
    /// Whether it is open on that day (0: Monday) at that minute.
    pub fn covers(&self, day: u8, minute: u16) -> bool {
        let opens = |day: u8| self.days & (1 << (day % 7)) != 0;
        if self.from < self.to {
            opens(day) && (self.from..self.to).contains(&minute)
        } else {
            opens(day) && minute >= self.from || opens(day + 6) && minute < self.to
        }
    }
}

/// What is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wanted a window like \"02:00-04:30\" or \"Sat,Sun 22:00-02:00\", with days from Mon to Sun")]
pub struct NoWindow;

impl FromStr for Window {
    type Err = NoWindow;

    fn from_str(text: &str) -> Result<Self, NoWindow> {
        let (days, hours) = text.split_once(' ').unwrap_or(("Mon-Sun", text));
        let (from, to) = hours.split_once('-').ok_or(NoWindow)?;
        let (from, to) = (minute(from)?, minute(to)?);
        // From midnight to midnight is the whole day when it says 24:00, and nothing anybody means else.
        if from == to || from == DAY {
            return Err(NoWindow);
        }
        Ok(Self { days: days_of(days)?, from, to })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> =
            DAYS.iter().enumerate().filter(|(day, _)| self.days & (1 << day) != 0).map(|(_, name)| *name).collect();
        if days.len() < DAYS.len() {
            write!(f, "{} ", days.join(","))?;
        }
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

/// The minute of the day of `02:30`; the end of the day is `24:00`.
fn minute(text: &str) -> Result<u16, NoWindow> {
    let number = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| plain).ok_or(NoWindow)
    };
    let (hour, minute) = text.split_once(':').ok_or(NoWindow)?;
    let (hour, minute) = (number(hour)?, number(minute)?);
    let of_day = hour * 60 + minute;
    if minute < 60 && of_day <= DAY { Ok(of_day) } else { Err(NoWindow) }
}

/// The bits of `Mon-Fri,Sun`; a range may pass the end of the week.
fn days_of(text: &str) -> Result<u8, NoWindow> {
    let day = |name: &str| DAYS.iter().position(|known| *known == name).ok_or(NoWindow);
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + DAYS.len() - first) % DAYS.len();
        for next in first..=first + length {
            days |= 1 << (next % DAYS.len());
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_open_on_its_days_and_hours() {
        // Day, hour and minute; 0 is Monday.
        for (text, day, time, want) in [
            ("02:00-04:30", 3, (2, 0), true),
            ("02:00-04:30", 3, (4, 29), true),
            ("02:00-04:30", 3, (4, 30), false),
            ("02:00-04:30", 3, (1, 59), false),
            ("23:30-01:00", 0, (23, 30), true),
            ("23:30-01:00", 0, (0, 59), true),
            ("23:30-01:00", 0, (1, 0), false),
            ("00:00-24:00", 6, (23, 59), true),
            ("Sat 00:00-24:00", 6, (0, 0), false),
            ("Sat 00:00-24:00", 5, (0, 0), true),
            // It belongs to the day on which it opens.
            ("Sat 22:00-02:00", 5, (1, 0), false),
            ("Sat 22:00-02:00", 6, (1, 0), true),
            ("Sat 22:00-02:00", 6, (22, 0), false),
            ("Sun 22:00-02:00", 0, (1, 59), true),
            ("Mon-Fri 09:00-17:00", 4, (9, 0), true),
            ("Mon-Fri 09:00-17:00", 5, (9, 0), false),
            ("Sat-Mon 09:00-17:00", 0, (9, 0), true),
            ("Sat-Mon,Wed 09:00-17:00", 2, (9, 0), true),
            ("Sat-Mon,Wed 09:00-17:00", 1, (9, 0), false),
        ] {
            let window: Window = text.parse().unwrap();
            assert_eq!(window.covers(day, time.0 * 60 + time.1), want, "{text} {day} {time:?}");
            assert_eq!(window.to_string().parse(), Ok(window), "{window}");
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "2-4",
            "02:00",
            "2:00-4:00",
            "02:00-02:00",
            "24:00-02:00",
            "02:00-24:01",
            "02:60-03:00",
            "+2:00-03:00",
            "mon 02:00-03:00",
            "Mon- 02:00-03:00",
            "Mon 02:00-03:00 UTC",
            " 02:00-03:00",
        ] {
            assert_eq!(text.parse::<Window>(), Err(NoWindow), "{text}");
        }
    }
}
