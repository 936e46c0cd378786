//! Draws programs.

use serde_json::{Value as Json, json};
use wengert::core::{Tape, Var};
use wengert::rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use wengert::{Shape, Tensor};

use super::ops::{self, FAMILIES};
use super::program::{Array, Node, Program, Settings};

/// The kind of numbers that the inputs of a program hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Multiples of 1/64 from -3 to 3.
    Ordinary,
    /// Few different numbers, so that they tie and lie at kinks.
    Ties,
    /// Ordinary ones, and some of the extremes.
    Special,
}

/// Kinks, poles and borders of the operations.
const TIES: [f64; 13] = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 3.0, -3.0, 6.0, 1.5, -2.0, 0.25];

/// The extremes. All are single-precision numbers.
const EXTREMES: [f64; 14] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1.401298464324817e-45,   // the smallest of single precision
    -1.1754942106924411e-38, // subnormal there
    1.1754943508222875e-38,
    3.4028234663852886e38,
    -3.4028234663852886e38,
    1e10,
    -100.0,
    100.0,
    16777216.0,
];

/// The most elements of an operand.
const LARGEST: usize = 48;

/// A program that is being drawn.
pub(super) struct Draw<'t> {
    rng: ChaCha8Rng,
    mood: Mood,
    /// Whether extents may be 0.
    empty: bool,
    tape: &'t Tape<f64>,
    nodes: Vec<Node>,
    values: Vec<Var<'t, f64>>,
}

/// The operands and settings of a step.
pub(super) type Drawn = (Vec<usize>, Json);

impl Draw<'_> {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    pub(super) fn between(&mut self, low: isize, high: isize) -> isize {
        low + self.below((high - low + 1) as usize) as isize
    }

    /// True with the probability of 1 in `n`.
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn choose<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// A multiple of 1/4 from `low` to `high`.
    pub(super) fn number(&mut self, low: f64, high: f64) -> f64 {
        let steps = ((high - low) * 4.0) as usize;
        low + self.below(steps + 1) as f64 / 4.0
    }

    pub(super) fn is_special(&self) -> bool {
        self.mood == Mood::Special
    }

    pub(super) fn extent(&mut self) -> usize {
        match self.below(16) {
            0 if self.empty => 0,
            0..=3 => 1,
            4..=7 => 2,
            8..=13 => 3,
            _ => 4,
        }
    }

    /// An extent that is not 0.
    pub(super) fn some(&mut self) -> usize {
        self.extent().max(1)
    }

    pub(super) fn extents(&mut self, rank: usize) -> Vec<usize> {
        (0..rank).map(|_| self.extent()).collect()
    }

    fn element(&mut self) -> f64 {
        let ordinary = self.rng.random_range(-192..=192i32);
        match (self.mood, self.below(5)) {
            (Mood::Ties, _) | (Mood::Special, 0) => self.choose(&TIES),
            (Mood::Special, 1 | 2) => self.choose(&EXTREMES),
            _ => f64::from(ordinary) / 64.0,
        }
    }

    pub(super) fn array(&mut self, shape: &[usize]) -> Tensor<f64> {
        Tensor::from_fn(shape, |_| self.element())
    }

    /// Numbers of the ordinary kind.
    pub(super) fn ordinary(&mut self, shape: &[usize]) -> Json {
        let mood = std::mem::replace(&mut self.mood, Mood::Ordinary);
        let array = self.array(shape);
        self.mood = mood;
        json!(Array::of(&array))
    }

    /// Multiples of 1/4 from `low` to `high`.
    pub(super) fn numbers(&mut self, shape: &[usize], low: f64, high: f64) -> Tensor<f64> {
        Tensor::from_fn(shape, |_| self.number(low, high))
    }

    /// Positive numbers, such as weights of classes.
    pub(super) fn positive(&mut self, shape: &[usize]) -> Json {
        json!(Array::of(&self.numbers(shape, 0.25, 2.0)))
    }

    /// Indices below a bound.
    pub(super) fn indices(&mut self, shape: &[usize], bound: usize) -> Json {
        let data = (0..shape.iter().product()).map(|_| self.below(bound)).collect::<Vec<_>>();
        json!({ "shape": shape, "data": data })
    }

    pub(super) fn push(&mut self, op: &str, args: Vec<usize>, settings: Json) -> usize {
        let node = Node { op: op.into(), args, settings: Settings::from(settings) };
        self.values.push(match op {
            "input" => self.tape.constant(&node.settings.array().tensor()),
            _ => {
                let args = node.args.iter().map(|&i| self.values[i]).collect::<Vec<_>>();
                ops::run(op, &args, &node.settings)
            }
        });
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(super) fn shape(&self, value: usize) -> Shape {
        self.values[value].shape()
    }

    /// A new input.
    pub(super) fn input(&mut self, shape: &[usize]) -> usize {
        let array = self.array(shape);
        self.push("input", vec![], json!(Array::of(&array)))
    }

    /// A parameter of a layer, mostly of ordinary numbers: extremes in all of them would make everything NaN.
    pub(super) fn parameter(&mut self, shape: &[usize]) -> usize {
        let array = if self.one_in(6) {
            json!(Array::of(&self.array(shape)))
        } else {
            self.ordinary(shape)
        };
        self.push("input", vec![], array)
    }

    /// A new input with these elements.
    pub(super) fn input_of(&mut self, tensor: &Tensor<f64>) -> usize {
        self.push("input", vec![], json!(Array::of(tensor)))
    }

    /// A value whose shape fits, mostly the latest.
    pub(super) fn fitting(&mut self, fits: impl Fn(Shape) -> bool) -> Option<usize> {
        let fits = |i: &usize| self.shape(*i).numel() <= LARGEST && fits(self.shape(*i));
        let found = (0..self.values.len()).filter(fits).collect::<Vec<_>>();
        match found.last() {
            None => None,
            Some(&last) if self.below(3) > 0 => Some(last),
            Some(_) => Some(self.choose(&found)),
        }
    }

    /// A value with a number of axes in this range.
    pub(super) fn of_rank(&mut self, least: usize, most: usize) -> usize {
        match self.fitting(|shape| (least..=most).contains(&shape.rank())) {
            Some(found) => found,
            None => {
                let rank = least + self.below(most.min(4) - least + 1);
                let extents = self.extents(rank);
                self.input(&extents)
            }
        }
    }

    pub(super) fn any(&mut self) -> usize {
        self.of_rank(0, 4)
    }

    /// A value of this shape.
    pub(super) fn like(&mut self, shape: &[usize]) -> usize {
        match self.one_in(4) {
            true => self.input(shape),
            false => self.fitting(|own| *own == *shape).unwrap_or_else(|| self.input(shape)),
        }
    }

    /// A value that broadcasts to this shape.
    pub(super) fn broadcasting(&mut self, shape: &[usize]) -> usize {
        let to = Shape::new(shape);
        let fits = |own: Shape| own.broadcast(to) == Ok(to);
        if self.below(3) > 0
            && let Some(found) = self.fitting(fits)
        {
            return found;
        }
        let dropped = if self.one_in(3) { self.below(shape.len() + 1) } else { 0 };
        let extents = shape[dropped..].iter().map(|&n| if self.one_in(4) { 1 } else { n });
        let extents = extents.collect::<Vec<_>>();
        self.input(&extents)
    }

    pub(super) fn axis(&mut self, value: usize) -> isize {
        let rank = self.shape(value).rank() as isize;
        self.between(-rank, rank - 1)
    }

    /// Some axes, or null for all elements.
    pub(super) fn axes(&mut self, value: usize) -> Json {
        if self.one_in(4) {
            return Json::Null;
        }
        let rank = self.shape(value).rank();
        let axes = (0..rank).filter(|_| self.one_in(2)).collect::<Vec<_>>();
        json!(axes)
    }

    /// A function of a value into this interval, or the value itself if it may lie outside.
    pub(super) fn within(&mut self, value: usize, domain: (f64, f64)) -> usize {
        if self.is_special() || self.one_in(4) {
            return value;
        }
        let (low, high) = domain;
        let unit = self.push("sigmoid", vec![value], json!({}));
        let scaled = self.push("mul_scalar", vec![unit], json!({ "factor": high - low }));
        self.push("add_scalar", vec![scaled], json!({ "summand": low }))
    }

    fn step(&mut self) {
        let (names, draw) = self.choose(&FAMILIES);
        let op = self.choose(names);
        let (args, mut settings) = draw(op, self);
        // A null stands for a setting that is not given.
        settings.as_object_mut().expect("settings").retain(|_, value| !value.is_null());
        self.push(op, args, settings);
    }
}

/// Draws the program of a seed.
pub(crate) fn draw(seed: u64) -> Program {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mood = match rng.random_range(0..8) {
        0..4 => Mood::Ordinary,
        4..6 => Mood::Ties,
        _ => Mood::Special,
    };
    let empty = rng.random_range(0..12) == 0;
    let steps = match rng.random_range(0..8) {
        0..4 => 1,
        4..7 => rng.random_range(2..=3),
        _ => rng.random_range(4..=8),
    };
    let tape = Tape::evaluating();
    let mut draw = Draw { rng, mood, empty, tape: &tape, nodes: vec![], values: vec![] };
    (0..steps).for_each(|_| draw.step());
    Program { seed, nodes: draw.nodes }
}
