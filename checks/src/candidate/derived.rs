//! What a rule says more shortly than a list: runs of digits, keyboard walks, dates, telephone numbers.

/// What is tried at `level`; `year` is the present one.
pub(super) fn at(level: u32, year: u16) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
    match level {
        2 => Box::new(runs(4..=10)),
        3 => Box::new(walks(&["", "123", "!@#", "1234", "123456"])),
        4 => Box::new(years(year).chain(telephones())),
        5 => Box::new(doubled_words().chain(repeated_pairs())),
        7 => Box::new(short_dates()),
        8 => Box::new(walk_pairs()),
        9 => Box::new(birthdays(year)),
        _ => Box::new(std::iter::empty()),
    }
}

/// `1111`, `1234`, `4321`, `0123` of every length.
fn runs(lengths: std::ops::RangeInclusive<usize>) -> impl Iterator<Item = Vec<u8>> + Send {
    lengths.flat_map(|length| {
        let same = (b'0'..=b'9').map(move |digit| vec![digit; length]);
        let up = [b'1', b'0'].into_iter().map(move |first| climb(first, 1, length));
        let down = [b'9', b'0'].into_iter().map(move |first| climb(first, 9, length));
        let letters = (b'a'..=b'z').map(move |letter| vec![letter; length.min(8)]);
        same.chain(up).chain(down).chain(letters)
    })
}

fn climb(first: u8, step: u8, length: usize) -> Vec<u8> {
    let mut digit = first - b'0';
    (0..length)
        .map(|_| {
            let out = b'0' + digit;
            digit = (digit + step) % 10;
            out
        })
        .collect()
}

/// Columns and rows of a keyboard, down, up, and with the shift key held.
const WALKS: &[&str] = &[
    "1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "zaq1", "xsw2", "cde3", "vfr4", "bgt5", "!QAZ", "@WSX",
    "#EDC", "$RFV", "%TGB", "ZAQ!", "XSW@", "CDE#", "qwer", "asdf", "zxcv", "QWER", "ASDF", "ZXCV", "qaz", "wsx",
    "edc", "qwe", "asd", "zxc", "1234", "!@#$", "4321", "rewq", "fdsa", "vcxz", "tyui", "ghjk", "bnm", "poiu", "lkjh",
    "mnbv",
];

fn walks(tails: &'static [&'static str]) -> impl Iterator<Item = Vec<u8>> + Send {
    tails.iter().flat_map(|tail| WALKS.iter().map(move |walk| [walk.as_bytes(), tail.as_bytes()].concat()))
}

fn walk_pairs() -> impl Iterator<Item = Vec<u8>> + Send {
    WALKS.iter().flat_map(|one| {
        WALKS.iter().filter(move |other| *other != one).map(move |other| [one.as_bytes(), other.as_bytes()].concat())
    })
}

/// `19900101` written by people who are at work now, youngest grown-ups first.
fn birthdays(year: u16) -> impl Iterator<Item = Vec<u8>> + Send {
    (18..=60).flat_map(move |age| {
        (1..=12).flat_map(move |month| {
            (1..=31).flat_map(move |day| {
                let year = year.saturating_sub(age);
                [
                    format!("{year}{month:02}{day:02}").into_bytes(),
                    format!("{:02}{month:02}{day:02}", year % 100).into_bytes(),
                ]
            })
        })
    })
}

/// `0101` to `1231`, doubled too.
fn short_dates() -> impl Iterator<Item = Vec<u8>> + Send {
    (1..=12).flat_map(|month| {
        (1..=31).flat_map(move |day| {
            let date = format!("{month:02}{day:02}");
            [date.clone().into_bytes(), date.repeat(2).into_bytes()]
        })
    })
}

fn years(year: u16) -> impl Iterator<Item = Vec<u8>> + Send {
    (0..60).flat_map(move |age| {
        let text = year.saturating_sub(age).to_string();
        [text.clone().into_bytes(), text.repeat(2).into_bytes()]
    })
}

/// Numbers that everybody knows: a carrier's prefix and a simple rest.
fn telephones() -> impl Iterator<Item = Vec<u8>> + Send {
    let known = [
        "13800138000",
        "13888888888",
        "13800000000",
        "13812345678",
        "13912345678",
        "13800138001",
        "10086",
        "10010",
        "95588",
        "4008000000",
    ];
    let prefixes =
        ["138", "139", "136", "137", "135", "150", "151", "158", "159", "186", "188", "189", "130", "131", "133"];
    let rests = ["00000000", "11111111", "12345678", "66666666", "88888888", "99999999", "88886666", "00138000"];
    let made =
        prefixes.into_iter().flat_map(move |prefix| rests.map(move |rest| format!("{prefix}{rest}").into_bytes()));
    known.into_iter().map(|text| text.as_bytes().to_vec()).chain(made)
}

/// `520520`, `131413`: love numbers, once and twice and joined.
fn doubled_words() -> impl Iterator<Item = Vec<u8>> + Send {
    const LOVE: &[&str] = &[
        "520", "521", "1314", "5201314", "7758521", "584520", "1573", "9420", "3344", "9958", "168", "886", "888",
        "666",
    ];
    LOVE.iter().flat_map(|one| LOVE.iter().map(move |other| [one.as_bytes(), other.as_bytes()].concat()))
}

/// `121212`, `123123`, `112233`.
fn repeated_pairs() -> impl Iterator<Item = Vec<u8>> + Send {
    (0..100u32).flat_map(|pair| {
        let text = format!("{pair:02}");
        let (a, b) = (pair / 10, pair % 10);
        [
            text.repeat(2).into_bytes(),
            text.repeat(3).into_bytes(),
            text.repeat(4).into_bytes(),
            format!("{a}{a}{a}{b}{b}{b}").into_bytes(),
            format!("{a}{a}{a}{a}{b}{b}{b}{b}").into_bytes(),
        ]
    })
}
