//! `platform.kernel`: kernel settings that the baseline asks for, now and after the next boot.

use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::{Fact, Why};
use crate::host::platform::sysctl::Setting;
use crate::observation::Mode;
use crate::parse::login_defs::strtol;

/// The drop-in that a fix writes: read after every other one.
pub const DROP_IN: &str = "zz-hostward.conf";

/// One setting.
struct Item {
    key: &'static str,
    /// Values that are right; the first is what a fix sets.
    right: &'static [i64],
    /// What the kernel has where nothing sets it (`mm/memory.c`, `fs/exec.c`, `net/ipv4/tcp_ipv4.c`).
    builtin: i64,
}

/// Settings with one right answer on every kind of server, which kernels and distributions ship that way: who differs was weakened. What
/// routers and containers need otherwise (forwarding, redirects, reverse paths) is no item.
const ITEMS: [Item; 3] = [
    Item { key: "kernel.randomize_va_space", right: &[2], builtin: 2 },
    // 2: readable by root alone, as systemd-coredump and apport set it.
    Item { key: "fs.suid_dumpable", right: &[0, 2], builtin: 0 },
    Item { key: "net.ipv4.tcp_syncookies", right: &[1, 2], builtin: 1 },
];

/// The keys whose running values are looked at.
pub fn keys() -> impl Iterator<Item = &'static str> {
    ITEMS.iter().map(|item| item.key)
}

/// The check.
pub static CHECK: Check = Check {
    id: "platform.kernel",
    title: Text { en: "The kernel's protections are on", zh: "内核安全参数已启用" },
    rationale: Text {
        en: "Address space randomisation makes exploits of memory errors guess; dumps of set-id programs would give away what only root \
             reads; SYN cookies keep a flood of half-open connections from closing a service. All are on by default: who finds them \
             off was weakened, now or from the next boot on.",
        zh: "地址空间随机化使内存漏洞利用难以成功；特权程序的转储会泄露只有 root 可读的内容；SYN cookie 可防止半开连接洪水使服务瘫痪。这些参数默认开启，\
             若被关闭则说明主机的防护被削弱（当前已生效，或将在下次启动后生效）。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference {
            source: "Alibaba Cloud Security Center baseline",
            item: "CheckId 14 开启地址空间布局随机化: kernel.randomize_va_space=2",
        },
        Reference { source: "hostward", item: "protections that kernels have on by default" },
    ],
    reads: &["kernel settings", "sysctl.d", "sysctl.conf"],
    fix: Some(Text {
        en: "sets the value in /etc/sysctl.d/zz-hostward.conf, and in the running kernel",
        zh: "写入 /etc/sysctl.d/zz-hostward.conf，并设置运行中的内核",
    }),
    remedy: Text {
        en: "Set the value where the evidence says, or in the file that is read last (`systemd-analyze cat-config sysctl.d`), and in the \
             running kernel with `sysctl -w KEY=VALUE`.",
        zh: "在证据所示位置，或在最后读取的文件中设置该值（`systemd-analyze cat-config sysctl.d`），并用 `sysctl -w KEY=VALUE` 设置运行中的内核。",
    },
    messages: &[
        Message {
            id: "running",
            text: Text { en: "{key} is {value}, not {wanted}", zh: "{key} 为 {value}，应为 {wanted}" },
        },
        Message {
            id: "at-boot",
            text: Text {
                en: "{key} becomes {value} at the next boot, not {wanted}",
                zh: "{key} 在下次启动后将变为 {value}，应为 {wanted}",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    for item in &ITEMS {
        judge(item, input, &mut tally);
    }
    tally.verdict()
}

fn judge(item: &Item, input: &Input<'_>, tally: &mut Tally) {
    let subject = format!("sysctl:{}", item.key);
    let mut fact = |fact: Fact<i64>| {
        if let Fact::Unknown(why) = &fact {
            tally.doubt(&subject, why.clone());
        }
        fact
    };
    let offline = input.seen.mode == Mode::Offline;
    let running = if offline { Fact::Absent } else { fact(running(item, input)) };
    // A kernel without the setting has nothing to be weakened.
    if !offline && running == Fact::Absent {
        return;
    }
    let set = input.host.platform.sysctl.at_boot(item.key);
    let boot = fact(match &set {
        Fact::Known(setting) => number(&setting.value),
        Fact::Absent => Fact::Known(item.builtin),
        Fact::Unknown(why) => Fact::Unknown(why.clone()),
    });
    let wrong = |value: &Fact<i64>| value.known().copied().filter(|value| !item.right.contains(value));
    let (message, value) = match (wrong(&running), wrong(&boot)) {
        (Some(value), _) => ("running", value),
        (None, Some(value)) => ("at-boot", value),
        (None, None) => return,
    };
    let wanted: Vec<String> = item.right.iter().map(i64::to_string).collect();
    let mut finding = Finding::new(Severity::Low, subject, message)
        .with("key", item.key)
        .with_number("value", value)
        .with("wanted", wanted.join("|"))
        .reproduce(format!("sysctl {}", item.key));
    if let Some(value) = wrong(&running) {
        finding = finding.seen(format!("/proc/sys/{}", item.key.replace('.', "/")), None, value.to_string());
    }
    if let (Some(_), Fact::Known(Setting { value, file, line })) = (wrong(&boot), &set) {
        finding = finding.seen(path_text(file), Some(*line), format!("{} = {value}", item.key));
    }
    tally.fail(fixable(item, wrong(&boot).is_some() || boot == Fact::Absent, input, finding));
}

/// A file that is read after ours would undo it.
fn fixable(item: &Item, boot: bool, input: &Input<'_>, finding: Finding) -> Finding {
    match item.right.first() {
        Some(value) if !boot || input.host.platform.sysctl.is_last(DROP_IN) => {
            finding.fixed_by(Edit::SetKernel { key: item.key, value: *value })
        }
        _ => finding,
    }
}

fn running(item: &Item, input: &Input<'_>) -> Fact<i64> {
    match input.seen.platform.kernel.get(item.key) {
        Some(Fact::Known(text)) => number(text),
        Some(Fact::Absent) => Fact::Absent,
        Some(Fact::Unknown(why)) => Fact::Unknown(why.clone()),
        None => Fact::Unknown(Why::NotAsked("the kernel's settings were not looked at")),
    }
}

fn number(text: &str) -> Fact<i64> {
    strtol(text.trim()).map_or_else(|| Fact::Unknown(Why::Defect(format!("{text} is no number"))), Fact::Known)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scene;
    use super::*;
    use crate::effect::Effect;
    use crate::observation::Observations;

    const ASLR: &str = "kernel.randomize_va_space";

    fn live(aslr: &str) -> Scene {
        let mut scene = Scene::new().file("/usr/lib/systemd/systemd-sysctl", "");
        for item in &ITEMS {
            scene.seen.platform.kernel.insert(item.key, Fact::Known(item.builtin.to_string()));
        }
        scene.seen.platform.kernel.insert(ASLR, Fact::Known(aslr.to_owned()));
        scene
    }

    fn offline() -> Scene {
        Scene { seen: Observations::offline(0), ..Scene::new().file("/usr/lib/systemd/systemd-sysctl", "") }
    }

    #[test]
    fn running_and_coming_values_are_judged() {
        let wrong = "kernel.randomize_va_space = 0\n";
        assert_eq!(live("2\n").run(&CHECK), Verdict::Pass);
        assert_eq!(live("1").findings(&CHECK), ["low sysctl:kernel.randomize_va_space running"]);
        let coming = live("2").file("/etc/sysctl.d/10-x.conf", wrong);
        assert_eq!(coming.findings(&CHECK), ["low sysctl:kernel.randomize_va_space at-boot"]);
        let both = live("0").file("/etc/sysctl.d/10-x.conf", wrong);
        let found = both.found(&CHECK).remove(0);
        assert_eq!((found.message, found.evidence.len()), ("running", 2));
        let set = Edit::SetKernel { key: ASLR, value: 2 };
        assert_eq!(found.fix, std::slice::from_ref(&set));
        // Right from the next boot on, whatever is read last.
        let late = live("0").file("/etc/sysctl.d/zzz.conf", "kernel.randomize_va_space=2");
        assert_eq!(late.found(&CHECK).remove(0).fix, [set]);
        let undone = live("2").file("/etc/sysctl.d/zzz.conf", wrong);
        assert_eq!(undone.found(&CHECK).remove(0).fix, [], "ours would be read before it");
        let dumps = live("2").file("/etc/sysctl.d/x.conf", "fs.suid_dumpable=2\nnet.ipv4.tcp_syncookies=0x1\n");
        assert_eq!(dumps.run(&CHECK), Verdict::Pass);
    }

    #[test]
    fn an_image_is_judged_by_what_it_would_set() {
        assert_eq!(offline().run(&CHECK), Verdict::Pass);
        let weak = offline().file("/usr/lib/sysctl.d/50-x.conf", "fs.suid_dumpable = 1\n-net/ipv4/tcp_syncookies=0");
        let found = weak.findings(&CHECK);
        assert_eq!(found, ["low sysctl:fs.suid_dumpable at-boot", "low sysctl:net.ipv4.tcp_syncookies at-boot"]);
    }

    #[test]
    fn its_fix_sets_the_file_and_the_running_kernel() {
        let weak = live("0").file("/etc/sysctl.d/10-x.conf", "kernel.randomize_va_space=0\nfs.suid_dumpable=1\n");
        let (plan, after) = weak.fixed(&CHECK);
        assert_eq!(after, Verdict::Pass);
        let ours = plan.files().next().unwrap();
        assert_eq!(ours.path, std::path::Path::new("/etc/sysctl.d/zz-hostward.conf"));
        let text = String::from_utf8(ours.after.content().unwrap().to_vec()).unwrap();
        assert!(text.ends_with("\nkernel.randomize_va_space = 2\nfs.suid_dumpable = 0\n"), "{text}");
        // The dumps' running value is right.
        let kernel: Vec<_> = plan.effects.iter().filter(|one| matches!(one.effect, Effect::Kernel(_))).collect();
        assert_eq!(kernel.len(), 1);
        assert_eq!(plan.effects.len(), 2);
        let (plan, after) = live("1").file("/etc/sysctl.d/1.conf", "kernel.randomize_va_space=2").fixed(&CHECK);
        assert_eq!((plan.effects.len(), after), (1, Verdict::Pass));
        assert!(matches!(&plan.effects[0].effect, Effect::Kernel(set) if set.before == "1" && set.after == "2"));
        let (plan, after) = offline().file("/etc/sysctl.d/1.conf", "kernel.randomize_va_space=0").fixed(&CHECK);
        assert_eq!((plan.effects.len(), plan.files().count(), after), (1, 1, Verdict::Pass));
    }

    #[test]
    fn what_cannot_be_read_or_understood_is_unknown() {
        let mut denied = live("2");
        denied.seen.platform.kernel.insert(ASLR, Fact::Unknown(Why::Denied));
        assert_eq!(denied.doubts(&CHECK), ["sysctl:kernel.randomize_va_space"]);
        let mut without = live("2");
        without.seen.platform.kernel.insert(ASLR, Fact::Absent);
        assert_eq!(without.run(&CHECK), Verdict::Pass);
        assert_eq!(live("x").doubts(&CHECK).len(), 1);
        assert_eq!(offline().file("/etc/sysctl.d/x.conf", "kernel.randomize_va_space=on").doubts(&CHECK).len(), 1);
        assert_eq!(offline().deny("/etc/sysctl.d/x.conf").doubts(&CHECK).len(), 3);
    }
}
