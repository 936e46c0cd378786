//! The layers of a model with their shapes, parameters and costs, without running the model.

use std::fmt;
use std::iter::Peekable;

use wengert_core::{
    Float, LayerTrace, Leaf, ParamId, Params, Path, Shape, ShapeError, ShapeTrace, Tape, Var,
    eval_shape,
};

use crate::Module;

/// Returns the output shape of a model for an input of this shape, or the first shape mistake, at which `forward`
/// would panic. The model runs in evaluation mode and computes no values.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_nn::{Linear, check_shapes};
///
/// let layer = Linear::<f32>::new(4, 3, &mut ChaCha8Rng::seed_from_u64(0));
/// assert_eq!(check_shapes(&layer, [64, 4]), Ok([64, 3].into()));
/// let mistake = check_shapes(&layer, [64, 5]).unwrap_err().to_string();
/// assert!(mistake.starts_with("linear: [64, 5] and weight [3, 4]"));
/// ```
///
/// # Errors
/// Returns the shape mistake, with the message of the operation or layer.
pub fn check_shapes<F: Float>(
    model: &(impl Module<F> + ?Sized),
    input: impl Into<Shape>,
) -> Result<Shape, ShapeError> {
    let input = input.into();
    eval_shape(|tape| model.forward(tape.placeholder(input))).map(|trace| trace.output)
}

/// Returns a [`Summary`] of a model for an input of this shape: a row for each layer, and totals. It prints as a
/// table, like that of torchinfo (<https://github.com/TylerYep/torchinfo>). The model runs in evaluation mode and
/// computes no values.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_nn::{Linear, Relu, Sequential, summary};
///
/// let rng = &mut ChaCha8Rng::seed_from_u64(0);
/// let net = Sequential::<f32>::new()
///     .then(Linear::new(4, 8, rng))
///     .then(Relu)
///     .then(Linear::new(8, 2, rng));
/// let summary = summary(&net, [64, 4])?;
/// assert_eq!((summary.params, summary.rows[1].name.as_str()), (58, "0"));
/// println!("{summary}");
/// # Ok::<(), wengert_core::ShapeError>(())
/// ```
///
/// # Errors
/// Returns the first shape mistake, like [`check_shapes`].
pub fn summary<F: Float, M: Module<F> + ?Sized>(
    model: &M,
    input: impl Into<Shape>,
) -> Result<Summary, ShapeError> {
    let input = input.into();
    summary_of(model, model.name(), |tape| model.forward(tape.placeholder(input)))
}

/// Returns a [`Summary`] of a model that takes several variables, or tokens: `name` is the name of the
/// model, `run` records its output.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_nn::{Embedding, summary_of};
///
/// let embedding = Embedding::<f32>::new(5, 3, &mut ChaCha8Rng::seed_from_u64(0));
/// let summary = summary_of(&embedding, "Embedding", |tape| embedding.forward(tape, [4, 0]))?;
/// assert_eq!(summary.rows[0].output, [2, 3].into());
/// # Ok::<(), wengert_core::ShapeError>(())
/// ```
///
/// # Errors
/// Returns the first shape mistake, like [`check_shapes`].
pub fn summary_of<F: Float>(
    model: &(impl Params<F> + ?Sized),
    name: &str,
    run: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
) -> Result<Summary, ShapeError> {
    let trace = eval_shape(run)?;
    let mut params = Vec::new();
    model.visit(Path::ROOT, &mut |path, leaf| {
        if let Leaf::Param(param) = leaf {
            let (count, frozen) = (param.value().numel(), param.is_frozen());
            params.push(ParamInfo { id: param.id(), name: path.to_string(), count, frozen });
        }
    });
    Ok(Summary::new(name, trace, &params, size_of::<F>()))
}

/// The layers of a model, and totals; see [`summary()`]. A row counts what belongs to the layer itself
/// and not to a layer inside it, so that the rows add up to the totals.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The model, then its layers in the order in which they run.
    pub rows: Vec<Row>,
    /// The number of elements of all parameters.
    pub params: usize,
    /// The number of elements of the parameters that are not frozen.
    pub trainable: usize,
    /// Multiply-adds of the products and convolutions in one forward pass; a bias counts as one more summand.
    pub multiply_adds: u64,
    /// Bytes of the input.
    pub input_bytes: usize,
    /// Bytes of the values that a tape keeps for the backward pass.
    pub value_bytes: usize,
    /// Bytes of all parameters.
    pub param_bytes: usize,
}

/// A layer in a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The depth: 0 for the model, 1 for its layers, 2 for the layers inside them.
    pub depth: usize,
    /// The kind of layer.
    pub layer: String,
    /// The dotted name, as in the names of parameters. Empty for the model, and for a layer without
    /// parameters that is in no [`Sequential`](crate::Sequential).
    pub name: String,
    /// The shape of the output.
    pub output: Shape,
    /// The number of elements of its parameters. A parameter that several layers read, such as a tied
    /// weight, counts in the first of them.
    pub params: usize,
    /// Its multiply-adds.
    pub multiply_adds: u64,
    /// Bytes of its values.
    pub value_bytes: usize,
}

/// A parameter of the model.
struct ParamInfo {
    id: ParamId,
    name: String,
    count: usize,
    frozen: bool,
}

/// A layer with the layers inside it. The figures of its trace include theirs.
struct Layer {
    trace: LayerTrace,
    name: String,
    inner: Vec<Layer>,
}

impl Layer {
    /// Takes the layers of this depth, which are in the order of recording, with those inside them.
    fn nest(traces: &mut Peekable<impl Iterator<Item = LayerTrace>>, depth: usize) -> Vec<Layer> {
        let mut layers = Vec::new();
        while let Some(trace) = traces.next_if(|trace| trace.depth == depth) {
            let inner = Self::nest(traces, depth + 1);
            layers.push(Layer { trace, name: String::new(), inner });
        }
        layers
    }

    /// The parameters that this layer reads and none of the layers inside it.
    fn own_params<'p>(&self, params: &'p [ParamInfo]) -> impl Iterator<Item = &'p ParamInfo> {
        params.iter().filter(|param| {
            let is_read = |layer: &Layer| layer.trace.params.contains(&param.id);
            is_read(self) && !self.inner.iter().any(is_read)
        })
    }

    /// Returns a figure of this layer without the layers inside it.
    fn own(&self, figure: impl Fn(&LayerTrace) -> u64) -> u64 {
        figure(&self.trace) - self.inner.iter().map(|layer| figure(&layer.trace)).sum::<u64>()
    }

    /// Names this layer and those inside it by what their parameters have in common.
    fn name_by_params(&mut self, params: &[ParamInfo]) {
        self.inner.iter_mut().for_each(|layer| layer.name_by_params(params));
        let inner = self.inner.iter().map(|layer| &layer.name).filter(|name| !name.is_empty());
        let own = self.own_params(params).map(|param| &param.name);
        self.name = common_holder(own.chain(inner));
    }

    /// Names the layers inside this one that no parameter names, by their place in this one.
    fn name_by_place(&mut self) {
        for layer in &mut self.inner {
            if let (true, Some(place)) = (layer.name.is_empty(), layer.trace.place) {
                let joint = if self.name.is_empty() { "" } else { "." };
                layer.name = format!("{}{joint}{place}", self.name);
            }
            if !layer.name.is_empty() {
                layer.name_by_place();
            }
        }
    }

    /// Appends the rows of this layer and of those inside it.
    fn add_rows(
        &self,
        depth: usize,
        params: &[ParamInfo],
        width: usize,
        counted: &mut Vec<ParamId>,
        rows: &mut Vec<Row>,
    ) {
        let mut new: Vec<_> = self.own_params(params).collect();
        new.retain(|param| !counted.contains(&param.id));
        counted.extend(new.iter().map(|param| param.id));
        rows.push(Row {
            depth,
            layer: self.trace.kind.to_owned(),
            name: self.name.clone(),
            output: self.trace.output,
            params: new.iter().map(|param| param.count).sum(),
            multiply_adds: self.own(|trace| trace.multiply_adds),
            value_bytes: self.own(|trace| trace.values as u64) as usize * width,
        });
        for layer in &self.inner {
            layer.add_rows(depth + 1, params, width, counted, rows);
        }
    }
}

impl Summary {
    /// `width` is the number of bytes of an element.
    fn new(name: &str, trace: ShapeTrace, params: &[ParamInfo], width: usize) -> Self {
        let mut layers = Layer::nest(&mut trace.layers.into_iter().peekable(), 0);
        // A container that is the model itself has the model's name and stands alone.
        if layers.len() == 1 && layers[0].trace.kind == name {
            layers = layers.remove(0).inner;
        }
        layers.iter_mut().for_each(|layer| layer.name_by_params(params));
        let root = LayerTrace {
            kind: "",
            place: None,
            depth: 0,
            output: trace.output,
            params: params.iter().map(|param| param.id).collect(),
            multiply_adds: trace.multiply_adds,
            values: trace.values,
        };
        let mut root = Layer { trace: root, name: String::new(), inner: layers };
        root.name_by_place();
        let mut rows = Vec::new();
        root.add_rows(0, params, width, &mut Vec::new(), &mut rows);
        rows[0].layer = name.to_owned();

        let count = |trainable: bool| {
            let counted = params.iter().filter(|param| !(trainable && param.frozen));
            counted.map(|param| param.count).sum()
        };
        let all: usize = count(false);
        Summary {
            rows,
            params: all,
            trainable: count(true),
            multiply_adds: trace.multiply_adds,
            input_bytes: trace.inputs * width,
            value_bytes: trace.values * width,
            param_bytes: all * width,
        }
    }
}

/// Returns the innermost dotted name that holds all of these.
fn common_holder<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let common = names.map(|name| holder(name)).reduce(|mut common, name| {
        while !is_within(name, common) {
            common = holder(common);
        }
        common
    });
    common.unwrap_or("").to_owned()
}

/// Returns the dotted name without its last part.
fn holder(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(holder, _)| holder)
}

/// Returns whether a dotted name is `holder` or lies within it.
fn is_within(name: &str, holder: &str) -> bool {
    let rest = name.strip_prefix(holder);
    rest.is_some_and(|rest| holder.is_empty() || rest.is_empty() || rest.starts_with('.'))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads =
            ["Layer (type:depth-idx)", "Name", "Output shape", "Params", "Mult-adds", "Values"];
        let mut cells = vec![heads.map(str::to_owned)];
        let mut seen_at: Vec<usize> = Vec::new();
        for row in &self.rows {
            seen_at.resize(seen_at.len().max(row.depth + 1), 0);
            seen_at[row.depth] += 1;
            let layer = match row.depth {
                0 => row.layer.clone(),
                depth => {
                    let indent = "    ".repeat(depth - 1);
                    format!("{indent}\u{251c}\u{2500}{}: {depth}-{}", row.layer, seen_at[depth])
                }
            };
            cells.push([
                layer,
                row.name.clone(),
                format!("{:?}", row.output),
                or_dashes(row.params, grouped(row.params as u64)),
                or_dashes(row.multiply_adds, grouped(row.multiply_adds)),
                or_dashes(row.value_bytes, size(row.value_bytes)),
            ]);
        }
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max();
        let widths: [usize; 6] = std::array::from_fn(|column| width(column).unwrap_or(0));
        let line = "=".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
        writeln!(f, "{line}")?;
        for (i, row) in cells.iter().enumerate() {
            let mut text = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                // Words to the left, numbers to the right.
                text += &match column {
                    0..3 => format!("{cell:<width$}  "),
                    _ => format!("{cell:>width$}  "),
                };
            }
            writeln!(f, "{}", text.trim_end())?;
            if i == 0 {
                writeln!(f, "{line}")?;
            }
        }
        let Self { params, trainable, input_bytes, value_bytes, param_bytes, .. } = *self;
        writeln!(f, "{line}")?;
        writeln!(f, "Total params: {}", grouped(params as u64))?;
        writeln!(f, "Trainable params: {}", grouped(trainable as u64))?;
        writeln!(f, "Non-trainable params: {}", grouped((params - trainable) as u64))?;
        writeln!(f, "Total mult-adds: {}", grouped(self.multiply_adds))?;
        writeln!(f, "{line}")?;
        writeln!(f, "Input size: {}", size(input_bytes))?;
        writeln!(f, "Values on the tape: {}", size(value_bytes))?;
        writeln!(f, "Params size: {}", size(param_bytes))?;
        writeln!(f, "Estimated total size: {}", size(input_bytes + value_bytes + param_bytes))?;
        write!(f, "{line}")
    }
}

/// Returns two dashes for a figure of 0, as torchinfo does.
fn or_dashes<N: Default + PartialEq>(figure: N, text: String) -> String {
    if figure == N::default() { "--".to_owned() } else { text }
}

/// Formats a number of bytes in the largest unit of which there is at least one.
fn size(bytes: usize) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("KB", 1e3)];
    match units.into_iter().find(|(_, unit)| bytes as f64 >= *unit) {
        Some((name, unit)) => format!("{:.2} {name}", bytes as f64 / unit),
        None => format!("{bytes} B"),
    }
}

/// Formats a number with a comma in front of each three digits.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
