//! Adam for embeddings of which a batch reads few rows.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use crate::optim::elements::{Elements, MapProof};
use crate::optim::range::{InvalidSetting, at_least_zero, fractions};
use crate::optim::rule::{Rule, StepContext, UnreadRows};
use crate::optim::transform::RuleList;

pub(super) fn list<L: RuleList>(list: L) -> L {
    list.rule::<LazyAdam>()
}

/// Adam that leaves the rows alone that the loss did not read: neither their averages nor their parameters change.
///
/// ```text
/// m = beta1 m + (1 - beta1) g
/// v = beta2 v + (1 - beta2) g^2
/// u = m sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + eps)
/// ```
///
/// PyTorch's `SparseAdam`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.SparseAdam.html>, with `t`
/// the number of steps, also for rows that were not read in each. Adam adds `eps` after the bias correction, this rule
/// before it.
///
/// The rows are those of [`Gradients::rows`](wengert_core::Gradients::rows). A parameter that the loss reads in another
/// way too, such as a weight shared with the output layer, is updated as a whole; PyTorch refuses it. A rule that
/// would change the other rows cannot stand in the same chain: [`WeightDecay`](super::WeightDecay), for example.
///
/// ```
/// use wengert_core::{IndexOps, Param, Tensor, UnaryOps, ReduceOps, gradients};
/// use wengert_nn::optim::Optimizer;
///
/// let mut table = Param::new(Tensor::<f64>::ones([1000, 4]));
/// let mut optimizer = Optimizer::from_toml("kind = 'lazy_adam'\nlr = 0.1")?;
/// let (_, grads) = gradients(|tape| tape.param(&table).embedding([3, 7], None).square().sum());
/// optimizer.step(&mut table, &grads);
/// assert!(table.value().as_slice()[3 * 4] < 0.95);
/// assert_eq!(table.value().as_slice()[4 * 4], 1.0);
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LazyAdam {
    /// Decays of `m` and of `v`, each at least 0 and below 1. Default: 0.9, 0.999.
    pub betas: [f64; 2],
    /// Added to the denominator, outside the square root. At least 0. Default: 1e-8.
    pub eps: f64,
}

impl Default for LazyAdam {
    fn default() -> Self {
        LazyAdam { betas: [0.9, 0.999], eps: 1e-8 }
    }
}

impl Rule for LazyAdam {
    const KIND: &'static str = "lazy_adam";
    const LR: f64 = 1e-3;
    const FORMULA: &'static str = "of the rows that the loss read: m, v as in adam; u = m sqrt(1 - beta2^t) / (1 - beta1^t) / \
         (sqrt(v) + eps)";

    fn check(&self) -> Result<(), InvalidSetting> {
        fractions("betas", &self.betas)?;
        at_least_zero("eps", self.eps)
    }

    fn state(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    fn unread_rows(&self) -> UnreadRows {
        UnreadRows::Skipped
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let [(past1, present1), (past2, present2)] =
            self.betas.map(|beta| (F::of(beta), F::of(1.0 - beta)));
        let [seen1, seen2] = self.betas.map(|beta| context.bias_correction(beta));
        let (correct, eps) = (F::of(seen2.sqrt() / seen1), F::of(self.eps));
        elements.map(|g, _, [m, v]| {
            let (m, v) = (past1 * m + present1 * g, past2 * v + present2 * g * g);
            (correct * m / (v.sqrt() + eps), [m, v])
        })
    }
}
