//! Elementwise operations over large values, run one after the other on a chunk that stays in the cache.
//!
//! A run of such operations passes over memory once, not once for each operation. The sweep computes the values of a
//! chunk again, so that those which nothing else reads are never stored. Each element goes through the same
//! functions in the same order, so the bits are the same.

use std::ops::Range;

use rayon::prelude::*;
use smallvec::SmallVec;

use crate::op::Cotangent;
use crate::tape::record::{Content, Record, few};
use crate::{Float, Shape, Tensor};

/// Number of elements from which on memory is slower than computing twice.
pub(super) const LARGE: usize = 1 << 16;
/// Number of elements of a chunk.
const CHUNK: usize = 1 << 12;

/// A run of elementwise operations over values of one shape. Its values have places: those from outside, numbers
/// from outside, and the results.
pub(super) struct Run<F: Float> {
    pub(super) nodes: Vec<u32>,
    shape: Shape,
    /// Values of the same shape from outside.
    inputs: Vec<u32>,
    /// Values of one element from outside, which receive no cotangent.
    scalars: Vec<u32>,
    /// The places that each node reads.
    reads: Vec<SmallVec<[u32; 4]>>,
    /// Whether the value of each node is read outside, and stored.
    stored: Vec<bool>,
    /// The cotangents that each node passes on: the place among its inputs, and the place in the run.
    wanted: Vec<SmallVec<[(u32, u32); 3]>>,
    /// Memory of each thread.
    workspaces: Vec<Workspace<F>>,
}

/// Places and slots that a sweep hands to a run and gets back.
#[derive(Clone, Default)]
pub(super) struct RunSlots {
    /// The nodes that cotangents arrive at from outside.
    pub(super) arriving: Vec<(u32, u32)>,
    /// The inputs that cotangents leave for.
    pub(super) leaving: Vec<(u32, u32)>,
}

/// The values and cotangents of a chunk, by place.
#[derive(Default)]
struct Workspace<F: Float> {
    values: Vec<Tensor<F>>,
    cotangents: Vec<Tensor<F>>,
    arrived: Vec<bool>,
}

impl<F: Float> Run<F> {
    /// The run of these nodes, which follow each other.
    pub(super) fn new(
        record: &Record<F>,
        shapes: &[Shape],
        nodes: &[u32],
        wants: &[bool],
        is_read: impl Fn(u32) -> bool,
    ) -> Self {
        let shape = shapes[nodes[0] as usize];
        let (mut inputs, mut scalars) = (Vec::new(), Vec::new());
        let read = || nodes.iter().flat_map(|&node| &record.nodes[node as usize].inputs);
        for &input in read().filter(|input| !nodes.contains(input)) {
            let list = if shapes[input as usize] == shape { &mut inputs } else { &mut scalars };
            if !list.contains(&input) {
                list.push(input);
            }
        }
        let all = inputs.iter().chain(&scalars).chain(nodes).copied().collect::<Vec<_>>();
        let place = |input: u32| all.iter().position(|&own| own == input).unwrap_or(0) as u32;
        let inputs_of = |node: &u32| record.nodes[*node as usize].inputs.iter();
        let reads = nodes.iter().map(|node| inputs_of(node).map(|&x| place(x)).collect()).collect();
        let passes = |node: &u32| {
            let all = inputs_of(node).enumerate().filter(|(_, input)| wants[**input as usize]);
            let all = all.map(|(i, &input)| (i as u32, place(input)));
            if wants[*node as usize] { all.collect() } else { SmallVec::new() }
        };
        Self {
            wanted: nodes.iter().map(passes).collect(),
            stored: nodes.iter().map(|&node| is_read(node)).collect(),
            nodes: nodes.to_vec(),
            shape,
            inputs,
            scalars,
            reads,
            workspaces: Vec::new(),
        }
    }

    /// Whether an operation can be part of a run of this shape.
    pub(super) fn accepts(
        record: &Record<F>,
        shapes: &[Shape],
        node: u32,
        shape: Shape,
        wants: &[bool],
    ) -> bool {
        let fits = |&input: &u32| {
            let own = shapes[input as usize];
            own == shape || own.numel() == 1 && !wants[input as usize]
        };
        shapes[node as usize] == shape
            && record.op(node as usize).is_elementwise()
            && record.nodes[node as usize].inputs.iter().all(fits)
    }

    /// The same run with memory of its own.
    pub(super) fn copy(&self) -> Self {
        Self {
            nodes: self.nodes.clone(),
            shape: self.shape,
            inputs: self.inputs.clone(),
            scalars: self.scalars.clone(),
            reads: self.reads.clone(),
            stored: self.stored.clone(),
            wanted: self.wanted.clone(),
            workspaces: Vec::new(),
        }
    }

    /// The values from outside that cotangents leave for, and their places.
    pub(super) fn leaving(&self, wants: &[bool]) -> impl Iterator<Item = (u32, u32)> {
        let places = self.inputs.iter().copied().enumerate();
        places
            .filter(|&(_, input)| wants[input as usize])
            .map(|(place, input)| (place as u32, input))
    }

    /// The place of a node's value.
    pub(super) fn place_of(&self, k: usize) -> u32 {
        (self.first() + k) as u32
    }

    /// The place of the first node.
    fn first(&self) -> usize {
        self.inputs.len() + self.scalars.len()
    }

    /// Computes the values that are read outside.
    pub(super) fn compute(&mut self, record: &mut Record<F>) {
        let mut stored = SmallVec::<[Tensor<F>; 4]>::new();
        stored.extend(
            self.stored.iter().filter(|stored| **stored).map(|_| Tensor::scratch(self.shape)),
        );
        let outputs = stored.iter_mut().map(Tensor::as_mut_slice).collect();
        let mut workspaces = self.workspaces(record);
        shared(
            &mut workspaces,
            self.shape.numel(),
            outputs,
            SmallVec::new(),
            &|ws, at, outputs, _| {
                self.compute_chunk(record, ws, at.clone());
                let first = self.first();
                let results =
                    ws.values[first..].iter().zip(&self.stored).filter(|(_, stored)| **stored);
                for (out, (value, _)) in outputs.iter_mut().zip(results) {
                    out.copy_from_slice(value.as_slice());
                }
            },
        );
        self.workspaces = workspaces;
        let nodes = self.nodes.iter().zip(&self.stored).filter(|(_, stored)| **stored);
        for ((&node, _), value) in nodes.zip(stored) {
            record.nodes[node as usize].content = Content::Value(value);
        }
    }

    /// Computes the values of a chunk.
    fn compute_chunk(&self, record: &Record<F>, ws: &mut Workspace<F>, at: Range<usize>) {
        let chunk = Shape::from([at.len()]);
        for (&input, value) in self.inputs.iter().zip(&mut ws.values) {
            let from = record.nodes[input as usize].value().as_slice();
            value.overwrite_as(chunk).copy_from_slice(&from[at.clone()]);
        }
        for (k, &node) in self.nodes.iter().enumerate() {
            let (before, rest) = ws.values.split_at_mut(self.first() + k);
            let (x, y) = (few(&self.reads[k], |place| &before[place as usize]), &mut rest[0]);
            y.overwrite_as(chunk);
            let op = record.op(node as usize);
            if let Err(mistake) = op.forward_into(&x, None, y) {
                std::panic::resume_unwind(Box::new(mistake.in_operation(&op.name())));
            }
        }
    }

    /// Passes cotangents through the run, from `memory` to `memory`.
    pub(super) fn differentiate(
        &mut self,
        record: &mut Record<F>,
        RunSlots { arriving, leaving }: &RunSlots,
        memory: &mut [Tensor<F>],
        arrived: &mut [bool],
    ) {
        let here = arriving.iter().filter(|(_, slot)| std::mem::take(&mut arrived[*slot as usize]));
        let here = here.copied().collect::<SmallVec<[_; 4]>>();
        if !here.is_empty() {
            let mut take =
                |slot: u32| std::mem::replace(&mut memory[slot as usize], Tensor::nothing());
            let given = here.iter().map(|&(_, slot)| take(slot)).collect::<SmallVec<[_; 4]>>();
            let mut sums =
                leaving.iter().map(|&(_, slot)| take(slot)).collect::<SmallVec<[_; 4]>>();
            let before = leaving.iter().map(|&(_, slot)| arrived[slot as usize]);
            let before = before.collect::<SmallVec<[bool; 4]>>();
            let outputs = sums.iter_mut().zip(&before).map(|(sum, before)| {
                if *before { sum.as_mut_slice() } else { sum.overwrite_as(self.shape) }
            });
            let outputs = outputs.collect();
            let given = given.iter().map(Tensor::as_slice).collect();
            let mut workspaces = self.workspaces(record);
            shared(&mut workspaces, self.shape.numel(), outputs, given, &|ws, at, sums, given| {
                self.compute_chunk(record, ws, at.clone());
                let chunk = Shape::from([at.len()]);
                ws.arrived.fill(false);
                let mut put = |place: u32, g: &[F]| {
                    ws.cotangents[place as usize].overwrite_as(chunk).copy_from_slice(g);
                    ws.arrived[place as usize] = true;
                };
                here.iter().zip(given).for_each(|(&(place, _), g)| put(place, g));
                for ((&(place, _), sum), _) in
                    leaving.iter().zip(sums.iter()).zip(&before).filter(|(_, before)| **before)
                {
                    put(place, sum);
                }
                self.sweep_chunk(record, ws);
                for (&(place, _), sum) in leaving.iter().zip(sums) {
                    if ws.arrived[place as usize] {
                        sum.copy_from_slice(ws.cotangents[place as usize].as_slice());
                    }
                }
            });
            for (&(place, slot), sum) in leaving.iter().zip(sums) {
                memory[slot as usize] = sum;
                arrived[slot as usize] |= workspaces[0].arrived[place as usize];
            }
            self.workspaces = workspaces;
        }
        for (&node, _) in self.nodes.iter().zip(&self.stored).filter(|(_, stored)| **stored) {
            record.nodes[node as usize].content = Content::Released;
        }
    }

    /// Passes the cotangents of a chunk from node to node.
    fn sweep_chunk(&self, record: &Record<F>, ws: &mut Workspace<F>) {
        for k in (0..self.nodes.len()).rev() {
            let place = self.first() + k;
            if !ws.arrived[place] {
                continue;
            }
            let x = few(&self.reads[k], |place| &ws.values[place as usize]);
            let (before, rest) = ws.cotangents.split_at_mut(place);
            for &(i, to) in &self.wanted[k] {
                let to = to as usize;
                let shape = ws.values[to].shape();
                let into = Cotangent::kept(shape, &mut before[to], &mut ws.arrived[to]);
                let op = record.op(self.nodes[k] as usize);
                op.vjp_into(i as usize, &x, None, &ws.values[place], &rest[0], into);
            }
        }
    }

    /// Memory for each thread, with the numbers that are the same for all chunks.
    fn workspaces(&mut self, record: &Record<F>) -> Vec<Workspace<F>> {
        let mut workspaces = std::mem::take(&mut self.workspaces);
        workspaces.resize_with(rayon::current_num_threads(), Workspace::default);
        let places = self.first() + self.nodes.len();
        for ws in &mut workspaces {
            ws.values.resize_with(places, Tensor::nothing);
            ws.cotangents.resize_with(places, Tensor::nothing);
            ws.arrived.resize(places, false);
            for (&scalar, value) in self.scalars.iter().zip(&mut ws.values[self.inputs.len()..]) {
                *value = record.nodes[scalar as usize].value().with_shape(Shape::SCALAR);
            }
        }
        workspaces
    }
}

/// A job on a chunk: its memory, its elements, the parts of the outputs and of the inputs.
type Job<'j, F> = &'j (dyn Fn(&mut Workspace<F>, &Range<usize>, &mut [&mut [F]], &[&[F]]) + Sync);

type Outputs<'a, F> = SmallVec<[&'a mut [F]; 4]>;
type Given<'a, F> = SmallVec<[&'a [F]; 4]>;

/// Runs a job on all chunks of `count` elements; each thread takes one stretch of them.
fn shared<F: Float>(
    workspaces: &mut [Workspace<F>],
    count: usize,
    mut outputs: Outputs<'_, F>,
    given: Given<'_, F>,
    job: Job<'_, F>,
) {
    if let [alone] = workspaces {
        return each_chunk(alone, 0..count, outputs, &given, job);
    }
    // Whole chunks, so that the first workspace is never idle.
    let stretch = count.div_ceil(workspaces.len()).next_multiple_of(CHUNK);
    let mut stretches = Vec::new();
    for start in (0..count).step_by(stretch) {
        let end = count.min(start + stretch);
        let mut parts = Outputs::new();
        let mut rests = Outputs::new();
        for out in outputs {
            let (part, rest) = out.split_at_mut(end - start);
            parts.push(part);
            rests.push(rest);
        }
        outputs = rests;
        stretches.push((start..end, parts));
    }
    let stretches = workspaces.par_iter_mut().zip(stretches);
    stretches.for_each(|(ws, (at, parts))| each_chunk(ws, at, parts, &given, job));
}

/// Runs a job on all chunks of a stretch, one after the other.
fn each_chunk<F: Float>(
    ws: &mut Workspace<F>,
    stretch: Range<usize>,
    mut outputs: Outputs<'_, F>,
    given: &[&[F]],
    job: Job<'_, F>,
) {
    for start in stretch.clone().step_by(CHUNK) {
        let at = start..stretch.end.min(start + CHUNK);
        let mut parts = Outputs::new();
        for out in &mut outputs {
            let (part, rest) = std::mem::take(out).split_at_mut(at.len());
            parts.push(part);
            *out = rest;
        }
        let given = given.iter().map(|g| &g[at.clone()]).collect::<Given<'_, F>>();
        job(ws, &at, &mut parts, &given);
    }
}
