//! Anomaly detection: the first operation whose value or cotangent is NaN or infinite.

use std::fmt;
use std::panic::Location;

use crate::tape::backward::{Sweep, check_scalar};
use crate::tape::record::{Kind, Mode, Record, Trace};
use crate::{Float, Gradients, Leaf, ParamId, Params, Path, Seeded, Tape, Tensor, Var};

/// Computes a loss and its gradients like [`gradients`](crate::gradients), and fails at the first operation
/// that makes a NaN or an infinity out of finite numbers, or at the leaf that held one from the beginning: a constant,
/// a variable or a parameter.
///
/// A leaf that holds negative infinities, such as a mask of attention, is named only if nothing else can be.
///
/// This is for debugging. It keeps all values and inspects each, so it takes more time and memory
/// than [`gradients`](crate::gradients).
///
/// ```
/// use wengert_core::{Param, ReduceOps, Tensor, UnaryOps, gradients_checked};
///
/// let weight = Param::new(Tensor::<f32>::from([4.0, 0.0]));
/// let error = gradients_checked(|tape| tape.param(&weight).ln().sum()).unwrap_err();
/// assert_eq!((&*error.operation, &*error.position), ("ln", &[1][..]));
/// assert!(error.to_string().ends_with("value at [1] is -inf, computed from 0"));
///
/// let x = Tensor::from([1.0, f32::NAN]);
/// let error = gradients_checked(|tape| (tape.constant(&x) * &weight).sum()).unwrap_err();
/// assert_eq!((&*error.operation, error.is_leaf), ("constant", true));
/// assert!(error.to_string().ends_with("holds NaN at [1]"));
/// ```
///
/// # Errors
/// Returns that operation or leaf, with the line that recorded it. [`NotFinite::in_model`] names a parameter.
///
/// # Panics
/// If the loss has more than one element.
#[track_caller]
pub fn gradients_checked<F: Float>(
    f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
) -> Result<(F, Gradients<F>), NotFinite> {
    checked(Tape::new(), f)
}

impl<F: Float> Seeded<F> {
    /// Runs [`gradients_checked`] with this seed for random layers.
    ///
    /// # Errors
    /// Returns the first operation that makes a NaN or an infinity out of finite numbers.
    ///
    /// # Panics
    /// If the loss has more than one element.
    #[track_caller]
    pub fn gradients_checked(
        self,
        f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
    ) -> Result<(F, Gradients<F>), NotFinite> {
        checked(self.tape(), f)
    }
}

#[track_caller]
fn checked<F: Float>(
    mut tape: Tape<F>,
    f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
) -> Result<(F, Gradients<F>), NotFinite> {
    tape.mode.set(Mode { keeps_all: true, ..tape.mode.get() });
    tape.record.get_mut().trace = Some(Box::new(Trace { computes: true, ..Trace::default() }));
    let loss = f(&tape);
    let id = loss.on_tape(&tape);
    check_scalar(loss.shape());
    let value = loss.item();
    let record = tape.record.get_mut();
    if let Some(error) = record.first_value_not_finite(id) {
        return Err(error);
    }
    let mut first = None;
    let mut watch = |at: usize, input: usize, g: &Tensor<F>, cotangent: Option<&Tensor<F>>| {
        if let Some(cotangent) = cotangent
            && first.is_none()
            && g.is_finite()
            && !cotangent.is_finite()
        {
            first = Some((at, input, cotangent.clone()));
        }
    };
    let sweep = Sweep { loss: id, cotangent: F::ONE, release: false, watch: Some(&mut watch) };
    let gradients = record.backward(sweep);
    match first {
        None => Ok((value, gradients)),
        Some((at, input, cotangent)) => Err(match record.leaf_behind(at) {
            Some(leaf) => record.leaf_not_finite(leaf),
            None => record.not_finite(at, Some(input), &cotangent),
        }),
    }
}

/// The first operation that made a NaN or an infinity out of finite numbers, or the leaf that held one.
///
/// `Debug` prints the same message as `Display`, so `unwrap()` and `fn main() -> Result<..>` show it.
///
/// ```
/// use wengert_core::{Param, Tensor, UnaryOps, gradients_checked};
///
/// // sqrt(0) is finite, its derivative is not.
/// let x = Param::new(Tensor::<f64>::scalar(0.0));
/// let error = gradients_checked(|tape| tape.param(&x).sqrt()).unwrap_err();
/// assert_eq!((&*error.operation, error.cotangent), ("sqrt", Some(0)));
/// assert!(error.to_string().ends_with("cotangent of input 0 at [] is inf, computed from 0"));
/// ```
#[derive(Clone)]
pub struct NotFinite {
    /// Name of the operation. Of a leaf its kind: `constant`, `variable` or `parameter`, the last with its name after
    /// [`NotFinite::in_model`].
    pub operation: Box<str>,
    /// Whether this is a leaf: its numbers came from outside, and no operation computed them.
    pub is_leaf: bool,
    /// Identity of the parameter, if the leaf is one.
    pub param: Option<ParamId>,
    /// Line that recorded the operation or leaf.
    pub location: &'static Location<'static>,
    /// Place and kind of the layer that recorded it, such as `2 Linear`. Empty outside of layers.
    pub layer: Box<str>,
    /// The input whose cotangent is not finite; `None` if the operation's value is not.
    pub cotangent: Option<usize>,
    /// The NaN or infinity.
    pub number: f64,
    /// Position of the number in the value or cotangent.
    pub position: Vec<usize>,
    /// The operation's inputs, printed: the element at this position where the shapes are equal, the whole
    /// input otherwise.
    pub inputs: Box<[String]>,
}

impl NotFinite {
    /// Names the parameter by its dotted name in this model, if the leaf is a parameter of it.
    ///
    /// ```
    /// use wengert_core::{Param, ReduceOps, Tensor, gradients_checked, params_f32};
    ///
    /// struct Net { weight: Param<f32> }
    /// params_f32! { Net { weight } }
    ///
    /// let net = Net { weight: Tensor::from([1.0, f32::NAN]).into() };
    /// let error = gradients_checked(|tape| tape.param(&net.weight).sum()).unwrap_err();
    /// assert!(error.in_model(&net).to_string().contains("the parameter weight recorded at"));
    /// ```
    pub fn in_model<F: Float>(mut self, model: &(impl Params<F> + ?Sized)) -> Self {
        model.visit(Path::ROOT, &mut |path, leaf| {
            if let Leaf::Param(param) = leaf
                && self.param == Some(param.id())
            {
                self.operation = format!("parameter {path}").into();
            }
        });
        self
    }
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, location, number, position, .. } = self;
        if self.is_leaf {
            return write!(
                f,
                "the {operation} recorded at {location} holds {number} at {position:?}"
            );
        }
        write!(f, "first number that is not finite: {operation} recorded at {location}: ")?;
        match self.cotangent {
            None => write!(f, "value at {position:?}")?,
            Some(input) => write!(f, "cotangent of input {input} at {position:?}")?,
        }
        write!(f, " is {number}, computed from {}", self.inputs.join(" and "))
    }
}

impl fmt::Debug for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NotFinite {}

/// The worst number of a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    Finite,
    NegativeInfinity,
    Infinity,
    Nan,
}

fn worst<F: Float>(x: &Tensor<F>) -> Worst {
    let of = |x: &F| match x {
        x if x.is_nan() => Worst::Nan,
        x if x.is_finite() => Worst::Finite,
        x if *x > F::ZERO => Worst::Infinity,
        _ => Worst::NegativeInfinity,
    };
    x.as_slice().iter().map(of).max().unwrap_or(Worst::Finite)
}

impl<F: Float> Record<F> {
    /// Finds the first operation that makes a NaN out of other numbers, or an infinity out of finite numbers; or if
    /// there is none, the leaf that makes the loss NaN or infinite.
    fn first_value_not_finite(&self, loss: u32) -> Option<NotFinite> {
        let worst = self.nodes.iter().map(|node| node.value_if_held().map_or(Worst::Finite, worst));
        let worst = worst.collect::<Vec<_>>();
        let made = (0..self.nodes.len()).find(|&at| {
            let inputs = self.nodes[at].inputs.iter().map(|&id| worst[id as usize]).max();
            self.nodes[at].kind == Kind::Op
                && match inputs {
                    None | Some(Worst::Finite) => worst[at] != Worst::Finite,
                    Some(Worst::Nan) => false,
                    Some(_) => worst[at] == Worst::Nan,
                }
        });
        match made {
            Some(at) => Some(match self.leaf_behind(at) {
                Some(leaf) => self.leaf_not_finite(leaf),
                None => self.not_finite(at, None, self.nodes[at].value()),
            }),
            None if worst[loss as usize] == Worst::Finite => None,
            None => self
                .leaf_behind(loss as usize)
                .or_else(|| (0..self.nodes.len()).find(|&at| worst[at] != Worst::Finite))
                .map(|leaf| self.leaf_not_finite(leaf)),
        }
    }

    /// The leaf whose NaN or positive infinity reaches the inputs of a node. Negative infinities are not followed: they
    /// stand in masks.
    fn leaf_behind(&self, node: usize) -> Option<usize> {
        let bad = |id: &&u32| {
            let value = self.nodes[**id as usize].value_if_held();
            value.map_or(Worst::Finite, worst) > Worst::NegativeInfinity
        };
        let mut at = node;
        while let Some(&input) = self.nodes[at].inputs.iter().find(bad) {
            at = input as usize;
        }
        let reached =
            at != node || self.nodes[node].value_if_held().is_some_and(|x| !x.is_finite());
        (self.nodes[at].kind != Kind::Op && reached).then_some(at)
    }

    fn leaf_not_finite(&self, at: usize) -> NotFinite {
        let (node, leaf) = (&self.nodes[at], Some(at as u32));
        let param = self.params.iter().find(|slot| slot.leaf == leaf).map(|slot| slot.id);
        let kind = match param {
            Some(_) => "parameter",
            None if node.tracked => "variable",
            None => "constant",
        };
        let (value, worst) = (node.value(), worst(node.value()));
        let of_worst = |x: &F| self::worst(&Tensor::scalar(*x)) == worst;
        let flat = value.as_slice().iter().position(of_worst).unwrap_or(0);
        NotFinite {
            operation: kind.into(),
            is_leaf: true,
            param,
            location: node.location,
            layer: self.layer_of(at).into(),
            cotangent: None,
            number: value.as_slice()[flat].to_f64(),
            position: value.shape().position(flat),
            inputs: Box::default(),
        }
    }

    fn not_finite(&self, at: usize, cotangent: Option<usize>, found: &Tensor<F>) -> NotFinite {
        let node = &self.nodes[at];
        let flat = found.as_slice().iter().position(|x| !x.is_finite()).unwrap_or(0);
        let input = |id: &u32| {
            let x = self.nodes[*id as usize].value_if_held()?;
            let same = x.shape() == found.shape();
            Some(if same { x.as_slice()[flat].to_string() } else { x.to_string() })
        };
        NotFinite {
            operation: self.op(at).name().into(),
            is_leaf: false,
            param: None,
            location: node.location,
            layer: self.layer_of(at).into(),
            cotangent,
            number: found.as_slice()[flat].to_f64(),
            position: found.shape().position(flat),
            inputs: node.inputs.iter().filter_map(input).collect(),
        }
    }
}
