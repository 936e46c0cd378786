//! Folders that cannot be written, and full disks.

use std::fs;
use std::process::Command;

use super::{Bench, CONFIG, assert_equal, refused, results, text};

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let bench = Bench::new(CONFIG);
    fs::write(bench.path("file"), "").unwrap();
    let config = bench.config();
    refused(&bench.run(&["--config", &config, "--out", "file/run"]), "file/run: cannot be created");
    refused(&bench.run(&["--config", &config, "--out", "file"]), "file: cannot be written");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    let bench = Bench::new(CONFIG);
    bench.train("whole");
    let expected = results(&bench.path("whole"));
    let disk = bench.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let args = ["-t", "tmpfs", "-o", options, "tmpfs"];
        Command::new("mount").args(args).arg(&disk).output().is_ok_and(|out| out.status.success())
    };
    if !mount("size=64k") {
        println!("skipped: only root may mount a small disk");
        return;
    }
    let output = bench.run(&["--config", &bench.config(), "--out", "disk/run"]);
    let full = output.status.code() == Some(2) && text(&output).contains("No space left");
    // With more room the run goes on.
    let more = mount("remount,size=8m");
    let resumed = bench.run(&["--resume", "disk/run"]);
    let found = std::panic::catch_unwind(|| assert_equal(&disk.join("run"), &expected));
    let unmounted = Command::new("umount").arg(&disk).status();
    assert!(full, "{}", text(&output));
    assert!(more && resumed.status.success(), "{}", text(&resumed));
    assert!(found.is_ok() && unmounted.is_ok_and(|status| status.success()));
}
