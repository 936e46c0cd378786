//! The compiler's messages for mistakes that beginners make.
//!
//! Each program in `tests/compile` is one mistake, and the `.stderr` file beside it is the message. The programs
//! are compiled against the library that this test is linked with, so nothing is built for them. To accept
//! new messages, run `WENGERT_WRITE=1 cargo test --test compile` and read the difference.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// The compiler whose messages the `.stderr` files hold. Another one words them differently; it must still
/// refuse the programs.
const RUSTC: &str = "rustc 1.95.";

#[test]
fn mistakes_are_explained() {
    let same_compiler = rustc(["--version"]).stdout.starts_with(RUSTC.as_bytes());
    if !same_compiler {
        eprintln!("messages are not compared: they are those of {RUSTC}x");
    }
    let programs = files("tests/compile".as_ref(), "", ".rs");
    assert!(!programs.is_empty());
    let mut failed = Vec::new();
    for program in programs {
        let path = program.with_extension("stderr");
        let message = message(&program);
        if same_compiler && env::var_os("WENGERT_WRITE").is_some() {
            fs::write(&path, &message).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if same_compiler && message != expected {
            eprintln!("{}: expected\n\n{expected}\n\nfound\n\n{message}", program.display());
            failed.push(program);
        }
    }
    assert!(failed.is_empty(), "other messages than expected: {failed:?}");
}

/// Compiles a program that must not compile, and returns the message.
fn message(program: &Path) -> String {
    let dependencies = env::current_exe().unwrap().parent().unwrap().to_owned();
    let libraries = files(&dependencies, "libwengert-", ".rlib");
    let built = |library: &PathBuf| fs::metadata(library).unwrap().modified().unwrap();
    let newest = libraries.into_iter().max_by_key(built).expect("the library");
    let folder = tempfile::tempdir().unwrap();
    let output = rustc([
        OsStr::new("--edition=2024"),
        "--emit=metadata".as_ref(),
        "--color=never".as_ref(),
        "--diagnostic-width=120".as_ref(),
        "--allow=unused".as_ref(),
        "--out-dir".as_ref(),
        folder.path().as_ref(),
        "-L".as_ref(),
        dependencies.as_ref(),
        "--extern".as_ref(),
        format!("wengert={}", newest.display()).as_ref(),
        program.as_ref(),
    ]);
    assert!(!output.status.success(), "{} compiles", program.display());
    let message = String::from_utf8(output.stderr).unwrap();
    message.lines().map(|line| portable(line) + "\n").collect()
}

/// A line of a message without what depends on the machine or changes with the library: indentation, line
/// numbers before a bar, positions outside of the program, and the number of types that are not listed.
fn portable(line: &str) -> String {
    let line = line.trim_start();
    let without_number = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    if without_number.starts_with('|') {
        return without_number.to_owned();
    }
    if line.starts_with("and ") && line.ends_with(" others") {
        return "and others".to_owned();
    }
    match line.split_once(' ') {
        Some((arrow @ ("-->" | ":::"), place)) if !place.starts_with("tests/compile") => {
            let file = place.split(':').next().unwrap_or(place);
            let outside = ["/crates/", "/library/", "crates/"];
            let inside =
                outside.iter().find_map(|folder| file.split_once(folder)).unwrap_or(("", file));
            format!("{arrow} {}", inside.1)
        }
        _ => line.to_owned(),
    }
}

fn rustc<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Command::new(rustc).args(arguments).output().expect("a compiler")
}

/// The files of a folder whose names begin and end like this, sorted.
fn files(folder: &Path, start: &str, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(start) && name.ends_with(end)
    });
    files.sort();
    files
}
