//! Linear layers, activations, normalization, dropout, and changes of shape.

use serde::{Deserialize, Serialize};
use wengert_core::{MAX_RANK, MovementOps};
use wengert_nn::optim::{InvalidSetting, range};
use wengert_nn::{self as nn, CloneModule};

use super::{LayerKind, Layers, Site, divides, misfit, probability, size, yes};

pub(super) fn list(layers: Layers) -> Layers {
    layers
        .layer::<Linear>()
        .layer::<BatchNorm>()
        .layer::<LayerNorm>()
        .layer::<RmsNorm>()
        .layer::<GroupNorm>()
        .layer::<Dropout>()
        .layer::<Dropout2d>()
        .layer::<Flatten>()
        .layer::<Reshape>()
        .layer::<LeakyRelu>()
        .layer::<Elu>()
        .layer::<Celu>()
        .layer::<Softmax>()
        .layer::<PRelu>()
        .plain("identity", || Box::new(nn::Identity))
        .plain("relu", || Box::new(nn::Relu))
        .plain("relu6", || Box::new(nn::Relu6))
        .plain("gelu", || Box::new(nn::Gelu))
        .plain("gelu_tanh", || Box::new(nn::GeluTanh))
        .plain("silu", || Box::new(nn::Silu))
        .plain("mish", || Box::new(nn::Mish))
        .plain("selu", || Box::new(nn::Selu))
        .plain("tanh", || Box::new(nn::Tanh))
        .plain("sigmoid", || Box::new(nn::Sigmoid))
        .plain("softplus", || Box::new(nn::Softplus))
        .plain("softsign", || Box::new(nn::Softsign))
        .plain("hardtanh", || Box::new(nn::Hardtanh))
        .plain("hardsigmoid", || Box::new(nn::Hardsigmoid))
        .plain("hardswish", || Box::new(nn::Hardswish))
}

/// Default: as many outputs as the targets need.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Linear {
    out_features: Option<usize>,
    #[serde(default = "yes")]
    bias: bool,
}

impl LayerKind for Linear {
    const KIND: &'static str = "linear";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let inputs = site.features()?;
        let outputs = size("out_features", *self.out_features.get_or_insert(site.outputs))?;
        let layer = nn::Linear::new(inputs, outputs, site.rng);
        Ok(Box::new(if self.bias { layer } else { layer.without_bias() }))
    }
}

fn eps() -> f64 {
    1e-5
}

fn momentum() -> f64 {
    0.1
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchNorm {
    #[serde(default = "eps")]
    eps: f64,
    #[serde(default = "momentum")]
    momentum: f64,
    #[serde(default = "yes")]
    affine: bool,
}

impl LayerKind for BatchNorm {
    const KIND: &'static str = "batch_norm";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        range::above_zero("eps", self.eps)?;
        probability("momentum", self.momentum)?;
        let channels = site.channels()?;
        if site.rows * site.input.numel() < 2 * channels {
            let message = "the last batch of an epoch has one row, of which there is no variance; choose another \
                           `training.batch_size`, or `training.drop_last = true`";
            return Err(misfit(message.to_owned()));
        }
        Ok(match (site.input.rank(), self.affine) {
            (4, affine) => {
                let norm = nn::BatchNorm2d::new(channels).eps(self.eps).momentum(self.momentum);
                Box::new(if affine { norm } else { norm.without_affine() })
            }
            (_, affine) => {
                let norm = nn::BatchNorm1d::new(channels).eps(self.eps).momentum(self.momentum);
                Box::new(if affine { norm } else { norm.without_affine() })
            }
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerNorm {
    #[serde(default = "eps")]
    eps: f64,
    #[serde(default = "yes")]
    affine: bool,
}

impl LayerKind for LayerNorm {
    const KIND: &'static str = "layer_norm";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        range::above_zero("eps", self.eps)?;
        let norm = nn::LayerNorm::new([site.features()?]).eps(self.eps);
        Ok(Box::new(if self.affine { norm } else { norm.without_affine() }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RmsNorm {
    #[serde(default = "eps")]
    eps: f64,
    #[serde(default = "yes")]
    affine: bool,
}

impl LayerKind for RmsNorm {
    const KIND: &'static str = "rms_norm";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        range::above_zero("eps", self.eps)?;
        let norm = nn::RmsNorm::new([site.features()?]).eps(self.eps);
        Ok(Box::new(if self.affine { norm } else { norm.without_affine() }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupNorm {
    num_groups: usize,
    #[serde(default = "eps")]
    eps: f64,
    #[serde(default = "yes")]
    affine: bool,
}

impl LayerKind for GroupNorm {
    const KIND: &'static str = "group_norm";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        range::above_zero("eps", self.eps)?;
        let channels = site.channels()?;
        let groups = divides("num_groups", self.num_groups, channels, "channels")?;
        let norm = nn::GroupNorm::new(groups, channels).eps(self.eps);
        Ok(Box::new(if self.affine { norm } else { norm.without_affine() }))
    }
}

fn half() -> f64 {
    0.5
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dropout {
    #[serde(default = "half")]
    p: f64,
}

impl LayerKind for Dropout {
    const KIND: &'static str = "dropout";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        Ok(Box::new(nn::Dropout::new(probability("p", self.p)?)))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dropout2d {
    #[serde(default = "half")]
    p: f64,
}

impl LayerKind for Dropout2d {
    const KIND: &'static str = "dropout2d";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        Ok(Box::new(nn::Dropout2d::new(probability("p", self.p)?)))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flatten {
    #[serde(default = "first")]
    start_axis: isize,
    #[serde(default = "last")]
    end_axis: isize,
}

fn first() -> isize {
    1
}

fn last() -> isize {
    -1
}

impl LayerKind for Flatten {
    const KIND: &'static str = "flatten";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        Ok(Box::new(nn::Flatten::axes(self.start_axis, self.end_axis)))
    }
}

/// `shape` is that of one row, without the batch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reshape {
    shape: Vec<usize>,
}

impl LayerKind for Reshape {
    const KIND: &'static str = "reshape";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let (from, row) = (site.input, self.shape.clone());
        let numel = row.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        if row.len() >= MAX_RANK || numel != Some(from[1..].iter().product()) {
            let message = format!("expected as many numbers as in {:?}, found {row:?}", &from[1..]);
            return Err(InvalidSetting::new("shape", message));
        }
        Ok(Box::new(nn::Lambda::new(move |x| x.reshape(&[&[x.shape()[0]], &row[..]].concat()[..]))))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeakyRelu {
    #[serde(default = "slope")]
    negative_slope: f64,
}

fn slope() -> f64 {
    0.01
}

impl LayerKind for LeakyRelu {
    const KIND: &'static str = "leaky_relu";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        Ok(Box::new(nn::LeakyRelu { negative_slope: self.negative_slope }))
    }
}

fn one() -> f64 {
    1.0
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Elu {
    #[serde(default = "one")]
    alpha: f64,
}

impl LayerKind for Elu {
    const KIND: &'static str = "elu";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        Ok(Box::new(nn::Elu { alpha: self.alpha }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Celu {
    #[serde(default = "one")]
    alpha: f64,
}

impl LayerKind for Celu {
    const KIND: &'static str = "celu";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        range::above_zero("alpha", self.alpha)?;
        Ok(Box::new(nn::Celu { alpha: self.alpha }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Softmax {
    #[serde(default = "last")]
    axis: isize,
}

impl LayerKind for Softmax {
    const KIND: &'static str = "softmax";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        Ok(Box::new(nn::Softmax { axis: self.axis }))
    }
}

/// Default: one slope.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PRelu {
    #[serde(default)]
    per_channel: bool,
}

impl LayerKind for PRelu {
    const KIND: &'static str = "prelu";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let slopes = if self.per_channel { site.channels()? } else { 1 };
        match slopes {
            0 => Err(misfit("the input has no channels".to_owned())),
            _ => Ok(Box::new(nn::PRelu::new(slopes))),
        }
    }
}
