//! Einstein summation, composed of permutations, sums and matrix products.

use smallvec::SmallVec;

use super::matmul::Matmul;
use super::movement::MovementOps;
use super::rearrange::Permute;
use super::reduce::ReduceOps;
use super::slice::{Narrow, PadZeros};
use crate::error::{ensure_shape, expect_shape};
use crate::op::Value;
use crate::{Shape, ShapeError};

/// An index of an einsum: a letter, or an axis of the ellipsis counted from the last (0, 1, ..).
type Label = u8;
type Labels = SmallVec<[Label; 8]>;

/// A specification resolved for operands of known ranks.
struct Plan {
    inputs: SmallVec<[Labels; 4]>,
    output: Labels,
}

fn mistake<T>(message: impl Into<Box<str>>) -> Result<T, ShapeError> {
    Err(ShapeError::new(message))
}

/// The labels of one operand, with `ellipsis` axes in the place of `...`.
fn labels(term: &str, ellipsis: usize) -> Result<Labels, ShapeError> {
    let mut labels = Labels::new();
    let (before, after) = term.split_once("...").unwrap_or((term, ""));
    for c in before.chars() {
        labels.push(label(c, term)?);
    }
    if term.contains("...") {
        labels.extend((0..ellipsis as Label).rev());
    }
    for c in after.chars() {
        labels.push(label(c, term)?);
    }
    Ok(labels)
}

fn label(c: char, term: &str) -> Result<Label, ShapeError> {
    if c.is_ascii_alphabetic() {
        return Ok(c as Label);
    }
    mistake(format!("'{c}' in '{term}' is neither a letter nor part of a single '...'"))
}

impl Plan {
    fn of(spec: &str, shapes: &[Shape]) -> Result<Self, ShapeError> {
        let spec = spec.split_whitespace().collect::<String>();
        let (terms, wanted) = match spec.split_once("->") {
            Some((terms, wanted)) => (terms, Some(wanted)),
            None => (&*spec, None),
        };
        let terms = terms.split(',').collect::<SmallVec<[_; 4]>>();
        if terms.len() != shapes.len() {
            let (named, given) = (terms.len(), shapes.len());
            return mistake(format!("'{spec}' names {named} operands, there are {given}"));
        }
        let (mut inputs, mut widest) = (SmallVec::new(), 0);
        for (term, shape) in terms.iter().zip(shapes) {
            let named = labels(term, 0)?.len();
            let rest = shape.rank().checked_sub(named);
            match rest {
                Some(rest) if rest == 0 || term.contains("...") => {
                    widest = widest.max(rest);
                    inputs.push(labels(term, rest)?);
                }
                _ => {
                    let axes = shape.rank();
                    return mistake(format!("'{term}' does not name the {axes} axes of {shape:?}"));
                }
            }
        }
        let output = match wanted {
            Some(wanted) => labels(wanted, widest)?,
            None => implicit(&inputs, widest),
        };
        for (k, &index) in output.iter().enumerate() {
            let name = name(index);
            if output[..k].contains(&index) {
                return mistake(format!("{name} occurs twice in the output of '{spec}'"));
            }
            if !inputs.iter().any(|input: &Labels| input.contains(&index)) {
                return mistake(format!("{name} of the output occurs in no operand of '{spec}'"));
            }
        }
        if output.len() > crate::MAX_RANK {
            return mistake(format!("'{spec}' has more than {} axes", crate::MAX_RANK));
        }
        Ok(Self { inputs, output })
    }

    /// The extent of each label, or an error where operands disagree.
    fn extents(&self, shapes: &[Shape]) -> Result<[usize; 128], ShapeError> {
        let mut extents = [1; 128];
        for (input, shape) in self.inputs.iter().zip(shapes) {
            for (k, (&index, &extent)) in input.iter().zip(&**shape).enumerate() {
                let known = &mut extents[index as usize];
                let repeated = input[..k].iter().position(|&other| other == index);
                if repeated.is_some_and(|other| shape[other] != extent)
                    || *known != 1 && extent != 1 && *known != extent
                {
                    let known = repeated.map_or(*known, |other| shape[other]);
                    let name = name(index);
                    return mistake(format!("{name} is {known}, but {extent} in {shape:?}"));
                }
                if *known == 1 {
                    *known = extent;
                }
            }
        }
        Ok(extents)
    }
}

/// The output of a specification without `->`: the ellipsis, then the letters that occur once, in alphabetical
/// order.
fn implicit(inputs: &[Labels], ellipsis: usize) -> Labels {
    let count = |label| inputs.iter().flatten().filter(|&&other| other == label).count();
    let letters = (b'A'..=b'z').filter(|&letter| count(letter) == 1);
    (0..ellipsis as Label).rev().chain(letters).collect()
}

fn name(index: Label) -> String {
    if index.is_ascii_alphabetic() {
        format!("index '{}'", index as char)
    } else {
        format!("axis {} of the ellipsis", -1 - isize::from(index))
    }
}

/// A value and the labels of its axes.
struct Term<V> {
    value: V,
    labels: Labels,
}

impl<V: Value> Term<V> {
    /// Reduces repeated labels to their diagonal, and removes axes of extent 1 whose label is longer elsewhere.
    fn simplified(value: &V, labels: &Labels, extents: &[usize; 128]) -> Self {
        let mut term = Self { value: value.clone(), labels: labels.clone() };
        while let Some((first, second)) = repeated(&term.labels) {
            term.diagonal(first, second);
        }
        let shape = term.value.shape();
        let stays = |&k: &usize| shape[k] == extents[term.labels[k] as usize];
        let kept = (0..shape.rank()).filter(stays).collect::<SmallVec<[usize; 8]>>();
        if kept.len() < shape.rank() {
            let extents = kept.iter().map(|&k| shape[k]).collect::<SmallVec<[usize; 8]>>();
            term.labels = kept.iter().map(|&k| term.labels[k]).collect();
            term.value = term.value.reshape(&*extents);
        }
        term
    }

    /// Reduces two axes to their diagonal. Its elements are `n + 1` apart: with rows of that length, the diagonal
    /// is the first column.
    fn diagonal(&mut self, first: usize, second: usize) {
        let index = self.labels[second];
        let order = self.labels.iter().enumerate().filter(|(k, _)| *k != first && *k != second);
        let mut order = order.map(|(k, _)| k).collect::<SmallVec<[usize; 8]>>();
        self.labels = order.iter().map(|&k| self.labels[k]).chain([index]).collect();
        order.extend([first, second]);
        let x = permute(&self.value, &order);
        let (shape, rank) = (x.shape(), x.shape().rank());
        let (lead, n) = (shape[..rank - 2].iter().product::<usize>(), shape[rank - 1]);
        let x = x.reshape([lead, n * n]);
        let x = V::apply(PadZeros { axis: 1, start: 0, extent: n * (n + 1) }, [&x]);
        let x = x.reshape([lead * n, n + 1]);
        let x = V::apply(Narrow { axis: 1, start: 0, len: 1 }, [&x]);
        self.value = x.reshape(Shape::new(&shape[..rank - 1]));
    }

    /// Sums over every label that `keep` does not want.
    fn summed(mut self, keep: impl Fn(Label) -> bool) -> Self {
        let gone = |(k, &index): (usize, &Label)| (!keep(index)).then_some(k as isize);
        let axes = self.labels.iter().enumerate().filter_map(gone);
        let axes = axes.collect::<SmallVec<[isize; 8]>>();
        if !axes.is_empty() {
            self.value = self.value.sum_axes(&axes[..], false);
            self.labels.retain(|index| keep(*index));
        }
        self
    }

    /// Permutes the axes to the order of `labels`.
    fn ordered(&self, labels: &Labels) -> V {
        let place = |index| self.labels.iter().position(|other| other == index);
        let order = labels.iter().filter_map(place).collect::<SmallVec<[usize; 8]>>();
        permute(&self.value, &order)
    }

    /// Multiplies two terms and sums over the labels that both have and `keep` does not want.
    #[track_caller]
    fn times(self, other: Self, extents: &[usize; 128], keep: impl Fn(Label) -> bool) -> Self {
        let (a, b) = (self.summed(|k| keep(k) || other.labels.contains(&k)), other);
        let b = b.summed(|k| keep(k) || a.labels.contains(&k));
        let pick = |from: &Labels, wanted: &dyn Fn(Label) -> bool| {
            from.iter().copied().filter(|&index| wanted(index)).collect::<Labels>()
        };
        let shared = |k: Label| a.labels.contains(&k) && b.labels.contains(&k);
        let batch = pick(&a.labels, &|k| shared(k) && keep(k));
        let inner = pick(&a.labels, &|k| shared(k) && !keep(k));
        let left = pick(&a.labels, &|k| !shared(k));
        let right = pick(&b.labels, &|k| !shared(k));
        let count = |labels: &Labels| labels.iter().map(|&k| extents[k as usize]).product();
        let (g, m, n, p): (usize, usize, usize, usize) =
            (count(&batch), count(&left), count(&right), count(&inner));
        // An operand that is stored transposed already is read so by the product.
        let join = |parts: [&Labels; 3]| parts.into_iter().flatten().copied().collect::<Labels>();
        let transpose_a = a.labels == join([&batch, &inner, &left]);
        let transpose_b = b.labels == join([&batch, &right, &inner]);
        let x = a.ordered(&if transpose_a {
            join([&batch, &inner, &left])
        } else {
            join([&batch, &left, &inner])
        });
        let y = b.ordered(&if transpose_b {
            join([&batch, &right, &inner])
        } else {
            join([&batch, &inner, &right])
        });
        let labels = join([&batch, &left, &right]);
        let shape = labels.iter().map(|&k| extents[k as usize]).collect::<SmallVec<[usize; 8]>>();
        let value = if inner.is_empty() && (m == 1 || n == 1) {
            x.reshape([g, m, 1]) * y.reshape([g, 1, n])
        } else {
            let x = x.reshape(if transpose_a { [g, p, m] } else { [g, m, p] });
            let y = y.reshape(if transpose_b { [g, n, p] } else { [g, p, n] });
            V::apply(Matmul { transpose_a, transpose_b }, [&x, &y])
        };
        Self { value: value.reshape(&*shape), labels }
    }
}

/// The first two axes with the same label.
fn repeated(labels: &Labels) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|second| {
        let first = labels[..second].iter().position(|other| *other == labels[second])?;
        Some((first, second))
    })
}

/// Permutes the axes, unless they are in order already.
fn permute<V: Value>(x: &V, order: &[usize]) -> V {
    if order.is_sorted() {
        return x.clone();
    }
    V::apply(Permute { order: Shape::new(order) }, [x])
}

/// Returns the sum of products given in Einstein notation, such as `"bij,bjk->bik"`, for tensors or variables
/// ([`torch.einsum`](https://docs.pytorch.org/docs/stable/generated/torch.einsum.html)).
///
/// Letters name the axes of each operand; commas separate the operands. Axes with the same letter run together and
/// are summed over unless the output names the letter. A letter that occurs twice in one operand stands for its
/// diagonal. Without `->`, the output has the letters that occur once, in alphabetical order. `...` stands for
/// further axes, which broadcast; an output without `...` sums over them. An axis of extent 1 broadcasts to any
/// extent. Operands are contracted from the left. A parameter is passed as `tape.param(&p)`.
///
/// ```
/// use wengert_core::{Tensor, einsum};
///
/// let (a, b) = (Tensor::<f64>::ones([2, 3]), Tensor::ones([3, 4]));
/// assert_eq!(einsum("ij,jk->ik", &[a.clone(), b]), Tensor::full([2, 4], 3.0));
/// assert_eq!(einsum("ij->", &[a]).item(), 6.0);
/// ```
///
/// # Panics
/// If there are no operands, the specification is malformed or does not fit the operands, or a product has more
/// than eight axes.
#[track_caller]
pub fn einsum<V: Value>(spec: &str, operands: &[V]) -> V {
    ensure_shape!(!operands.is_empty(), "there are no operands");
    // A loop, because a closure would hide the caller's line.
    let mut shapes = SmallVec::<[Shape; 4]>::new();
    for operand in operands {
        shapes.push(operand.shape());
    }
    let plan = expect_shape!(Plan::of(spec, &shapes));
    let extents = expect_shape!(plan.extents(&shapes));
    let mut terms = operands.iter().zip(&plan.inputs);
    let (value, labels) = terms.next().unwrap_or_else(|| unreachable!("not empty"));
    let mut product = Term::simplified(value, labels, &extents);
    for (k, (value, labels)) in terms.enumerate() {
        let later = &plan.inputs[k + 2..];
        let keep = |index| plan.output.contains(&index) || later.iter().any(|l| l.contains(&index));
        product = product.times(Term::simplified(value, labels, &extents), &extents, keep);
    }
    product.summed(|index| plan.output.contains(&index)).ordered(&plan.output)
}
