//! The audit of made-up accounts: hashes of libxcrypt 4.4, low rounds.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use hostward_checks::fact::Why;

use super::*;

mod remembered;

/// md5crypt of "root@123".
const MD5_ROOT_123: &str = "$1$abcdefgh$/J0/giu7.gUDL23eteL1b1";
/// Of "correct horse battery".
const MD5_STRONG: &str = "$1$abcdefgh$E2IUOVGWn4QIROUcRm1wO/";
/// Of "zq7!kXw", in no list of ours.
const MD5_IN_LIST: &str = "$1$abcdefgh$sa1soY78mvFEHQW//8d38/";

fn account(user: &str, password: &str) -> Account {
    Account { user: Name::new(user), gecos: Vec::new(), password: Fact::Known(password.as_bytes().to_vec()) }
}

fn request<'a>(accounts: Vec<Account>, cancel: &'a AtomicBool) -> Request<'a> {
    Request {
        accounts,
        host_words: vec![b"web01".to_vec()],
        year: 2026,
        word_lists: Vec::new(),
        cpu: Some(Duration::from_millis(300)),
        wall: None,
        limits: Limits::default(),
        threads: NonZeroUsize::new(2).expect("two"),
        idle: false,
        cancel,
    }
}

fn outcomes(audit: &PasswordAudit) -> Vec<(&str, &Outcome)> {
    audit.accounts.iter().map(|a| (std::str::from_utf8(a.user.bytes()).expect("ASCII"), &a.outcome)).collect()
}

#[test]
fn each_account_gets_its_own_answer() {
    let dear = format!("$6$rounds=999999999$salt${}", "a".repeat(86));
    let huge = format!("$7$Q6..../....salt${}", "a".repeat(43));
    let cancel = AtomicBool::new(false);
    let audit = run(
        &request(
            vec![
                account("root", MD5_ROOT_123),
                account("nobody", "*"),
                account("locked", "!!"),
                account("open", ""),
                account("odd", "x"),
                account("new", "$argon2id$v=19$m=1,t=1,p=1$aaaa$aaaa"),
                account("dear", &dear),
                account("huge", &huge),
                account("strong", MD5_STRONG),
                account("twin", MD5_ROOT_123),
            ],
            &cancel,
        ),
        &mut Memory::none(),
        &(),
    );
    let answers = outcomes(&audit);
    assert_eq!(answers[0], ("root", &Outcome::Weak(Rank::First1000)));
    assert_eq!(answers[1], ("nobody", &Outcome::Locked));
    assert_eq!(answers[2], ("locked", &Outcome::Locked));
    assert_eq!(answers[3], ("open", &Outcome::Empty));
    assert_eq!(answers[4], ("odd", &Outcome::Unusable));
    assert_eq!(answers[5], ("new", &Outcome::NotTried(NotTried::Unrecognised)));
    assert!(matches!(answers[6].1, Outcome::NotTried(NotTried::TooCostly(_))), "{:?}", answers[6]);
    assert!(matches!(answers[7].1, Outcome::NotTried(NotTried::TooCostly(_))), "{:?}", answers[7]);
    assert_eq!(answers[8], ("strong", &Outcome::NotFound));
    assert_eq!(answers[9], ("twin", &Outcome::Weak(Rank::First1000)));
    assert!(audit.out_of_budget);
    let strong = &audit.accounts[8];
    assert!(strong.tried > 100 && strong.tried < strong.of, "{strong:?}");
    assert_eq!(strong.method, Some(Method::Md5));
}

#[test]
fn a_word_list_is_read_to_its_end_whatever_it_holds() {
    let mut file = tempfile::NamedTempFile::new().expect("temp");
    file.write_all(b"one\r\n\n\xff\xfe\n").expect("write");
    file.write_all(&vec![b'a'; 3 * CHUNK_LIKE]).expect("write");
    file.write_all(b"\nnul\0nul\nzq7!kXw").expect("write");
    let cancel = AtomicBool::new(false);
    let mut request = request(vec![account("app", MD5_IN_LIST), account("other", MD5_STRONG)], &cancel);
    request.word_lists = vec![file.path().to_owned()];
    request.cpu = None;
    // Our own candidates by the hundred thousand take too long here: only the words.
    let budget = Budget::new(None, None, &cancel);
    let mut second = tempfile::NamedTempFile::new().expect("temp");
    second.write_all(b"two\n").expect("write");
    let paths = [second.path().to_owned(), "/nonexistent/words".into(), file.path().to_owned()];
    let (both, trouble) = WordList::open(&paths, &budget);
    assert_eq!((both.words, both.skipped), (4, 2));
    assert!(trouble.expect("one is missing").to_string().starts_with("/nonexistent/words: "));
    let read: Vec<Vec<u8>> = both.reader().map(|c| c.as_bytes().to_vec()).collect();
    assert_eq!(read, [b"two".to_vec(), b"one".to_vec(), b"\xff\xfe".to_vec(), b"zq7!kXw".to_vec()]);
    let (words, trouble) = WordList::open(&[file.path().to_owned()], &budget);
    assert_eq!((words.words, trouble), (3, None));
    let none = Generator::new(std::iter::empty::<&[u8]>(), 2026).account(b"", b"");
    let mut spent = none;
    spent.by_ref().for_each(drop);
    let Hash::Known(hash) = Hash::parse(MD5_IN_LIST.as_bytes()) else {
        panic!("md5crypt");
    };
    let verifier = hash.verifier(&Limits::default()).expect("cheap");
    let schedule =
        Mutex::new(Schedule::new(vec![Task::new(verifier, spent, Some(words.reader()), Default::default())]));
    schedule::run(&schedule, &budget, request.threads, true, &());
    let schedule = schedule.into_inner().expect("not poisoned");
    assert_eq!(schedule.result(0), (3, 3, Outcome::Weak(Rank::WordList)));
    assert!(!schedule.unfinished());
}

const CHUNK_LIKE: usize = 16 << 10;

#[test]
fn a_word_list_that_is_no_file_is_told_and_the_rest_goes_on() {
    let directory = tempfile::tempdir().expect("temp");
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).expect("fifo");
    for path in [fifo, directory.path().to_owned(), directory.path().join("absent")] {
        let cancel = AtomicBool::new(false);
        let mut request = request(vec![account("root", MD5_ROOT_123)], &cancel);
        request.word_lists = vec![path.clone()];
        let audit = run(&request, &mut Memory::none(), &());
        assert!(audit.word_list.is_some(), "{}", path.display());
        assert_eq!(audit.accounts[0].outcome, Outcome::Weak(Rank::First1000));
    }
}

#[test]
fn a_dear_hash_does_not_keep_a_cheap_one_waiting() {
    // bcrypt of cost 10, some fifty milliseconds a guess, first in the list.
    let dear = format!("$2b$10${}{}", "a".repeat(21) + "u", "a".repeat(31));
    let cancel = AtomicBool::new(false);
    let audit =
        run(&request(vec![account("dear", &dear), account("root", MD5_ROOT_123)], &cancel), &mut Memory::none(), &());
    assert_eq!(audit.accounts[1].outcome, Outcome::Weak(Rank::First1000));
}

#[test]
fn what_could_not_be_read_is_never_passed() {
    let cancel = AtomicBool::new(false);
    let mut unread = account("root", "");
    unread.password = Fact::Unknown(Why::Denied);
    let mut missing = account("lost", "");
    missing.password = Fact::Absent;
    let audit = run(&request(vec![unread, missing], &cancel), &mut Memory::none(), &());
    assert_eq!(audit.accounts[0].outcome, Outcome::NotTried(NotTried::Unreadable(Why::Denied)));
    assert_eq!(audit.accounts[1].outcome, Outcome::Unusable);
}

#[test]
fn it_ends_when_cancelled_and_says_so() {
    let cancel = AtomicBool::new(true);
    let mut request = request(vec![account("root", MD5_STRONG)], &cancel);
    request.cpu = None;
    let audit = run(&request, &mut Memory::none(), &());
    assert!(audit.out_of_budget);
    assert_eq!(audit.accounts[0].outcome, Outcome::NotTried(NotTried::OutOfBudget));
    assert!(audit.accounts[0].of > 50_000);
}

#[test]
fn progress_only_grows() {
    struct Seen(Mutex<Vec<(u64, u64)>>);
    impl Progress for Seen {
        fn advance(&self, tried: u64, of: u64) {
            self.0.lock().expect("seen").push((tried, of));
        }
    }
    let cancel = AtomicBool::new(false);
    let mut request = request(vec![account("root", MD5_STRONG)], &cancel);
    request.threads = NonZeroUsize::MIN;
    let seen = Seen(Mutex::default());
    let _ = run(&request, &mut Memory::none(), &seen);
    let seen = seen.0.into_inner().expect("seen");
    assert!(seen.len() > 1 && seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "{seen:?}");
    assert!(!cancel.load(Ordering::Relaxed));
}

#[test]
fn no_core_dump_while_it_runs_and_as_before_afterwards() {
    use nix::sys::prctl::get_dumpable;
    let before = get_dumpable().expect("prctl");
    {
        let _guard = guard::NoCoreDump::new();
        assert!(!get_dumpable().expect("prctl"));
    }
    assert_eq!(get_dumpable().expect("prctl"), before);
}

#[test]
fn nothing_that_could_be_printed_holds_a_hash() {
    let text = format!("{:?}", account("root", MD5_STRONG));
    assert!(!text.contains("$1$"), "{text}");
}

#[test]
fn the_year_comes_from_the_clock_that_is_given() {
    assert_eq!(year_of(0), 1970);
    assert_eq!(year_of(1_795_000_000), 2026);
}
