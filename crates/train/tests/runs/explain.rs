//! Post-mortems.

use std::fs;

use super::{Bench, CONFIG, assert_equal, refused, results, text};

#[test]
fn a_diverged_run_explains_itself() {
    let config = CONFIG
        .replace("kind = 'batch_norm'", "kind = 'identity'")
        .replace("lr = { kind = 'plateau', lr = 1e-2, mode = 'max', patience = 1 }", "lr = 1e30")
        .replace("kind = 'adam'", "kind = 'sgd'");
    let bench = Bench::new(&config);
    let output = bench.run(&["--config", &bench.config(), "--out", "run"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("not finite"), "{}", text(&output));
    let found = fs::read_to_string(bench.path("run/postmortem.txt")).unwrap();
    for part in [
        "step: ",
        "epoch: 1, batch ",
        "rate: 1e30",
        "rows of the training data",
        "source: ",
        "layer: ",
        "config.toml:",
        "gradient",
        "1.weight",
    ] {
        assert!(found.contains(part), "{part}\n{found}");
    }
    // The line of the configuration is that of the layer.
    let place = |text: &str, before: &str| {
        let number = text.split(before).nth(1).unwrap().split(|c: char| !c.is_ascii_digit());
        number.into_iter().next().unwrap().parse::<usize>().unwrap()
    };
    let (layer, line) = (place(&found, "layer: "), place(&found, "config.toml:"));
    let config = fs::read_to_string(bench.path("run/config.toml")).unwrap();
    let before = config.lines().take(line).filter(|line| *line == "[[model.layers]]").count();
    assert_eq!(before, layer + 1, "{found}");
    let good = wengert_io::safetensors::read::<f32>(bench.path("run/checkpoints/good.safetensors"));
    assert!(good.unwrap().values().all(|weight| weight.is_finite()));
    assert!(!bench.path("run/model.safetensors").exists());
    // It diverges at the same step again.
    let again = bench.run(&["--resume", "run"]);
    assert_eq!(again.status.code(), Some(3), "{}", text(&again));
    assert_eq!(fs::read_to_string(bench.path("run/postmortem.txt")).unwrap(), found);
}

#[test]
fn any_step_of_a_finished_run_can_be_explained() {
    let bench = Bench::new(CONFIG);
    bench.train("run");
    let expected = results(&bench.path("run"));
    let explain = |step: &str| bench.run(&["--explain", "run", "--at-step", step]);
    let output = explain("33");
    assert!(output.status.success(), "{}", text(&output));
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(found.contains("step: 33\nepoch: 3, batch 3 of 15\n"), "{found}");
    assert!(found.contains("All numbers of this step are finite."), "{found}");
    // The same loss as in training; the line was written at a step of `log_every_steps`.
    let metrics = fs::read_to_string(bench.path("run/metrics.jsonl")).unwrap();
    let line = metrics.lines().find(|line| line.contains("\"step\":35,")).unwrap();
    let loss = line.split("\"loss\":").nth(1).unwrap().split(',').next().unwrap();
    let found = String::from_utf8(explain("35").stdout).unwrap();
    assert!(found.contains(&format!("loss: {loss}\n")), "{line}\n{found}");
    refused(&explain("0"), "expected a step from 1 to 60, found 0");
    refused(&explain("61"), "found 61");
    assert_equal(&bench.path("run"), &expected);
}

#[test]
fn the_range_test_draws_a_picture() {
    let bench = Bench::new(CONFIG);
    let output = bench.run(&["--config", &bench.config(), "--find-lr"]);
    assert!(output.status.success(), "{}", text(&output));
    let svg = fs::read_to_string(bench.path("small.lr.svg")).unwrap();
    assert!(svg.contains("<polyline") && svg.contains("steepest at"), "{svg}");
}
