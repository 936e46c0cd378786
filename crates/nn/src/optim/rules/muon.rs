//! Orthogonalized momentum, for matrices.

use serde::{Deserialize, Serialize};
use wengert_core::{Float, MatmulOps, MovementOps, Shape, Tensor, UnaryOps};

use crate::optim::chunks::sum_of_squares;
use crate::optim::range::{InvalidSetting, above_zero, at_least_zero, fraction};
use crate::optim::rule::{StepContext, TensorRule};
use crate::optim::transform::RuleList;

pub(super) fn list<L: RuleList>(list: L) -> L {
    list.tensor_rule::<Muon>()
}

/// Muon: momentum whose singular values are pushed towards 1 by Newton-Schulz iterations. For matrices alone.
///
/// ```text
/// b = momentum b + (1 - momentum) g
/// n = momentum b + (1 - momentum) g           with nesterov, or n = b
/// x = n / max(|n|, eps)
/// x = a x + (b G + c G^2) x,   G = x x^T      ns_steps times, with the ns_coefficients a, b, c
/// u = s x + weight_decay p
/// ```
///
/// `s` is `sqrt(max(1, rows / columns))`, or what [`AdjustLr`] says. A parameter of another shape is refused: it needs
/// a group with another kind, such as `adamw`.
///
/// Jordan 2024, <https://kellerjordan.github.io/posts/muon/>; PyTorch's `Muon`,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.Muon.html>, which rounds the iteration to bf16.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// Decoupled weight decay, at least 0. Default: 0.1.
    pub weight_decay: f64,
    /// Decay of `b`, at least 0 and below 1. Default: 0.95.
    pub momentum: f64,
    /// Whether to use Nesterov's momentum. Default: true.
    pub nesterov: bool,
    /// Coefficients of the quintic polynomial: of `x`, of `G x` and of `G^2 x`. Default: 3.4445, -4.775, 2.0315.
    pub ns_coefficients: [f64; 3],
    /// Smallest norm to divide by, above 0. Default: 1e-7.
    pub eps: f64,
    /// Number of Newton-Schulz iterations, below 100. Default: 5.
    pub ns_steps: u64,
    /// Factor of the update. Default: `sqrt(max(1, rows / columns))`.
    pub adjust_lr_fn: AdjustLr,
}

/// Factor of the update of [`Muon`], for the shape of the matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustLr {
    /// `sqrt(max(1, rows / columns))`, of Jordan's program.
    #[default]
    Original,
    /// `0.2 sqrt(max(rows, columns))`, which gives updates the root mean square that those of AdamW have: Liu et al.
    /// 2025, <https://arxiv.org/abs/2502.16982>.
    MatchRmsAdamw,
    /// `sqrt(rows / columns)`: Bernstein 2025, <https://jeremybernste.in/writing/deriving-muon>.
    SpectralUnclamped,
}

impl AdjustLr {
    fn factor(self, rows: f64, columns: f64) -> f64 {
        match self {
            AdjustLr::Original => (rows / columns).max(1.0).sqrt(),
            AdjustLr::MatchRmsAdamw => 0.2 * rows.max(columns).sqrt(),
            AdjustLr::SpectralUnclamped => (rows / columns).sqrt(),
        }
    }
}

impl Default for Muon {
    fn default() -> Self {
        Muon {
            weight_decay: 0.1,
            momentum: 0.95,
            nesterov: true,
            ns_coefficients: [3.4445, -4.7750, 2.0315],
            eps: 1e-7,
            ns_steps: 5,
            adjust_lr_fn: AdjustLr::Original,
        }
    }
}

impl TensorRule for Muon {
    const KIND: &'static str = "muon";
    const LR: f64 = 1e-3;
    const FORMULA: &'static str = "b = momentum b + (1 - momentum) g; n = momentum b + (1 - momentum) g with nesterov, or \
         b; x = n / max(norm, eps), then ns_steps times x = a x + (b G + c G^2) x, G = x x^T; u = \
         sqrt(max(1, rows / columns)) x + weight_decay p";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("weight_decay", self.weight_decay)?;
        fraction("momentum", self.momentum)?;
        for (i, coefficient) in self.ns_coefficients.iter().enumerate() {
            if !coefficient.is_finite() {
                let message = format!("expected a finite number, found {coefficient}");
                return Err(InvalidSetting::new("ns_coefficients", message).at(i));
            }
        }
        above_zero("eps", self.eps)?;
        match self.ns_steps {
            0..100 => Ok(()),
            many => {
                let message = format!("expected a number below 100, found {many}");
                Err(InvalidSetting::new("ns_steps", message))
            }
        }
    }

    fn accepts(&self, shape: Shape) -> Result<(), String> {
        match shape.len() {
            2 => Ok(()),
            _ => Err("it is a rule for matrices".into()),
        }
    }

    fn state(&self, shape: Shape) -> Vec<(&'static str, Shape)> {
        vec![("momentum_buffer", shape)]
    }

    fn apply<F: Float>(
        &self,
        _: StepContext,
        g: Tensor<F>,
        param: &Tensor<F>,
        state: &mut [Tensor<F>],
    ) -> Tensor<F> {
        let &[rows, columns] = &*param.shape() else {
            unreachable!("`accepts` refused other shapes")
        };
        let blend = |past: &Tensor<F>, g: Tensor<F>| {
            past.mul_scalar(self.momentum) + g.mul_scalar(1.0 - self.momentum)
        };
        state[0] = blend(&state[0], g.clone());
        let n = if self.nesterov { blend(&state[0], g) } else { state[0].clone() };
        let x = self.orthogonalized(n, rows > columns);
        let factor = self.adjust_lr_fn.factor(rows as f64, columns as f64);
        x.mul_scalar(factor) + param.mul_scalar(self.weight_decay)
    }
}

impl Muon {
    /// Returns the matrix with its singular values near 1. A `tall` one is transposed meanwhile, so that the products
    /// are small.
    fn orthogonalized<F: Float>(&self, n: Tensor<F>, tall: bool) -> Tensor<F> {
        let turned = |x: Tensor<F>| if tall { x.transpose(0, 1) } else { x };
        let norm = sum_of_squares(n.as_slice()).sqrt();
        let mut x = turned(n.mul_scalar(1.0 / norm.max(self.eps)));
        let [a, b, c] = self.ns_coefficients;
        for _ in 0..self.ns_steps {
            let gram = x.matmul_transposed(&x);
            let polynomial = gram.mul_scalar(b) + gram.matmul(&gram).mul_scalar(c);
            x = x.mul_scalar(a) + polynomial.matmul(&x);
        }
        turned(x)
    }
}
