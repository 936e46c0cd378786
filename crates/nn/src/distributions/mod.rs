//! Probability distributions whose parameters are variables, so that draws and densities have derivatives.
//!
//! * `log_prob(x)` is the logarithm of the density or probability at `x`, of each element alone.
//! * `entropy()` and `kl_divergence(&other)` are closed formulas, in nats.
//! * `rsample()` draws by a differentiable function of the parameters and of noise without parameters
//!   (reparametrisation; Kingma and Welling 2014, <https://arxiv.org/abs/1312.6114>). `sample()` draws a constant.
//!
//! Parameters broadcast, and a draw has their shape; for several draws expand a parameter. Draws depend on the tape's
//! key, as dropout does: record with [`seeded`](wengert_core::seeded), and with another key for each step. A
//! [`Program`](wengert_core::Program) draws anew at each run.
//!
//! No value is checked, because a recording runs again on others. A parameter out of range, such as a negative standard
//! deviation, gives NaN.
//!
//! Names are those of [`torch.distributions`](https://docs.pytorch.org/docs/stable/distributions.html).
//!
//! The gradient of an expected reward by the score function (REINFORCE; Williams 1992), for a policy that chooses among
//! three actions:
//!
//! ```
//! use wengert_core::{MovementOps, Param, ReduceOps, Tensor, UnaryOps, evaluate, seeded};
//! use wengert_nn::distributions::Categorical;
//! use wengert_nn::optim::Optimizer;
//!
//! let reward = Tensor::<f32>::from([0.1, 1.0, 0.3]);
//! let mut logits = Param::new(Tensor::zeros([3]));
//! let mut optimizer = Optimizer::from_toml("kind = 'adam'\nlr = 0.1").unwrap();
//! for step in 0..100 {
//!     let (_, grads) = seeded(step).gradients(|tape| {
//!         let policy = Categorical::new(tape.param(&logits).expand([16, 3]));
//!         let actions = policy.sample();
//!         let rewards = (actions * &reward).sum_axes(-1, false);
//!         -((rewards - rewards.mean()) * policy.log_prob(actions)).mean()
//!     });
//!     optimizer.step(&mut logits, &grads);
//! }
//! let policy = evaluate(|tape| tape.param(&logits).exp());
//! assert_eq!(policy.argmax().as_slice(), [1]);
//! ```
//!
//! The loss of a variational autoencoder: the reconstruction of a reparametrised draw, and the divergence of the
//! posterior from the prior:
//!
//! ```
//! use rand::{SeedableRng, rngs::ChaCha8Rng};
//! use wengert_core::{MovementOps, ReduceOps, Tensor, UnaryOps, seeded};
//! use wengert_nn::{Linear, Loss, Module, distributions::Normal};
//!
//! let rng = &mut ChaCha8Rng::seed_from_u64(0);
//! let (encoder, decoder) = (Linear::<f32>::new(8, 4, rng), Linear::new(2, 8, rng));
//! let x = Tensor::uniform([32, 8], 0.0, 1.0, rng);
//! let (loss, grads) = seeded(7).gradients(|tape| {
//!     let code = encoder.forward(tape.constant(&x));
//!     let posterior = Normal::new(code.narrow(1, 0, 2), code.narrow(1, 2, 2).exp());
//!     let prior = Normal::new(tape.constant(&Tensor::zeros([2])), 1.0);
//!     let reconstruction = decoder.forward(posterior.rsample()).bce_with_logits(&x);
//!     reconstruction + posterior.kl_divergence(&prior).mean()
//! });
//! assert!(loss > 0.0 && grads.missing(&encoder).is_empty());
//! ```

mod bernoulli;
mod categorical;
mod gumbel;
mod normal;
mod uniform;

use wengert_core::{Float, Operand, Shape, Var};

pub use bernoulli::Bernoulli;
pub use categorical::Categorical;
pub use gumbel::Gumbel;
pub use normal::Normal;
pub use uniform::Uniform;

/// Returns two parameters, and the shape to which they broadcast.
#[track_caller]
fn broadcast<'t, F: Float>(
    name: &str,
    a: Var<'t, F>,
    b: impl Operand<Var<'t, F>>,
) -> (Var<'t, F>, Var<'t, F>, Shape) {
    let b = b.beside(&a);
    match a.shape().broadcast(b.shape()) {
        Ok(shape) => (a, b, shape),
        Err(error) => a.tape().raise(error.in_operation(name)),
    }
}
