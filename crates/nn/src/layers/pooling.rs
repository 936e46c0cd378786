//! Pooling and upsampling as modules, around the operations of the same name.

use wengert_core::ops::Pair;
use wengert_core::{Float, Pooling, ShapeError, Var, WindowOps, params_generic};

use crate::Module;

macro_rules! pools {
    ($($(#[$doc:meta])* $Layer:ident($field:ident: $Field:ty) $method:ident,
        $given:ident: $Given:ty => $stored:expr;)*) => {$(
        $(#[$doc])*
        ///
        #[doc = concat!("<https://docs.pytorch.org/docs/stable/generated/torch.nn.",
            stringify!($Layer), ".html>")]
        #[derive(Clone, Copy, Debug)]
        pub struct $Layer {
            $field: $Field,
        }

        impl $Layer {
            #[doc = concat!("See [`WindowOps::", stringify!($method), "`].")]
            pub fn new($given: $Given) -> Self {
                Self { $field: $stored }
            }
        }

        params_generic! { plain $Layer {; $field } }

        impl<F: Float> Module<F> for $Layer {
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
                let _layer = x.tape().layer(stringify!($Layer));
                x.$method(self.$field)
            }
        }
    )*};
}

pools! {
    /// The largest element under a window that slides along the last axis.
    MaxPool1d(window: Pooling) max_pool1d, window: impl Into<Pooling> => window.into();
    /// The largest element under a window that slides over the last two axes.
    MaxPool2d(window: Pooling) max_pool2d, window: impl Into<Pooling> => window.into();
    /// The mean under a window that slides along the last axis.
    AvgPool1d(window: Pooling) avg_pool1d, window: impl Into<Pooling> => window.into();
    /// The mean under a window that slides over the last two axes.
    AvgPool2d(window: Pooling) avg_pool2d, window: impl Into<Pooling> => window.into();
    /// The largest elements of so many cells of the last axis.
    AdaptiveMaxPool1d(output: usize) adaptive_max_pool1d, output: usize => output;
    /// The largest elements of so many cells of the last two axes.
    AdaptiveMaxPool2d(output: [usize; 2]) adaptive_max_pool2d, output: impl Pair => output.pair();
    /// The means of so many cells of the last axis.
    AdaptiveAvgPool1d(output: usize) adaptive_avg_pool1d, output: usize => output;
    /// The means of so many cells of the last two axes.
    AdaptiveAvgPool2d(output: [usize; 2]) adaptive_avg_pool2d, output: impl Pair => output.pair();
}

/// Each element repeated: `[n, c, l]` to `[n, c, l * columns]`, `[n, c, h, w]` to
/// `[n, c, h * rows, w * columns]`.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html>, in its mode `nearest`.
#[derive(Clone, Copy, Debug)]
pub struct Upsample {
    factor: [usize; 2],
}

impl Upsample {
    /// So many times: one number for all axes, or one for rows and one for columns.
    pub fn new(factor: impl Pair) -> Self {
        Self { factor: factor.pair() }
    }
}

params_generic! { plain Upsample {; factor } }

impl<F: Float> Module<F> for Upsample {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Upsample");
        match x.shape().rank() {
            3 => x.upsample_nearest1d(self.factor[1]),
            4 => x.upsample_nearest2d(self.factor),
            _ => ShapeError::new(format!("{:?} is not [n, c, l] or [n, c, h, w]", x.shape()))
                .in_operation("Upsample")
                .raise(),
        }
    }
}
