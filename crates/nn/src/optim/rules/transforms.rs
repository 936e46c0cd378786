//! Transforms that stand before a rule or after it.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use crate::optim::elements::{Elements, MapProof};
use crate::optim::range::{InvalidSetting, above_zero, at_least_zero, fraction};
use crate::optim::rule::{Rule, Scope, StepContext, UnreadRows};
use crate::optim::transform::{RuleList, Transform};

pub(super) fn list<L: RuleList>(list: L) -> L {
    list.rule::<WeightDecay>()
        .rule::<ClipNorm>()
        .rule::<ClipTensorNorm>()
        .rule::<ClipValue>()
        .rule::<Maximize>()
        .rule::<Ema>()
}

/// Weight decay: `u = g + weight_decay p`.
///
/// Before a rule it is the gradient of an L2 penalty, `weight_decay / 2 |p|^2`. After a rule it is
/// decoupled from the gradient, `p <- p - lr weight_decay p`: Loshchilov and Hutter 2019,
/// <https://arxiv.org/abs/1711.05101>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightDecay {
    /// Coefficient of the parameter, at least 0. Default: 0.01.
    pub weight_decay: f64,
}

impl Default for WeightDecay {
    fn default() -> Self {
        WeightDecay { weight_decay: 0.01 }
    }
}

impl WeightDecay {
    /// Returns the transform, or `None` for a decay of 0, which changes nothing.
    pub(crate) fn unless_zero(weight_decay: f64) -> Result<Option<Transform>, InvalidSetting> {
        let decay = Transform::rule(WeightDecay { weight_decay })?;
        Ok((weight_decay != 0.0).then_some(decay))
    }
}

impl Rule for WeightDecay {
    const KIND: &'static str = "weight_decay";
    const FORMULA: &'static str = "u = g + weight_decay p";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("weight_decay", self.weight_decay)
    }

    #[inline(always)]
    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        let weight_decay = F::of(self.weight_decay);
        elements.map(|g, p, []| (g + weight_decay * p, []))
    }
}

/// Ascent instead of descent: `u = -g`. PyTorch's `maximize=True`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maximize {}

impl Rule for Maximize {
    const KIND: &'static str = "maximize";
    const FORMULA: &'static str = "u = -g";

    #[inline(always)]
    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        elements.map(|g, _, []| (-g, []))
    }
}

/// Clips each element to the range from `-clip_value` to `clip_value`. NaN stays NaN.
///
/// PyTorch's `clip_grad_value_`, <https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipValue {
    /// Largest magnitude of an element, above 0. Default: 1.
    pub clip_value: f64,
}

impl Default for ClipValue {
    fn default() -> Self {
        ClipValue { clip_value: 1.0 }
    }
}

impl Rule for ClipValue {
    const KIND: &'static str = "clip_value";
    const FORMULA: &'static str = "u = g, at most clip_value and at least its negative";

    fn check(&self) -> Result<(), InvalidSetting> {
        above_zero("clip_value", self.clip_value)
    }

    fn unread_rows(&self) -> UnreadRows {
        UnreadRows::Unchanged
    }

    #[inline(always)]
    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        let most = F::of(self.clip_value);
        // Not `min` and `max`, which would drop a NaN.
        let clip = |g: F| {
            if g > most {
                most
            } else if g < -most {
                -most
            } else {
                g
            }
        };
        elements.map(|g, _, []| (clip(g), []))
    }
}

/// Clips the update of each parameter by its own norm: `u = g min(1, max_norm / (|g| + 1e-6))`, with
/// `|g|` the Euclidean norm.
///
/// Keras's `clipnorm`, TensorFlow's `clip_by_norm`, <https://www.tensorflow.org/api_docs/python/tf/clip_by_norm>.
/// A NaN in the norm makes all of `u` NaN, so that it is noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipTensorNorm {
    /// Largest norm, above 0. Default: 1.
    pub max_norm: f64,
}

impl Default for ClipTensorNorm {
    fn default() -> Self {
        ClipTensorNorm { max_norm: 1.0 }
    }
}

impl Rule for ClipTensorNorm {
    const KIND: &'static str = "clip_tensor_norm";
    const FORMULA: &'static str =
        "u = g min(1, max_norm / (norm + 1e-6)), the norm of one parameter's update";

    fn check(&self) -> Result<(), InvalidSetting> {
        above_zero("max_norm", self.max_norm)
    }

    fn scope(&self) -> Scope {
        Scope::Tensor
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        clip(self.max_norm, context.norm, elements)
    }
}

/// Scales the update so that a `norm` above `max_norm` becomes `max_norm`.
#[inline(always)]
fn clip<F: Float>(max_norm: f64, norm: f64, elements: Elements<'_, F>) -> MapProof {
    let scale = max_norm / (norm + 1e-6);
    // Not `min`, which would turn a NaN into 1.
    let scale = F::of(if scale > 1.0 { 1.0 } else { scale });
    elements.map(|g, _, []| (scale * g, []))
}

/// Clips the update of the whole model by its norm: `u = g min(1, max_norm / (|g| + 1e-6))`, with `|g|`
/// the Euclidean norm over all trained parameters, whatever their groups.
///
/// A parameter whose chain has no such rule is measured by its gradient.
///
/// PyTorch's `clip_grad_norm_`, <https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html>;
/// Pascanu et al. 2013, <https://arxiv.org/abs/1211.5063>. A NaN in the norm makes all of `u` NaN, so
/// that it is noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipNorm {
    /// Largest norm, above 0. Default: 1.
    pub max_norm: f64,
}

impl Default for ClipNorm {
    fn default() -> Self {
        ClipNorm { max_norm: 1.0 }
    }
}

impl Rule for ClipNorm {
    const KIND: &'static str = "clip_norm";
    const FORMULA: &'static str =
        "u = g min(1, max_norm / (norm + 1e-6)), the norm of the whole model's update";

    fn check(&self) -> Result<(), InvalidSetting> {
        above_zero("max_norm", self.max_norm)
    }

    fn scope(&self) -> Scope {
        Scope::Model
    }

    fn unread_rows(&self) -> UnreadRows {
        UnreadRows::Unchanged
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        clip(self.max_norm, context.norm, elements)
    }
}

/// Exponential moving average of the parameters: `a = decay a + (1 - decay) p'`, where `p'` is the
/// parameter after the step, and `a = p'` at first.
///
/// It changes no update. It must be last in its chain, so that it sees the whole update.
/// [`Optimizer::with_ema`](crate::optim::Optimizer::with_ema) evaluates a model with the averages.
///
/// Polyak and Juditsky 1992, <https://doi.org/10.1137/0330046>; PyTorch's `AveragedModel` with
/// `get_ema_multi_avg_fn(decay)`, <https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ema {
    /// Decay, at least 0 and below 1. Default: 0.999.
    pub decay: f64,
}

impl Default for Ema {
    fn default() -> Self {
        Ema { decay: 0.999 }
    }
}

impl Rule for Ema {
    const KIND: &'static str = "ema";
    const FORMULA: &'static str =
        "a = decay a + (1 - decay) p after the step, a = p at first; must be last";

    fn check(&self) -> Result<(), InvalidSetting> {
        fraction("decay", self.decay)
    }

    fn ends_chain(&self) -> bool {
        true
    }

    fn state(&self) -> &'static [&'static str] {
        &["average"]
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let decay = if context.count == 1 { 0.0 } else { self.decay };
        let (lr, past, present) = (F::of(context.lr), F::of(decay), F::of(1.0 - decay));
        elements.map(|u, p, [a]| (u, [past * a + present * (p - lr * u)]))
    }

    fn evaluated<F: Float>(&self, _: F, state: &[F]) -> Option<F> {
        Some(state[0])
    }
}
