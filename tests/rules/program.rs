//! Random programs: how they are drawn, and how they run.
//!
//! Each operation is scaled to be a contraction in the maximum norm with values within -2 and 2. So the
//! derivatives of a program of any length are neither too large nor too small for finite differences, and
//! a value that is `CLEAR` of a kink stays on its side of it. All values are part of the output, so that
//! each of them matters.

use std::fmt;

use proptest::prelude::*;
use wengert::core::{Tape, Var};
use wengert::{
    Float, IndexOps, Indices, LinalgOps, MatmulOps, MovementOps, OrderOps, ReduceOps, Shape,
    Tensor, UnaryOps, Value, ops,
};

/// Smallest distance of operands from a kink: more than they move in the checker's largest step.
const CLEAR: f64 = 0.01;

/// A value by its position: the inputs come first, then the results of the steps.
#[derive(Clone, Copy)]
struct V(usize);

impl fmt::Debug for V {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// Enums of operations from which instructions are drawn. Shrinking tends to the first.
macro_rules! names {
    ($($List:ident { $($Name:ident),* })*) => {$(
        #[derive(Clone, Copy, Debug)]
        enum $List { $($Name),* }
        impl $List {
            const ALL: &[Self] = &[$(Self::$Name),*];
        }
    )*};
}

names! {
    Unary {
        Tanh, Neg, MulScalar, Exp, Ln, Sin, Cos, Sigmoid, Sqrt, Square, Recip, Powf, Erf, Softplus, Silu,
        Gelu, Relu, Abs
    }
    Pair { Add, Sub, Mul, Div, Maximum, Minimum }
    Fold { Sum, Mean, LogSumExp, Max }
    Other {
        LogSoftmax, Softmax, Matmul, Pick, Reshape, Expand, Permute, Narrow, Concat, Sort, Cummax, Inv
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Unary(Unary),
    Pair(Pair),
    Fold(Fold),
    Other(Other),
}

/// An instruction as it is drawn. Its numbers get their meaning from the values before it.
type Instruction = (Kind, usize, usize, usize);

/// An instruction with its operands and settings.
#[derive(Clone, Debug)]
enum Step {
    Unary(Unary, V),
    Pair(Pair, V, V),
    Fold(Fold, V, Vec<isize>, bool),
    LogSoftmax(V),
    Softmax(V),
    Matmul(V, V),
    Pick(V, Vec<usize>),
    Reshape(V, Shape),
    Expand(V, Shape),
    Permute(V, Shape),
    Narrow(V, usize, usize, usize),
    Concat(V, V, usize),
    Sort(V, usize, bool),
    Cummax(V, usize),
    Inv(V),
}

impl Step {
    fn new((kind, a, b, how): Instruction, shapes: &[Shape]) -> Self {
        let n = shapes.len();
        let (v, a) = (V(a % n), shapes[a % n]);
        // The first value from position `b` on whose shape fits.
        let other = |fits: &dyn Fn(Shape) -> bool| {
            (0..n).map(|k| (b + k) % n).find(|&k| fits(shapes[k])).map(V)
        };
        let otherwise = Self::Unary(Unary::Tanh, v);
        let axis = how % a.rank().max(1);
        match kind {
            Kind::Unary(f) => Self::Unary(f, v),
            Kind::Pair(f) => {
                other(&|b| a.broadcast(b).is_ok()).map_or(otherwise, |w| Self::Pair(f, v, w))
            }
            Kind::Fold(f) => {
                let axes = (0..a.rank() as isize).filter(|axis| b >> axis & 1 == 0);
                Self::Fold(f, v, axes.collect(), how % 2 == 0)
            }
            Kind::Other(Other::Matmul) => {
                other(&|b| chains(a, b)).map_or(otherwise, |w| Self::Matmul(v, w))
            }
            Kind::Other(Other::Reshape) => {
                let reversed = a.iter().rev().copied().collect::<Vec<_>>();
                let to = [&reversed[..], &[a.numel()], &[1, a.numel()], &[a.numel(), 1, 1]];
                Self::Reshape(v, Shape::new(to[how % 4]))
            }
            Kind::Other(Other::Expand) => match a.iter().position(|&extent| extent == 1) {
                Some(axis) => Self::Expand(v, a.with(axis, 1 + how % 3).expect("small")),
                None => Self::Expand(v, Shape::new(&[&[1 + how % 3], &*a].concat())),
            },
            Kind::Other(_) if a.rank() == 0 => otherwise,
            Kind::Other(Other::LogSoftmax) => Self::LogSoftmax(v),
            Kind::Other(Other::Softmax) => Self::Softmax(v),
            Kind::Other(Other::Pick) => {
                let last = a[a.rank() - 1];
                Self::Pick(v, (0..a.numel() / last).map(|row| (how + row * b) % last).collect())
            }
            Kind::Other(Other::Permute) => {
                let mut order = (0..a.rank()).collect::<Vec<_>>();
                order.rotate_left(axis);
                order.swap(0, b % a.rank());
                Self::Permute(v, Shape::new(&order))
            }
            Kind::Other(Other::Sort) => Self::Sort(v, axis, b % 2 == 0),
            Kind::Other(Other::Cummax) => Self::Cummax(v, axis),
            Kind::Other(Other::Inv) => match *a {
                [.., m, n] if m == n => Self::Inv(v),
                _ => otherwise,
            },
            Kind::Other(Other::Narrow) => {
                let start = b % a[axis];
                Self::Narrow(v, axis, start, 1 + how % (a[axis] - start))
            }
            Kind::Other(Other::Concat) => {
                let fits = |b: Shape| b.rank() == a.rank() && b.with(axis, 0) == a.with(axis, 0);
                other(&fits).map_or(otherwise, |w| Self::Concat(v, w, axis))
            }
        }
    }

    fn apply<'t, F: Float>(&self, values: &[Var<'t, F>]) -> Var<'t, F> {
        let of = |v: &V| values[v.0];
        match self {
            Self::Unary(f, v) => {
                let x = of(v);
                match f {
                    Unary::Tanh => x.tanh(),
                    Unary::Neg => -x,
                    Unary::MulScalar => x * -0.7,
                    Unary::Exp => (x - 2.0).exp(),
                    Unary::Ln => (x.square() + 1.0).ln(),
                    Unary::Sin => x.sin(),
                    Unary::Cos => x.cos(),
                    Unary::Sigmoid => x.sigmoid(),
                    Unary::Sqrt => (x.square() + 0.5).sqrt() * 0.5,
                    Unary::Square => x.square() * 0.25,
                    Unary::Recip => (x.square() + 1.0).recip(),
                    Unary::Powf => (x.sigmoid() + 0.5).powf(2.5) * 0.5,
                    Unary::Erf => (x * 0.5).erf(),
                    Unary::Softplus => x.softplus() * 0.5,
                    Unary::Silu => x.silu() * 0.5,
                    Unary::Gelu => x.gelu() * 0.5,
                    Unary::Relu => x.relu(),
                    Unary::Abs => x.abs(),
                }
            }
            Self::Pair(f, v, w) => {
                let (a, b) = (of(v), of(w));
                match f {
                    Pair::Add => (a + b) * 0.5,
                    Pair::Sub => (a - b) * 0.5,
                    Pair::Mul => a * b * 0.25,
                    Pair::Div => a / (b.square() + 1.0) * 0.4,
                    Pair::Maximum => Value::apply(ops::Maximum, [&a, &b]),
                    Pair::Minimum => Value::apply(ops::Minimum, [&a, &b]),
                }
            }
            Self::Fold(f, v, axes, keepdim) => {
                let (x, axes) = (of(v), &axes[..]);
                match f {
                    Fold::Sum => {
                        let sum = x.sum_axes(axes, *keepdim);
                        sum * (sum.shape().numel() as f64 / x.shape().numel() as f64)
                    }
                    Fold::Mean => x.mean_axes(axes, *keepdim),
                    Fold::LogSumExp => x.logsumexp_axes(axes, *keepdim) * 0.3,
                    Fold::Max => x.max_axes(axes, *keepdim),
                }
            }
            Self::LogSoftmax(v) => of(v).log_softmax() * 0.25,
            Self::Softmax(v) => of(v).softmax(),
            Self::Matmul(v, w) => {
                let k = of(v).shape()[of(v).shape().rank() - 1];
                of(v).matmul(of(w)) * (0.25 / k as f64)
            }
            Self::Pick(v, at) => {
                let shape = of(v).shape();
                of(v).pick(Indices::from_vec(at.clone(), Shape::new(&shape[..shape.rank() - 1])))
            }
            Self::Reshape(v, to) => of(v).reshape(*to),
            Self::Expand(v, to) => of(v).expand(*to),
            Self::Permute(v, order) => Value::apply(ops::Permute { order: *order }, [&of(v)]),
            Self::Narrow(v, axis, start, len) => of(v).narrow(*axis as isize, *start, *len),
            Self::Sort(v, axis, descending) => of(v).sort(*axis as isize, *descending),
            Self::Cummax(v, axis) => of(v).cummax(*axis as isize),
            // A matrix near the identity: the inverse has a norm of at most 2.
            Self::Inv(v) => {
                let n = of(v).shape()[of(v).shape().rank() - 1];
                (of(v) * (0.25 / n as f64) + &Tensor::eye(n)).inv() * 0.5
            }
            Self::Concat(v, w, axis) => MovementOps::concat(&[of(v), of(w)], *axis as isize),
        }
    }

    /// Whether no small change of the inputs moves this step across a kink.
    fn is_clear(&self, values: &[Var<'_, f64>]) -> bool {
        let close =
            |x: Var<'_, f64>| x.value().as_slice().iter().filter(|x| x.abs() < CLEAR).count();
        match self {
            Self::Unary(Unary::Relu | Unary::Abs, v) => close(values[v.0]) == 0,
            Self::Pair(Pair::Maximum | Pair::Minimum, v, w) => {
                close(values[v.0] - values[w.0]) == 0
            }
            // In each group only the largest element is close to the largest.
            Self::Fold(Fold::Max, v, axes, _) => {
                let (x, largest) = (values[v.0], values[v.0].max_axes(&axes[..], true));
                close(x - largest) == largest.shape().numel()
            }
            Self::Sort(v, axis, _) | Self::Cummax(v, axis) => {
                let x = values[v.0].value();
                let sorted = x.sort(*axis as isize, false);
                let n = x.shape()[*axis];
                let [low, high] = [0, 1].map(|at| sorted.narrow(*axis as isize, at, n - 1));
                (high - low).as_slice().iter().all(|gap| *gap > CLEAR)
            }
            _ => true,
        }
    }
}

fn chains(a: Shape, b: Shape) -> bool {
    let batch = |x: Shape| Shape::new(&x[..x.rank().saturating_sub(2)]);
    let inner = b.get(b.rank().saturating_sub(2));
    a.rank() > 0 && a.last() == inner && batch(a).broadcast(batch(b)).is_ok()
}

/// Inputs and steps. Prints one line for each value.
pub(crate) struct Program {
    pub(crate) inputs: Vec<Tensor<f64>>,
    steps: Vec<Step>,
}

impl Program {
    fn new(inputs: Vec<Tensor<f64>>, instructions: impl IntoIterator<Item = Instruction>) -> Self {
        let tape = Tape::new();
        let mut values = inputs.iter().map(|x| tape.constant(x)).collect::<Vec<_>>();
        let small = |shape: Shape| shape.rank() <= 3 && shape.numel() <= 32;
        let step = |instruction: Instruction| {
            let shapes = values.iter().map(Var::shape).collect::<Vec<_>>();
            let mut step = Step::new(instruction, &shapes);
            if !step.is_clear(&values) || !small(step.apply(&values).shape()) {
                step = Step::Unary(Unary::Tanh, V(instruction.1 % values.len()));
            }
            values.push(step.apply(&values));
            step
        };
        let steps = instructions.into_iter().map(step).collect();
        Self { inputs, steps }
    }

    fn values<'t, F: Float>(&self, inputs: &[Var<'t, F>]) -> Vec<Var<'t, F>> {
        self.steps.iter().fold(inputs.to_vec(), |mut values, step| {
            values.push(step.apply(&values));
            values
        })
    }

    /// All values in one row, through a polynomial that gives each a second derivative.
    pub(crate) fn run<'t, F: Float>(&self, inputs: &[Var<'t, F>]) -> Var<'t, F> {
        let flat = |x: &Var<'t, F>| x.reshape([x.shape().numel()]);
        let row = self.values(inputs).iter().map(flat).collect::<Vec<_>>();
        let row = MovementOps::concat(&row, 0);
        row.square() * 0.5 + row
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tape = Tape::new();
        let inputs = self.inputs.iter().map(|x| tape.constant(x)).collect::<Vec<_>>();
        for (place, value) in self.values(&inputs).iter().enumerate() {
            write!(f, "\n{:?} {:?} = ", V(place), value.shape())?;
            match place.checked_sub(inputs.len()) {
                None => write!(f, "{:?}", value.value().as_slice())?,
                Some(step) => write!(f, "{:?}", self.steps[step])?,
            }
        }
        Ok(())
    }
}

/// Programs of 5 to 40 instructions on one to three inputs. They shrink to fewer and simpler instructions.
pub(crate) fn programs() -> impl Strategy<Value = Program> {
    use prop::sample::select;
    let kind = prop_oneof![
        6 => select(Unary::ALL).prop_map(Kind::Unary),
        6 => select(Pair::ALL).prop_map(Kind::Pair),
        3 => select(Fold::ALL).prop_map(Kind::Fold),
        8 => select(Other::ALL).prop_map(Kind::Other),
    ];
    // Almost always `Some`: shrinking removes instructions that a failure does not need.
    let instruction = prop::option::weighted(0.999, (kind, 0..64usize, 0..64usize, 0..64usize));
    // Multiples of 1/64, which both precisions represent exactly.
    let input = prop::collection::vec(1..=3usize, 0..=3).prop_flat_map(|extents| {
        let shape = Shape::new(&extents);
        prop::collection::vec(-64..=64i32, shape.numel())
            .prop_map(move |data| Tensor::from_fn(shape, |i| f64::from(data[i]) / 64.0))
    });
    (prop::collection::vec(input, 1..=3), prop::collection::vec(instruction, 5..=40))
        .prop_map(|(inputs, instructions)| Program::new(inputs, instructions.into_iter().flatten()))
}
