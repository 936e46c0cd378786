//! The cost of a step: time and memory of each operation, forward and backward.

use std::panic::Location;
use std::time::{Duration, Instant};

use crate::float::PerPrecision;
use crate::tape::backward::{Sweep, check_scalar};
use crate::tape::record::{Content, Kind, Mode, Record, Trace};
use crate::{Float, Leaf, ParamId, Params, Path, Seeded, Shape, Tape, Tensor, Var};

/// Measures the operations of a loss and of its gradients: the time of each, forward and backward, its shapes, and the
/// line and layer that recorded it.
///
/// `f` runs many times. Whole steps are timed first, as [`gradients`](crate::gradients) takes them. Then each operation
/// of one recording runs again and again on the recorded inputs. A time is the shortest of all, because whatever else the
/// machine does can only add to it. Values inside of checkpoints are kept, so computing them twice is not counted. A step
/// that is not profiled does not get slower.
///
/// ```
/// use wengert_core::{MatmulOps, Param, ReduceOps, Tensor, UnaryOps, profile};
///
/// let weight = Param::new(Tensor::<f32>::ones([64, 64]));
/// let x = Tensor::ones([32, 64]);
/// let profile = profile(|tape| {
///     let hidden = tape.constant(&x).matmul(&weight).tanh();
///     hidden.square().sum()
/// });
/// let names: Vec<_> = profile.operations.iter().map(|op| &*op.name).collect();
/// assert_eq!(names, ["matmul", "tanh", "square", "sum"]);
/// assert_eq!(profile.operations[0].bytes, 32 * 64 * 4);
/// assert_eq!(profile.by_line().len(), 2);
/// println!("{profile}"); // which line costs the time, and which operation
/// std::fs::write(std::env::temp_dir().join("step.dot"), profile.dot())?; // dot -Tsvg step.dot
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// If the loss has more than one element.
#[track_caller]
pub fn profile<F: Float>(f: impl for<'t> Fn(&'t Tape<F>) -> Var<'t, F>) -> Profile {
    profile_on(Tape::new, |f| crate::gradients(f).0, &f)
}

impl<F: Float> Seeded<F> {
    /// Runs [`profile`] with this key for random layers.
    ///
    /// # Panics
    /// If the loss has more than one element.
    #[track_caller]
    pub fn profile(self, f: impl for<'t> Fn(&'t Tape<F>) -> Var<'t, F>) -> Profile {
        profile_on(|| self.tape(), |f| self.gradients(f).0, &f)
    }
}

/// Costs of a step; see [`profile`]. It prints as a table.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Operations in the order in which they were recorded.
    pub operations: Vec<OpCost>,
    /// Values from outside that the operations read.
    pub leaves: Vec<LeafNode>,
    /// Time of a whole step: recording, computing and differentiating.
    pub step: Duration,
    /// The number of measurements of which each time is the shortest.
    pub rounds: usize,
}

/// An operation in a [`Profile`].
#[derive(Clone, Debug)]
pub struct OpCost {
    /// Number of the node on the tape.
    pub node: usize,
    /// Name of the operation; `random` for a draw of random numbers.
    pub name: String,
    /// Line that recorded it.
    pub location: &'static Location<'static>,
    /// Place and kind of the layer that recorded it, such as `2 Linear`; empty outside of layers.
    pub layer: String,
    /// Numbers of the nodes that it reads.
    pub reads: Vec<usize>,
    /// Shapes of these nodes.
    pub inputs: Vec<Shape>,
    /// Shape of the value.
    pub output: Shape,
    /// Time to compute the value.
    pub forward: Duration,
    /// Time to compute the cotangents of all inputs that need one.
    pub backward: Duration,
    /// Bytes of the value.
    pub bytes: usize,
    /// Multiply-adds of the forward computation of products and convolutions.
    pub multiply_adds: u64,
}

/// A value from outside in a [`Profile`].
#[derive(Clone, Debug)]
pub struct LeafNode {
    /// Number of the node on the tape.
    pub node: usize,
    /// `parameter`, `variable`, `constant` or `indices`; the parameter's name after [`Profile::in_model`].
    pub name: String,
    /// Identity of the parameter, if it is one.
    pub param: Option<ParamId>,
    /// Shape of the value.
    pub shape: Shape,
}

/// The sum over several operations of a [`Profile`].
#[derive(Clone, Debug, PartialEq)]
pub struct CostSum {
    /// The line, the layer or the name that the operations share.
    pub name: String,
    /// The number of operations.
    pub operations: usize,
    /// Time to compute the values.
    pub forward: Duration,
    /// Time to compute the cotangents.
    pub backward: Duration,
    /// Bytes of the values.
    pub bytes: usize,
    /// Share of the time of all operations, 0 to 1.
    pub share: f64,
}

impl OpCost {
    /// Returns the time forward and backward.
    pub fn time(&self) -> Duration {
        self.forward + self.backward
    }

    /// Returns the file and the line, `src/main.rs:12`.
    pub fn line(&self) -> String {
        format!("{}:{}", self.location.file(), self.location.line())
    }
}

impl Profile {
    /// Returns the time of all operations, forward and backward. What is left of a step is recording and bookkeeping.
    pub fn time(&self) -> Duration {
        self.operations.iter().map(OpCost::time).sum()
    }

    /// Adds up the costs of each source line, the most expensive first.
    pub fn by_line(&self) -> Vec<CostSum> {
        self.folded(OpCost::line)
    }

    /// Adds up the costs of each layer, the most expensive first. Operations outside of layers have an empty name.
    pub fn by_layer(&self) -> Vec<CostSum> {
        self.folded(|op| op.layer.clone())
    }

    /// Adds up the costs of operations of one kind, the most expensive first.
    pub fn by_operation(&self) -> Vec<CostSum> {
        self.folded(|op| op.name.clone())
    }

    /// Names parameters by their dotted names in this model.
    pub fn in_model<F: Float>(mut self, model: &(impl Params<F> + ?Sized)) -> Self {
        model.visit(Path::ROOT, &mut |path, leaf| {
            if let Leaf::Param(param) = leaf {
                for node in self.leaves.iter_mut().filter(|node| node.param == Some(param.id())) {
                    node.name = path.to_string();
                }
            }
        });
        self
    }

    fn folded(&self, key: impl Fn(&OpCost) -> String) -> Vec<CostSum> {
        let mut costs: Vec<CostSum> = Vec::new();
        for op in &self.operations {
            let name = key(op);
            let place = costs.iter().position(|cost| cost.name == name).unwrap_or_else(|| {
                let (forward, backward) = (Duration::ZERO, Duration::ZERO);
                costs.push(CostSum {
                    name,
                    operations: 0,
                    forward,
                    backward,
                    bytes: 0,
                    share: 0.0,
                });
                costs.len() - 1
            });
            let cost = &mut costs[place];
            cost.operations += 1;
            cost.forward += op.forward;
            cost.backward += op.backward;
            cost.bytes += op.bytes;
            cost.share += share(op.time(), self.time());
        }
        costs.sort_by_key(|cost| std::cmp::Reverse(cost.forward + cost.backward));
        costs
    }
}

/// The part of a whole; 0 of nothing.
pub(super) fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}

#[track_caller]
fn profile_on<F: Float, L: for<'t> Fn(&'t Tape<F>) -> Var<'t, F>>(
    tape: impl FnOnce() -> Tape<F>,
    step: impl Fn(&L) -> F,
    f: &L,
) -> Profile {
    /// Time that is spent on whole steps.
    const BUDGET: Duration = Duration::from_millis(300);
    step(f);
    let first = time(|| step(f));
    let rounds = (BUDGET.as_secs_f64() / first.as_secs_f64().max(1e-9)).clamp(3.0, 101.0) as usize;
    let whole = shortest((0..rounds).map(|_| time(|| step(f))));

    let mut tape = tape();
    tape.mode.set(Mode { keeps_all: true, ..tape.mode.get() });
    tape.record.get_mut().trace = Some(Box::new(Trace { computes: true, ..Trace::default() }));
    let loss = f(&tape);
    check_scalar(loss.shape());
    let (loss, key) = (loss.on_tape(&tape), tape.seed().unwrap_or(0));
    let (operations, leaves) = F::run::<Measure>((tape.record.get_mut(), loss, key, rounds));
    Profile { operations, leaves, step: whole, rounds }
}

/// Measures the operations of a recording, compiled once for each precision.
struct Measure;

impl<'a> PerPrecision<'a> for Measure {
    type Input<F: Float> = (&'a mut Record<F>, u32, u64, usize);
    type Output<F: Float> = (Vec<OpCost>, Vec<LeafNode>);
    fn f32((record, loss, key, rounds): Self::Input<f32>) -> Self::Output<f32> {
        record.measure(loss, key, rounds)
    }
    fn f64((record, loss, key, rounds): Self::Input<f64>) -> Self::Output<f64> {
        record.measure(loss, key, rounds)
    }
}

impl<F: Float> Record<F> {
    #[track_caller]
    fn measure(&mut self, loss: u32, key: u64, rounds: usize) -> (Vec<OpCost>, Vec<LeafNode>) {
        let nodes = self.nodes.len();
        let clock = shortest((0..99).map(|_| time(|| ())));
        let (mut forward, mut backward) = (vec![Duration::MAX; nodes], vec![Duration::MAX; nodes]);
        for _ in 0..rounds {
            for (at, shortest) in forward.iter_mut().enumerate() {
                let spent = self.time_forward(at, key).unwrap_or_default();
                *shortest = spent.saturating_sub(clock).min(*shortest);
            }
            for (shortest, spent) in backward.iter_mut().zip(self.time_backward(loss, clock)) {
                *shortest = spent.min(*shortest);
            }
        }
        let costs = |at: usize| self.op_cost(at, forward[at], backward[at]);
        let operations = (0..nodes).filter(|&at| self.name(at).is_some()).map(costs).collect();
        (operations, self.leaves())
    }

    /// The name of a node that computes its value.
    fn name(&self, at: usize) -> Option<String> {
        match self.nodes[at].kind {
            Kind::Op => Some(self.op(at).name()),
            Kind::Random(_) => Some("random".to_owned()),
            Kind::Leaf | Kind::Indices(_) => None,
        }
    }

    /// Computes the value of a node again, on the recorded inputs.
    fn time_forward(&mut self, at: usize, key: u64) -> Option<Duration> {
        let shape = *self.nodes[at].shape();
        let start = Instant::now();
        let value = match self.nodes[at].kind {
            Kind::Op => self.recompute(at),
            Kind::Random(place) => self.randoms[place as usize].numbers(shape, key),
            Kind::Leaf | Kind::Indices(_) => return None,
        };
        let spent = start.elapsed();
        self.nodes[at].content = Content::Value(value);
        Some(spent)
    }

    /// Runs the first-order sweep. Returns the time that it spends on each node.
    #[track_caller]
    fn time_backward(&mut self, loss: u32, clock: Duration) -> Vec<Duration> {
        let mut spent = vec![Duration::ZERO; self.nodes.len()];
        let mut last = Instant::now();
        let mut watch = |at: usize, _: usize, _: &Tensor<F>, _: Option<&Tensor<F>>| {
            spent[at] += last.elapsed().saturating_sub(clock);
            last = Instant::now();
        };
        self.backward(Sweep { loss, cotangent: F::ONE, release: false, watch: Some(&mut watch) });
        spent
    }

    fn op_cost(&self, at: usize, forward: Duration, backward: Duration) -> OpCost {
        let (node, view) = (&self.nodes[at], self.view());
        let shapes = view.shapes(view.split(&node.inputs).0);
        let multiply_adds = match node.kind {
            Kind::Op => self.op(at).multiply_adds(&shapes, *node.shape()),
            _ => 0,
        };
        OpCost {
            node: at,
            name: self.name(at).unwrap_or_default(),
            location: node.location,
            layer: self.layer_of(at),
            reads: node.inputs.iter().map(|&id| id as usize).collect(),
            inputs: node.inputs.iter().map(|&id| *self.nodes[id as usize].shape()).collect(),
            output: *node.shape(),
            forward,
            backward,
            bytes: node.shape().numel() * size_of::<F>(),
            multiply_adds,
        }
    }

    /// The nodes from outside that an operation reads.
    fn leaves(&self) -> Vec<LeafNode> {
        let read = |at: usize| self.nodes.iter().any(|node| node.inputs.contains(&(at as u32)));
        let leaf = |at: usize| {
            let param = self.params.iter().find(|slot| slot.leaf == Some(at as u32));
            let name = match self.nodes[at].kind {
                Kind::Indices(_) => "indices",
                _ if param.is_some() => "parameter",
                _ if self.nodes[at].tracked => "variable",
                _ => "constant",
            };
            let (param, shape) = (param.map(|slot| slot.id), *self.nodes[at].shape());
            LeafNode { node: at, name: name.to_owned(), param, shape }
        };
        (0..self.nodes.len()).filter(|&at| self.name(at).is_none() && read(at)).map(leaf).collect()
    }
}

fn time<T>(f: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(f());
    start.elapsed()
}

fn shortest(times: impl Iterator<Item = Duration>) -> Duration {
    times.min().unwrap_or_default()
}
