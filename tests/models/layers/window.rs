//! Pooling and indexing at ties and borders against PyTorch: the cases of
//! `fixtures/edge_cases_window.json`.

use wengert::f64::prelude::*;

use crate::layers::pytorch;

const FIXTURE: &str = include_str!("../../fixtures/edge_cases_window.json");

#[track_caller]
fn edge(case: &str, f: impl for<'t> Fn(Var<'t>) -> Var<'t>) {
    pytorch::agrees_at_the_edge(FIXTURE, case, |x| f(x[0]));
}

#[test]
fn max_pool_gives_all_to_the_first_of_ties() {
    edge("maxpool ties 2x2", |x| x.max_pool2d(2));
}

#[test]
fn max_pool_adds_up_where_windows_overlap() {
    edge("maxpool overlap k2 s1", |x| x.max_pool2d(Pooling::new(2).stride(1)));
}

#[test]
fn max_pool_pads_with_minus_infinity() {
    edge("maxpool pad1 all neg", |x| x.max_pool2d(Pooling::new(2).padding(1)));
}

#[test]
fn index_select_accumulates_duplicates() {
    edge("index_select dup", |x| x.index_select(0, [0, 0, 1]));
}

#[test]
fn index_add_accumulates_duplicates() {
    edge("index_add dup src", |x| {
        x.tape().constant(&Tensor::zeros([2])).index_add(0, [0, 0, 1], x)
    });
}
