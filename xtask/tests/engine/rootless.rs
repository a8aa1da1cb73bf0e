//! `up core-services` as an ordinary user.
//!
//! What such a user needs of the machine is prepared here, not by the tool:
//! an account with subordinate ids, and a usable /dev/net/tun.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    support::{repository, run},
    whole_system::Copy,
};

const USER: &str = "xtask-engine";

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn core_services_come_up_for_an_ordinary_user() {
    let root = command("id", &["-u"]).trim() == "0";
    if !root {
        // Every other engine test has run rootless then.
        eprintln!("not root: the other engine tests have shown what this one would");
        return;
    }
    let user = User::new();
    let checkout = user.home.join("checkout");
    copy_checkout(&checkout);
    let tool = user.home.join("xtask");
    fs::copy(env!("CARGO_BIN_EXE_xtask"), &tool).unwrap();
    let manifest = Copy::new(&checkout);
    command(
        "chown",
        &["--recursive", USER, &user.home.display().to_string()],
    );
    let on = |args: &[&str]| {
        let mut command = user.command(&tool.display().to_string());
        command
            .args(["--manifest", &manifest.path()])
            .args(args)
            .current_dir(&checkout);
        run(command)
    };
    let up = on(&["up", "core-services", "--settle", "3s"]).expect(0);
    eprintln!("{}{}", up.stderr, up.stdout);
    let vfs = user
        .podman(&["info", "--format", "{{.Store.GraphDriverName}}"])
        .trim()
        == "vfs";
    let up = up.says(&["4 of 4 agents healthy"]);
    if vfs {
        up.says(&["the storage driver is vfs"]);
    }
    let names = user.podman(&["ps", "--format", "{{.Names}}"]);
    assert_eq!(names.lines().count(), 4, "{names}");
    on(&["deploy", "core-services"])
        .expect(0)
        .says(&["nothing to do: 4 agents"]);
    on(&["down", "--networks"]).expect(0);
}

struct User {
    home: PathBuf,
    runtime: PathBuf,
}

impl User {
    fn new() -> Self {
        // An earlier, killed run may have left the account behind.
        remove_user();
        command("useradd", &["--create-home", "--shell", "/bin/sh", USER]);
        command("chmod", &["666", "/dev/net/tun"]);
        let home = PathBuf::from(format!("/home/{USER}"));
        let runtime = home.join("run");
        fs::create_dir(&runtime).unwrap();
        command("chown", &[USER, &runtime.display().to_string()]);
        command("chmod", &["700", &runtime.display().to_string()]);
        User { home, runtime }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("runuser");
        command
            .args(["--user", USER, "--", "env"])
            .arg(format!("HOME={}", self.home.display()))
            .arg(format!("XDG_RUNTIME_DIR={}", self.runtime.display()))
            .args([
                "--unset=XDG_CACHE_HOME",
                "--unset=AI_SYSTEM_MONOREPO",
                program,
            ])
            .current_dir(&self.home);
        command
    }

    fn podman(&self, args: &[&str]) -> String {
        let mut command = self.command("podman");
        command.args(args);
        run(command).expect(0).stdout
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = self
            .command("podman")
            .args(["rm", "--all", "--force", "--time", "1"])
            .output();
        remove_user();
    }
}

fn remove_user() {
    let exists = Command::new("id")
        .arg(USER)
        .output()
        .unwrap()
        .status
        .success();
    if exists {
        // Only processes of this account, which exists for this test alone.
        let _ = Command::new("pkill")
            .args(["-KILL", "--uid", USER])
            .status();
        std::thread::sleep(std::time::Duration::from_millis(500));
        command("userdel", &["--remove", "--force", USER]);
    }
}

fn copy_checkout(to: &Path) {
    let script = "git ls-files -z --cached --others --exclude-standard | \
                  tar --create --null --files-from=- --file=- | tar --extract --directory \"$0\"";
    fs::create_dir(to).unwrap();
    let status = Command::new("sh")
        .args(["-c", script, &to.display().to_string()])
        .current_dir(repository())
        .status()
        .unwrap();
    assert!(status.success());
}

#[track_caller]
fn command(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}
