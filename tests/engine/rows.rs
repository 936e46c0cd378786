//! Rows of a parameter outside of which its gradient is known to be 0.

use proptest::prelude::*;
use wengert::f64::prelude::*;
use wengert::{Float, IndexOp, Program, Shape, ShapeError, Value, grad};

fn table(n: usize) -> Param {
    Param::new(Tensor::from_vec((0..n * 2).map(|i| i as f64 / 7.0).collect(), [n, 2]))
}

/// The rows that are known, in order.
fn rows(grads: &Gradients, param: &Param) -> Option<Vec<usize>> {
    grads.rows(param).map(|rows| {
        let mut rows = rows.collect::<Vec<_>>();
        rows.sort_unstable();
        rows
    })
}

/// Whether the gradient is 0, and positive 0, outside of these rows.
fn is_zero_elsewhere(g: &Tensor, rows: &[usize]) -> bool {
    let width = g.numel() / g.shape()[0].max(1);
    let zero = |x: &f64| x.to_bits() == 0;
    g.as_slice().iter().enumerate().all(|(i, x)| rows.contains(&(i / width)) || zero(x))
}

#[test]
fn every_way_to_read_rows_is_known() {
    let t = table(6);
    let index = Indices::from([[4, 1], [4, 0]]);
    let known = |f: &dyn for<'t> Fn(Var<'t>) -> Var<'t>| {
        let (_, grads) = gradients(|tape| f(tape.param(&t)).square().sum());
        let found = rows(&grads, &t);
        if let Some(rows) = &found {
            assert!(is_zero_elsewhere(grads.get(&t).unwrap(), rows));
        }
        found
    };
    assert_eq!(known(&|t| t.embedding(&index, None)), Some(vec![0, 1, 4, 4]));
    assert_eq!(known(&|t| t.embedding(&index, Some(1))), Some(vec![0, 1, 4, 4]));
    assert_eq!(known(&|t| t.index_select(0, [2, 5])), Some(vec![2, 5]));
    assert_eq!(known(&|t| t.gather(0, &index)), Some(vec![0, 1, 4, 4]));
    assert_eq!(known(&|t| t.embedding([1], None) * t.index_select(0, [3])), Some(vec![1, 3]));
    assert_eq!(known(&|t| t.embedding(Vec::new(), None)), Some(vec![]));
    // Along another axis, or read in another way too.
    assert_eq!(known(&|t| t.index_select(1, [0])), None);
    assert_eq!(known(&|t| t.gather(1, [[0, 1]])), None);
    assert_eq!(known(&|t| t.embedding([1], None).sum() + t.sum()), None);
    assert_eq!(known(&|t| t.sum() + t.embedding([1], None).sum()), None);
    assert_eq!(known(&|t| t.embedding([1], None).matmul_transposed(t)), None);
    assert_eq!(known(&|t| (t * 2.0).embedding([1], None)), None);
    assert_eq!(known(&|t| t.pick([0, 0, 1, 0, 1, 1])), None);
}

#[test]
fn each_parameter_has_its_own_rows() {
    let (a, b, c) = (table(5), table(3), table(2));
    let (_, grads) = gradients(|tape| {
        let [a, b, c] = [&a, &b, &c].map(|p| tape.param(p));
        a.embedding([4], None).sum() + b.embedding([0, 2], None).sum() * c.sum()
    });
    assert_eq!(rows(&grads, &a), Some(vec![4]));
    assert_eq!(rows(&grads, &b), Some(vec![0, 2]));
    assert_eq!(rows(&grads, &c), None);
    let unused = table(3);
    assert_eq!(rows(&grads, &unused), None);
    let mut frozen = table(3);
    frozen.set_frozen(true);
    let (_, grads) = gradients(|tape| (tape.param(&frozen).embedding([1], None) * &a).sum());
    assert_eq!(rows(&grads, &frozen), None);
}

#[test]
fn checkpoints_and_recorded_derivatives_keep_rows() {
    let t = table(6);
    let (_, grads) = gradients(|tape| {
        tape.checkpoint(|| tape.param(&t).embedding([2, 5], None).exp().square()).sum()
    });
    assert_eq!(rows(&grads, &t), Some(vec![2, 5]));
    let (_, grads) = gradients(|tape| {
        let t = tape.param(&t);
        let [slope] = grad(t.embedding([2, 5], None).exp().sum(), &[t])[..] else { panic!() };
        slope.square().sum()
    });
    let g = grads.get(&t).unwrap();
    assert!(is_zero_elsewhere(g, &[2, 5]), "{g:?}");
}

/// Reads rows as `index_select` does.
#[derive(Clone, Debug)]
struct Rows {
    says_so: bool,
}

impl IndexOp for Rows {
    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        index.check_below(x[0])?;
        Ok([index.shape()[0], x[1]].into())
    }
    fn forward<F: Float>(
        &self,
        x: &wengert::Tensor<F>,
        index: &Indices,
        _: Shape,
    ) -> wengert::Tensor<F> {
        x.index_select(0, index)
    }
    fn vjp<V: Value>(&self, x: &V, index: &V::Index, _: &V, g: &V) -> V {
        let (axis, extent) = (0, x.shape()[0]);
        V::apply_indexed(wengert::ops::IndexAdd { axis, extent, skip: None }, g, index)
    }
    fn reads_rows(&self) -> bool {
        self.says_so
    }
}

#[test]
fn an_operation_of_the_user_says_whether_it_reads_rows() {
    let t = table(6);
    for says_so in [true, false] {
        let (_, grads) = gradients(|tape| {
            let index = tape.indices([3, 3]);
            Var::apply_indexed(Rows { says_so }, &tape.param(&t), &index).square().sum()
        });
        assert_eq!(rows(&grads, &t), says_so.then(|| vec![3, 3]));
    }
}

#[test]
fn a_program_knows_the_rows_of_each_run() {
    let mut t = table(6);
    let mut step = Program::<Param, Indices, f64>::new(|t, tape, tokens| {
        tape.param(t).embedding(tokens, None).square().sum()
    });
    for run in 0..9 {
        let tokens = Indices::from([run % 6, (run * run) % 6]);
        let (_, grads) = step.gradients(&t, &tokens);
        let (_, fresh) = gradients(|tape| tape.param(&t).embedding(&tokens, None).square().sum());
        assert_eq!(rows(grads, &t), rows(&fresh, &t));
        assert!(rows(grads, &t).is_some());
        assert_eq!(grads.get(&t), fresh.get(&t));
        let changed = t.value() - grads.get(&t).unwrap() * 0.1;
        *t.value_mut() = changed;
    }
    let batch = Indices::from([[0], [3], [5]]);
    let found = step.per_example(&t, &batch, |_, _, grads| rows(grads, &t));
    assert_eq!(found, [Some(vec![0]), Some(vec![3]), Some(vec![5])]);
}

#[test]
fn sums_unite_rows_and_what_else_changes_gradients_forgets_them() {
    let t = table(6);
    let by_rows = |index: [usize; 2]| {
        gradients(|tape| tape.param(&t).embedding(index, None).square().sum()).1
    };
    let dense = || gradients(|tape| tape.param(&t).square().sum()).1;
    let sum = |mut a: Gradients, b: &Gradients| {
        a += b;
        rows(&a, &t)
    };
    assert_eq!(sum(by_rows([1, 2]), &by_rows([2, 4])), Some(vec![1, 2, 2, 4]));
    assert_eq!(sum(by_rows([1, 2]), &dense()), None);
    assert_eq!(sum(dense(), &by_rows([1, 2])), None);
    let nothing = || Gradients::from_params(Vec::new());
    assert_eq!(sum(nothing(), &by_rows([1, 2])), Some(vec![1, 2]));
    assert_eq!(sum(by_rows([1, 2]), &nothing()), Some(vec![1, 2]));

    let grads = by_rows([1, 2]);
    assert_eq!(rows(&grads.clone(), &t), Some(vec![1, 2]));
    assert_eq!(rows(&(grads.clone() * 0.5), &t), Some(vec![1, 2]));
    assert_eq!(rows(&(grads.clone() / 3.0), &t), Some(vec![1, 2]));
    for by in [-1.0, f64::NAN, f64::INFINITY, -0.0] {
        assert_eq!(rows(&(grads.clone() * by), &t), None, "{by}");
    }
    let mut flat = grads.clone();
    flat.set_flat(&[1.0; 12]);
    assert_eq!(rows(&flat, &t), None);
}

#[test]
fn what_is_not_finite_is_found_in_rows() {
    let mut t = table(6);
    t.value_mut().as_mut_slice()[7] = f64::INFINITY;
    let is_finite = |index: Vec<usize>| {
        let (_, grads) = gradients(|tape| tape.param(&t).embedding(index, None).square().sum());
        grads.is_finite()
    };
    assert!(is_finite(vec![0, 5, 0]));
    assert!(!is_finite(vec![0, 3, 0]));
    assert!(is_finite(vec![]));
    let empty = Param::new(Tensor::zeros([3, 0]));
    let (_, grads) = gradients(|tape| tape.param(&empty).embedding([1], None).sum());
    assert!(grads.is_finite());
    let long = Tensor::zeros([10_000]);
    assert!(long.is_finite());
    for at in [0, 4_095, 4_096, 9_999] {
        let mut long = long.clone();
        long.as_mut_slice()[at] = f64::NAN;
        assert!(!long.is_finite(), "{at}");
    }
}

proptest! {
    /// Random programs over a table: where rows are known, the gradient is 0 elsewhere.
    #[test]
    fn gradients_are_zero_outside_of_known_rows(
        reads in prop::collection::vec((0..6u8, prop::collection::vec(0..7usize, 0..4)), 1..5),
    ) {
        let t = table(7);
        let (_, grads) = gradients(|tape| {
            let t = tape.param(&t);
            let mut loss = tape.constant(&Tensor::scalar(0.5));
            for (kind, index) in &reads {
                let n = index.len();
                let read = match kind {
                    0 | 1 => t.embedding(index, Some(2)),
                    2 | 3 => t.index_select(0, index),
                    4 => t.gather(0, Indices::from_vec(index.clone(), [n, 1])),
                    _ => t.narrow(0, 0, n),
                };
                loss = loss + read.sin().sum() * loss;
            }
            loss
        });
        let dense = reads.iter().any(|(kind, _)| *kind > 4);
        let known = rows(&grads, &t);
        prop_assert_eq!(known.is_none(), dense);
        if let Some(rows) = known {
            prop_assert!(is_zero_elsewhere(grads.get(&t).unwrap(), &rows));
        }
    }
}
