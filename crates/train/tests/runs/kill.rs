//! Runs that are killed by SIGKILL, again and again.

use std::fs;
use std::time::{Duration, Instant};

use wengert_core::rand::{Rng, RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{Bench, CONFIG, assert_equal, results, text};

/// Kills in a test; `.ci/kill N` sets another number.
fn kills() -> usize {
    std::env::var("WENGERT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(100)
}

#[test]
fn killed_runs_end_with_the_same_bytes() {
    let bench = Bench::new(CONFIG);
    let began = Instant::now();
    bench.train("whole");
    let whole = began.elapsed();
    let expected = results(&bench.path("whole"));
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (mut killed, mut finished) = (0, 0);
    while killed < kills() {
        let name = format!("run-{finished}");
        let folder = bench.path(&name);
        loop {
            let config = bench.config();
            let mut args = match folder.exists() {
                true => vec!["--resume", &name],
                false => vec!["--config", &config, "--out", &name],
            };
            args.extend(["--threads", ["1", "2", "3"][rng.random_range(0..3)]]);
            let mut child = bench.command(&args).spawn().unwrap();
            wait(rng, whole);
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
                killed += 1;
                continue;
            }
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
            break;
        }
        assert_equal(&folder, &expected);
        // A finished run may be resumed.
        if finished == 0 {
            let output = bench.run(&["--resume", &name]);
            assert!(output.status.success(), "{}", text(&output));
            assert_equal(&folder, &expected);
        }
        fs::remove_dir_all(&folder).unwrap();
        finished += 1;
    }
    println!("{killed} kills, {finished} runs finished with equal bytes");
}

/// Waits for a random part of a run, short parts more often.
fn wait(rng: &mut impl Rng, whole: Duration) {
    let share: f64 = rng.random_range(0.0..1.0);
    std::thread::sleep(whole.mul_f64(1.2 * share * share));
}

#[test]
fn what_a_kill_leaves_is_cut_and_passed_over() {
    let bench = Bench::new(CONFIG);
    bench.train("whole");
    let expected = results(&bench.path("whole"));
    let run = bench.path("whole");
    let resumed = |note: &str| {
        let output = bench.run(&["--resume", "whole"]);
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).contains(note), "{}", text(&output));
        assert_equal(&run, &expected);
    };
    // Half a line that no checkpoint knows.
    let metrics = run.join("metrics.jsonl");
    let mut longer = fs::read(&metrics).unwrap();
    longer.extend(b"{\"epoch\":5,\"st");
    fs::write(&metrics, longer).unwrap();
    resumed("");
    // The last checkpoint cut short, and one bit altered in the one before.
    let checkpoints = run.join("checkpoints");
    let last = checkpoints.join("last.safetensors");
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() / 2]).unwrap();
    let before = steps(&checkpoints).pop().unwrap();
    let mut altered = fs::read(checkpoints.join(&before)).unwrap();
    let at = altered.len() - 100;
    altered[at] ^= 1;
    fs::write(checkpoints.join(&before), altered).unwrap();
    fs::remove_file(run.join("model.safetensors")).unwrap();
    resumed("last.safetensors: is damaged: ");
    // No checkpoint at all, no metrics, lost best weights.
    fs::write(checkpoints.join("best.safetensors"), "best").unwrap();
    resumed("its best weights are lost");
    fs::remove_dir_all(&checkpoints).unwrap();
    fs::remove_file(&metrics).unwrap();
    resumed("");
}

/// Returns the names of the earlier checkpoints, the latest last.
fn steps(folder: &std::path::Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("step-"));
    names.sort_by_key(|name| name.trim_end_matches(".safetensors")[5..].parse::<u64>().unwrap());
    names
}

#[test]
fn the_last_checkpoints_are_kept_and_may_be_read_by_others() {
    let bench = Bench::new(CONFIG);
    bench.train("run");
    let checkpoints = bench.path("run").join("checkpoints");
    assert_eq!(steps(&checkpoints).len(), 2);
    let weights = wengert_io::safetensors::read::<f32>(checkpoints.join("last.safetensors"));
    let shape = weights.unwrap()["1.weight"].shape();
    assert_eq!(*shape, [12, 64]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let plain = bench.path("plain");
        fs::write(&plain, "").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(checkpoints.join("last.safetensors")), mode(plain));
        let folder = bench.path("folder");
        fs::create_dir(&folder).unwrap();
        assert_eq!(mode(bench.path("run")), mode(folder));
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_leaves() {
    let bench = Bench::new(CONFIG);
    bench.train("whole");
    let expected = results(&bench.path("whole"));
    let config = bench.config();
    let args = ["--config", &config, "--out", "run", "--set", "training.epochs=100000"];
    let mut child = bench.command(&args).spawn().unwrap();
    while !bench.path("run/checkpoints/last.safetensors").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let output = bench.run(&["--resume", "run", "--set", "training.epochs=4"]);
    super::refused(&output, "`epochs = 4` in place of `epochs = 100000`");
    // One that was interrupted ends like one that was not.
    let mut child = bench.command(&["--config", &config, "--out", "other"]).spawn().unwrap();
    while !bench.path("other/metrics.jsonl").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let code = child.wait().unwrap().code();
    assert!(code == Some(130) || code == Some(0), "{code:?}");
    assert!(bench.run(&["--resume", "other"]).status.success());
    assert_equal(&bench.path("other"), &expected);
}
