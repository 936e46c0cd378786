//! Random programs of all operations, layers and losses, against the numbers of PyTorch.
//!
//! `tests/fixtures/programs.jsonl` holds one program a line; its first line names the script and the versions that made
//! it. `tests/interop/random_programs.py` compares many more, drawn by `random_programs` of `wengert-bench`.

mod compare;
mod coverage;
mod random;

use std::collections::BTreeMap;

use random::draw::draw;
use random::ops::NAMES;
use random::program::Program;
use random::run::{Results, run};
use serde::Deserialize;

const CORPUS: &str = include_str!("../fixtures/programs.jsonl");

/// A program of the corpus.
#[derive(Deserialize)]
struct Line {
    program: Program,
    /// The results in double precision.
    results: Results,
    /// The largest error that PyTorch makes in single precision, as a share of the largest number of each kind of
    /// result; none if it makes a NaN or an infinity that double precision does not make.
    single: Option<f64>,
}

fn corpus() -> impl Iterator<Item = Line> {
    CORPUS.lines().skip(1).map(|line| serde_json::from_str(line).expect("a program"))
}

#[test]
fn the_corpus_agrees_with_pytorch() {
    let mut failures = Vec::new();
    for Line { program, results, single } in corpus() {
        let double = compare::double(&run::<f64>(&program), &results);
        let single =
            single.map_or(Ok(()), |error| compare::single(&run::<f32>(&program), &results, error));
        if let Err(what) = double.and(single.map_err(|what| format!("in single precision, {what}")))
        {
            failures
                .push(format!("{what}\n    {}", serde_json::to_string(&program).expect("JSON")));
        }
    }
    let count = failures.len();
    failures.truncate(10);
    assert!(count == 0, "{count} programs differ, among them:\n{}", failures.join("\n"));
}

#[test]
fn the_corpus_has_every_operation() {
    let mut uses =
        NAMES.concat().into_iter().map(|op| (op.to_owned(), 0)).collect::<BTreeMap<_, _>>();
    for node in corpus().flat_map(|line| line.program.nodes) {
        *uses.entry(node.op).or_default() += 1;
    }
    let rare = uses.iter().filter(|(_, uses)| **uses < 4).collect::<Vec<_>>();
    assert!(rare.is_empty(), "too few programs: {rare:?}");
}

/// Programs that are not in the corpus run, too, and their gradients do not depend on how the sweep computes them.
#[test]
fn recorded_and_computed_gradients_agree() {
    for seed in 0..300 {
        let written = serde_json::to_string(&draw(seed)).expect("JSON");
        let program = serde_json::from_str(&written).expect("a program");
        let results = run::<f64>(&program);
        let recorded = Results { gradients: results.recorded.clone(), ..results.clone() };
        compare::double(&recorded, &results).unwrap_or_else(|what| panic!("{what}\n{written}"));
    }
}
