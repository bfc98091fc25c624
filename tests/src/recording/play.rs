//! The logins that are recorded: every client of a source of its own, so that what is told of a source is told of it alone.

use std::io::Read;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use super::{Event, Name, What};
use crate::host::{Host, INSTANCE, PRIVATE_CLIENT};
use crate::ssh::{Client, With};

const PASSWORD: &str = "Right9Horse-Battery";
const ACCOUNTS: [&str; 4] = ["root", "ann", "bob", "two words"];
const INSTANCE6: &str = "2001:db8:0:1::10";
/// The first half of the sources' addresses; one of them for each client.
const SOURCES: &str = "203.0.113.";
const SOURCES6: &str = "2001:db8:0:1::";

/// Makes accounts, and an sshd that lets everybody try often. The account with a space in its name is written by hand:
/// `useradd` makes none.
const ARRANGE: &str = r"
useradd -m -s /bin/bash ann; useradd -m -s /bin/sh bob
printf 'two words:x:1500:1500::/home/two:/bin/sh\n' >>/etc/passwd; printf 'two words:*:20000:0:99999:7:::\n' >>/etc/shadow
printf 'two:x:1500:\n' >>/etc/group; mkdir -p /home/two; chown 1500:1500 /home/two
printf '%s\n' 'root:PASSWORD' 'ann:PASSWORD' 'bob:PASSWORD' 'two words:PASSWORD' | chpasswd
install -d -m 700 -o ann -g ann /home/ann/.ssh; echo 'KEY' >/home/ann/.ssh/authorized_keys; chown ann /home/ann/.ssh/authorized_keys
install -d -m 700 /root/.ssh; cp /home/ann/.ssh/authorized_keys /root/.ssh/authorized_keys; chown root:root /root/.ssh/authorized_keys
echo 'AUTHORITY' >/etc/ssh/authority.pub
# No pause after a wrong password: it changes no line.
sed -i 's/pam_unix.so nullok\(_secure\)\?/pam_unix.so nullok nodelay/' /etc/pam.d/common-auth
{ printf '%s\n' 'PasswordAuthentication yes' 'PermitRootLogin prohibit-password' 'UsePAM yes' 'MaxAuthTries 6' 'UseDNS no' \
    'TrustedUserCAKeys /etc/ssh/authority.pub'
  if [ -d /etc/ssh/sshd_config.d ]; then echo 'Include /etc/ssh/sshd_config.d/*.conf'; fi
  echo 'ChallengeResponseAuthentication yes'
  if sshd -T 2>/dev/null | grep -qi persourcepenalties; then echo 'PerSourcePenalties no'; fi; } >/etc/ssh/sshd_config
systemctl restart ssh.service
for i in $(seq 100); do bash -c 'exec 3<>/dev/tcp/127.0.0.1/22' 2>/dev/null && exit 0; sleep 0.1; done; exit 1
";

/// The clients of a host, and what they have done.
#[derive(Debug)]
pub(super) struct Play<'host> {
    host: &'host Host,
    client: Client,
    client6: Client,
    key: PathBuf,
    fingerprint: String,
    sources: u8,
    pub(super) events: Vec<Event>,
}

impl<'host> Play<'host> {
    /// Arranges the host and its surroundings.
    pub(super) fn new(host: &'host Host) -> Result<Self> {
        host.vpc().ip(&format!("addr add {SOURCES6}253/64 dev vpc0 nodad"))?;
        host.network().ip(&format!("addr add {INSTANCE6}/64 dev eth0 nodad"))?;
        let client = Client::of(host)?;
        let client6 = Client::at(host.vpc(), INSTANCE6, 22)?;
        let (authority, authority_line) = client.key("authority", "ed25519", None)?;
        let (key, line) = client.key("ann", "ed25519", None)?;
        // Beside it, so that it is offered with the key; bob has the authority's word alone.
        let (signed, _) = client.key("bob", "ed25519", None)?;
        let output = Command::new("ssh-keygen")
            .args(["-q", "-I", "bob of ops CA x", "-n", "bob", "-s"])
            .args([&authority, &signed.with_extension("pub")])
            .output()?;
        ensure!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
        let script = ARRANGE
            .replace("PASSWORD'", &format!("{PASSWORD}'"))
            .replace("KEY", &line)
            .replace("AUTHORITY", &authority_line);
        host.shell(&script)?;
        let (keys, _) = hostward_checks::parse::authorized_keys::parse(line.as_bytes());
        let fingerprint = keys.first().context("no key")?.key.fingerprint().to_string();
        Ok(Self { host, client, client6, key, fingerprint, sources: 10, events: Vec::new() })
    }

    /// The first part.
    pub(super) fn first(&mut self) -> Result<()> {
        let right = With::Password(PASSWORD.to_owned());
        let wrong = || With::Password("wrong".to_owned());
        self.accepted("ann", &With::Key(self.key.clone()), "publickey", true)?;
        self.accepted("root", &With::Key(self.key.clone()), "publickey", false)?;
        self.accepted("ann", &right, "password", true)?;
        self.accepted("bob", &With::Interactive(PASSWORD.to_owned()), "keyboard-interactive/pam", true)?;
        self.accepted("two words", &right, "password", false)?;
        let source = self.source()?;
        for _ in 0..3 {
            self.refused("ann", &source, &wrong(), 1)?;
        }
        let source = self.source()?;
        for name in ["admin", "oracle"] {
            self.refused(name, &source, &wrong(), 1)?;
        }
        self.noise()
    }

    /// The second part, after the logs were rotated.
    pub(super) fn second(&mut self) -> Result<()> {
        let right = With::Password(PASSWORD.to_owned());
        let wrong = || With::Password("wrong".to_owned());
        let interactive = || With::Interactive("wrong".to_owned());
        // As often as MaxAuthTries lets, in one connection.
        for (user, with, signs) in [("ann", wrong(), 6), ("nobody9", wrong(), 6), ("bob", interactive(), 6)] {
            let source = self.source()?;
            self.guesses(user, &source, &with, signs)?;
        }
        let source = self.source()?;
        self.refused("root", &source, &right, 1)?;
        let source = self.source()?;
        self.refused("ann", &source, &interactive(), 1)?;
        self.refused("nobody8", &source, &interactive(), 1)?;
        // A key that nobody knows.
        let (key, _) = self.client.key("stranger", "ed25519", None)?;
        for user in ["ann", "git"] {
            let source = self.source()?;
            self.refused(user, &source, &With::Key(key.clone()), 0)?;
        }
        for name in [
            "x from 9.9.9.9 port 1 ssh2",
            "Accepted password for root from 9.9.9.9 port 1 ssh2",
            "root 9.9.9.9 port 1 [preauth]",
            "a\nNov 22 10:00:00 h sshd[1]: Accepted password for root from 9.9.9.9 port 1 ssh2",
            "x\u{1b}[31m rhost=9.9.9.9 ",
            "\u{540d} \u{5b57}",
            " ",
        ] {
            let source = self.source()?;
            self.refused(name, &source, &wrong(), 1)?;
        }
        Ok(())
    }

    /// The third part, after they were rotated once more.
    pub(super) fn third(&mut self) -> Result<()> {
        let right = With::Password(PASSWORD.to_owned());
        self.certified()?;
        self.accepted("ann", &right, "password", false)?;
        let source = self.source6()?;
        self.let_in("ann", &source, &right, "password", None, true)?;
        let source = self.source6()?;
        for name in ["ann", "ftp"] {
            self.refused(name, &source, &With::Password("wrong".to_owned()), 1)?;
        }
        self.before_any_name()?;
        self.forge()
    }

    fn now() -> Result<i64> {
        Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().try_into()?)
    }

    /// An address that nobody had yet.
    fn source(&mut self) -> Result<String> {
        self.sources += 1;
        let source = format!("{SOURCES}{}", self.sources);
        self.host.vpc().ip(&format!("addr add {source}/32 dev vpc0"))?;
        Ok(source)
    }

    fn source6(&mut self) -> Result<String> {
        self.sources += 1;
        // Of a network of its own: the reader takes a /64 for one source.
        let source = format!("2001:db8:{}::7", self.sources);
        self.host.vpc().ip(&format!("addr add {source}/128 dev vpc0 nodad"))?;
        self.host.network().ip(&format!("-6 route add {source}/128 via {SOURCES6}253"))?;
        Ok(source)
    }

    fn client(&self, source: &str) -> &Client {
        if source.contains(':') { &self.client6 } else { &self.client }
    }

    fn note(&mut self, from: i64, source: &str, what: What) -> Result<()> {
        let to = Self::now()?;
        self.events.push(Event { from, to, source: source.parse()?, what });
        Ok(())
    }

    fn accepted(&mut self, user: &str, with: &With, method: &str, terminal: bool) -> Result<()> {
        let source = self.source()?;
        let key = matches!(with, With::Key(_)).then(|| self.fingerprint.clone());
        self.let_in(user, &source, with, method, key, terminal)
    }

    fn let_in(
        &mut self,
        user: &str,
        source: &str,
        with: &With,
        method: &str,
        key: Option<String>,
        terminal: bool,
    ) -> Result<()> {
        let from = Self::now()?;
        let tty = if terminal { "RequestTTY=force" } else { "RequestTTY=no" };
        let mut session = self.client(source).open(user, source, with, &["-o", tty])?;
        session.run("true")?;
        drop(session);
        let (user, method) = (user.to_owned(), method.to_owned());
        self.note(from, source, What::Accepted { user, method, key, terminal })
    }

    fn certified(&mut self) -> Result<()> {
        let file = self.key.with_file_name("bob");
        let print = Command::new("ssh-keygen").arg("-lf").arg(file.with_extension("pub")).output()?;
        let print = String::from_utf8(print.stdout)?;
        let key = print.split(' ').nth(1).context("no fingerprint")?.to_owned();
        let source = self.source()?;
        self.let_in("bob", &source, &With::Key(file), "publickey", Some(key), false)
    }

    /// One connection that gives so many wrong passwords, or none.
    fn refused(&mut self, user: &str, source: &str, with: &With, passwords: u32) -> Result<()> {
        let from = Self::now()?;
        let outcome = self.client(source).login(user, source, with)?;
        ensure!(!outcome.authenticated, "{user} was let in");
        ensure!(outcome.log.contains("Permission denied ("), "{user:?}: {}", outcome.log);
        let name = if ACCOUNTS.contains(&user) { Name::Account } else { Name::Nobody };
        self.note(from, source, What::Refused { passwords, name })
    }

    /// One connection that guesses until it is thrown out.
    fn guesses(&mut self, user: &str, source: &str, with: &With, passwords: u32) -> Result<()> {
        let from = Self::now()?;
        if self.client(source).open(user, source, with, &["-o", "NumberOfPasswordPrompts=9"]).is_ok() {
            bail!("{user} was let in");
        }
        let name = if ACCOUNTS.contains(&user) { Name::Account } else { Name::Nobody };
        self.note(from, source, What::Refused { passwords, name })
    }

    /// Connections that end before anybody was named.
    fn before_any_name(&mut self) -> Result<()> {
        let from = Self::now()?;
        let banner = self.host.vpc().run(|| -> std::io::Result<[u8; 4]> {
            let mut stream = TcpStream::connect((INSTANCE, 22))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            let mut banner = [0; 4];
            stream.read_exact(&mut banner)?;
            Ok(banner)
        })??;
        ensure!(&banner == b"SSH-", "no banner");
        self.note(from, PRIVATE_CLIENT, What::Refused { passwords: 0, name: Name::NotGiven })?;
        let (from, source) = (Self::now()?, self.source()?);
        let options = ["-o", "Ciphers=3des-cbc"];
        let output = self.client.run("ann", &source, &self.key, &options, "true")?;
        ensure!(!output.status.success(), "3des-cbc is taken");
        self.note(from, &source, What::Refused { passwords: 0, name: Name::NotGiven })
    }

    /// Refusals that are none of sshd's.
    fn noise(&self) -> Result<()> {
        self.host.shell(
            "su ann -c 'sudo -n true' 2>/dev/null || :
             echo wrong | su ann -c 'su -c true bob' 2>/dev/null || :
             logger -t app -p auth.info 'sshd[9]: Accepted password for root from 9.9.9.9 port 1 ssh2'
             logger -t app -p auth.info 'sshd[9]: Failed password for root from 9.9.9.9 port 1 ssh2'",
        )?;
        Ok(())
    }

    /// What any account of the host can write into a log of text.
    fn forge(&mut self) -> Result<()> {
        let (from, source) = (Self::now()?, format!("{SOURCES}66"));
        let key = "SHA256:forged".to_owned();
        self.host.shell(&format!(
            "su ann -c \"logger -t 'sshd[4242]' -p auth.info \
             'Accepted publickey for root from {source} port 1 ssh2: ED25519 {key}'\""
        ))?;
        self.note(from, &source, What::Forged { key })
    }
}
