//! `docs/training.md` agrees with the program.

use std::fs;

use wengert_train::run::{Kinds, Layers, Plan};

const PAGE: &str = include_str!("../../../../docs/training.md");

/// Returns the section under a heading.
fn section(heading: &str) -> &'static str {
    PAGE.split("\n## ")
        .flat_map(|part| part.split("\n### "))
        .find(|s| s.starts_with(heading))
        .unwrap()
}

/// Returns the names in the first cells of the table in a section.
fn first_cells(heading: &str) -> Vec<&'static str> {
    let rows = section(heading).lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let mut names: Vec<_> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    names.sort_unstable();
    names
}

/// Returns the names that a message lists after "one of".
fn listed(text: &str, overridden: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.toml");
    fs::write(&path, text).unwrap();
    let error = Plan::load(&path, &[overridden], &Kinds::default()).unwrap_err().to_string();
    let line = error.lines().next().unwrap();
    let names = line.split("xpected one of ").nth(1).unwrap();
    let mut names: Vec<String> = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    names.sort();
    names
}

fn example() -> &'static str {
    let block = PAGE.split("```toml\n").nth(1).unwrap();
    block.split("```").next().unwrap()
}

#[test]
fn the_page_lists_every_kind_and_key() {
    assert_eq!(first_cells("`[training]`"), listed(example(), "training.what=1"));
    assert_eq!(first_cells("`[checkpoint]`"), listed(example(), "checkpoint.what=1"));
    assert_eq!(first_cells("`[data]`"), listed(example(), "data.kind=what"));
    let mut kinds: Vec<&str> = Layers::default().kinds().chain(["embedding", "residual"]).collect();
    kinds.sort_unstable();
    assert_eq!(first_cells("`[[model.layers]]`"), kinds);
}

#[test]
fn the_example_of_the_page_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.toml");
    fs::write(&path, example()).unwrap();
    let plan = Plan::load(&path, &[""; 0], &Kinds::default()).unwrap();
    assert_eq!((plan.name.as_str(), plan.seed), ("digits", 0));
    fs::write(&path, &plan.text).unwrap();
    assert_eq!(Plan::load(&path, &[""; 0], &Kinds::default()).unwrap().text, plan.text);
}
