use super::*;
use crate::snapshot::Sketch;

fn read(sketch: Sketch) -> Pam {
    Pam::read(&Reader::new(&sketch.snapshot()))
}

fn names(modules: &[&Module]) -> Vec<String> {
    modules.iter().map(|module| module.name.clone()).collect()
}

#[test]
fn stacks_are_laid_flat_with_includes_and_substacks() {
    let pam = read(
        Sketch::new()
            .file(
                "/etc/pam.d/sshd",
                "auth substack password-auth\nauth include postlogin\naccount required pam_nologin.so\n@include common\n",
            )
            .file("/etc/pam.d/password-auth", "auth required pam_env.so\nauth sufficient /lib64/security/pam_unix.so nullok\naccount required pam_x.so\n")
            .file("/usr/lib/pam.d/postlogin", "auth optional pam_faildelay.so\n")
            .file("/etc/pam.d/common", "account [default=bad success=ok] pam_unix.so\nauth required pam_access.so\n")
            .file("/etc/pam.d/other", "password required pam_deny.so\nauth required pam_warn.so\n"),
    );
    let sshd = pam.service("sshd").unwrap();
    assert_eq!(names(&sshd.auth_modules()), ["pam_env", "pam_unix", "pam_faildelay", "pam_access"]);
    assert!(matches!(&sshd.auth.known().unwrap()[0], Entry::Substack(inner) if inner.len() == 2));
    assert_eq!(names(&sshd.account_modules()), ["pam_nologin", "pam_unix"]);
    assert_eq!(names(&sshd.password_modules()), ["pam_deny"], "what it does not say, other says");
    let unix = sshd.auth_modules()[1];
    assert!(unix.has("nullok") && unix.file == Path::new("/etc/pam.d/password-auth") && unix.line == 2);
    assert_eq!(names(&pam.service("login").unwrap().auth_modules()), ["pam_warn"]);
    assert_eq!(pam.service("login").unwrap().account, Fact::Absent);
}

#[test]
fn pam_conf_counts_only_without_pam_d() {
    let conf = "sshd auth required pam_unix.so\nother auth required pam_deny.so\n";
    let pam = read(Sketch::new().file("/etc/pam.conf", conf));
    assert_eq!(names(&pam.service("sshd").unwrap().auth_modules()), ["pam_unix"]);
    assert_eq!(names(&pam.service("su").unwrap().auth_modules()), ["pam_deny"]);
    let pam = read(Sketch::new().file("/etc/pam.conf", conf).dir("/etc/pam.d"));
    assert_eq!(pam.service("sshd").unwrap().auth, Fact::Absent);
}

#[test]
fn what_cannot_be_read_or_has_no_end_is_unknown_and_what_is_missing_fails() {
    let pam = read(Sketch::new().file("/etc/pam.d/sshd", "auth include x\n").unreadable("/etc/pam.d/x", Why::Denied));
    assert!(pam.service("sshd").unwrap().auth.why().is_some());
    let bomb = "auth include sshd\n".repeat(10);
    let pam = read(Sketch::new().file("/etc/pam.d/sshd", bomb));
    assert!(pam.service("sshd").unwrap().auth.why().is_some());
    let pam =
        read(Sketch::new().file("/etc/pam.d/sshd", "auth include nowhere\nauth required pam_unix.so\nauth what\n"));
    assert_eq!(names(&pam.service("sshd").unwrap().auth_modules()), ["", "pam_unix", ""]);
    assert_eq!(pam.defects.len(), 2, "{:?}", pam.defects);
}

#[test]
fn quality_from_arguments_before_files_and_files_in_order() {
    let base = |line: &str| Sketch::new().file("/etc/pam.d/passwd", format!("password {line}\n"));
    let quality = |sketch: Sketch| {
        let pam = read(sketch);
        pam.quality(pam.service("passwd").unwrap()).map(|quality| (quality.length.value, quality.classes.value))
    };
    let conf = "/etc/security/pwquality.conf";
    assert_eq!(quality(base("required pam_unix.so")), Fact::Absent);
    assert_eq!(quality(base("requisite pam_pwquality.so")), Fact::Known((8, 0)));
    let both = base("requisite pam_pwquality.so")
        .file(conf, "minlen = 10\n")
        .file("/etc/security/pwquality.conf.d/50-x.conf", "minlen = 4\nminclass = 3\n");
    assert_eq!(quality(both), Fact::Known((10, 3)), "the main file is read last");
    let args =
        base("requisite pam_pwquality.so minlen=12 lcredit=-1 ucredit=-1 dcredit=-1").file(conf, "minlen = 10\n");
    assert_eq!(quality(args), Fact::Known((12, 3)));
    assert_eq!(
        quality(base("requisite pam_cracklib.so minlen=9 minclass=4").file(conf, "minlen=20")),
        Fact::Known((9, 4))
    );
    assert_eq!(quality(base("requisite pam_passwdqc.so min=disabled,24,12,9,9")), Fact::Known((9, 3)));
    assert_eq!(quality(base("requisite pam_passwdqc.so min=8,8,8,8,8")), Fact::Known((8, 1)));
    assert!(quality(base("requisite pam_pwquality.so").unreadable(conf, Why::Denied)).why().is_some());
}

#[test]
fn old_passwords_and_lockout() {
    let remember = |line: &str| {
        let pam = read(Sketch::new().file("/etc/pam.d/passwd", format!("{line}\n")));
        pam.remember(pam.service("passwd").unwrap()).map(|remember| remember.count.value)
    };
    assert_eq!(remember("password required pam_unix.so"), Fact::Absent);
    assert_eq!(remember("password required pam_unix.so remember=5"), Fact::Known(5));
    assert_eq!(remember("password required pam_pwhistory.so"), Fact::Known(10));
    assert_eq!(
        remember("password required pam_pwhistory.so remember=3\npassword required pam_unix.so remember=7"),
        Fact::Known(7)
    );

    let lockout = |lines: &str, conf: &str| {
        let pam = read(Sketch::new().file("/etc/pam.d/sshd", lines).file("/etc/security/faillock.conf", conf));
        pam.lockout(pam.service("sshd").unwrap()).map(|lockout| lockout.deny.value)
    };
    let wired = "auth required pam_faillock.so preauth\nauth sufficient pam_unix.so\nauth [default=die] pam_faillock.so authfail\n";
    assert_eq!(lockout(wired, ""), Fact::Known(3));
    assert_eq!(lockout(wired, "deny = 6\n"), Fact::Known(6));
    assert_eq!(lockout(&wired.replace("preauth", "preauth deny=0"), "deny = 6\n"), Fact::Known(0));
    assert_eq!(lockout("auth required pam_faillock.so preauth\nauth required pam_unix.so\n", ""), Fact::Absent);
    assert_eq!(lockout("auth required pam_tally2.so deny=5\nauth required pam_unix.so\n", ""), Fact::Known(5));
    assert_eq!(lockout("auth required pam_unix.so\n", ""), Fact::Absent);
}
