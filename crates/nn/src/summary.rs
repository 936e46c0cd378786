//! What a model is made of, layer by layer, and whether shapes fit: asked of a tape that infers shapes.

use std::fmt;

use wengert_core::{
    Float, LayerTrace, ParamId, Params, Shape, ShapeError, ShapeTrace, Tape, Var, eval_shape,
};

use crate::Module;

/// The shape that a model makes of an input of this shape, or the first shape mistake, where `forward`
/// would panic. Nothing is computed; layers evaluate.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_nn::{Linear, check_shapes};
///
/// let layer = Linear::<f32>::new(4, 3, &mut ChaCha8Rng::seed_from_u64(0));
/// assert_eq!(check_shapes(&layer, [64, 4]), Ok([64, 3].into()));
/// let refused = check_shapes(&layer, [64, 5]).unwrap_err().to_string();
/// assert_eq!(refused, "linear: [64, 5] and weight [3, 4]: inputs differ (5 and 4)");
/// ```
///
/// # Errors
/// The shape mistake, in the words of the operation or layer.
pub fn check_shapes<F: Float>(
    model: &(impl Module<F> + ?Sized),
    input: impl Into<Shape>,
) -> Result<Shape, ShapeError> {
    let input = input.into();
    eval_shape(|tape| model.forward(tape.placeholder(input))).map(|found| found.output)
}

/// The layers of a model, with what each costs, for an input of this shape. Prints as a table, after
/// torchinfo (<https://github.com/TylerYep/torchinfo>).
///
/// # Errors
/// As [`check_shapes`].
pub fn summary<F: Float, M: Module<F> + ?Sized>(
    model: &M,
    input: impl Into<Shape>,
) -> Result<Summary, ShapeError> {
    let input = input.into();
    summary_of(model, model.name(), |tape| model.forward(tape.placeholder(input)))
}

/// The same for a model that takes more than one variable, or tokens: `run` says how it is run, and
/// `name` what it is called.
///
/// # Errors
/// As [`check_shapes`].
pub fn summary_of<F: Float>(
    model: &(impl Params<F> + ?Sized),
    name: &str,
    run: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
) -> Result<Summary, ShapeError> {
    let found = eval_shape(run)?;
    let mut params = Vec::new();
    model.visit(wengert_core::Path::ROOT, &mut |path, leaf| {
        if let wengert_core::Leaf::Param(param) = leaf {
            let (count, frozen) = (param.value().numel(), param.is_frozen());
            params.push(Known { id: param.id(), name: path.to_string(), count, frozen });
        }
    });
    Ok(Summary::new(name, &found, &params, size_of::<F>()))
}

/// A parameter of the model.
struct Known {
    id: ParamId,
    name: String,
    count: usize,
    frozen: bool,
}

/// What [`summary`] returns. What a row counts is its own: what belongs to a layer inside of it is in that
/// one's row, so that the rows add up.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The model itself, then its layers in the order in which they run.
    pub rows: Vec<Row>,
    /// The numbers of all parameters.
    pub params: usize,
    /// Those that are not frozen.
    pub trainable: usize,
    /// Multiply-adds of one run forward: of products and convolutions, a bias as one more summand.
    pub multiply_adds: u64,
    /// Bytes of the input.
    pub input_bytes: usize,
    /// Bytes of all values that a recording keeps for the way back.
    pub value_bytes: usize,
    /// Bytes of all parameters.
    pub param_bytes: usize,
}

/// A layer in a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// 0 for the model, 1 for its layers, 2 for those inside of them.
    pub depth: usize,
    /// What kind of layer.
    pub layer: String,
    /// Its dotted name, as far as its parameters tell it.
    pub name: String,
    /// The shape that comes out.
    pub output: Shape,
    /// The numbers of its parameters. One that a row above has counted, such as a tied weight, counts there.
    pub params: usize,
    /// Its multiply-adds.
    pub multiply_adds: u64,
    /// Bytes of its values.
    pub value_bytes: usize,
}

impl Summary {
    fn new(name: &str, found: &ShapeTrace, params: &[Known], width: usize) -> Self {
        let layers = &found.layers;
        // A container is the model itself where it is the only outermost layer and has its name.
        let outermost = layers.iter().filter(|layer| layer.depth == 0).count();
        let is_model = outermost == 1 && layers.first().is_some_and(|layer| layer.kind == name);
        let root = LayerTrace {
            kind: "",
            depth: 0,
            output: found.output,
            params: params.iter().map(|param| param.id).collect(),
            multiply_adds: found.multiply_adds,
            values: found.values,
        };
        let below = layers.iter().skip(usize::from(is_model)).cloned();
        let deeper = usize::from(!is_model);
        let below = below.map(|layer| LayerTrace { depth: layer.depth + deeper, ..layer });
        let layers: Vec<_> = [root].into_iter().chain(below).collect();
        let layers = &layers[..];
        let inside = |i: usize| {
            let depth = layers[i].depth;
            let all = (i + 1..layers.len()).take_while(move |inner| layers[*inner].depth > depth);
            all.filter(move |inner| layers[*inner].depth == depth + 1)
        };
        let reads = |i: usize, param: &Known| -> bool { layers[i].params.contains(&param.id) };
        let own = |i: usize| {
            params.iter().filter(move |p| reads(i, p) && !inside(i).any(|inner| reads(inner, p)))
        };

        // From the last, so that what is inside of a layer has its name already.
        let mut names = vec![String::new(); layers.len()];
        for i in (1..layers.len()).rev() {
            let named = inside(i).map(|inner| &names[inner]).filter(|name| !name.is_empty());
            names[i] = common(own(i).map(|param| &param.name).chain(named).map(|n| parent(n)));
        }
        let mut counted: Vec<ParamId> = Vec::new();
        let mut row = |(i, name_of_layer): (usize, String)| {
            let layer = &layers[i];
            let new: Vec<_> = own(i).filter(|param| !counted.contains(&param.id)).collect();
            counted.extend(new.iter().map(|param| param.id));
            let inner = || inside(i).map(|inner| &layers[inner]);
            Row {
                depth: layer.depth,
                layer: if i == 0 { name } else { layer.kind }.to_owned(),
                name: name_of_layer,
                output: layer.output,
                params: new.iter().map(|param| param.count).sum(),
                multiply_adds: layer.multiply_adds
                    - inner().map(|inner| inner.multiply_adds).sum::<u64>(),
                value_bytes: (layer.values - inner().map(|inner| inner.values).sum::<usize>())
                    * width,
            }
        };
        let rows = names.into_iter().enumerate().map(&mut row).collect();
        let count = |frozen: bool| -> usize {
            params.iter().filter(|param| param.frozen == frozen).map(|param| param.count).sum()
        };
        let all = count(true) + count(false);
        Summary {
            rows,
            params: all,
            trainable: count(false),
            multiply_adds: found.multiply_adds,
            input_bytes: found.inputs * width,
            value_bytes: found.values * width,
            param_bytes: all * width,
        }
    }
}

/// The dotted name within which all of these lie.
fn common<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let first = names.next().unwrap_or("");
    let common = names.fold(first, |mut common, name| {
        while !is_within(name, common) {
            common = parent(common);
        }
        common
    });
    common.to_owned()
}

/// The dotted name of what holds this.
fn parent(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(holder, _)| holder)
}

/// Whether a dotted name is `holder` or lies within.
fn is_within(name: &str, holder: &str) -> bool {
    let rest = name.strip_prefix(holder);
    rest.is_some_and(|rest| holder.is_empty() || rest.is_empty() || rest.starts_with('.'))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cells = vec![
            ["Layer (type:depth-idx)", "Name", "Output shape", "Params", "Mult-adds", "Memory"]
                .map(str::to_owned),
        ];
        let mut seen: Vec<usize> = Vec::new();
        for row in &self.rows {
            seen.resize(seen.len().max(row.depth + 1), 0);
            seen[row.depth] += 1;
            let layer = match row.depth {
                0 => row.layer.clone(),
                depth => {
                    let indent = "    ".repeat(depth - 1);
                    format!("{indent}\u{251c}\u{2500}{}: {depth}-{}", row.layer, seen[depth])
                }
            };
            cells.push([
                layer,
                row.name.clone(),
                format!("{:?}", row.output),
                number(row.params as u64),
                number(row.multiply_adds),
                number(row.value_bytes as u64),
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
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        let Self { params, trainable, multiply_adds, .. } = self;
        let total = self.input_bytes + self.value_bytes + self.param_bytes;
        writeln!(f, "{line}")?;
        writeln!(f, "Total params: {}", grouped(*params as u64))?;
        writeln!(f, "Trainable params: {}", grouped(*trainable as u64))?;
        writeln!(f, "Non-trainable params: {}", grouped((params - trainable) as u64))?;
        writeln!(f, "Total mult-adds (M): {:.2}", *multiply_adds as f64 / 1e6)?;
        writeln!(f, "{line}")?;
        writeln!(f, "Input size (MB): {:.2}", megabytes(self.input_bytes))?;
        writeln!(f, "Values on the tape (MB): {:.2}", megabytes(self.value_bytes))?;
        writeln!(f, "Params size (MB): {:.2}", megabytes(self.param_bytes))?;
        writeln!(f, "Estimated total size (MB): {:.2}", megabytes(total))?;
        write!(f, "{line}")
    }
}

/// A number of a row; two dashes for none, as torchinfo has it.
fn number(n: u64) -> String {
    if n == 0 { "--".to_owned() } else { grouped(n) }
}

/// With a comma in front of each three digits.
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
