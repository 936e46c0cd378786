//! A recording that can run again: where its values come from, and its first run.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::params::param::ParamId;
use crate::program::call::{Call, Outcome};
use crate::program::inputs::InputLeaf;
use crate::program::plan::{Plan, Target};
use crate::tape::backward::{Sweep, check_scalar};
use crate::tape::notes::Repeat;
use crate::tape::record::{Content, Kind, Mode, Node, Record, Tape, few};
use crate::tensor::indices::{Indices, InputNotes};
use crate::{Float, Gradients, Leaf, Params, Path, Shape, Tensor};

/// A recording of a program's closure.
pub(crate) struct Recorded<F: Float> {
    pub(crate) tape: Tape<F>,
    /// The node of the result.
    pub(crate) output: u32,
    pub(crate) repeat: Repeat,
    /// The shape of each node.
    pub(crate) shapes: Vec<Shape>,
    /// The nodes whose values another run replaces: all but captured constants, and indices.
    pub(crate) replaced: Vec<u32>,
    /// Those of them that hold a tensor from the beginning of a run to its end.
    held: Vec<u32>,
    /// The operations that read indices, whose range is checked at each run.
    pub(crate) indexed: Vec<u32>,
    /// Whether each node is a leaf with the value of another node.
    pub(crate) copied: Vec<bool>,
    /// Nodes whose values are dropped, each after this node is computed.
    pub(crate) drops: Vec<(u32, Range<u32>)>,
    /// The number of runs, the first one included.
    runs: u64,
    /// The steps of a run; `None` for an evaluation, and where values are released on the way.
    pub(crate) plan: Option<Plan<F>>,
    /// Copies for the threads that run examples.
    pub(crate) workers: Vec<Self>,
    model: Vec<ModelLeaf>,
    inputs: Vec<InputShape>,
    /// Where tensors among the inputs are read.
    input_targets: Vec<Option<Target>>,
    notes: Arc<InputNotes>,
}

/// A parameter or a buffer of the model.
#[derive(Clone)]
struct ModelLeaf {
    id: ParamId,
    shape: Shape,
    frozen: bool,
    /// The leaves with its value.
    targets: SmallVec<[Target; 1]>,
}

#[derive(Clone)]
enum InputShape {
    Tensor(Shape),
    Indices(Shape),
}

impl InputShape {
    fn of<F: Float>(input: &InputLeaf<'_, F>) -> Self {
        match input {
            InputLeaf::Tensor(x) => Self::Tensor(x.shape()),
            InputLeaf::Indices(x) => Self::Indices(x.shape()),
        }
    }

    fn is_of<F: Float>(&self, input: &InputLeaf<'_, F>) -> bool {
        match (self, input) {
            (Self::Tensor(own), InputLeaf::Tensor(x)) => own == x.shape_ref(),
            (Self::Indices(own), InputLeaf::Indices(x)) => *own == x.shape(),
            _ => false,
        }
    }
}

/// A parameter or a buffer: its identity, its value, and whether it is frozen.
fn described<'a, F: Float>(leaf: &Leaf<'a, F>) -> (ParamId, &'a Tensor<F>, bool) {
    match leaf {
        Leaf::Param(param) => (param.id(), param.value(), param.is_frozen()),
        Leaf::Buffer(buffer) => (buffer.id(), buffer.value(), false),
    }
}

impl Target {
    /// Reads the value of this leaf.
    #[inline]
    fn read<F: Float>(
        &self,
        value: &Tensor<F>,
        record: &mut Record<F>,
        plan: &mut Option<Plan<F>>,
    ) {
        if let (Some(place), Some(plan)) = (self.place, plan) {
            plan.at(place).copy_from_slice(value.as_slice());
        }
        if self.as_tensor {
            record.nodes[self.node as usize].content = Content::Value(value.clone());
        }
    }
}

impl<F: Float> Recorded<F> {
    /// Runs the closure.
    #[track_caller]
    pub(crate) fn new(call: &Call<'_, F>) -> Self {
        let mut tape = Tape::with_mode(call.mode);
        tape.record.get_mut().repeat = Some(Box::default());
        let notes = Arc::default();
        let output = (call.record)(&tape, &notes, call.part);
        let record = tape.record.get_mut();
        // Gradients are those of parameters: no variable of the closure is left to ask for others.
        record.variables.clear();
        // The notes leave; the tape goes on to be one that repeats.
        let repeat = std::mem::take(&mut **record.repeat.as_mut().expect("notes"));
        let shapes = record.shapes();
        if call.mode.tracking {
            check_scalar(shapes[output as usize]);
        }
        let leaves = bound_leaves(&repeat, record.nodes.len());
        let (mut replaced, mut indexed) = (Vec::new(), Vec::new());
        for (id, node) in record.nodes.iter().enumerate() {
            match node.kind {
                Kind::Indices(_) => continue,
                Kind::Leaf if !leaves[id] => continue,
                _ => replaced.push(id as u32),
            }
            if node.kind == Kind::Op && record.view().split(&node.inputs).1.is_some() {
                indexed.push(id as u32);
            }
        }
        let inputs = call.inputs.iter().map(InputShape::of).collect();
        let mut copied = vec![false; shapes.len()];
        repeat.copies.iter().for_each(|&(leaf, _)| copied[leaf as usize] = true);
        let drops = drops(&repeat);
        let plan =
            call.mode.tracking.then(|| Plan::new(record, &repeat, &shapes, output)).flatten();
        let held = plan.as_ref().map_or_else(|| replaced.clone(), |plan| plan.held(&replaced));
        let target = |node: u32| match &plan {
            Some(plan) => plan.target(node),
            None => Target { node, place: None, as_tensor: true },
        };
        let model = bind(call.model, &repeat, record, target);
        let input_targets = repeat.inputs.iter().map(|leaf| leaf.map(target)).collect();
        Self {
            tape,
            output,
            repeat,
            shapes,
            replaced,
            held,
            indexed,
            copied,
            drops,
            runs: 1,
            plan,
            workers: Vec::new(),
            model,
            inputs,
            input_targets,
            notes,
        }
    }

    /// Computes the results from the recording as it is.
    #[track_caller]
    pub(crate) fn first_run(&mut self, cotangent: F, gradients: &mut Gradients<F>) -> Outcome<F> {
        gradients.forget();
        let value = self.results(cotangent, gradients);
        self.unload_all();
        value
    }

    /// Computes the results, where the values are recorded, or deferred.
    #[track_caller]
    pub(crate) fn results(&mut self, cotangent: F, gradients: &mut Gradients<F>) -> Outcome<F> {
        let record = self.tape.record.get_mut();
        if !self.tape.mode.get().tracking {
            record.compute_deferred(&[self.output], 0);
            return Outcome::Value(record.nodes[self.output as usize].value().clone());
        }
        let loss = record.nodes[self.output as usize].value().item();
        let sweep = Sweep { loss: self.output, cotangent, release: true, watch: None };
        *gradients = record.backward(sweep);
        Outcome::Loss(loss)
    }

    /// Reads the values of this run, if the recording is one for such inputs and such a model.
    pub(crate) fn load(&mut self, call: &Call<'_, F>) -> bool {
        let (own, mode) = (self.tape.mode.get(), call.mode);
        let same_mode = own.tracking == mode.tracking && own.seed.is_some() == mode.seed.is_some();
        let same_inputs = self.inputs.len() == call.inputs.len()
            && self.inputs.iter().zip(call.inputs).all(|(own, input)| own.is_of(input));
        if !same_mode || !same_inputs {
            return false;
        }
        self.tape.mode.set(Mode { seed: mode.seed, ..own });
        self.load_model(call.model) && self.load_inputs(call.inputs)
    }

    pub(super) fn load_model(&mut self, model: &dyn Params<F>) -> bool {
        let (record, plan) = (self.tape.record.get_mut(), &mut self.plan);
        let (mut own, mut fits) = (self.model.iter(), true);
        model.visit(Path::ROOT, &mut |_, leaf| {
            let (id, value, frozen) = described(&leaf);
            match own.next() {
                Some(own)
                    if own.id == id && own.shape == *value.shape_ref() && own.frozen == frozen =>
                {
                    own.targets.iter().for_each(|target| target.read(value, record, plan));
                }
                _ => fits = false,
            }
        });
        fits && own.next().is_none()
    }

    /// Reads the values of another model with parameters of the same shapes, and takes its identities over.
    pub(super) fn adopt(&mut self, model: &dyn Params<F>) -> bool {
        let (mut own, mut fits) = (self.model.iter(), true);
        let mut renamed = Vec::new();
        model.visit(Path::ROOT, &mut |_, leaf| {
            let (id, value, frozen) = described(&leaf);
            match own.next() {
                Some(own) if own.shape == value.shape() && own.frozen == frozen => {
                    renamed.push((own.id, id));
                }
                _ => fits = false,
            }
        });
        if !fits || own.next().is_some() {
            return false;
        }
        let rename = |own: &mut ParamId| {
            if let Some((_, new)) = renamed.iter().find(|(old, _)| old == own) {
                *own = *new;
            }
        };
        self.model.iter_mut().for_each(|leaf| rename(&mut leaf.id));
        let record = self.tape.record.get_mut();
        record.params.iter_mut().for_each(|slot| rename(&mut slot.id));
        record.updates.iter_mut().for_each(|(buffer, _)| rename(buffer));
        if let Some(plan) = &mut self.plan {
            plan.params.iter_mut().for_each(|param| rename(&mut param.id));
        }
        self.load_model(model)
    }

    pub(super) fn load_inputs(&mut self, inputs: &[InputLeaf<'_, F>]) -> bool {
        let record = self.tape.record.get_mut();
        let indices = |input: u32| match inputs[input as usize] {
            InputLeaf::Indices(indices) => Some(Indices::clone(indices)),
            InputLeaf::Tensor(_) => None,
        };
        let has_indices = inputs.iter().any(|input| matches!(input, InputLeaf::Indices(_)));
        if has_indices && !self.notes.hold_for(indices) {
            return false;
        }
        for (target, input) in self.input_targets.iter().zip(inputs) {
            if let (Some(target), InputLeaf::Tensor(value)) = (target, input) {
                target.read(value, record, &mut self.plan);
            }
        }
        for &(place, number) in &self.repeat.indices {
            let Some(given) = indices(number.input) else { return false };
            record.indices[place as usize] = given.in_place_of(number);
        }
        // A run that would fail is recorded, so that it fails at the user's line.
        self.indexed.iter().all(|&id| {
            let node = &record.nodes[id as usize];
            let (values, index) = record.view().split(&node.inputs);
            let x = few(values, |x| &self.shapes[x as usize]);
            record.op(id as usize).shape(&x, index) == Ok(self.shapes[id as usize])
        })
    }

    /// A copy of all but the tape, for another tape with the same nodes.
    pub(super) fn with_tape(&self, tape: Tape<F>) -> Self {
        Self {
            tape,
            output: self.output,
            repeat: self.repeat.clone(),
            shapes: self.shapes.clone(),
            replaced: self.replaced.clone(),
            held: self.held.clone(),
            indexed: self.indexed.clone(),
            copied: self.copied.clone(),
            drops: self.drops.clone(),
            runs: self.runs,
            plan: self.plan.as_ref().map(Plan::copy),
            workers: Vec::new(),
            model: self.model.clone(),
            inputs: self.inputs.clone(),
            input_targets: self.input_targets.clone(),
            notes: Arc::clone(&self.notes),
        }
    }

    /// Whether another run replaces the value of a node that is a leaf.
    pub(super) fn is_replaced(&self, leaf: u32) -> bool {
        self.replaced.binary_search(&leaf).is_ok()
    }

    /// Drops the values that a run has read or left.
    pub(crate) fn unload(&mut self) {
        let record = self.tape.record.get_mut();
        for &id in &self.held {
            record.nodes[id as usize].content = Content::Shape(self.shapes[id as usize]);
        }
    }

    /// Drops the values of the first run, which has all of them on the tape.
    fn unload_all(&mut self) {
        let record = self.tape.record.get_mut();
        for &id in &self.replaced {
            record.nodes[id as usize].content = Content::Shape(self.shapes[id as usize]);
        }
    }

    /// Counts a run, and returns whether it is one that records again.
    pub(crate) fn is_checked_now(&mut self) -> bool {
        self.runs += 1;
        self.runs.is_power_of_two()
    }

    pub(crate) fn runs(&self) -> u64 {
        self.runs
    }
}

impl<F: Float> Record<F> {
    /// The shapes of all nodes, also of released ones.
    fn shapes(&self) -> Vec<Shape> {
        let mut shapes = Vec::<Shape>::with_capacity(self.nodes.len());
        for (id, node) in self.nodes.iter().enumerate() {
            shapes.push(match node.content {
                Content::Released => {
                    let (values, index) = self.view().split(&node.inputs);
                    let x = few(values, |x| &shapes[x as usize]);
                    self.op(id).shape(&x, index).expect("shapes that fitted before")
                }
                _ => *node.shape(),
            });
        }
        shapes
    }
}

/// The nodes of temporary recordings, each with the last node that reads one of them.
fn drops(repeat: &Repeat) -> Vec<(u32, Range<u32>)> {
    let last_reader = |nodes: &Range<u32>| {
        let readers = repeat.copies.iter().filter(|(_, source)| nodes.contains(source));
        readers.map(|&(leaf, _)| leaf).max().unwrap_or(nodes.end.saturating_sub(1))
    };
    repeat.temporaries.iter().map(|nodes| (last_reader(nodes), nodes.clone())).collect()
}

/// Which nodes are leaves whose values another run replaces.
pub(crate) fn bound_leaves(repeat: &Repeat, nodes: usize) -> Vec<bool> {
    let mut bound = vec![false; nodes];
    let leaves = repeat.inputs.iter().flatten().copied();
    let leaves = leaves.chain(repeat.params.iter().chain(&repeat.buffers).map(|&(_, leaf)| leaf));
    for leaf in leaves.chain(repeat.copies.iter().map(|&(leaf, _)| leaf)) {
        bound[leaf as usize] = true;
    }
    bound
}

/// Finds the model's part in a recording.
///
/// # Panics
/// If the recording reads a parameter or a buffer that is not in the model, or reads one as a captured constant.
#[track_caller]
fn bind<F: Float>(
    model: &dyn Params<F>,
    repeat: &Repeat,
    record: &Record<F>,
    target: impl Fn(u32) -> Target,
) -> Vec<ModelLeaf> {
    let leaves = || repeat.params.iter().chain(&repeat.buffers);
    let bound = bound_leaves(repeat, record.nodes.len());
    let (mut found, mut own, mut copied) = (Vec::new(), 0, None);
    model.visit(Path::ROOT, &mut |path, leaf| {
        let (id, value, frozen) = described(&leaf);
        let targets = leaves().filter(|(of, _)| *of == id).map(|&(_, leaf)| target(leaf));
        let targets: SmallVec<[Target; 1]> = targets.collect();
        own += targets.len();
        found.push(ModelLeaf { id, shape: value.shape(), frozen, targets });
        let is_constant = |(id, node): &(usize, &Node<F>)| {
            let shares = || node.value_if_held().is_some_and(|held| held.shares_memory(value));
            node.kind == Kind::Leaf && !bound[*id] && shares()
        };
        if copied.is_none()
            && let Some((_, node)) = record.nodes.iter().enumerate().find(is_constant)
        {
            copied = Some((path.to_string(), node.location));
        }
    });
    if let Some((name, line)) = copied {
        panic!(
            "program: the constant at {line} shares its memory with `{name}` of the model, and the next run would not \
             see a new value; read it with `tape.param` or `tape.buffer`, or copy the tensor"
        );
    }
    if own < leaves().count() {
        let foreign = leaves().find(|(id, _)| found.iter().all(|own| own.id != *id));
        let node = &record.nodes[foreign.map_or(0, |&(_, leaf)| leaf as usize)];
        panic!(
            "program: the parameter or buffer of shape {:?} at {} is not in the model that this run is given; make it a \
             part of that model",
            node.shape(),
            node.location
        );
    }
    found
}
