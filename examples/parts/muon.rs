//! Muon: orthogonalized momentum. Used by `11_muon.rs`.

use serde::{Deserialize, Serialize};
use wengert::optim::{InvalidSetting, StepContext, TensorRule, range};
use wengert::{Float, MatmulOps, MovementOps, Shape, Tensor, UnaryOps};

/// Muon: momentum whose singular values are pushed towards 1 by Newton-Schulz iterations.
///
/// ```text
/// b = momentum b + (1 - momentum) g
/// n = momentum b + (1 - momentum) g           with nesterov, or n = b
/// x = n / max(|n|, eps)
/// x = 3.4445 x - 4.7750 x x' x + 2.0315 (x x')^2 x     ns_steps times
/// u = sqrt(max(1, rows / columns)) x
/// ```
///
/// Jordan 2024, <https://kellerjordan.github.io/posts/muon/>;
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.Muon.html>, which rounds the iteration to bf16.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// Decay of `b`, at least 0 and below 1. Default: 0.95.
    pub momentum: f64,
    /// Whether to use Nesterov's momentum. Default: true.
    pub nesterov: bool,
    /// Number of Newton-Schulz iterations. Default: 5.
    pub ns_steps: u64,
    /// Smallest norm to divide by, above 0. Default: 1e-7.
    pub eps: f64,
}

impl Default for Muon {
    fn default() -> Self {
        Muon { momentum: 0.95, nesterov: true, ns_steps: 5, eps: 1e-7 }
    }
}

impl TensorRule for Muon {
    const KIND: &'static str = "muon";

    fn check(&self) -> Result<(), InvalidSetting> {
        range::fraction("momentum", self.momentum)?;
        range::above_zero("eps", self.eps)
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
            panic!(
                "muon: expected a matrix, found shape {:?}; put other parameters into a group of their own",
                g.shape()
            )
        };
        let blend = |past: &Tensor<F>, g: Tensor<F>| {
            past.mul_scalar(self.momentum) + g.mul_scalar(1.0 - self.momentum)
        };
        state[0] = blend(&state[0], g.clone());
        let n = if self.nesterov { blend(&state[0], g) } else { state[0].clone() };
        // The shorter side first, so that the products are small.
        let n = if rows > columns { n.transpose(0, 1) } else { n };
        let norm = wengert::optim::sum_of_squares(n.as_slice()).sqrt();
        let mut x = n.mul_scalar(1.0 / norm.max(self.eps));
        for _ in 0..self.ns_steps {
            let gram = x.matmul(x.transpose(0, 1));
            let polynomial = gram.mul_scalar(-4.7750) + gram.matmul(&gram).mul_scalar(2.0315);
            x = x.mul_scalar(3.4445) + polynomial.matmul(&x);
        }
        let x = if rows > columns { x.transpose(0, 1) } else { x };
        x.mul_scalar((rows as f64 / columns as f64).max(1.0).sqrt())
    }
}
