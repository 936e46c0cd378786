//! Tensors of symbols, on which the cotangents of operations are formulas.
//!
//! [`Op::vjp`] is written over any value, so its very code runs here. The forward code of kernels does not run on
//! symbols. Most operations are polynomials in which no element has a power above one: sums, products, convolutions,
//! selections by an index. The numbers of such a polynomial are read from the forward code, which runs on zeros and ones.
//! The others are defined below. Both are compared with the forward code at a random point.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeSet;

use wengert::core::symbol::{Decision, Symbol, pieces};
use wengert::core::{Arithmetic, Flow, IndexOp, Indices, ManyOp, Tensor};
use wengert::ops::{
    self, EuclideanNorm, LogSoftmax, LogSumExp, MaskedFill, Max, MulNoNan, NormPow, Normalize,
    Softmax, Where,
};
use wengert::{BinaryOp, Float, Op, Shape, UnaryOp, Value};

use super::pool;

/// A tensor of symbols.
#[derive(Clone)]
pub(crate) struct Symbols {
    shape: Shape,
    elements: Vec<Symbol>,
}

/// The rule of one operation.
pub(crate) struct Rule {
    pub(crate) operation: String,
    /// The names of the elements of each input, and of the cotangent of the output.
    pub(crate) inputs: Vec<Vec<Symbol>>,
    pub(crate) cotangent: Vec<Symbol>,
    pub(crate) pieces: Vec<(Vec<Decision>, Formulas)>,
}

/// The elements of the value, and of the cotangent of each input.
pub(crate) struct Formulas {
    pub(crate) value: Vec<Symbol>,
    pub(crate) cotangents: Vec<Vec<Symbol>>,
}

/// The operations that have been applied.
#[derive(Default)]
struct Applied {
    /// Each with the shapes of its inputs.
    seen: BTreeSet<String>,
    /// Those whose rules have not been written yet.
    pending: Vec<Box<dyn FnOnce() -> Rule>>,
    /// Whether a rule is being written, so that values matter and not shapes alone.
    in_rule: bool,
}

thread_local! {
    static APPLIED: RefCell<Applied> = RefCell::default();
}

/// Runs a program on tensors of symbols. Returns the rules of the operations that it applies, of those in their
/// cotangents, and so on: everything that derivatives of any order need.
pub(crate) fn rules_of(program: impl FnOnce()) -> Vec<Rule> {
    program();
    let mut rules = Vec::new();
    while let Some(rule) = APPLIED.with_borrow_mut(|applied| applied.pending.pop()) {
        APPLIED.with_borrow_mut(|applied| applied.in_rule = true);
        rules.push(rule());
        APPLIED.with_borrow_mut(|applied| applied.in_rule = false);
    }
    rules
}

impl Symbols {
    pub(crate) fn named(name: &str, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        let element = |i| Symbol::named(&format!("{name}{i}"));
        Self { shape, elements: (0..shape.numel()).map(element).collect() }
    }

    fn full(shape: Shape, element: Symbol) -> Self {
        Self { shape, elements: vec![element; shape.numel()] }
    }

    /// The sum over the axes along which `shape` was repeated.
    fn summed_to(&self, shape: Shape) -> Vec<Symbol> {
        let mut sums = vec![Symbol::ZERO; shape.numel()];
        for (i, element) in self.elements.iter().enumerate() {
            sums[place(i, self.shape, shape)] += *element;
        }
        sums
    }
}

/// The place of element `i` of a tensor of shape `from` in one of shape `to`, which broadcasts to it.
fn place(i: usize, from: Shape, to: Shape) -> usize {
    let position = from.position(i);
    let missing = from.rank() - to.rank();
    let strides = to.strides();
    let along =
        |axis: usize| if to[axis] == 1 { 0 } else { position[missing + axis] * strides[axis] };
    (0..to.rank()).map(along).sum()
}

/// An operation of any kind.
trait Operation: Clone + 'static {
    fn name(&self) -> String;
    /// Whether the operation is a row of the tables of functions.
    fn is_row(&self) -> bool {
        false
    }
    /// The value by the definition of the operation, if there is one.
    fn definition<F: Float>(&self, _: &[(Shape, &[F])], _: Shape) -> Option<Vec<F>> {
        None
    }
    /// The value by the forward code.
    fn forward(&self, x: &[Tensor<f64>], out: Shape) -> Tensor<f64>;
    /// The cotangent of an input by the code of the rule, if the operation has a derivative.
    fn vjp(&self, i: usize, x: &[&Symbols], y: &Symbols, g: &Symbols) -> Option<Symbols>;
}

#[derive(Clone)]
struct Fixed<O, const N: usize>(O);

impl<O: Op<N>, const N: usize> Operation for Fixed<O, N> {
    fn name(&self) -> String {
        format!("{:?}", self.0)
    }
    fn is_row(&self) -> bool {
        let none: (_, &[f64]) = (Shape::SCALAR, &[]);
        let mut row = Row { op: &self.0, x: &[none; 2], out: [0].into(), elements: None };
        ops::visit_unary(&mut row);
        ops::visit_binary(&mut row);
        row.elements.is_some()
    }
    fn definition<F: Float>(&self, x: &[(Shape, &[F])], out: Shape) -> Option<Vec<F>> {
        let mut row = Row { op: &self.0, x, out, elements: None };
        ops::visit_unary(&mut row);
        ops::visit_binary(&mut row);
        row.elements.or_else(|| definition(&self.0, x, out))
    }
    fn forward(&self, x: &[Tensor<f64>], out: Shape) -> Tensor<f64> {
        self.0.forward(std::array::from_fn(|i| &x[i]), out)
    }
    fn vjp(&self, i: usize, x: &[&Symbols], y: &Symbols, g: &Symbols) -> Option<Symbols> {
        let vjp = || self.0.vjp(i, std::array::from_fn(|k| x[k]), y, g);
        (self.0.flow() == Flow::Through).then(vjp)
    }
}

#[derive(Clone)]
struct Many<O>(O);

impl<O: ManyOp> Operation for Many<O> {
    fn name(&self) -> String {
        format!("{:?}", self.0)
    }
    fn forward(&self, x: &[Tensor<f64>], out: Shape) -> Tensor<f64> {
        self.0.forward(&x.iter().collect::<Vec<_>>(), out)
    }
    fn vjp(&self, i: usize, x: &[&Symbols], y: &Symbols, g: &Symbols) -> Option<Symbols> {
        Some(self.0.vjp(i, x, y, g))
    }
}

#[derive(Clone)]
struct Indexed<O>(O, Indices);

impl<O: IndexOp> Operation for Indexed<O> {
    fn name(&self) -> String {
        format!("{:?}", self.0)
    }
    fn forward(&self, x: &[Tensor<f64>], out: Shape) -> Tensor<f64> {
        self.0.forward(&x[0], &self.1, out)
    }
    fn vjp(&self, _: usize, x: &[&Symbols], y: &Symbols, g: &Symbols) -> Option<Symbols> {
        Some(self.0.vjp(x[0], &self.1, y, g))
    }
}

/// Looks for an operation among the functions of one and two numbers, and computes it by the code of its row.
struct Row<'a, F> {
    op: &'a dyn Any,
    x: &'a [(Shape, &'a [F])],
    out: Shape,
    elements: Option<Vec<F>>,
}

impl<F: Float> ops::Visitor for Row<'_, F> {
    fn unary<E: UnaryOp>(&mut self, _: E, _: (f64, f64), _: &[f64]) {
        if let Some(op) = self.op.downcast_ref::<E>() {
            self.elements = Some(self.x[0].1.iter().map(|&x| op.value(x)).collect());
        }
    }
    fn binary<B: BinaryOp>(&mut self, _: B, _: [(f64, f64); 2], _: bool) {
        if let Some(op) = self.op.downcast_ref::<B>() {
            let pairs = (0..self.out.numel()).map(|i| {
                let [a, b] = [0, 1].map(|k| self.x[k].1[place(i, self.out, self.x[k].0)]);
                op.value(a, b)
            });
            self.elements = Some(pairs.collect());
        }
    }
}

/// The operations that are neither rows of the tables nor polynomials, by their definitions in `docs/math.md`. Axes are
/// those along which the output has fewer elements, or the last.
fn definition<F: Float>(op: &dyn Any, x: &[(Shape, &[F])], out: Shape) -> Option<Vec<F>> {
    let (shape, elements) = x[0];
    // For each element of `to`, the elements that belong to it.
    let groups = |to: Shape| {
        let mut groups = vec![Vec::new(); to.numel()];
        for (i, &x) in elements.iter().enumerate() {
            groups[place(i, shape, to)].push(x);
        }
        groups
    };
    let rows = || shape.with(shape.rank() - 1, 1).expect("a last axis");
    let sum = |x: &[F]| x.iter().copied().sum::<F>();
    let sum_exp = |x: &[F]| x.iter().map(|x| x.exp()).sum::<F>();
    // An element of the output from one of the input and those of its row.
    let by_row = |f: &dyn Fn(F, &[F]) -> F| {
        let groups = groups(rows());
        let element = |(i, &x)| f(x, &groups[place(i, shape, rows())]);
        elements.iter().enumerate().map(element).collect::<Vec<_>>()
    };
    let by_group = |f: &dyn Fn(&[F]) -> F| groups(out).iter().map(|group| f(group)).collect();
    let at = |k: usize, i| x[k].1[place(i, out, x[k].0)];
    let by_element = |f: &dyn Fn(usize) -> F| Some((0..out.numel()).map(f).collect());
    if op.is::<MulNoNan>() {
        return by_element(&|i| at(0, i) * at(1, i));
    }
    if op.is::<Where>() {
        return by_element(&|i| if at(0, i) == F::ZERO { at(2, i) } else { at(1, i) });
    }
    if let Some(fill) = op.downcast_ref::<MaskedFill>() {
        return by_element(&|i| if at(1, i) == F::ZERO { at(0, i) } else { F::of(fill.value) });
    }
    if let Some(power) = op.downcast_ref::<NormPow>() {
        return Some(elements.iter().map(|&x| power.value(x)).collect());
    }
    if op.is::<Softmax>() {
        return Some(by_row(&|x, row| x.exp() / sum_exp(row)));
    }
    if op.is::<LogSoftmax>() {
        return Some(by_row(&|x, row| x - sum_exp(row).ln()));
    }
    if op.is::<LogSumExp>() {
        return Some(by_group(&|group| sum_exp(group).ln()));
    }
    if op.is::<Max>() {
        let larger = |a: F, &b: &F| if b > a { b } else { a };
        return Some(by_group(&|group| group[1..].iter().fold(group[0], larger)));
    }
    if let Some(norm) = op.downcast_ref::<EuclideanNorm>() {
        let square = |x: &F| *x * *x;
        return Some(by_group(&|group| {
            (group.iter().map(square).sum::<F>() + F::of(norm.eps)).sqrt()
        }));
    }
    if let Some(normalize) = op.downcast_ref::<Normalize>() {
        return Some(by_row(&|x, row| {
            let n = F::of(row.len() as f64);
            let mean = sum(row) / n;
            let variance = row.iter().map(|x| (*x - mean) * (*x - mean)).sum::<F>() / n;
            (x - mean) / (variance + F::of(normalize.eps)).sqrt()
        }));
    }
    pool::definition(op, x, out)
}

/// The value of an operation.
fn value(op: &impl Operation, x: &[&Symbols], out: Shape) -> Symbols {
    let symbols = x.iter().map(|x| (x.shape, &x.elements[..])).collect::<Vec<_>>();
    let elements = defined(op, &symbols, out);
    // A point without zeros or ties.
    let number = |k: usize, i: usize| 0.37 + 0.61 * ((3 * k + i) as f64 * 2.3).sin();
    let point = x.iter().enumerate().map(|(k, x)| {
        Tensor::from_vec((0..x.shape.numel()).map(|i| number(k, i)).collect(), x.shape)
    });
    let point = point.collect::<Vec<_>>();
    let numbers = point.iter().map(|x| (x.shape(), x.as_slice())).collect::<Vec<_>>();
    let defined = defined(op, &numbers, out);
    for (defined, computed) in defined.iter().zip(op.forward(&point, out).as_slice()) {
        let is_near = (defined - computed).abs() <= 1e-9 * computed.abs().max(1.0);
        assert!(is_near, "{} has no definition: {defined} is not {computed}", op.name());
    }
    Symbols { shape: out, elements }
}

/// The value by the definition, or else as a polynomial without powers.
fn defined<F: Float>(op: &impl Operation, x: &[(Shape, &[F])], out: Shape) -> Vec<F> {
    op.definition(x, out).unwrap_or_else(|| {
        let coefficients = coefficients(op, &x.iter().map(|x| x.0).collect::<Vec<_>>(), out);
        let all = x.iter().flat_map(|(_, x)| x.iter().copied()).collect::<Vec<_>>();
        summed(&coefficients, &all, out)
    })
}

/// The polynomials of the outputs: for each set of input elements, as bits, the coefficient of their product.
fn coefficients(op: &impl Operation, shapes: &[Shape], out: Shape) -> Vec<Tensor<f64>> {
    let count = shapes.iter().map(Shape::numel).sum::<usize>();
    assert!(count <= 12, "{count} elements have too many subsets");
    let at = |subset: usize| {
        let mut bit = 0..count;
        let input = |shape: &Shape| {
            let ones =
                bit.by_ref().take(shape.numel()).map(|bit| f64::from((subset >> bit & 1) as u8));
            Tensor::from_vec(ones.collect(), *shape)
        };
        op.forward(&shapes.iter().map(input).collect::<Vec<_>>(), out)
    };
    let mut coefficients = (0..1 << count).map(at).collect::<Vec<_>>();
    // The value at a subset is the sum of the coefficients of its subsets.
    for bit in 0..count {
        for subset in (0..1 << count).filter(|subset| subset >> bit & 1 == 1) {
            coefficients[subset] = &coefficients[subset] - &coefficients[subset ^ 1 << bit];
        }
    }
    coefficients
}

fn summed<F: Float>(coefficients: &[Tensor<f64>], x: &[F], out: Shape) -> Vec<F> {
    let mut sums = vec![F::ZERO; out.numel()];
    for (subset, coefficients) in coefficients.iter().enumerate() {
        for (sum, &coefficient) in sums.iter_mut().zip(coefficients.as_slice()) {
            // What rounding left of a difference of equal numbers.
            if coefficient.abs() > 1e-12 {
                let chosen = (0..x.len()).filter(|bit| subset >> bit & 1 == 1).map(|bit| x[bit]);
                *sum += chosen.fold(F::of(coefficient), |product, x| product * x);
            }
        }
    }
    sums
}

/// Applies an operation, and notes that its rule is to be written. The result is the value if another rule is being
/// written, and a tensor of new variables in a program.
fn apply(op: impl Operation, x: &[&Symbols], out: Shape) -> Symbols {
    let shapes = x.iter().map(|x| x.shape).collect::<Vec<_>>();
    let in_rule = APPLIED.with_borrow_mut(|applied| {
        if !op.is_row() && applied.seen.insert(format!("{} {shapes:?}", op.name())) {
            let op = op.clone();
            applied.pending.push(Box::new(move || rule(&op, &shapes, out)));
        }
        applied.in_rule
    });
    if in_rule { value(&op, x, out) } else { Symbols::named("x", out) }
}

/// The rule of an operation for inputs of these shapes.
fn rule(op: &impl Operation, shapes: &[Shape], out: Shape) -> Rule {
    let names = ["x", "w", "b", "v"];
    let inputs = shapes.iter().zip(names).map(|(&shape, name)| Symbols::named(name, shape));
    let inputs = inputs.collect::<Vec<_>>();
    let x = inputs.iter().collect::<Vec<_>>();
    let g = Symbols::named("g", out);
    let pieces = pieces(|| {
        let y = value(op, &x, out);
        let cotangent = |i: usize| op.vjp(i, &x, &y, &g).map(|c| c.summed_to(x[i].shape));
        let cotangents = (0..x.len()).filter_map(cotangent).collect();
        Formulas { value: y.elements, cotangents }
    });
    let inputs = inputs.into_iter().map(|x| x.elements).collect();
    Rule { operation: op.name(), inputs, cotangent: g.elements, pieces }
}

impl Value for Symbols {
    type Index = Indices;

    fn shape(&self) -> Shape {
        self.shape
    }

    fn apply<const N: usize>(op: impl Op<N>, x: [&Self; N]) -> Self {
        let out = op.shape(x.map(|x| x.shape)).expect("shapes that fit");
        apply(Fixed(op), &x, out)
    }

    fn apply_many(op: impl ManyOp, x: &[&Self]) -> Self {
        let shapes = x.iter().map(|x| x.shape).collect::<Vec<_>>();
        let out = op.shape(&shapes).expect("shapes that fit");
        apply(Many(op), x, out)
    }

    fn apply_indexed(op: impl IndexOp, x: &Self, index: &Indices) -> Self {
        let out = op.shape(x.shape, index).expect("shapes that fit");
        apply(Indexed(op, index.clone()), &[x], out)
    }

    fn constant_like(&self, shape: Shape, value: f64) -> Self {
        Self::full(shape, Symbol::of(value))
    }

    fn indices(&self, indices: Indices) -> Indices {
        indices
    }
}

impl Arithmetic for Symbols {}

macro_rules! operators {
    ($($Trait:ident $method:ident;)*) => {$(
        impl std::ops::$Trait for Symbols {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                Self::apply(ops::$Trait, [&self, &other])
            }
        }
        impl std::ops::$Trait<&Self> for Symbols {
            type Output = Self;
            fn $method(self, other: &Self) -> Self {
                Self::apply(ops::$Trait, [&self, other])
            }
        }
        impl std::ops::$Trait<f64> for Symbols {
            type Output = Self;
            fn $method(self, other: f64) -> Self {
                Self::apply(ops::$Trait, [&self, &Self::full(Shape::SCALAR, Symbol::of(other))])
            }
        }
    )*};
}

operators! { Add add; Sub sub; Mul mul; Div div; }

impl std::ops::Neg for Symbols {
    type Output = Self;
    fn neg(self) -> Self {
        Self::apply(ops::Neg, [&self])
    }
}
