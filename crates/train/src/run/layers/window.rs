//! Convolution, pooling and upsampling.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize, Serializer};
use wengert_core::{ConvOptions, Padding, Pooling};
use wengert_nn::optim::InvalidSetting;
use wengert_nn::{self as nn, CloneModule};

use super::{LayerKind, Layers, Site, divides, misfit, one, size, yes};

pub(super) fn list(layers: Layers) -> Layers {
    layers
        .layer::<Conv1d>()
        .layer::<Conv2d>()
        .layer::<MaxPool1d>()
        .layer::<MaxPool2d>()
        .layer::<AvgPool1d>()
        .layer::<AvgPool2d>()
        .layer::<AdaptiveMaxPool2d>()
        .layer::<AdaptiveAvgPool1d>()
        .layer::<AdaptiveAvgPool2d>()
        .layer::<Upsample>()
}

/// Rows and columns: `3` or `[3, 5]` in TOML.
#[derive(Clone, Copy, PartialEq)]
struct Extents([usize; 2]);

impl Extents {
    fn at_least_one(self, key: &'static str) -> Result<[usize; 2], InvalidSetting> {
        for (i, extent) in self.0.into_iter().enumerate() {
            size(key, extent).map_err(|e| if self.0[0] == self.0[1] { e } else { e.at(i) })?;
        }
        Ok(self.0)
    }
}

impl Serialize for Extents {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [rows, columns] if rows == columns => rows.serialize(to),
            both => both.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Extents {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneOrTwo;

        impl<'de> Visitor<'de> for OneOrTwo {
            type Value = Extents;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of at least 0, or two of them")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Extents, E> {
                let found = de::Unexpected::Signed(number);
                let number = number.try_into().map_err(|_| E::invalid_value(found, &self))?;
                Ok(Extents([number; 2]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Extents, A::Error> {
                let mut found = Vec::new();
                while let Some(value) = values.next_element::<usize>()? {
                    found.push(value);
                }
                let count = found.len();
                let both = found.try_into();
                both.map(Extents).map_err(|_| de::Error::invalid_length(count, &self))
            }
        }

        from.deserialize_any(OneOrTwo)
    }
}

fn ones() -> Extents {
    Extents([1; 2])
}

fn zeros() -> Extents {
    Extents([0; 2])
}

/// `same = true` pads so that the output has the extents of the input, in place of `padding`.
#[derive(Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
struct Conv2d {
    out_channels: usize,
    kernel_size: Extents,
    #[serde(default = "ones")]
    stride: Extents,
    #[serde(default = "zeros")]
    padding: Extents,
    #[serde(default)]
    same: bool,
    #[serde(default = "ones")]
    dilation: Extents,
    #[serde(default = "one")]
    groups: usize,
    #[serde(default = "yes")]
    bias: bool,
}

impl Conv2d {
    /// Returns the channels and the options, checked.
    fn checked(&self, site: &Site<'_>) -> Result<([usize; 2], ConvOptions), InvalidSetting> {
        let inputs = site.channels()?;
        let outputs = size("out_channels", self.out_channels)?;
        divides("groups", self.groups, inputs, "input channels")?;
        divides("groups", self.groups, outputs, "output channels")?;
        self.kernel_size.at_least_one("kernel_size")?;
        if self.same && self.padding != zeros() {
            return Err(InvalidSetting::new("padding", "expected none beside `same = true`"));
        }
        if self.same && self.stride != ones() {
            return Err(InvalidSetting::new("stride", "expected 1 beside `same = true`"));
        }
        let padding = if self.same { Padding::Same } else { Padding::By(self.padding.0) };
        let options = ConvOptions::new()
            .stride(self.stride.at_least_one("stride")?)
            .padding(padding)
            .dilation(self.dilation.at_least_one("dilation")?)
            .groups(self.groups);
        Ok(([inputs, outputs], options))
    }
}

impl LayerKind for Conv2d {
    const KIND: &'static str = "conv2d";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let ([inputs, outputs], options) = self.checked(site)?;
        let layer = nn::Conv2d::new(inputs, outputs, self.kernel_size.0, options, site.rng);
        Ok(Box::new(if self.bias { layer } else { layer.without_bias() }))
    }
}

#[derive(Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
struct Conv1d {
    out_channels: usize,
    kernel_size: usize,
    #[serde(default = "one")]
    stride: usize,
    #[serde(default)]
    padding: usize,
    #[serde(default)]
    same: bool,
    #[serde(default = "one")]
    dilation: usize,
    #[serde(default = "one")]
    groups: usize,
    #[serde(default = "yes")]
    bias: bool,
}

impl LayerKind for Conv1d {
    const KIND: &'static str = "conv1d";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let &mut Conv1d { out_channels, same, groups, bias, .. } = self;
        let [kernel_size, stride, padding, dilation] =
            [self.kernel_size, self.stride, self.padding, self.dilation].map(|n| Extents([n; 2]));
        let both =
            Conv2d { out_channels, kernel_size, stride, padding, same, dilation, groups, bias };
        let ([inputs, outputs], options) = both.checked(site)?;
        let layer = nn::Conv1d::new(inputs, outputs, self.kernel_size, options, site.rng);
        Ok(Box::new(if bias { layer } else { layer.without_bias() }))
    }
}

/// Default of `stride`: the kernel size.
fn pooling(
    kernel_size: Extents,
    stride: &mut Option<Extents>,
    padding: Extents,
) -> Result<Pooling, InvalidSetting> {
    let kernel = kernel_size.at_least_one("kernel_size")?;
    let stride = stride.get_or_insert(kernel_size).at_least_one("stride")?;
    Ok(Pooling::new(kernel).stride(stride).padding(padding.0))
}

/// Declares the pooling layers, which differ in their name, their axes and their module.
macro_rules! pools {
    ($($Kind:ident $name:literal $Extent:ty, $by:expr;)*) => {$(
        #[derive(Serialize, DeriveDeserialize)]
        #[serde(deny_unknown_fields)]
        struct $Kind {
            kernel_size: $Extent,
            stride: Option<$Extent>,
            #[serde(default)]
            padding: $Extent,
        }

        impl LayerKind for $Kind {
            const KIND: &'static str = $name;

            fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
                let mut stride = self.stride.map($by);
                let window = pooling($by(self.kernel_size), &mut stride, $by(self.padding))?;
                self.stride.get_or_insert(self.kernel_size);
                Ok(Box::new(nn::$Kind::new(window)))
            }
        }
    )*};
}

impl Default for Extents {
    fn default() -> Self {
        zeros()
    }
}

fn both(extent: usize) -> Extents {
    Extents([extent; 2])
}

pools! {
    MaxPool1d "max_pool1d" usize, both;
    MaxPool2d "max_pool2d" Extents, std::convert::identity;
    AvgPool1d "avg_pool1d" usize, both;
    AvgPool2d "avg_pool2d" Extents, std::convert::identity;
}

#[derive(Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
struct AdaptiveMaxPool2d {
    output_size: Extents,
}

impl LayerKind for AdaptiveMaxPool2d {
    const KIND: &'static str = "adaptive_max_pool2d";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let output = self.output_size.at_least_one("output_size")?;
        Ok(Box::new(nn::AdaptiveMaxPool2d::new(output)))
    }
}

#[derive(Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
struct AdaptiveAvgPool1d {
    output_size: usize,
}

impl LayerKind for AdaptiveAvgPool1d {
    const KIND: &'static str = "adaptive_avg_pool1d";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        Ok(Box::new(nn::AdaptiveAvgPool1d::new(size("output_size", self.output_size)?)))
    }
}

#[derive(Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
struct AdaptiveAvgPool2d {
    output_size: Extents,
}

impl LayerKind for AdaptiveAvgPool2d {
    const KIND: &'static str = "adaptive_avg_pool2d";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let output = self.output_size.at_least_one("output_size")?;
        Ok(Box::new(nn::AdaptiveAvgPool2d::new(output)))
    }
}

#[derive(Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
struct Upsample {
    scale_factor: Extents,
}

impl LayerKind for Upsample {
    const KIND: &'static str = "upsample";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        if site.input.rank() != 4 {
            return Err(misfit(format!(
                "expected [n, channels, height, width], found {:?}",
                site.input
            )));
        }
        Ok(Box::new(nn::Upsample::new(self.scale_factor.at_least_one("scale_factor")?)))
    }
}
