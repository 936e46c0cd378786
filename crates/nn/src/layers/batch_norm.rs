//! Batch normalization.

use wengert_core::{
    Buffer, Float, MovementOps, Param, ReduceOps, Shape, Tensor, UnaryOps, Var, params_of_precision,
};

use super::{along_channels, mismatch, name_by_axes, norm, refuse};
use crate::{Module, validate};

/// Batch normalization of `[n, channels]` or `[n, channels, length]`; see [`BatchNorm`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html>
pub type BatchNorm1d<F = f32> = BatchNorm<1, F>;

/// Batch normalization of `[n, channels, height, width]`; see [`BatchNorm`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html>
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{BatchNorm2d, Module};
///
/// let norm = BatchNorm2d::<f64>::new(3).eps(0.0);
/// let x = Tensor::ones([8, 3, 4, 4]);
/// // A new layer remembers mean 0 and variance 1.
/// assert_eq!(evaluate(|tape| norm.forward(tape.constant(&x))), x);
/// ```
pub type BatchNorm2d<F = f32> = BatchNorm<2, F>;

/// Batch normalization, `(x - mean) / sqrt(var + eps) * weight + bias` for each channel (axis 1), written
/// as [`BatchNorm1d`] or [`BatchNorm2d`].
///
/// In training, mean and biased variance are those of the batch. The running statistics are then updated with the
/// unbiased variance, `new = (1 - momentum) * old + momentum * batch`. The gradients carry the update, and the
/// optimizer's step stores it. In evaluation, the running statistics are used. The tape sets the mode: `gradients`
/// trains, `evaluate` evaluates.
///
/// * Input and output: `[n, channels]` or `[n, channels, length]` for one axis,
///   `[n, channels, height, width]` for two.
/// * Parameters: `weight` `[channels]`, initially 1; `bias` `[channels]`, initially 0.
/// * Buffers: `running_mean` `[channels]`, initially 0; `running_var` `[channels]`, initially 1;
///   `num_batches_tracked` `[]`, initially 0.
///
/// Ioffe and Szegedy 2015, <https://arxiv.org/abs/1502.03167>.
#[derive(Clone, Debug)]
pub struct BatchNorm<const AXES: usize, F: Float = f32> {
    /// Shape `[channels]`.
    pub weight: Option<Param<F>>,
    /// Shape `[channels]`.
    pub bias: Option<Param<F>>,
    /// Shape `[channels]`.
    pub running_mean: Option<Buffer<F>>,
    /// Shape `[channels]`.
    pub running_var: Option<Buffer<F>>,
    /// The number of batches that the running statistics have seen, shape `[]`.
    pub num_batches_tracked: Option<Buffer<F>>,
    /// Added to the variance. Default: 1e-5.
    pub eps: f64,
    /// The weight of a new batch in the running statistics; `None` weighs all batches alike. Default: 0.1.
    pub momentum: Option<f64>,
    num_features: usize,
}

impl<const AXES: usize, F: Float> BatchNorm<AXES, F> {
    const NAME: &'static str = name_by_axes(AXES, ["BatchNorm1d", "BatchNorm2d"]);

    /// Returns a layer for this number of channels.
    pub fn new(num_features: usize) -> Self {
        Self {
            weight: Some(Tensor::ones([num_features]).into()),
            bias: Some(Tensor::zeros([num_features]).into()),
            running_mean: Some(Buffer::new(Tensor::zeros([num_features]))),
            running_var: Some(Buffer::new(Tensor::ones([num_features]))),
            num_batches_tracked: Some(Buffer::new(Tensor::scalar(F::ZERO))),
            eps: 1e-5,
            momentum: Some(0.1),
            num_features,
        }
    }

    /// Sets the number that is added to the variance. Default: 1e-5.
    ///
    /// # Panics
    /// If it is negative.
    #[track_caller]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps: validate::non_negative(&format!("{}: eps", Self::NAME), eps), ..self }
    }

    /// Sets the weight of a new batch in the running statistics; `None` weighs all batches alike.
    /// Default: 0.1.
    ///
    /// # Panics
    /// If it is outside `0..=1`.
    #[track_caller]
    pub fn momentum(self, momentum: impl Into<Option<f64>>) -> Self {
        let momentum = momentum.into();
        if let Some(momentum) = momentum {
            validate::fraction(&format!("{}: momentum", Self::NAME), momentum);
        }
        Self { momentum, ..self }
    }

    /// Removes weight and bias: PyTorch's `affine=False`.
    pub fn without_affine(self) -> Self {
        Self { weight: None, bias: None, ..self }
    }

    /// Removes the running statistics, so that evaluation uses the batch too: PyTorch's
    /// `track_running_stats=False`.
    pub fn without_running_stats(self) -> Self {
        Self { running_mean: None, running_var: None, num_batches_tracked: None, ..self }
    }

    #[track_caller]
    fn expect_input(&self, x: Var<'_, F>) {
        let shape = x.shape();
        let expected = match AXES {
            1 => "[n, channels] or [n, channels, length]",
            _ => "[n, channels, height, width]",
        };
        let is_expected = shape.rank() == AXES + 2 || AXES == 1 && shape.rank() == 2;
        if !is_expected || shape[1] != self.num_features {
            let channels = self.num_features;
            mismatch(Self::NAME, x, format_args!("{expected} with {channels} channels"));
        }
    }

    /// Refuses a batch with fewer than two values for each channel.
    #[track_caller]
    fn expect_batch(x: Var<'_, F>) {
        let shape = x.shape();
        let values = shape.numel() / shape[1].max(1);
        if values < 2 {
            let message = format!("{shape:?} has {values} for each channel, a variance needs two");
            refuse(Self::NAME, x, message);
        }
    }

    /// Records the new running statistics, as constants.
    fn update_running_stats(
        &self,
        x: Var<'_, F>,
        deviation: Var<'_, F>,
        [mean, var]: [&Buffer<F>; 2],
    ) {
        let (tape, shape) = (x.tape(), x.shape());
        let count = shape.numel() / shape[1];
        let batch_mean = x.stop_gradient().mean_axes(batch_axes(shape), false);
        let norm = deviation.stop_gradient().norm_axes(2.0, batch_axes(shape), false);
        let batch_var = norm.square().mul_scalar(((count - 1) as f64).recip());
        let batches = self.num_batches_tracked.as_ref().map(|counter| {
            let batches = tape.buffer(counter).add_scalar(1.0);
            tape.update_buffer(counter, batches);
            batches
        });
        let momentum = match (self.momentum, batches) {
            (None, Some(batches)) => batches.recip(),
            (momentum, _) => tape.constant(&Tensor::scalar(F::of(momentum.unwrap_or(0.0)))),
        };
        for (running, batch) in [(mean, batch_mean), (var, batch_var)] {
            let kept = tape.buffer(running) * momentum.neg().add_scalar(1.0);
            tape.update_buffer(running, kept + batch * momentum);
        }
    }
}

params_of_precision! {
    [const AXES: usize, F: Float] F; BatchNorm<AXES, F> {
        weight, bias, running_mean, running_var, num_batches_tracked;
        eps, momentum, num_features
    }
}

impl<const AXES: usize, F: Float> Module<F> for BatchNorm<AXES, F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let tape = x.tape();
        let _layer = tape.layer(Self::NAME);
        let shape = x.shape();
        self.expect_input(x);
        let weight = self.weight.as_ref().map(|weight| along_channels(tape.param(weight), shape));
        // The weight is scaled for each channel first, which saves a pass over `x`.
        let y = match (&self.running_mean, &self.running_var) {
            (Some(mean), Some(var)) if !tape.is_training() => {
                let [mean, var] =
                    [mean, var].map(|buffer| along_channels(tape.buffer(buffer), shape));
                let scale = var.add_scalar(self.eps).rsqrt();
                (x - mean) * weight.map_or(scale, |weight| weight * scale)
            }
            (mean, var) => {
                Self::expect_batch(x);
                let (deviation, spread) = norm::centered(x, batch_axes(shape), self.eps);
                if tape.is_training()
                    && let (Some(mean), Some(var)) = (mean, var)
                {
                    self.update_running_stats(x, deviation, [mean, var]);
                }
                match weight {
                    Some(weight) => deviation * (weight / spread),
                    None => deviation / spread,
                }
            }
        };
        match &self.bias {
            Some(bias) => y + along_channels(tape.param(bias), shape),
            None => y,
        }
    }
}

/// All axes of `x` but axis 1, the channels.
fn batch_axes(x: Shape) -> &'static [isize] {
    &[0, 2, 3][..x.rank() - 1]
}
