//! Programs whose operations run as instructions, beside others that run on tensors: all have the bits of a new recording.

use wengert::core::{Program, gradients};
use wengert::ops::{Visitor, visit_binary, visit_unary};
use wengert::{
    BinaryOp, BinaryOps, Float, IndexOps, MatmulOps, MovementOps, Param, ReduceOps, Tape, Tensor,
    UnaryOp, UnaryOps, Value, Var,
};

use crate::program::{bits, irregular};

type Loss<F> = for<'t> fn(&'t Tape<F>, [Var<'t, F>; 2]) -> Var<'t, F>;

/// Runs of a program on two parameters have the bits of recordings.
fn same<F: Float>(
    shapes: [&[usize]; 2],
    loss: impl for<'t> Fn(&'t Tape<F>, [Var<'t, F>; 2]) -> Var<'t, F>,
) {
    let draw = |shape: &[usize], key| {
        let n = shape.iter().product::<usize>();
        Tensor::from_vec(irregular::<F, 1>([n], key).to_vec(), shape)
    };
    let mut params = [1, 2].map(|key| Param::new(draw(shapes[key - 1], key)));
    let mut step = Program::<[Param<F>; 2], (), F>::new(|params, tape, ()| {
        loss(tape, params.each_ref().map(|param| tape.param(param)))
    });
    for run in 0..6 {
        let (value, expected) =
            gradients(|tape| loss(tape, params.each_ref().map(|param| tape.param(param))));
        let found = step.gradients(&params, ());
        assert_eq!(bits(found), bits((value, &expected)), "run {run}");
        for (param, key) in params.iter_mut().zip([3, 4]) {
            param.set(draw(&param.value().shape(), key + run));
        }
    }
}

macro_rules! same {
    ($($name:ident: $a:expr, $b:expr, |$tape:ident, $x:ident, $y:ident| $body:expr;)*) => {$(
        #[test]
        fn $name() {
            fn loss<'t, F: Float>($tape: &'t Tape<F>, [$x, $y]: [Var<'t, F>; 2]) -> Var<'t, F> {
                let _ = $tape;
                $body
            }
            same::<f32>([&$a, &$b], loss as Loss<f32>);
            same::<f64>([&$a, &$b], loss as Loss<f64>);
        }
    )*};
}

same! {
    operands_that_broadcast: [3, 1, 5], [4, 1], |_tape, x, y| {
        ((x * y - y / x).maximum(y) + (y - x).square() * 0.5).square().sum()
    };

    a_scalar_and_leading_axes: [2, 3], [], |_tape, x, y| {
        (x.sum_axes(0, true) * y + x.reshape([1, 2, 3]) / y).tanh().sum()
    };

    an_operand_twice: [4, 4], [4, 4], |_tape, x, y| (x * x).matmul(x).matmul(y).matmul(x + y).mean();

    several_contributions: [2, 5], [5, 5], |_tape, x, y| {
        let h = x.matmul(y).tanh();
        let h = h + h.matmul(y) * h;
        (h * h.sigmoid()).sum() + h.matmul_transposed(y).mean()
    };

    long_products: [9, 150], [150, 7], |_tape, x, y| {
        let h = x.matmul(y);
        (h.matmul_transposed(y) + x * x.matmul(y).sum()).square().mean()
    };

    batches_of_products: [3, 2, 4], [3, 4, 5], |_tape, x, y| {
        let z = x.matmul(y);
        z.matmul(y.transpose(1, 2)).sum() + z.square().mean()
    };

    one_batch_for_many: [3, 2, 4], [4, 5], |_tape, x, y| {
        x.matmul(y).matmul(y.transpose(0, 1)).square().mean()
    };

    // `cumsum` has no instruction: what it reads and what arrives there are tensors.
    tensors_between_instructions: [4, 6], [4, 6], |_tape, x, y| {
        let h = (x * y).tanh();
        let scanned = h.cumsum(1);
        ((scanned * h).exp() + scanned + h.cumsum(0) * y).mean() + (h * h).sum()
    };

    a_tensor_that_instructions_read: [6, 3], [6, 3], |_tape, x, y| {
        let picked = (x + y).index_select(0, [4, 4, 0]);
        (picked.softmax() * picked.log_softmax()).sum() + (picked * picked).sum()
    };

    large_and_small_values: [70, 70], [70], |_tape, x, y| {
        let row = (x * y).sum_axes(0, false);
        let h = (row + y).sigmoid();
        (x * h).square().mean() + (h * y).sum() + x.sum() * h.sum()
    };

    sums_over_axes: [2, 3, 4], [1, 3, 1], |_tape, x, y| {
        let apart = (x * y).sum_axes([0, 2], false);
        let inner = x.sum_axes(1, true).square().sum_axes([1, 2], true);
        (apart.square().sum() + inner.sum()) * y.sum_axes(0, false).mean()
    };

    repeated_values: [3, 1], [2], |_tape, x, y| {
        x.expand([2, 3, 2]).square().sum() + (x.expand([3, 2]) * y.expand([3, 2])).tanh().sum()
    };

    numbers_that_are_not_finite: [3, 3], [3, 3], |_tape, x, y| {
        ((x - 9.0).sqrt() * y + x.ln() / (y - y)).relu().sum()
    };

    a_loss_on_a_tensor: [3], [3], |_tape, x, y| (x * y).cumsum(0).narrow(0, 2, 1);
}

/// A loss of every elementwise function.
struct EveryFunction;

impl Visitor for EveryFunction {
    fn unary<E: UnaryOp>(&mut self, op: E, (low, high): (f64, f64), _: &[f64]) {
        same::<f64>([&[2, 3], &[2, 3]], |_, [x, y]| {
            let inside = x.sigmoid() * (high - low) + low;
            (inside.apply_op(op.clone()) * y).sum()
        });
    }

    fn binary<B: BinaryOp>(&mut self, op: B, [(a, b), (c, d)]: [(f64, f64); 2], _: bool) {
        for shapes in [[&[2, 3][..], &[2, 3]], [&[2, 1], &[3]]] {
            same::<f64>(shapes, |_, [x, y]| {
                let (x, y) = (x.sigmoid() * (b - a) + a, y.sigmoid() * (d - c) + c);
                (Value::apply(op.clone(), [&x, &y]) * x).sum()
            });
        }
    }
}

#[test]
fn every_elementwise_function() {
    visit_unary(&mut EveryFunction);
    visit_binary(&mut EveryFunction);
}
