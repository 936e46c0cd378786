//! The form of a program: nodes that are inputs or operations, in the order in which they run.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use wengert::ops::ConvTransposeOptions;
use wengert::{ConvOptions, Float, Indices, Padding, Pooling, Reduction, Shape, Tensor};

/// A program: its values are numbered by its nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Program {
    /// The number from which it was drawn.
    pub(crate) seed: u64,
    /// Inputs and operations; an operation comes after its operands.
    pub(crate) nodes: Vec<Node>,
}

/// An input, with the operation `input`, or one operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Node {
    /// The name of the operation.
    pub(crate) op: String,
    /// The numbers of the operands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) args: Vec<usize>,
    /// All else that the operation needs.
    #[serde(flatten)]
    pub(crate) settings: Settings,
}

impl Program {
    /// Returns the numbers of the inputs.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|&i| self.nodes[i].op == "input")
    }

    /// Returns the numbers of the values that no operation uses.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = usize> {
        let used = |i: &usize| self.nodes.iter().any(|node| node.args.contains(i));
        (0..self.nodes.len()).filter(move |i| !used(i))
    }
}

/// A tensor as text: numbers with blanks between them, so that NaN, infinities, -0 and all digits survive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Array {
    /// The extents.
    pub(crate) shape: Vec<usize>,
    /// The elements in row-major order.
    pub(crate) data: String,
}

impl Array {
    /// Writes a tensor.
    pub(crate) fn of<F: Float>(tensor: &Tensor<F>) -> Self {
        let numbers = tensor.as_slice().iter().map(|x| format!("{:?}", x.to_f64()));
        Self { shape: tensor.shape().to_vec(), data: numbers.collect::<Vec<_>>().join(" ") }
    }

    /// Reads a tensor.
    ///
    /// # Panics
    /// If the text is not a list of as many numbers.
    pub(crate) fn tensor<F: Float>(&self) -> Tensor<F> {
        let number = |word: &str| F::of(word.parse().expect("a number"));
        Tensor::from_vec(self.data.split_whitespace().map(number).collect(), &*self.shape)
    }
}

/// The settings of an operation, by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Settings(Map<String, Json>);

impl From<Json> for Settings {
    fn from(json: Json) -> Self {
        match json {
            Json::Object(map) => Self(map),
            other => panic!("settings are an object, not {other}"),
        }
    }
}

impl Settings {
    fn read<T: for<'a> Deserialize<'a>>(&self, key: &str) -> Option<T> {
        let value = self.0.get(key)?.clone();
        Some(serde_json::from_value(value).unwrap_or_else(|error| panic!("{key}: {error}")))
    }

    fn required<T: for<'a> Deserialize<'a>>(&self, key: &str) -> T {
        self.read(key).unwrap_or_else(|| panic!("{key} is missing"))
    }

    pub(super) fn f64(&self, key: &str) -> f64 {
        match self.required::<Json>(key) {
            Json::String(word) => word.parse().expect("a number"),
            number => number.as_f64().expect("a number"),
        }
    }

    pub(super) fn i32(&self, key: &str) -> i32 {
        self.required(key)
    }

    pub(super) fn usize(&self, key: &str) -> usize {
        self.required(key)
    }

    pub(super) fn isize(&self, key: &str) -> isize {
        self.required(key)
    }

    pub(super) fn axis(&self) -> isize {
        self.isize("axis")
    }

    /// The axes of a reduction; none for all elements.
    pub(super) fn axes(&self) -> Option<Vec<isize>> {
        self.read("axes")
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.read(key).unwrap_or(false)
    }

    pub(super) fn text(&self, key: &str) -> String {
        self.required(key)
    }

    pub(super) fn isizes(&self, key: &str) -> Vec<isize> {
        self.required(key)
    }

    pub(super) fn usizes(&self, key: &str) -> Vec<usize> {
        self.required(key)
    }

    pub(super) fn maybe<T: for<'a> Deserialize<'a>>(&self, key: &str) -> Option<T> {
        self.read(key)
    }

    pub(super) fn pair(&self, key: &str) -> [usize; 2] {
        self.required(key)
    }

    pub(super) fn indices(&self, key: &str) -> Indices {
        #[derive(Deserialize)]
        struct Written {
            shape: Vec<usize>,
            data: Vec<usize>,
        }
        let Written { shape, data } = self.required(key);
        Indices::from_vec(data, &*shape)
    }

    pub(super) fn tensor<F: Float>(&self, key: &str) -> Option<Tensor<F>> {
        self.read::<Array>(key).map(|array| array.tensor())
    }

    pub(super) fn shape(&self) -> Shape {
        Shape::new(&self.usizes("shape"))
    }

    pub(super) fn array(&self) -> Array {
        Array { shape: self.usizes("shape"), data: self.text("data") }
    }

    pub(super) fn convolution(&self) -> ConvOptions {
        let padding = match self.required::<Json>("padding") {
            Json::String(_) => Padding::Same,
            _ => Padding::By(self.pair("padding")),
        };
        ConvOptions::new()
            .stride(self.pair("stride"))
            .padding(padding)
            .dilation(self.pair("dilation"))
            .groups(self.usize("groups"))
    }

    pub(super) fn transposed_convolution(&self) -> ConvTransposeOptions {
        self.convolution().output_padding(self.pair("output_padding"))
    }

    pub(super) fn pooling(&self) -> Pooling {
        Pooling::new(self.pair("kernel"))
            .stride(self.pair("stride"))
            .padding(self.pair("padding"))
            .dilation(self.read("dilation").unwrap_or([1, 1]))
            .ceil_mode(self.flag("ceil_mode"))
            .count_include_pad(self.flag("count_include_pad"))
    }

    pub(super) fn reduction(&self) -> Reduction {
        match &*self.text("reduction") {
            "mean" => Reduction::Mean,
            "sum" => Reduction::Sum,
            "none" => Reduction::None,
            "batchmean" => Reduction::BatchMean,
            other => panic!("no reduction {other}"),
        }
    }
}
