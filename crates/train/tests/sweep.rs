//! Sweeps: the same table however the runs ran, also after interruptions, and runs that fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use wengert_train::run::{Kinds, RunError};
use wengert_train::sweep::{Cell, Happened, Sweep, Workers, collect, write_table};

/// A folder with a sweep of three runs and a base configuration of a small net.
fn files(grid: &str) -> (tempfile::TempDir, Sweep) {
    let folder = tempfile::tempdir().unwrap();
    let base = "[data]\nkind = 'digits'\nvalidation = 0.1\n\
                [[model.layers]]\nkind = 'flatten'\n[[model.layers]]\nkind = 'linear'\n\
                [training]\nepochs = 2\nbatch_size = 128\nmetrics = ['accuracy']\n\
                [optimizer]\nkind = 'sgd'\nlr = 0.1\n";
    let text = format!("base = 'base.toml'\nseeds = [0, 5]\nmetric = 'accuracy'\n[grid]\n{grid}\n");
    fs::write(folder.path().join("base.toml"), base).unwrap();
    fs::write(folder.path().join("small.toml"), text).unwrap();
    let sweep = Sweep::load(folder.path().join("small.toml")).unwrap();
    (folder, sweep)
}

/// Runs a sweep, and returns what happened, apart from the beginnings of runs.
fn run(sweep: &Sweep, out: &Path, workers: Workers) -> Result<Vec<(usize, Happened)>, RunError> {
    let seen = Mutex::new(Vec::new());
    let watch = |cell: &Cell, happened: &Happened| {
        if *happened != Happened::Started {
            seen.lock().unwrap().push((cell.task, happened.clone()));
        }
    };
    sweep.run(out, workers, &Kinds::default(), &AtomicBool::new(false), &watch)?;
    let mut seen = seen.into_inner().unwrap();
    seen.sort_by_key(|(task, _)| *task);
    Ok(seen)
}

/// The bytes of the three tables.
fn tables(sweep: &Sweep, out: &Path) -> [Vec<u8>; 3] {
    write_table(&collect(sweep, out).unwrap(), out).unwrap();
    ["table.txt", "table.csv", "report.html"].map(|name| fs::read(out.join(name)).unwrap())
}

#[test]
fn tables_are_equal_however_the_runs_ran() {
    let (folder, sweep) = files("optimizer.lr = [0.01, 0.3]");
    let out = |name: &str| -> PathBuf { folder.path().join(name) };
    let all = Workers::default();
    let done = run(&sweep, &out("together"), all).unwrap();
    assert_eq!(done, (0..4).map(|task| (task, Happened::Done)).collect::<Vec<_>>());
    let together = tables(&sweep, &out("together"));

    // One by one from the last, on two threads.
    for task in (0..4).rev() {
        let one = Workers { task: Some(task), threads: Some(2), ..all };
        assert_eq!(run(&sweep, &out("tasks"), one).unwrap(), [(task, Happened::Done)]);
    }
    assert_eq!(tables(&sweep, &out("tasks")), together);

    // Interrupted while the first run begins, and started again.
    let interrupt = AtomicBool::new(false);
    let stop = |_: &Cell, _: &Happened| interrupt.store(true, Ordering::Relaxed);
    sweep.run(out("again"), all, &Kinds::default(), &interrupt, &stop).unwrap();
    let text = String::from_utf8(tables(&sweep, &out("again"))[0].clone()).unwrap();
    assert!(text.contains("not run yet: optimizer.lr=0.3, seed 0, 5"), "{text}");
    run(&sweep, &out("again"), Workers { jobs: Some(1), ..all }).unwrap();
    assert_eq!(tables(&sweep, &out("again")), together);

    // What is done is not done again.
    let before = run(&sweep, &out("together"), all).unwrap();
    assert!(before.iter().all(|(_, happened)| *happened == Happened::DoneBefore));
}

#[test]
fn the_table_has_the_mean_and_the_interval() {
    let (folder, sweep) = files("optimizer.lr = [0.0001, 0.3]");
    run(&sweep, folder.path(), Workers::default()).unwrap();
    let table = collect(&sweep, folder.path()).unwrap();
    assert_eq!(table.metrics, ["validation accuracy", "validation loss"]);
    assert_eq!(table.rows[0].setting.grid[0].1, "0.3");
    let accuracy = |seed: u64| {
        let results = folder.path().join(format!("optimizer.lr=0.3,seed={seed}/results.json"));
        let results: serde_json::Value =
            serde_json::from_slice(&fs::read(results).unwrap()).unwrap();
        results["metrics"][1][1].as_f64().unwrap()
    };
    let (a, b) = (accuracy(0), accuracy(5));
    let estimate = table.rows[0].estimates[0];
    assert!((estimate.mean - (a + b) / 2.0).abs() < 1e-12);
    // Two numbers: their half distance times 12.706, the quantile for one degree of freedom.
    assert!((estimate.half_width - 12.706_204_736 * (a - b).abs() / 2.0).abs() < 1e-8);
    let csv = table.csv();
    let lines: Vec<_> = csv.lines().collect();
    assert!(lines[0].starts_with("rank,optimizer.lr,runs,failed,missing,validation accuracy,"));
    assert!(lines[1].starts_with(&format!("1,0.3,2,0,0,{},", estimate.mean)), "{csv}");
    assert!(table.html().contains("<figcaption>Validation accuracy of the best settings"));
}

#[test]
fn a_run_that_fails_is_told_and_not_tried_again() {
    let (folder, sweep) = files("optimizer.lr = [1e38, 0.1]");
    let out = folder.path();
    let first = run(&sweep, out, Workers::default()).unwrap();
    let Happened::Failed(reason) = &first[0].1 else { panic!("{first:?}") };
    let again = run(&sweep, out, Workers::default()).unwrap();
    assert_eq!(again[0].1, Happened::FailedBefore(reason.clone()));
    assert_eq!(again[2].1, Happened::DoneBefore);
    let table = collect(&sweep, out).unwrap();
    // Settings that failed come last.
    assert_eq!((table.rows[0].runs, table.rows[1].runs, table.rows[1].failed.len()), (2, 0, 2));
    assert!(table.to_string().contains(&format!("failed: optimizer.lr=1e38, seed 0: {reason}")));
    assert!(table.html().contains("failed: optimizer.lr=1e38, seed 5"));
}

#[test]
fn mistakes_end_the_sweep() {
    let (folder, sweep) = files("optimizer.lr = [0.1]");
    let refused = |sweep: &Sweep, task: Option<usize>| {
        let workers = Workers { task, ..Workers::default() };
        run(sweep, folder.path(), workers).unwrap_err().to_string()
    };
    assert_eq!(refused(&sweep, Some(2)), "no run 2: the runs are 0 to 1");
    run(&sweep, folder.path(), Workers::default()).unwrap();
    // The base configuration changes under the runs.
    let base = folder.path().join("base.toml");
    let text = fs::read_to_string(&base).unwrap();
    fs::write(&base, text.replace("128", "64")).unwrap();
    assert!(refused(&sweep, None).contains("the configuration changed"));
    fs::write(&base, text.replace("batch_size", "batch_sise")).unwrap();
    assert!(refused(&sweep, None).contains("did you mean `batch_size`?"));

    let metric = Sweep { metric: "acuracy".into(), ..sweep };
    fs::write(&base, text).unwrap();
    let error = collect(&metric, folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("`acuracy`; the runs have `validation loss`, `validation accuracy`"),
        "{error}"
    );
}
