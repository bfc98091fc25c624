//! What one audit has tried the next one does not try again.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// DES, because it is cheap enough to try everything: of "zq7!kXw", "Vt9#hQ2", in no list of ours, and of "root@123".
const STRONG: &str = "ablFmuJLiw.uM";
const OTHER: &str = "abj5oZGEQseBM";
const WEAK: &str = "abAU7Q4NZ/HeU";

/// A host, its word list, and the memory of its audits.
struct Case {
    dir: tempfile::TempDir,
    accounts: Vec<Account>,
    cpu: Option<Duration>,
    threads: NonZeroUsize,
}

impl Case {
    fn new() -> Self {
        let case = Self {
            dir: tempfile::tempdir().unwrap(),
            accounts: vec![account("app", STRONG), account("root", WEAK)],
            cpu: None,
            threads: NonZeroUsize::new(2).unwrap(),
        };
        case.list("one\ntwo\n");
        case
    }

    fn list(&self, words: &str) {
        std::fs::write(self.dir.path().join("words"), words).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("state/tried.json")
    }

    fn audit(&self) -> PasswordAudit {
        let cancel = AtomicBool::new(false);
        let mut request = request(self.accounts.clone(), &cancel);
        (request.cpu, request.threads) = (self.cpu, self.threads);
        request.word_lists = vec![self.dir.path().join("words")];
        run(&request, &mut Memory::open(&self.file()), &())
    }
}

#[test]
fn a_second_audit_hashes_nothing_and_says_the_same() {
    let mut case = Case::new();
    let first = case.audit();
    assert!(first.guesses > 10_000 && !first.out_of_budget, "{}", first.guesses);
    assert_eq!(first.accounts[0].outcome, Outcome::NotFound);
    assert_eq!(first.accounts[1].outcome, Outcome::Weak(Rank::First1000));
    let second = case.audit();
    assert_eq!(second.guesses, 0);
    let said = |audit: &PasswordAudit| (audit.accounts[0].clone(), audit.accounts[1].outcome.clone());
    assert_eq!(said(&second), said(&first));

    // A word more: the list is tried again, and our own candidates are not.
    case.list("one\ntwo\nzq7!kXw\n");
    let listed = case.audit();
    assert!((1..=3).contains(&listed.guesses), "{}", listed.guesses);
    assert_eq!(listed.accounts[0].outcome, Outcome::Weak(Rank::WordList));
    assert_eq!(case.audit().guesses, 0);
    case.list("one\ntwo\n");
    let without = case.audit();
    assert_eq!((without.guesses, &without.accounts[0].outcome), (0, &Outcome::NotFound), "this list is known, too");

    // Another password, and what is made of another name.
    case.accounts[0] = account("app", OTHER);
    let anew = case.audit();
    assert!(anew.guesses > 10_000, "{}", anew.guesses);
    case.accounts[0].gecos = b"Zq Seven,,".to_vec();
    let renamed = case.audit();
    assert!(renamed.guesses > 10_000, "{}", renamed.guesses);
    assert_eq!(case.audit().guesses, 0);
}

#[test]
fn an_audit_goes_on_where_the_last_one_stopped() {
    let mut case = Case::new();
    let whole = case.audit().accounts[0].tried;
    std::fs::remove_file(case.file()).unwrap();
    case.accounts.truncate(1);
    case.cpu = Some(Duration::from_millis(700));
    let (mut guesses, mut rounds, mut before) = (0, 0, 0);
    loop {
        let part = case.audit();
        assert!(part.accounts[0].tried >= before, "what is tried only grows");
        (guesses, rounds, before) = (guesses + part.guesses, rounds + 1, part.accounts[0].tried);
        if !part.out_of_budget {
            break;
        }
        assert!(part.guesses > 0 && rounds < 1000);
    }
    assert!(rounds > 1);
    assert_eq!((guesses, before), (whole, whole), "after {rounds} rounds each candidate was hashed once");
}

#[test]
fn the_file_is_private_and_holds_no_secret() {
    let mut case = Case::new();
    let _ = case.audit();
    let text = std::fs::read_to_string(case.file()).unwrap();
    assert_eq!(std::fs::metadata(case.file()).unwrap().permissions().mode() & 0o777, 0o600);
    for secret in [STRONG, WEAK, "root@123", "root", "app"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let unkeyed = |text: &str| memory::hex(&<sha2::Sha256 as sha2::Digest>::digest(text.as_bytes()));
    assert!(!text.contains(&unkeyed(STRONG)) && !text.contains(&unkeyed(WEAK)));
    let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(kept["hashes"].as_object().unwrap().len(), 2);
    let found = kept["hashes"].as_object().unwrap().values().flat_map(|lists| lists.as_object().unwrap().values());
    let found: Vec<_> = found.filter(|tried| !tried["found"].is_null()).collect();
    assert_eq!((found.len(), found[0]["count"].as_u64()), (1, Some(0)), "where it stands would tell the password");

    // Whose password is gone is forgotten, and kept where it is not known whose there are.
    case.accounts[0].password = Fact::Unknown(Why::Denied);
    let _ = case.audit();
    assert_eq!(std::fs::read_to_string(case.file()).unwrap(), text);
    case.accounts[0].password = Fact::Absent;
    let _ = case.audit();
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(case.file()).unwrap()).unwrap();
    assert_eq!(kept["hashes"].as_object().unwrap().len(), 1);
}

#[test]
fn a_file_that_cannot_be_trusted_is_begun_anew() {
    let mut case = Case::new();
    case.accounts.remove(0);
    // So that a match always comes after as many guesses.
    case.threads = NonZeroUsize::MIN;
    let first = case.audit().guesses;
    let good = std::fs::read_to_string(case.file()).unwrap();
    assert!(first > 0 && case.audit().guesses == 0);
    for bad in [String::new(), "{".to_owned(), good.replace("tried/1", "tried/2"), good[..good.len() / 2].to_owned()] {
        std::fs::write(case.file(), &bad).unwrap();
        assert_eq!(case.audit().guesses, first, "{bad}");
        assert_eq!(case.audit().guesses, 0, "{bad}");
    }
    let before = std::fs::read_to_string(case.file()).unwrap();
    std::fs::set_permissions(case.file(), PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(case.audit().guesses, first, "others may have read the key, or written it");
    assert_ne!(std::fs::read_to_string(case.file()).unwrap(), before);
    // Nowhere to write: the audit goes on as if nothing were known.
    std::fs::remove_dir_all(case.dir.path().join("state")).unwrap();
    std::fs::write(case.dir.path().join("state"), "").unwrap();
    assert_eq!((case.audit().guesses, case.audit().guesses), (first, first));
}
