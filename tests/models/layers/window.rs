//! Pooling and operations by position at ties and borders against PyTorch: the cases of
//! `fixtures/edge_cases_window.json`.

use serde_json::Value as Json;
use wengert::f64::prelude::*;

use super::pytorch::nested;

/// Holds `f` to an edge case of a fixture: its value to nine digits, exactly on 0, and the gradient of the
/// sum of its elements by both sweeps likewise.
#[track_caller]
pub(crate) fn agrees_at_the_edge(
    fixture: &str,
    case: &str,
    f: impl for<'t> Fn(Var<'t>) -> Var<'t>,
) {
    let fixture: Json = serde_json::from_str(fixture).expect("JSON");
    let expected = &fixture["cases"][case];
    let tape = Tape::new();
    let x = tape.variable(&nested(&expected["inputs"][0]));
    let y = f(x);
    let near = |what: &str, ours: &Tensor, theirs: &Tensor| {
        assert_eq!(ours.shape(), theirs.shape(), "{case}, {what}");
        let mut pairs = ours.as_slice().iter().zip(theirs.as_slice());
        let all = pairs.all(|(ours, theirs)| (ours - theirs).abs() <= 1e-9 * theirs.abs());
        assert!(all, "{case}, {what}: {ours:?} where PyTorch has {theirs:?}");
    };
    near("value", &y.value(), &nested(&expected["value"]));
    let theirs = nested(&expected["grads_of_sum"][0]);
    near("gradient", y.sum().backward().wrt(x).expect("a gradient"), &theirs);
    near("recorded gradient", &grad(y.sum(), &[x])[0].value(), &theirs);
}

const FIXTURE: &str = include_str!("../../fixtures/edge_cases_window.json");

#[test]
fn max_pool_gives_all_to_the_first_of_ties() {
    agrees_at_the_edge(FIXTURE, "maxpool ties 2x2", |x| x.max_pool2d(2));
}

#[test]
fn max_pool_adds_up_where_windows_overlap() {
    agrees_at_the_edge(FIXTURE, "maxpool overlap k2 s1", |x| {
        x.max_pool2d(Pooling::new(2).stride(1))
    });
}

#[test]
fn max_pool_pads_with_minus_infinity() {
    agrees_at_the_edge(FIXTURE, "maxpool pad1 all neg", |x| {
        x.max_pool2d(Pooling::new(2).padding(1))
    });
}

#[test]
fn index_select_accumulates_duplicates() {
    agrees_at_the_edge(FIXTURE, "index_select dup", |x| x.index_select(0, [0, 0, 1]));
}

#[test]
fn index_add_accumulates_duplicates() {
    agrees_at_the_edge(FIXTURE, "index_add dup src", |x| {
        x.tape().constant(&Tensor::zeros([2])).index_add(0, [0, 0, 1], x)
    });
}
