//! The trait of layers and models with one input and one output.

use wengert_core::{Float, Params, Var, at_caller};

/// A layer or a model that maps one variable to another.
///
/// A model is a struct of layers, a `params!` that lists its fields, and this one method. Modules then stack in a
/// [`Sequential`](crate::Sequential), and [`summary`](crate::summary()) and [`check_shapes`](crate::check_shapes)
/// read them. Layers that take more than one input, such as [`Embedding`](crate::Embedding) and
/// [`MultiHeadAttention`](crate::MultiHeadAttention), have their own `forward`.
///
/// In double precision the trait is `Module<f64>`. Its PyTorch counterpart is
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html>.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::{Tensor, UnaryOps, Var, evaluate, params_f32 as params};
/// use wengert_nn::{Linear, Module};
///
/// struct Net {
///     hidden: Linear,
///     output: Linear,
/// }
/// params! { Net { hidden, output } }
///
/// impl Module for Net {
///     fn forward<'t>(&self, x: Var<'t, f32>) -> Var<'t, f32> {
///         self.output.forward(self.hidden.forward(x).relu())
///     }
/// }
///
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let net = Net { hidden: Linear::new(4, 8, &mut rng), output: Linear::new(8, 2, &mut rng) };
/// let y = evaluate(|tape| net.forward(tape.constant(&Tensor::ones([3, 4]))));
/// assert_eq!(y.shape(), [3, 2].into());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a module",
    label = "`Module<{F}>` is not implemented for `{Self}`",
    note = "a model needs `params! {{ .. }}` and `impl Module for {Self}`; \
            under `wengert::f64::prelude` write `impl Module<f64> for {Self}`"
)]
pub trait Module<F: Float = f32>: Params<F> {
    /// Records the output for input `x` on the tape of `x`.
    ///
    /// # Panics
    /// If the shape of `x` does not fit; the message names the layer and both shapes.
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F>;

    /// Returns the name of the type, which summaries and messages show.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path)
    }
}

/// The folder of this crate's sources, as it is written in the lines of panics.
pub(crate) const SOURCES: &str = file!().split_at(file!().len() - "module.rs".len()).0;

impl<F: Float, M: Module<F> + ?Sized> Module<F> for Box<M> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        at_caller(SOURCES, || (**self).forward(x))
    }
    fn name(&self) -> &'static str {
        (**self).name()
    }
}
