//! A CSV with missing values to a model that predicts raw rows.

use std::sync::atomic::AtomicBool;
use std::{fmt::Write, fs};

use wengert_train::run::{self, Kinds, Plan};

#[test]
fn a_run_on_a_file_predicts_raw_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut rows = "height,site,kind\n".to_owned();
    for i in 0..60 {
        let (height, kind) = if i % 2 == 0 { (1.0, "elm") } else { (9.0, "oak, red") };
        let site = ["wet", "dry", ""][i % 3];
        let _ = writeln!(rows, "{},{site},\"{kind}\"", height + (i % 5) as f64 / 10.0);
    }
    fs::write(path("rows.csv"), rows).unwrap();
    let config = format!(
        "[data]\nkind = 'csv'\npath = '{}'\ntarget = 'kind'\nmissing = 'most_frequent'\n\
         [[model.layers]]\nkind = 'linear'\n[training]\nepochs = 30\nbatch_size = 8\n\
         [optimizer]\nkind = 'adam'\nlr = 0.1\n",
        path("rows.csv").display()
    );
    fs::write(path("trees.toml"), config).unwrap();
    let plan = Plan::load(path("trees.toml"), &[""; 0], &Kinds::default()).unwrap();
    let out = path("run");
    run::start(&plan, Some(&out), &AtomicBool::new(false), &mut ()).unwrap();
    fs::write(path("new.csv"), "site,height\nwet,1.2\n,9.3\n").unwrap();
    let found = run::predict(&out, &path("new.csv"), &Kinds::default()).unwrap();
    assert_eq!(found.columns, ["class", "probability"]);
    assert_eq!([&found.rows[0][0], &found.rows[1][0]], ["elm", "oak, red"]);
    assert!(found.to_csv().contains("\"oak, red\",0.9"));
    fs::write(path("wrong.csv"), "site,hight\nwet,1.2\n").unwrap();
    let error = run::predict(&out, &path("wrong.csv"), &Kinds::default()).unwrap_err().to_string();
    assert!(error.contains("wrong.csv") && error.contains("`height`"), "{error}");
}
