//! Batch normalisation: over the examples of a batch in training, by what is remembered in evaluation.

use wengert_core::{
    Buffer, Float, MovementOps, Param, ReduceOps, Shape, ShapeError, Tensor, UnaryOps, Var,
    params_generic,
};

use super::{along_channels, norm};
use crate::Module;

macro_rules! batch_norms {
    ($($Layer:ident, $inputs:literal, ranks $ranks:expr;)*) => {$(
        #[doc = concat!("`(x - mean) / sqrt(var + eps) * weight + bias` for each channel (axis 1) of `",
            $inputs, "`.")]
        ///
        /// In training mean and biased variance are the batch's, and a running mean of both (of the unbiased
        /// variance) leaves with the gradients, to be put in place by the optimizer's step; in evaluation
        /// the running ones are used. The mode belongs to the tape.
        ///
        #[doc = concat!("<https://docs.pytorch.org/docs/stable/generated/torch.nn.", stringify!($Layer),
            ".html>, <https://arxiv.org/abs/1502.03167>.")]
        #[derive(Clone, Debug)]
        pub struct $Layer<F: Float = f32> {
            /// Shape `[channels]`; ones at first.
            pub weight: Option<Param<F>>,
            /// Shape `[channels]`; zeros at first.
            pub bias: Option<Param<F>>,
            /// Shape `[channels]`; zeros at first.
            pub running_mean: Option<Buffer<F>>,
            /// Shape `[channels]`; ones at first.
            pub running_var: Option<Buffer<F>>,
            /// A number: how many batches the running statistics have seen.
            pub num_batches_tracked: Option<Buffer<F>>,
            /// Added to the variance; 1e-5 at first.
            pub eps: f64,
            /// The share of a new batch in the running statistics, 0.1 at first; if there is none, all
            /// batches have an equal share.
            pub momentum: Option<f64>,
            channels: usize,
        }

        impl<F: Float> $Layer<F> {
            /// For so many channels.
            pub fn new(channels: usize) -> Self {
                Self {
                    weight: Some(Tensor::ones([channels]).into()),
                    bias: Some(Tensor::zeros([channels]).into()),
                    running_mean: Some(Buffer::new(Tensor::zeros([channels]))),
                    running_var: Some(Buffer::new(Tensor::ones([channels]))),
                    num_batches_tracked: Some(Buffer::new(Tensor::scalar(F::ZERO))),
                    eps: 1e-5,
                    momentum: Some(0.1),
                    channels,
                }
            }

            /// With this number added to the variance.
            pub fn eps(self, eps: f64) -> Self {
                Self { eps, ..self }
            }

            /// With this share of a new batch in the running statistics; `None` for equal shares.
            pub fn momentum(self, momentum: impl Into<Option<f64>>) -> Self {
                Self { momentum: momentum.into(), ..self }
            }

            /// This layer without weight and bias: PyTorch's `affine=False`.
            pub fn without_affine(self) -> Self {
                Self { weight: None, bias: None, ..self }
            }

            /// This layer without memory, so that evaluation uses the batch too: PyTorch's
            /// `track_running_stats=False`.
            pub fn without_running_stats(self) -> Self {
                let (running_mean, running_var, num_batches_tracked) = (None, None, None);
                Self { running_mean, running_var, num_batches_tracked, ..self }
            }
        }

        params_generic! {
            $Layer {
                weight, bias, running_mean, running_var, num_batches_tracked;
                eps, momentum, channels
            }
        }

        impl<F: Float> Module<F> for $Layer<F> {
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
                let _layer = x.tape().layer(stringify!($Layer));
                let shape = x.shape();
                if !$ranks.contains(&shape.rank()) || shape[1] != self.channels {
                    let what = format!("{shape:?} is not {} of {} channels", $inputs, self.channels);
                    ShapeError::new(what).in_operation(stringify!($Layer)).raise();
                }
                let (deviation, variance) = match (&self.running_mean, &self.running_var) {
                    (Some(mean), Some(var)) if !x.tape().is_training() => {
                        let [mean, var] = [mean, var].map(|buffer| x.tape().constant(buffer.value()));
                        (x - along_channels(mean, shape), along_channels(var, shape))
                    }
                    (mean, var) => {
                        expect_batch(stringify!($Layer), shape);
                        let (deviation, variance) = norm::centered(x, others(shape));
                        if x.tape().is_training() && let (Some(mean), Some(var)) = (mean, var) {
                            let counted = self.num_batches_tracked.as_ref();
                            remember(x, variance, [mean, var], counted, self.momentum);
                        }
                        (deviation, variance)
                    }
                };
                let mut scale = variance.add_scalar(self.eps).rsqrt();
                if let Some(weight) = &self.weight {
                    scale = scale * along_channels(x.tape().param(weight), shape);
                }
                let y = deviation * scale;
                match &self.bias {
                    Some(bias) => y + along_channels(x.tape().param(bias), shape),
                    None => y,
                }
            }
        }
    )*};
}

batch_norms! {
    BatchNorm1d, "[n, channels] or [n, channels, l]", ranks [2, 3];
    BatchNorm2d, "[n, channels, h, w]", ranks [4];
}

/// All axes of `x` but that of the channels.
fn others(x: Shape) -> &'static [isize] {
    &[0, 2, 3][..x.rank() - 1]
}

/// Refuses a batch with one value for each channel, or none.
#[track_caller]
fn expect_batch(layer: &str, x: Shape) {
    let each = x.numel() / x[1].max(1);
    if each < 2 {
        ShapeError::new(format!("{x:?} has {each} for each channel, a variance needs more values"))
            .in_operation(layer)
            .raise();
    }
}

/// Records the new running statistics, `(1 - share) old + share batch`, as constants.
fn remember<F: Float>(
    x: Var<'_, F>,
    biased: Var<'_, F>,
    [mean, var]: [&Buffer<F>; 2],
    counted: Option<&Buffer<F>>,
    momentum: Option<f64>,
) {
    let (tape, shape) = (x.tape(), x.shape());
    let count = shape.numel() / shape[1];
    let x = x.stop_gradient();
    let batch_mean = x.mean_axes(others(shape), false);
    let unbiased = biased.stop_gradient().mul_scalar(count as f64 / (count - 1) as f64);
    let batches = counted.map(|counted| {
        let batches = tape.constant(counted.value()).add_scalar(1.0);
        tape.update_buffer(counted, batches);
        batches
    });
    let share = match (momentum, batches) {
        (None, Some(batches)) => batches.recip(),
        (momentum, _) => tape.constant(&Tensor::scalar(F::of(momentum.unwrap_or(0.0)))),
    };
    for (old, new) in [(mean, batch_mean), (var, unbiased.reshape([shape[1]]))] {
        let kept = tape.constant(old.value()) * share.neg().add_scalar(1.0);
        tape.update_buffer(old, kept + new * share);
    }
}
