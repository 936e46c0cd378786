//! Transforms that stand before a rule or after it.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use crate::optim::range::{InvalidSetting, above_zero, at_least_zero, fraction};
use crate::optim::{Elements, MapProof, Rule, Scope, StepContext};

/// Weight decay: `u = g + weight_decay p`.
///
/// Before a rule it is the gradient of an L2 penalty, `weight_decay / 2 |p|^2`; after it, it is
/// decoupled: `p <- p - lr weight_decay p`, whatever the rule makes of the gradient (Loshchilov and
/// Hutter 2019, <https://arxiv.org/abs/1711.05101>).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightDecay {
    /// The weight of the parameter beside the gradient, at least 0.
    pub weight_decay: f64,
}

impl Default for WeightDecay {
    fn default() -> Self {
        WeightDecay { weight_decay: 0.01 }
    }
}

impl Rule for WeightDecay {
    const KIND: &'static str = "weight_decay";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("weight_decay", self.weight_decay)
    }

    #[inline(always)]
    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        let weight_decay = F::of(self.weight_decay);
        elements.map(|g, p, []| (g + weight_decay * p, []))
    }
}

/// Ascent in place of descent: `u = -g`. PyTorch's `maximize = True`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maximize {}

impl Rule for Maximize {
    const KIND: &'static str = "maximize";

    #[inline(always)]
    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        elements.map(|g, _, []| (-g, []))
    }
}

/// Clipping each element: `u = g` between `-clip_value` and `clip_value`, the nearer of the two
/// outside. NaN stays NaN.
///
/// PyTorch's `clip_grad_value_`, <https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipValue {
    /// The largest element that passes unchanged, above 0.
    pub clip_value: f64,
}

impl Default for ClipValue {
    fn default() -> Self {
        ClipValue { clip_value: 1.0 }
    }
}

impl Rule for ClipValue {
    const KIND: &'static str = "clip_value";

    fn check(&self) -> Result<(), InvalidSetting> {
        above_zero("clip_value", self.clip_value)
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

/// Clipping each tensor by its own norm: `u = g min(1, max_norm / (|g| + 1e-6))`, with `|g|` the
/// Euclidean norm of the update of one parameter.
///
/// Keras' `clipnorm`, TensorFlow's `clip_by_norm`. A norm that is NaN makes the whole update of the
/// parameter NaN, so that it is noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipTensorNorm {
    /// The longest update that passes unchanged, above 0.
    pub max_norm: f64,
}

impl Default for ClipTensorNorm {
    fn default() -> Self {
        ClipTensorNorm { max_norm: 1.0 }
    }
}

impl Rule for ClipTensorNorm {
    const KIND: &'static str = "clip_tensor_norm";

    fn check(&self) -> Result<(), InvalidSetting> {
        above_zero("max_norm", self.max_norm)
    }

    fn scope(&self) -> Scope {
        Scope::Tensor
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let scale = self.max_norm / (context.norm + 1e-6);
        // Not `min`, which would turn a NaN into 1.
        let scale = F::of(if scale > 1.0 { 1.0 } else { scale });
        elements.map(|g, _, []| (scale * g, []))
    }
}

/// Clipping by global norm: `u = g min(1, max_norm / (|g| + 1e-6))`, with `|g|` the Euclidean norm
/// over all parameters of the model.
///
/// PyTorch's `clip_grad_norm_`, <https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html>;
/// Pascanu et al. 2013, <https://arxiv.org/abs/1211.5063>. A norm that is NaN makes the whole
/// update NaN, so that it is noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipNorm {
    /// The longest update that passes unchanged, above 0.
    pub max_norm: f64,
}

impl Default for ClipNorm {
    fn default() -> Self {
        ClipNorm { max_norm: 1.0 }
    }
}

impl Rule for ClipNorm {
    const KIND: &'static str = "clip_norm";

    fn check(&self) -> Result<(), InvalidSetting> {
        above_zero("max_norm", self.max_norm)
    }

    fn scope(&self) -> Scope {
        Scope::Model
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let scale = self.max_norm / (context.norm + 1e-6);
        // Not `min`, which would turn a NaN into 1.
        let scale = F::of(if scale > 1.0 { 1.0 } else { scale });
        elements.map(|g, _, []| (scale * g, []))
    }
}

/// An exponential moving average of the parameters, beside their training:
/// `a = decay a + (1 - decay) p'` with `p'` the parameter after the step, `a = p'` at first.
///
/// It changes no update, and stands last in its chain, where what arrives is what is subtracted.
/// [`Optimizer::with_ema`](crate::optim::Optimizer::with_ema) puts the averages in place for an evaluation.
///
/// Polyak and Juditsky 1992, <https://doi.org/10.1137/0330046>; PyTorch's `AveragedModel` with
/// `get_ema_multi_avg_fn(decay)`, <https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ema {
    /// The weight of the past, at least 0 and below 1.
    pub decay: f64,
}

impl Default for Ema {
    fn default() -> Self {
        Ema { decay: 0.999 }
    }
}

impl Ema {
    /// The name of its slot.
    pub(crate) const SLOT: &'static str = "average";
}

impl Rule for Ema {
    const KIND: &'static str = "average";

    fn check(&self) -> Result<(), InvalidSetting> {
        fraction("decay", self.decay)
    }

    fn state(&self) -> &'static [&'static str] {
        &[Ema::SLOT]
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let decay = if context.count == 1 { 0.0 } else { self.decay };
        let (lr, past, present) = (F::of(context.lr), F::of(decay), F::of(1.0 - decay));
        elements.map(|u, p, [a]| (u, [past * a + present * (p - lr * u)]))
    }
}
