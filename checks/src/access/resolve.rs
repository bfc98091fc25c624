//! Puts the matrix together: every sshd, every account, every region of addresses.

use std::net::IpAddr;

use super::daemon::{Telling, listeners, options, quote, release};
use super::gate::{DAY, Gate, Visitor, decision, gate, names_a_host};
use super::grant::{After, Shell};
use super::keys::{Asker, Found, find};
use super::methods::{Inputs, answers};
use super::pam::{Facility, Login, Scene, Secret, Stacks, Verdict};
use super::region::{Region, holding, partition};
use super::rules::{RootRule, Rules};
use super::ways::{Answers, Combined, combine};
use super::{
    Access, AccessDoubt, AccountAccess, DaemonAccess, Decision, Grant, Method, SourceAccess, SourceClass, classify,
};
use crate::fact::{Fact, Why};
use crate::host::Host;
use crate::host::accounts::User;
use crate::host::sshd::{Found as HowFound, Instance};
use crate::observation::Observations;
use crate::parse::access_conf;
use crate::sshd::Connection;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Ask<'a> {
    user: Option<&'a str>,
    address: Option<IpAddr>,
}

impl Access {
    /// The whole matrix.
    pub fn resolve(host: &Host, seen: &Observations) -> Self {
        Self::resolve_for(host, seen, None, None)
    }

    /// The matrix of one account, or from exactly one address, or both.
    pub fn resolve_for(host: &Host, seen: &Observations, user: Option<&str>, address: Option<IpAddr>) -> Self {
        let ask = Ask { user, address: address.map(|address| address.to_canonical()) };
        Self { daemons: host.sshd.instances.iter().map(|instance| daemon(host, seen, instance, ask)).collect() }
    }
}

fn daemon(host: &Host, seen: &Observations, instance: &Instance, ask: Ask<'_>) -> DaemonAccess {
    let global = instance.effective(&Connection::default());
    let running = match (&instance.found, &seen.daemons) {
        (HowFound::Running { pid }, Fact::Known(daemons)) => daemons.iter().find(|daemon| daemon.pid == *pid),
        _ => None,
    };
    let listeners = match (running.filter(|daemon| !daemon.listeners.is_empty()), &global) {
        (Some(daemon), _) => daemon.listeners.clone(),
        (None, Ok(global)) => instance.socket_addresses(global).unwrap_or_else(|| listeners(global)),
        (None, Err(_)) => Vec::new(),
    };
    let mut daemon = DaemonAccess {
        config: instance.config_file().to_path_buf(),
        unit: instance.unit.clone(),
        listeners,
        accounts: Vec::new(),
        doubts: instance.doubts(),
        global,
        effective: Vec::new(),
        blocks: instance.configuration.blocks(),
        program: crate::check::path_text(instance.program.clone()),
        options: options(instance),
    };
    if let Err(why) = host.accounts.users.why().map_or(Ok(()), Err) {
        daemon.doubts.push(Why::Failed(format!("/etc/passwd: {why}")));
    }
    if daemon.global.is_err() {
        return daemon;
    }
    let telling = Telling::of(instance);
    let plans = plan(host, instance, &telling, &mut daemon, ask);
    let effective = std::mem::take(&mut daemon.effective);
    let rules: Vec<Rules<'_>> = effective.iter().map(|effective| Rules::of(effective, release(instance))).collect();
    let stacks: Vec<Stacks> = rules.iter().map(|rules| Stacks::of(&host.pam, service(rules))).collect();
    for plan in plans {
        let mut sources: Vec<SourceAccess> = Vec::new();
        for (region, settings) in &plan.regions {
            let (Some(rules), Some(stacks)) = (rules.get(*settings), stacks.get(*settings)) else { continue };
            let place = Place {
                host,
                seen,
                instance,
                telling: &telling,
                plan: &plan,
                region,
                settings: *settings,
                rules,
                stacks,
            };
            sources.push(place.source(&daemon));
        }
        last_used(&mut sources, seen, plan.user);
        if ask.address.is_none() {
            fold(&mut sources);
        }
        daemon.accounts.push(AccountAccess {
            user: plan.user.name().text().into_owned(),
            uid: plan.user.entry.uid,
            admin: host.sudo.is_admin(&host.accounts, plan.user),
            sources,
        });
    }
    daemon.effective = effective;
    daemon
}

/// One account: where it may come from, and which settings hold there.
struct Plan<'h> {
    user: &'h User,
    groups: Fact<Vec<String>>,
    regions: Vec<(Region, usize)>,
}

/// Cuts the address space for every account and finds the settings that hold in each part, computing equal ones once.
fn plan<'h>(
    host: &'h Host,
    instance: &Instance,
    telling: &Telling,
    daemon: &mut DaemonAccess,
    ask: Ask<'_>,
) -> Vec<Plan<'h>> {
    let mut shared: Vec<String> = telling.addresses().to_vec();
    if let Fact::Known(lines) = &host.login_files.access_conf {
        shared.extend(access_conf::patterns(lines));
    }
    let common = partition(shared.iter().map(String::as_str));
    let mut known: Vec<(Vec<bool>, usize)> = Vec::new();
    let mut plans = Vec::new();
    let users = host.accounts.list().iter().filter(|user| !user.hidden_name);
    for user in users.filter(|user| ask.user.is_none_or(|name| user.name() == name)) {
        let groups = host.accounts.groups_of(user).map(|names| names.iter().map(|n| n.text().into_owned()).collect());
        let own = own_patterns(host, user);
        let regions = match ask.address {
            Some(address) => vec![Region { class: SourceClass::Exactly(address), example: address }],
            None if own.is_empty() => common.clone(),
            None => partition(shared.iter().chain(&own).map(String::as_str)),
        };
        let mut places = Vec::with_capacity(regions.len());
        for region in regions {
            let connection = connection(user, &groups, region.example, daemon);
            let signature = telling.signature(&connection);
            let settings = match known.iter().find(|(its, _)| *its == signature) {
                Some((_, settings)) => *settings,
                None => {
                    // A block that sshd refuses only once it holds ends the connection: nobody gets in there.
                    let effective = instance.effective(&connection).unwrap_or_default();
                    let same = daemon.effective.iter().position(|other| *other == effective);
                    let settings = same.unwrap_or(daemon.effective.len());
                    if same.is_none() {
                        daemon.effective.push(effective);
                    }
                    known.push((signature, settings));
                    settings
                }
            };
            places.push((region, settings));
        }
        plans.push(Plan { user, groups, regions: places });
    }
    plans
}

/// The patterns in `from=` of an account's keys.
fn own_patterns(host: &Host, user: &User) -> Vec<String> {
    let Some(keys) = host.keys.of(user.name()) else { return Vec::new() };
    let lines = keys.files.iter().filter_map(|file| file.content.known()).flat_map(|lines| &lines.keys);
    let lists = lines.filter_map(|line| line.options().from.as_ref());
    lists.flat_map(|list| String::from_utf8_lossy(&list.0).split(',').map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn connection(user: &User, groups: &Fact<Vec<String>>, address: IpAddr, daemon: &DaemonAccess) -> Connection {
    let listener = daemon.listeners.iter().find(|l| l.is_ipv6() == address.is_ipv6()).or(daemon.listeners.first());
    Connection {
        user: Some(user.name().text().into_owned()),
        groups: groups.known().cloned().unwrap_or_default(),
        exists: true,
        root: user.is_root(),
        // With UseDNS no the host is the address; with yes it is not known, and patterns on it do not hold.
        host: Some(address.to_string()),
        address: Some(address),
        local_address: listener.map(std::net::SocketAddr::ip).filter(|ip| !ip.is_unspecified()),
        local_port: listener.map(std::net::SocketAddr::port).or(Some(22)),
        rdomain: None,
    }
}

fn service<'r>(rules: &Rules<'r>) -> &'r str {
    let name = rules.effective.text("pamservicename");
    if name.is_empty() { "sshd" } else { name }
}

/// `UID_MIN` of login.defs, by which pam_usertype goes.
fn first_human(host: &Host) -> u32 {
    let bound = host.accounts.login_defs.known().and_then(|defs| defs.number("UID_MIN"));
    bound.and_then(|number| u32::try_from(number).ok()).unwrap_or(1000)
}

/// One account from one region at one daemon.
struct Place<'a> {
    host: &'a Host,
    seen: &'a Observations,
    instance: &'a Instance,
    telling: &'a Telling,
    plan: &'a Plan<'a>,
    region: &'a Region,
    settings: usize,
    rules: &'a Rules<'a>,
    stacks: &'a Stacks,
}

impl Place<'_> {
    fn source(&self, daemon: &DaemonAccess) -> SourceAccess {
        let (host, rules, user) = (self.host, self.rules, self.plan.user);
        let address = self.region.example;
        let text = address.to_string();
        let name = (!rules.effective.yes("usedns")).then_some(text.as_str());
        let today = self.seen.now.div_euclid(DAY);
        let visitor = Visitor { user, groups: &self.plan.groups, address, host: name, today };
        let shell = host.login_files.shells.get(user.shell()).cloned().unwrap_or(Fact::Absent);
        let gate = gate(rules, &visitor, &shell);
        let mut source = SourceAccess {
            class: self.region.class.clone(),
            example: address,
            settings: self.settings,
            ways: Vec::new(),
            usable_keys: Vec::new(),
            last_used: None,
            refused_because: Vec::new(),
            decided_by: Vec::new(),
            reproduce: self.reproduce(daemon, &text),
            doubts: gate.doubts.iter().map(|why| AccessDoubt { method: None, why: why.clone() }).collect(),
        };
        if rules.effective.settings.is_empty() {
            source.refused_because.push("sshd refuses its configuration for such a connection".to_owned());
            return source;
        }
        if let Some(why) = &gate.shut {
            source.refused_because.push(why.clone());
            source.decided_by = gate.decided;
            source.doubts.clear();
            return source;
        }
        let scene = Scene {
            facility: Facility::Auth,
            secret: Secret::Right,
            user,
            groups: &self.plan.groups,
            address,
            service: service(rules),
            today,
            permit_empty: rules.permit_empty,
            nologin: &host.accounts.nologin,
            shells: &host.accounts.shells,
            files: &host.login_files,
            first_human: first_human(host),
        };
        let pam = Login::new(self.stacks, scene);
        let after = match self.account_stage(&pam, &mut source) {
            Some(after) => after,
            None => {
                source.decided_by = self.decided(gate, &Found::default(), &source);
                return source;
            }
        };
        let asker = Asker {
            user,
            keys: host.keys.of(user.name()),
            files: &host.login_files,
            address,
            host: name,
            now: self.seen.now,
            release: release(self.instance),
        };
        let found = if rules.publickey { find(rules, &asker) } else { Found::default() };
        let of = answers(&Inputs { rules, user, found: &found, pam: &pam, keytab: &host.login_files.keytab });
        let answers = Answers { of, keys: found.keys.clone(), after, shell: Shell::of(user.shell()) };
        let forced_only = user.is_root() && rules.root == RootRule::ForcedCommandsOnly;
        let combined: Combined = combine(rules, &answers, &|key| !forced_only || key.terms.command.is_some());
        source.usable_keys = found.keys.iter().map(|key| key.fingerprint.clone()).collect();
        source.usable_keys.sort();
        // What the gate or the account stack leaves open concerns every way.
        let certain = source.doubts.is_empty();
        self.notes(&mut source, &found, &combined, &answers);
        source.ways = combined.ways;
        source.ways.iter_mut().for_each(|way| way.certain &= certain);
        source.decided_by = self.decided(gate, &found, &source);
        source
    }

    /// PAM's account stack, or what sshd looks at in its place. None: shut out.
    fn account_stage(&self, pam: &Login<'_>, source: &mut SourceAccess) -> Option<After> {
        if !self.rules.pam {
            return Some(self.without_pam(source));
        }
        let (verdict, change) = pam.account();
        match verdict {
            Verdict::Yes => {}
            Verdict::No => {
                source.refused_because.push("PAM's account stack refuses the account".to_owned());
                return None;
            }
            Verdict::Maybe(why) => source.doubts.push(AccessDoubt { method: None, why }),
        }
        if change {
            source.refused_because.push("the password must be changed at the next login".to_owned());
        }
        Some(After { must_change: change, closed: false })
    }

    /// Without PAM sshd looks for /etc/nologin itself, when the session begins: the login succeeds, and forwards.
    fn without_pam(&self, source: &mut SourceAccess) -> After {
        let mut after = After::default();
        match &self.host.accounts.nologin {
            Fact::Known(files) if !self.plan.user.is_root() && files.iter().any(|file| file.starts_with("/etc")) => {
                source.refused_because.push("/etc/nologin: no session for anybody but root".to_owned());
                after.closed = true;
            }
            Fact::Unknown(why) => source.doubts.push(AccessDoubt { method: None, why: why.clone() }),
            _ => {}
        }
        after
    }

    fn notes(&self, source: &mut SourceAccess, found: &Found<'_>, combined: &Combined, answers: &Answers<'_>) {
        let refused = combined.refused.iter().chain(&found.refused);
        for why in refused {
            if !source.refused_because.contains(why) {
                source.refused_because.push(why.clone());
            }
        }
        let mut doubt = |method, why: &Why| {
            let doubt = AccessDoubt { method, why: why.clone() };
            if !source.doubts.contains(&doubt) {
                source.doubts.push(doubt);
            }
        };
        found.doubts.iter().for_each(|why| doubt(Some(Method::Publickey), why));
        combined.doubts.iter().for_each(|(method, why)| doubt(Some(*method), why));
        for (method, answer) in &answers.of {
            if let super::ways::Answer::Maybe(why) = answer {
                doubt(Some(*method), why);
            }
        }
        // sshd compares with a host name that it would have to look up.
        if self.rules.effective.yes("usedns") && self.telling.hosts().iter().any(|list| names_a_host(list)) {
            doubt(None, &Why::Failed("a Match Host depends on the client's host name (UseDNS yes)".to_owned()));
        }
        if self.telling.local_end() {
            doubt(None, &Why::Failed("a Match LocalAddress depends on the address that is called".to_owned()));
        }
        if self.rules.chroot.is_some() && combined.ways.iter().any(|way| way.grants == Grant::Shell) {
            doubt(None, &Why::NotAsked("what the ChrootDirectory holds was not looked at"));
        }
    }

    fn decided(&self, gate: Gate, found: &Found<'_>, source: &SourceAccess) -> Vec<Decision> {
        let rules = self.rules;
        let mut out = gate.decided;
        let mut add = |keyword: &'static str| out.extend(decision(rules, keyword, &keyword.to_ascii_lowercase()));
        add("UsePAM");
        add("PasswordAuthentication");
        add("KbdInteractiveAuthentication");
        add("ChallengeResponseAuthentication");
        add("PubkeyAuthentication");
        if self.plan.user.is_root() {
            add("PermitRootLogin");
        }
        if rules.lists.is_some() {
            add("AuthenticationMethods");
        }
        if rules.permit_empty {
            add("PermitEmptyPasswords");
        }
        for (on, keyword) in [(rules.hostbased, "HostbasedAuthentication"), (rules.gssapi, "GSSAPIAuthentication")] {
            if on {
                add(keyword);
            }
        }
        if !found.keys.is_empty() || !found.refused.is_empty() {
            add("AuthorizedKeysFile");
        }
        let set = |key: &str| !matches!(rules.effective.text(key), "" | "none");
        for keyword in ["RevokedKeys", "AuthorizedKeysCommand", "TrustedUserCAKeys", "ForceCommand", "ChrootDirectory"]
        {
            if set(&keyword.to_ascii_lowercase()) {
                add(keyword);
            }
        }
        if !rules.sessions {
            add("MaxSessions");
        }
        if source.ways.iter().any(|way| matches!(way.grants, Grant::Forward | Grant::Nothing)) {
            add("DisableForwarding");
            add("AllowTcpForwarding");
        }
        out
    }

    /// `sshd -T -C …` with the daemon's own options: it prints the settings that hold for this connection.
    fn reproduce(&self, daemon: &DaemonAccess, address: &str) -> String {
        let user = self.plan.user.name().text();
        let connection = connection(self.plan.user, &self.plan.groups, self.region.example, daemon);
        let local = connection.local_address.map(|ip| format!(",laddr={ip}")).unwrap_or_default();
        let port = connection.local_port.unwrap_or(22);
        let test = format!("user={user},host={address},addr={address}{local},lport={port}");
        format!("{} -T{} -C {}", daemon.program, daemon.options, quote(&test))
    }
}

fn last_used(sources: &mut [SourceAccess], seen: &Observations, user: &User) {
    let Fact::Known(logins) = &seen.logins else { return };
    let name = user.name().text();
    for login in logins.accepted.iter().filter(|login| login.user == name) {
        let Some(address) = login.source else { continue };
        let regions: Vec<(&SourceClass, IpAddr)> = sources.iter().map(|s| (&s.class, s.example)).collect();
        if let Some(source) = holding(&regions, address).and_then(|index| sources.get_mut(index)) {
            source.last_used = source.last_used.max(Some(login.at));
        }
    }
}

/// Drops regions whose answer is that of the broad class around them, by the same settings; a login from there came from that class.
fn fold(sources: &mut Vec<SourceAccess>) {
    let is_region = |source: &SourceAccess| matches!(source.class, SourceClass::Region(_));
    let mut broad: Vec<SourceAccess> = sources.iter().filter(|source| !is_region(source)).cloned().collect();
    sources.retain(|source| {
        let class = classify(source.example);
        let base = broad.iter_mut().filter(|_| is_region(source)).find(|base| {
            base.class == class
                && base.settings == source.settings
                && base.ways == source.ways
                && base.usable_keys == source.usable_keys
                && base.doubts == source.doubts
                && base.decided_by == source.decided_by
        });
        base.map(|base| base.last_used = base.last_used.max(source.last_used)).is_none()
    });
    let mut broad = broad.into_iter();
    for source in sources.iter_mut().filter(|source| !is_region(source)) {
        source.last_used = broad.next().and_then(|base| base.last_used);
    }
}
