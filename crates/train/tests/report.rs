//! The report of a run, opened in a browser where there is one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wengert_train::report;

/// A folder with the files of a run in `tests/report`, of which `change` may alter some.
fn run(change: impl FnOnce(&Path)) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/digits");
    for file in fs::read_dir(sample).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    change(folder.path());
    let html = fs::read_to_string(report::write(folder.path()).unwrap()).unwrap();
    (folder, html)
}

/// A page as the browser shows it after the scripts ran, and what it complained of: errors of scripts, and requests,
/// which the page's policy refuses. `None` where there is no Chromium.
fn opened(page: &str) -> Option<(String, Vec<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    fs::write(&file, page).unwrap();
    let chromium = ["/usr/bin/chromium", "/usr/bin/google-chrome"].map(PathBuf::from);
    let Some(chromium) = chromium.into_iter().find(|path| path.exists()) else {
        println!("skipped: no Chromium here");
        return None;
    };
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
        .args(["--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let complaints = log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned);
    Some((String::from_utf8_lossy(&output.stdout).into_owned(), complaints.collect()))
}

/// Moves the pointer over the first chart.
const POINTER: &str = "<script>{
    const svg = document.querySelector('.chart svg'), box = svg.getBoundingClientRect();
    const at = { clientX: box.left + box.width / 2, clientY: box.top + 60 };
    svg.dispatchEvent(new PointerEvent('pointermove', at));
}</script>";

#[test]
fn a_report_shows_the_run_and_asks_for_nothing() {
    let (_folder, html) = run(|_| ());
    for part in [
        "<figcaption>Loss</figcaption>",
        "<figcaption>Accuracy</figcaption>",
        "<figcaption>Learning rate</figcaption>",
        "<figcaption>Gradient norm</figcaption>",
        "<figcaption>Weight norm</figcaption>",
        "Confusion matrix",
        "data:image/png;base64,",
        "Sequential     [32, 10]",
        "kind = &quot;adam&quot;",
        "AMD EPYC 9R45",
        "2,410 parameters",
        "98.2%",
    ] {
        assert!(html.contains(part), "{part}");
    }
    let Some((shown, complaints)) = opened(&(html + POINTER)) else { return };
    assert_eq!(complaints, [""; 0]);
    let tip = shown.split("<div id=\"tip\"").nth(1).unwrap().split("<script").next().unwrap();
    for part in ["epoch 1", "<b>0.", "validation", "train"] {
        assert!(tip.contains(part), "{tip}");
    }
    // The browser does tell of errors and of requests.
    let broken =
        report_with("<img src=\"https://example.org/a.png\"><script>nothing.here</script>");
    let (_, complaints) = opened(&broken).unwrap();
    assert!(
        complaints.iter().any(|line| line.contains("Content Security Policy")),
        "{complaints:?}"
    );
    assert!(
        complaints.iter().any(|line| line.contains("nothing is not defined")),
        "{complaints:?}"
    );
}

fn report_with(end: &str) -> String {
    let (_folder, html) = run(|_| ());
    html + end
}

#[test]
fn texts_are_never_markup() {
    let evil = "<script>alert(1)</script>";
    let (_folder, html) = run(|folder| {
        let replace = |name: &str, from: &str, to: &str| {
            let text = fs::read_to_string(folder.join(name)).unwrap();
            assert!(text.contains(from));
            fs::write(folder.join(name), text.replace(from, to)).unwrap();
        };
        replace("config.toml", "adam", evil);
        replace("metrics.jsonl", "accuracy", evil);
        replace("metrics.jsonl", "0.bias", evil);
        replace("metrics.jsonl", "validation", evil);
        replace("results.json", "\"3\"", &format!("\"{evil}\""));
        replace("results.json", "Sequential", evil);
        replace("results.json", "\"wengert\"", &format!("\"{evil}\""));
        replace("machine.json", "AMD", evil);
        fs::write(folder.join("postmortem.txt"), evil).unwrap();
    });
    assert_eq!(html.matches("<script>").count(), 1);
    assert!(html.matches("alert(1)").count() > 20);
}

#[test]
fn a_run_that_is_not_finished_has_a_report() {
    let (_folder, html) = run(|folder| {
        for name in ["results.json", "machine.json", "timing.jsonl", "config.toml"] {
            fs::remove_file(folder.join(name)).unwrap();
        }
        let metrics = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
        let first = metrics.lines().next().unwrap();
        // One epoch, and a line that a killed process left.
        fs::write(folder.join("metrics.jsonl"), format!("{first}\n{{\"epo")).unwrap();
    });
    assert!(html.contains("not finished \u{b7} 1 epoch, 44 steps"));
    assert!(html.contains("lines that cannot be read: 1") && html.contains("<circle"));
    for part in ["Predictions", "<h2>Model", "<h2>Configuration", "<h2>Origin"] {
        assert!(!html.contains(part), "{part}");
    }
    let Some((_, complaints)) = opened(&(html + POINTER)) else { return };
    assert_eq!(complaints, [""; 0]);
}

#[test]
fn a_run_that_diverged_says_so() {
    let (_folder, html) = run(|folder| {
        let line = |epoch: u32, loss: &str| {
            format!(
                "{{\"epoch\":{epoch},\"step\":{epoch},\"split\":\"train\",\"loss\":{loss},\"grad_norm\":{{\"w\":{loss}}}}}\n"
            )
        };
        let lines = line(1, "2.0") + &line(2, "9e30") + &line(3, "null");
        fs::write(folder.join("metrics.jsonl"), lines).unwrap();
        fs::write(folder.join("results.json"), "{\"status\":\"diverged\"").unwrap();
        fs::write(folder.join("postmortem.txt"), "step 3: exp overflowed").unwrap();
    });
    assert!(html.contains("Why it diverged") && html.contains("step 3: exp overflowed"));
    assert!(html.contains("results.json: EOF") && html.matches(">not finite<").count() == 2);
    assert!(html.contains("<dt>train loss</dt><dd>NaN</dd>"));
}

#[test]
fn a_deep_net_has_a_map_of_its_layers() {
    let (_folder, html) = run(|folder| {
        let norms = |epoch: usize| {
            let norm = |i: usize| format!("\"blocks.{i}.weight\":{}", (i + epoch) as f64 * 0.1);
            (0..12).map(norm).collect::<Vec<_>>().join(",")
        };
        let line = |epoch| {
            format!(
                "{{\"epoch\":{epoch},\"split\":\"train\",\"grad_norm\":{{{}}}}}\n",
                norms(epoch)
            )
        };
        fs::write(folder.join("metrics.jsonl"), (1..=3).map(line).collect::<String>()).unwrap();
    });
    assert_eq!(html.matches("<th title=\"blocks.").count(), 12);
}

#[test]
fn a_folder_without_a_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = report::write(folder.path()).unwrap_err().to_string();
    assert!(error.contains("neither config.toml nor metrics.jsonl is there"), "{error}");
    assert!(error.starts_with(&folder.path().display().to_string()), "{error}");
}
