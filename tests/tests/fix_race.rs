//! A racing attacker: while root mends key files again and again, their owner swaps his home, `.ssh` and `authorized_keys` with
//! links to what is root's and others', with pipes, directories and hard links, and goes for root's temporary files. Nothing outside his
//! home changes, nothing of it comes to him, and nothing hangs.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hostward::apply::{Offline, Outcome};
use hostward::transaction::Store;
use hostward_checks::effect::{Effect, FileChange, Owner, State};
use hostward_checks::plan::{Plan, Planned};
use hostward_tests::rng::Rng;
use hostward_tests::suite::{private_mounts, run_directory};
use hostward_tests::tier::Tier;
use hostward_tests::{binary, results, transact};
use nix::mount::{MsFlags, mount};
use tempfile::TempDir;

const MALLORY: u32 = 5000;
const ALICE: u32 = 4000;
/// What must never come to the attacker.
const SECRET: &str = "$6$the-secret-of-root$";
/// A DSA key, which `keys.weak` removes.
const WEAK: &str = include_str!("fix_race/weak.pub");
/// Longer than any run of it takes.
const HANG: Duration = Duration::from_secs(30);

/// A root directory in memory, of this thread and the processes that it starts.
struct Image {
    dir: TempDir,
}

impl Image {
    fn new() -> Self {
        private_mounts().unwrap();
        let dir = run_directory("race").unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        mount(Some("race"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
        let image = Self { dir };
        let accounts = "root:x:0:0::/root:/bin/sh\nalice:x:4000:4000::/home/alice:/bin/sh\nmallory:x:5000:5000::/home/mallory/h:/bin/sh\n";
        image.file("etc/passwd", accounts, 0, 0o644);
        image.file("etc/group", "root:x:0:\nalice:x:4000:\nmallory:x:5000:\n", 0, 0o644);
        image.file("etc/os-release", "ID=debian\n", 0, 0o644);
        // What mending would remove or narrow stands in the canaries too; mallory himself may write none of them.
        image.file("etc/shadow", &format!("root:{SECRET}:1::::::\n{WEAK}"), 0, 0o640);
        image.file("canary/closed", SECRET, 0, 0o600);
        image.file("canary/open", WEAK, 0, 0o664);
        image.file("canary/authorized_keys", WEAK, 0, 0o664);
        image.file("canary/.ssh/authorized_keys", WEAK, 0, 0o664);
        image.file("home/alice/.ssh/keys", WEAK, ALICE, 0o664);
        image.file("home/alice/authorized_keys", WEAK, ALICE, 0o664);
        for (path, mode) in
            [("canary", 0o775), ("canary/.ssh", 0o775), ("home/alice", 0o755), ("home/alice/.ssh", 0o775)]
        {
            fs::set_permissions(image.path(path), Permissions::from_mode(mode)).unwrap();
        }
        for path in ["home/alice", "home/alice/.ssh"] {
            chown(image.path(path), Some(ALICE), Some(ALICE)).unwrap();
        }
        image.file("home/mallory/h/.ssh/authorized_keys", WEAK, MALLORY, 0o666);
        for path in ["home/mallory", "home/mallory/h", "home/mallory/h/.ssh"] {
            chown(image.path(path), Some(MALLORY), Some(MALLORY)).unwrap();
        }
        image
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    fn file(&self, inside: &str, content: &str, uid: u32, mode: u32) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        chown(&path, Some(uid), Some(uid)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    /// What mallory links to: from the home, from `.ssh`, through the whole of the real path, and from the root.
    fn targets(&self) -> Vec<String> {
        let mut targets = Vec::new();
        for canary in [
            "etc/shadow",
            "canary",
            "canary/.ssh",
            "canary/open",
            "canary/closed",
            "canary/authorized_keys",
            "home/alice",
            "home/alice/.ssh",
            "home/alice/.ssh/keys",
            "home/alice/authorized_keys",
        ] {
            targets.push(self.path(canary).to_str().unwrap().to_owned());
            targets.extend(["../..", "../../..", "../../../.."].map(|up| format!("{up}/{canary}")));
        }
        // As seen from the root of the image; the machine has none of these.
        targets.extend(["/canary", "/canary/open", "/home/alice-of-the-race"].map(str::to_owned));
        targets
    }

    /// Everything outside mallory's home and hostward's own state.
    fn canaries(&self) -> BTreeMap<PathBuf, String> {
        let mut out = BTreeMap::new();
        for top in ["etc", "canary", "home/alice"] {
            collect(&self.path(top), &mut out);
        }
        for top in ["home", "home/mallory"] {
            let meta = fs::symlink_metadata(self.path(top)).unwrap();
            out.insert(top.into(), format!("{}:{} {:o}", meta.uid(), meta.gid(), meta.mode()));
        }
        out
    }

    fn attacker(&self, program: &Path, seed: u64) -> Attacker {
        let mut child = Command::new(program)
            .arg(self.path("home/mallory"))
            .arg(seed.to_string())
            .args(self.targets())
            .uid(MALLORY)
            .gid(MALLORY)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Attacker { child, output }
    }
}

/// A running attacker.
struct Attacker {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Attacker {
    /// Ends it; how often it has swapped something.
    fn end(mut self) -> u64 {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.output.read_to_string(&mut line).unwrap();
        assert!(self.child.wait().unwrap().success());
        line.trim().parse().unwrap()
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn collect(path: &Path, out: &mut BTreeMap<PathBuf, String>) {
    let meta = fs::symlink_metadata(path).unwrap();
    let content =
        if meta.is_file() { String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned() } else { String::new() };
    let told =
        format!("{}:{} {:o} {} {:?} {content}", meta.uid(), meta.gid(), meta.mode(), meta.nlink(), meta.file_type());
    out.insert(path.to_path_buf(), told);
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), out);
        }
    }
}

/// Looks through mallory's home for what is not his, while it moves.
fn leaked(path: &Path) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else { return false };
    if meta.is_file() && meta.uid() == MALLORY {
        return fs::read(path).is_ok_and(|text| text.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
    }
    meta.is_dir() && fs::read_dir(path).is_ok_and(|names| names.flatten().any(|entry| leaked(&entry.path())))
}

/// Runs it to its end, which must come.
fn run(command: &mut Command) -> (i32, String) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + HANG;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("it hangs: {command:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status.code().unwrap_or_else(|| panic!("{status}: {said}")), said)
}

/// The attacker's program where its user may run it.
fn program(image: &Image) -> PathBuf {
    let program = image.path("race");
    fs::copy(env!("CARGO_BIN_EXE_race"), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    program
}

/// What must hold after every round.
fn judge(image: &Image, before: &BTreeMap<PathBuf, String>, round: &str, said: &str) {
    assert!(!said.contains(SECRET), "{round}: {said}");
    assert!(!leaked(&image.path("home/mallory")), "{round}: the secret came to mallory");
    let now = image.canaries();
    for (path, was) in before {
        assert_eq!(now.get(path), Some(was), "{round}: {}: {said}", path.display());
    }
    assert_eq!(now.len(), before.len(), "{round}: {said}");
}

#[test]
fn a_user_who_races_with_root_gains_nothing() {
    let rounds: u64 = Tier::current().pick(150, 3_000);
    let (image, binary) = (Image::new(), binary().unwrap());
    let program = program(&image);
    let before = image.canaries();
    let mut outcomes: BTreeMap<i32, u32> = BTreeMap::new();
    let (mut swaps, mut half) = (0, 0);
    for batch in 0..rounds / 50 {
        let attacker = image.attacker(&program, batch);
        for round in 0..50 {
            let name = format!("round {round} of {batch}");
            let mut fix = Command::new(&binary);
            fix.arg("fix").arg("--root").arg(image.dir.path()).args(["keys.permissions", "keys.weak", "--apply"]);
            let (code, said) = run(&mut fix);
            // What mallory changed meanwhile is his, and stays as he left it.
            let left = said.contains("NOT UNDONE AS A WHOLE");
            half += u32::from(left);
            assert!(left || [0, 1, 3].contains(&code), "{name}: {code}: {said}");
            *outcomes.entry(code).or_default() += 1;
            if round % 10 == 9 {
                let mut recover = Command::new(&binary);
                let (code, said) = run(recover.arg("recover").arg("--root").arg(image.dir.path()));
                assert!(code == 0, "recover after {name}: {code}: {said}");
                drop(fs::remove_dir_all(image.path("var/lib/hostward")));
            }
            judge(&image, &before, &name, &said);
        }
        swaps += attacker.end();
    }
    let told = format!(
        "{rounds} runs of the whole program against {swaps} swaps: exit codes {outcomes:?}, {half} left half undone"
    );
    results::tested("fix_race", "keys.permissions, keys.weak", told);
    // Otherwise nobody raced.
    assert!(swaps > rounds * 10, "{swaps}");
    assert!(outcomes.contains_key(&0) && outcomes.contains_key(&3), "{outcomes:?}");
}

/// The plan that mends the home as the attacker leaves it.
fn plan() -> Plan {
    let owner = |mode| Owner { uid: MALLORY, gid: MALLORY, mode };
    let change = |path: &str, before, after| Planned {
        effect: Effect::File(FileChange { path: Path::new("/home/mallory").join(path), before, after }),
        reasons: Vec::new(),
        guards: Vec::new(),
    };
    let dir = |path, from, to| change(path, State::Dir { owner: owner(from) }, State::Dir { owner: owner(to) });
    let keys = (State::file(WEAK.as_bytes(), owner(0o666)), State::file(*b"", owner(0o600)));
    let effects =
        vec![dir("h", 0o777, 0o755), dir("h/.ssh", 0o777, 0o700), change("h/.ssh/authorized_keys", keys.0, keys.1)];
    Plan { effects, unfixable: Vec::new() }
}

/// The writer alone, so that it meets the attacker more often than a whole program does: a round is a transaction that began,
/// after as many attempts as mallory's home needs to stand as planned for a moment.
#[test]
fn the_writer_alone_gives_nothing_away() {
    let rounds: u64 = Tier::current().pick(350, 7_000);
    let image = Image::new();
    let (program, plan, before) = (program(&image), plan(), image.canaries());
    let (mut attempts, mut done, mut undone, mut half, mut swaps) = (0_u64, 0_u32, 0_u32, 0_u32, 0);
    for batch in 0..rounds / 50 {
        let attacker = image.attacker(&program, 1_000_000 + batch);
        for round in 0..50 {
            let name = format!("round {round} of {batch}");
            let mut store = Store::alone(image.dir.path()).unwrap();
            let end = Instant::now() + HANG;
            let mut transaction = loop {
                attempts += 1;
                match store.begin(&transact::new(&plan)) {
                    Ok(transaction) => break transaction,
                    Err(error) => assert!(Instant::now() < end, "{name}: it never begins: {error:#}"),
                }
            };
            let outcome = hostward::apply::run(store.tree(), &mut transaction, &mut Offline);
            assert!(Instant::now() < end, "{name}: it hangs");
            match &outcome {
                Ok(Outcome::Confirmed) => done += 1,
                Ok(Outcome::Undone { .. }) => undone += 1,
                _ => half += 1,
            }
            judge(&image, &before, &name, &format!("{outcome:?}"));
            drop(fs::remove_dir_all(image.path("var/lib/hostward")));
        }
        swaps += attacker.end();
    }
    let told = format!(
        "{rounds} transactions begun in {attempts} attempts against {swaps} swaps: {done} done, {undone} undone, {half} left half undone"
    );
    results::tested("fix_race", "the writer alone", told);
    assert!(swaps > rounds && done > 0 && undone + half > 0, "nobody raced");
}

/// The same attacker against one who goes by paths: it shows that the race can be won.
#[test]
fn who_goes_by_paths_loses_the_race() {
    let image = Image::new();
    let program = program(&image);
    let before = image.canaries();
    let attacker = image.attacker(&program, 1);
    let keys = image.path("home/mallory/h/.ssh/authorized_keys");
    let end = Instant::now() + Duration::from_secs(60);
    let mut rounds = 0;
    let mut rng = Rng::new(7);
    let lost = loop {
        rounds += 1;
        // Looks first, as a careful script does.
        let judged = fs::symlink_metadata(&keys).is_ok_and(|meta| meta.is_file() && meta.uid() == MALLORY)
            && fs::symlink_metadata(keys.parent().unwrap()).is_ok_and(|meta| meta.is_dir() && meta.uid() == MALLORY);
        if judged {
            let wait = Instant::now() + Duration::from_micros(rng.below(200) as u64);
            while Instant::now() < wait {
                std::hint::spin_loop();
            }
            drop(fs::set_permissions(&keys, Permissions::from_mode(0o600)));
        }
        let now = image.canaries();
        if now != before {
            break true;
        }
        if Instant::now() > end {
            break false;
        }
    };
    drop(attacker);
    results::tested(
        "fix_race",
        "the attack itself",
        format_args!("a writer that goes by paths loses after {rounds} rounds"),
    );
    assert!(lost, "the attacker won nothing in {rounds} rounds against a writer that goes by paths");
}
