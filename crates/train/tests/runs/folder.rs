//! Folders, configurations and checkpoints that are refused.

use std::fs;

use super::{Bench, CONFIG, assert_equal, refused, results, text};

#[test]
fn a_folder_belongs_to_one_run_and_one_process() {
    let bench = Bench::new(CONFIG);
    bench.train("run");
    let expected = results(&bench.path("run"));
    let config = bench.config();
    let output = bench.run(&["--config", &config, "--out", "run"]);
    refused(&output, "run already holds a run: go on with `train --resume run`");
    let lock = fs::File::options().append(true).open(bench.path("run/.lock")).unwrap();
    lock.lock().unwrap();
    refused(&bench.run(&["--resume", "run"]), "run: another process trains there");
    drop(lock);
    assert!(bench.run(&["--resume", "run"]).status.success());
    refused(&bench.run(&["--resume", "none"]), "none holds no run: begin one with");
    assert_equal(&bench.path("run"), &expected);
    // Without a folder, runs are numbered.
    for name in ["runs/small-1", "runs/small-2"] {
        assert!(bench.run(&["--config", &config, "--quiet"]).status.success());
        assert_equal(&bench.path(name), &expected);
    }
    assert!(bench.run(&["--config", &config, "--resume", "new"]).status.success());
    assert_equal(&bench.path("new"), &expected);
}

#[test]
fn a_changed_configuration_or_checkpoint_is_refused() {
    let bench = Bench::new(CONFIG);
    bench.train("run");
    let expected = results(&bench.path("run"));
    let changed = "run: the configuration changed since the run began: `lr = ";
    let output = bench.run(&["--resume", "run", "--set", "optimizer.lr=0.5"]);
    refused(&output, changed);
    let config = bench.config();
    refused(&bench.run(&["--resume", "run", "--config", &config, "--set", "seed=4"]), "`seed = 4`");
    let other = CONFIG.replace("out_features = 12", "out_features = 13");
    let path = bench.path("run/config.toml");
    let own = fs::read_to_string(&path).unwrap();
    fs::write(&path, own.replace("out_features = 12", "out_features = 13")).unwrap();
    refused(
        &bench.run(&["--resume", "run"]),
        "`out_features = 13` in place of `out_features = 12`",
    );
    fs::write(&path, &own).unwrap();
    // A checkpoint of another run.
    let second = Bench::new(&other);
    second.train("run");
    let last = bench.path("run/checkpoints/last.safetensors");
    let bytes = fs::read(&last).unwrap();
    fs::copy(second.path("run/checkpoints/last.safetensors"), &last).unwrap();
    refused(&bench.run(&["--resume", "run"]), "the configuration changed");
    fs::write(&last, bytes).unwrap();
    assert!(bench.run(&["--resume", "run"]).status.success());
    assert_equal(&bench.path("run"), &expected);
}

#[test]
fn a_checkpoint_of_another_version_is_refused() {
    let bench = Bench::new(CONFIG);
    bench.train("run");
    let last = bench.path("run/checkpoints/last.safetensors");
    let mut bytes = fs::read(&last).unwrap();
    let find =
        |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).position(|w| w == text).unwrap();
    let format = find(&bytes, b"\\\"format\\\":1");
    bytes[format + 11] = b'2';
    let at = find(&bytes, b"\"checksum\":\"") + 12;
    bytes[at..at + 8].copy_from_slice(b"00000000");
    let mut crc = flate2::Crc::new();
    crc.update(&bytes);
    bytes[at..at + 8].copy_from_slice(format!("{:08x}", crc.sum()).as_bytes());
    fs::write(&last, &bytes).unwrap();
    let output = bench.run(&["--resume", "run"]);
    refused(&output, "last.safetensors: expected a checkpoint of format 1, found format 2");
    assert_eq!(fs::read(&last).unwrap(), bytes);
}

#[test]
fn the_written_configuration_is_whole_and_reads_back() {
    let bench = Bench::new(CONFIG);
    bench.train("run");
    let written = fs::read_to_string(bench.path("run/config.toml")).unwrap();
    for line in
        ["out_features = 10", "shuffle = true", "loss = \"cross_entropy\"", "kind = \"ema\""]
    {
        assert!(written.contains(line), "{line}\n{written}");
    }
    fs::write(bench.path("small.toml"), &written).unwrap();
    bench.train("again");
    assert_equal(&bench.path("again"), &results(&bench.path("run")));
}

#[test]
fn mistakes_in_a_configuration_have_a_place() {
    let mistakes = [
        (
            "kind = 'flatten'",
            "kind = 'flaten'",
            "small.toml:9:8: unknown layer `flaten`; did you mean `flatten`?",
        ),
        ("p = 0.1", "q = 0.1", "small.toml:23:1: unknown key `q`"),
        ("p = 0.1", "p = 2", "`p`: expected a number from 0 to 1, found 2.0"),
        (
            "out_features = 12",
            "out_features = 0",
            "`out_features`: expected a number of at least 1",
        ),
        (
            "kind = 'digits'",
            "kind = 'digit'",
            "small.toml:5:8: unknown data `digit`; did you mean `digits`?",
        ),
        ("batch_size = 64", "batch_size = 897", "the last batch of an epoch has one row"),
        ("epochs = 4", "epoch = 4", "unknown key `epoch`; did you mean `epochs`?"),
        (
            "monitor = 'accuracy'",
            "monitor = 'f1'",
            "expected `loss` or one of the metrics, found `f1`",
        ),
        ("[training]", "[trainings]", "missing table `[training]`"),
        ("kind = 'flatten'\n", "kind = 'flatten'\nstart_axis = 7\n", "small.toml:9:8: "),
        ("kind = 'adam'", "kind = 'adm'", "unknown optimizer `adm`; did you mean `adam`?"),
        (
            "seed = 3",
            "seed = 3\nsede = 4",
            "small.toml:3:1: unknown key `sede`; did you mean `seed`?",
        ),
        (
            "\n[training]",
            "out_features = 7\n[training]",
            "expected outputs of shape [10] for the data",
        ),
    ];
    for (right, wrong, message) in mistakes {
        let bench = Bench::new(&CONFIG.replacen(right, wrong, 1));
        let output = bench.run(&["--config", &bench.config(), "--out", "run"]);
        refused(&output, message);
        assert!(!bench.path("run").exists());
    }
    let bench = Bench::new(CONFIG);
    let config = bench.config();
    let wrong = bench.run(&["--config", &config, "--set", "training.epoch=3"]);
    refused(&wrong, "override:1:10: unknown key `epoch`");
    refused(&bench.run(&["--config", "none.toml"]), "none.toml: cannot be read");
    refused(&bench.run(&["--confg", "x"]), "--config");
    // Without arguments the program explains itself.
    let output = bench.run(&[]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("--resume"));
}
