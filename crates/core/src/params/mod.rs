//! A model as a tree of named parameters and buffers.

pub(crate) mod param;
mod transfer;

use std::fmt::{self, Display};

use crate::{Buffer, Float, Param, Tensor};

/// The position of a visitor in a model. It prints as a dotted name, such as `layers.2.weight`, and
/// allocates nothing before that.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Segment<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The model itself; its name is empty.
    pub const ROOT: Path<'static> = Path { parent: None, segment: Segment::Root };

    /// Returns the position of a field of the value at this position.
    #[inline]
    pub fn field<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path { parent: Some(self), segment: Segment::Field(name) }
    }

    /// Returns the position of an element of the list at this position.
    #[inline]
    pub fn index(&self, index: usize) -> Path<'_> {
        Path { parent: Some(self), segment: Segment::Index(index) }
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent
            && !matches!(parent.segment, Segment::Root)
        {
            write!(f, "{parent}.")?;
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Field(name) => f.write_str(name),
            Segment::Index(index) => write!(f, "{index}"),
        }
    }
}

/// A parameter or a buffer, for a visitor that reads.
#[derive(Debug)]
pub enum Leaf<'a, F: Float> {
    /// A tensor that is trained.
    Param(&'a Param<F>),
    /// A tensor that is kept and not trained.
    Buffer(&'a Buffer<F>),
}

/// A parameter or a buffer, for a visitor that writes.
#[derive(Debug)]
pub enum LeafMut<'a, F: Float> {
    /// A tensor that is trained.
    Param(&'a mut Param<F>),
    /// A tensor that is kept and not trained.
    Buffer(&'a mut Buffer<F>),
}

impl<'a, F: Float> Leaf<'a, F> {
    /// Returns the numbers.
    pub fn value(&self) -> &'a Tensor<F> {
        match self {
            Leaf::Param(param) => param.value(),
            Leaf::Buffer(buffer) => buffer.value(),
        }
    }
}

impl<'a, F: Float> LeafMut<'a, F> {
    /// Returns the numbers, for writing.
    pub fn into_value(self) -> &'a mut Tensor<F> {
        match self {
            LeafMut::Param(param) => param.value_mut(),
            LeafMut::Buffer(buffer) => buffer.value_mut(),
        }
    }
}

/// A model, seen as a tree of named parameters and buffers in the order of declaration. `params!`
/// implements it for a struct.
///
/// ```
/// use wengert_core::{Param, Params, Tensor, params_f32 as params};
///
/// struct Scale { weight: Param<f32>, inner: Vec<Param<f32>>, rate: f64 }
/// params! { Scale { weight, inner; rate } } // after the semicolon: fields without parameters
///
/// let param = || Param::new(Tensor::ones([2]));
/// let model = Scale { weight: param(), inner: vec![param(), param()], rate: 0.5 };
/// let names = model.named_params().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
/// assert_eq!(names, ["weight", "inner.0", "inner.1"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no parameters in `{F}`: `Params<{F}>` is not implemented",
    label = "`Params<{F}>` is not implemented for `{Self}`",
    note = "a model names its fields once, `params! {{ Net {{ weight, bias; rate }} }}`: those with parameters, \
            and after a semicolon those without",
    note = "`params!` of `wengert::f64::prelude` implements `Params<f64>`, and goes with `Module<f64>`"
)]
pub trait Params<F: Float = f32> {
    /// Calls `visit` for each parameter and buffer with its place, which begins with `path`.
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, F>));

    /// Calls `visit` for each parameter and buffer with its place, for writing; see
    /// [`Params::visit`].
    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>));

    /// Returns the parameters with their dotted names, in order of declaration.
    fn named_params(&self) -> Vec<(String, &Param<F>)> {
        let mut named = Vec::new();
        self.visit(Path::ROOT, &mut |path, leaf| {
            if let Leaf::Param(param) = leaf {
                named.push((path.to_string(), param));
            }
        });
        named
    }

    /// Returns the parameter of this dotted name.
    fn param(&self, name: &str) -> Option<&Param<F>> {
        self.named_params().into_iter().find_map(|(own, param)| (own == name).then_some(param))
    }

    /// Calls `f` for each parameter with its place, for writing.
    fn for_each_param_mut(&mut self, f: &mut dyn FnMut(Path<'_>, &mut Param<F>)) {
        self.visit_mut(Path::ROOT, &mut |path, leaf| {
            if let LeafMut::Param(param) = leaf {
                f(path, param);
            }
        });
    }

    /// Copies the numbers of all parameters and buffers of another model, by name. Frozen parameters are copied
    /// too; whether a parameter is frozen stays as it is.
    ///
    /// ```
    /// use wengert_core::{Buffer, Param, Params, Tensor, params_f64};
    ///
    /// #[derive(Clone)]
    /// struct Net { weight: Param<f64>, mean: Buffer<f64> }
    /// params_f64! { Net { weight, mean } }
    ///
    /// let [ones, zeros] = [Tensor::ones([2]), Tensor::zeros([2])];
    /// let online = Net { weight: Param::new(ones.clone()), mean: Buffer::new(ones) };
    /// let mut target = Net { weight: Param::new(zeros.clone()), mean: Buffer::new(zeros) };
    /// target.lerp(&online, 0.25);
    /// assert_eq!(target.mean.value(), &Tensor::full([2], 0.25));
    /// target.copy_from(&online);
    /// assert_eq!(target.weight.value(), online.weight.value());
    /// ```
    ///
    /// # Panics
    /// If the models differ in a name or a shape; the message lists the differences, and the model is unchanged.
    #[track_caller]
    fn copy_from(&mut self, other: &dyn Params<F>) {
        transfer::by_name("copy_from", self, other, |own, other| own.copy_from_slice(other));
    }

    /// Moves all parameters and buffers towards those of another model, by name: `self + tau * (other - self)`.
    /// A `tau` of 1 is [`Params::copy_from`].
    ///
    /// This is the soft update of a target network, and the average of a mean teacher. Buffers that count, such as
    /// `num_batches_tracked`, are interpolated too.
    ///
    /// # Panics
    /// If `tau` is outside `0..=1`, or the models differ in a name or a shape; the message lists the differences,
    /// and the model is unchanged.
    #[track_caller]
    fn lerp(&mut self, other: &dyn Params<F>, tau: f64) {
        assert!((0.0..=1.0).contains(&tau), "lerp: tau must be in 0..=1, not {tau}");
        let [near, far] = [tau, 1.0 - tau].map(F::of);
        transfer::by_name("lerp", self, other, |own, other| {
            for (own, &other) in own.iter_mut().zip(other) {
                let way = other - *own;
                // Each end is reached exactly.
                *own = if tau < 0.5 { *own + near * way } else { other - far * way };
            }
        });
    }

    /// Concatenates all parameters that are not frozen to a tensor of shape `[n]`, in order of
    /// declaration. [`Gradients::flatten_for`](crate::Gradients::flatten_for) gives their gradients
    /// in this order.
    ///
    /// Buffers, such as running means, have no gradients and are not part of it. To copy a model use
    /// [`Params::copy_from`].
    fn flatten(&self) -> Tensor<F> {
        let mut flat = Vec::new();
        self.visit(Path::ROOT, &mut |_, leaf| {
            if let Leaf::Param(param) = leaf
                && !param.is_frozen()
            {
                flat.extend_from_slice(param.value().as_slice());
            }
        });
        let n = flat.len();
        Tensor::from_vec(flat, [n])
    }

    /// Replaces the numbers of all parameters that are not frozen by those of a flat slice, in the
    /// order of [`Params::flatten`]. Buffers stay as they are.
    ///
    /// # Panics
    /// If the slice has another length; the model is untouched then.
    #[track_caller]
    fn set_flat(&mut self, flat: &[F]) {
        let n = self.flatten().numel();
        assert!(flat.len() == n, "set_flat: {} numbers for {n} of the model", flat.len());
        let mut rest = flat;
        self.for_each_param_mut(&mut |_, param| {
            if !param.is_frozen() {
                let (part, tail) = rest.split_at(param.value().numel());
                param.value_mut().as_mut_slice().copy_from_slice(part);
                rest = tail;
            }
        });
    }

    /// Returns the number of elements of all parameters.
    fn param_count(&self) -> usize {
        self.named_params().iter().map(|(_, param)| param.value().numel()).sum()
    }
}

impl<F: Float> Params<F> for Param<F> {
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, F>)) {
        visit(path, Leaf::Param(self));
    }
    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>),
    ) {
        visit(path, LeafMut::Param(self));
    }
}

impl<F: Float> Params<F> for Buffer<F> {
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, F>)) {
        visit(path, Leaf::Buffer(self));
    }
    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>),
    ) {
        visit(path, LeafMut::Buffer(self));
    }
}

impl<F: Float, P: Params<F>> Params<F> for [P] {
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, F>)) {
        self.iter().enumerate().for_each(|(i, part)| part.visit(path.index(i), visit));
    }
    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>),
    ) {
        self.iter_mut().enumerate().for_each(|(i, part)| part.visit_mut(path.index(i), visit));
    }
}

/// Implements [`Params`] for a wrapper, which adds no name to the path.
macro_rules! transparent {
    ($([$($generics:tt)*] $T:ty, |$x:ident| $shared:expr, $exclusive:expr;)*) => {$(
        impl<F: Float, $($generics)*> Params<F> for $T {
            fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, F>)) {
                let $x = self;
                $shared.into_iter().for_each(|inner| inner.visit(path, visit));
            }
            fn visit_mut<'a>(
                &'a mut self,
                path: Path<'_>,
                visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>),
            ) {
                let $x = self;
                $exclusive.into_iter().for_each(|inner| inner.visit_mut(path, visit));
            }
        }
    )*};
}

transparent! {
    [P: Params<F>] Vec<P>, |x| Some(x.as_slice()), Some(x.as_mut_slice());
    [P: Params<F>, const N: usize] [P; N], |x| Some(x.as_slice()), Some(x.as_mut_slice());
    [P: Params<F>] Option<P>, |x| x, x;
    [P: Params<F> + ?Sized] Box<P>, |x| Some(&**x), Some(&mut **x);
}

/// Expansion of `params_f32`, `params_f64` and `params_generic`.
#[doc(hidden)]
#[macro_export]
macro_rules! params_of_precision {
    ([$($generics:tt)*] $F:ty; $Model:ty { $($field:ident),* $(,)? $(; $($plain:ident),* $(,)?)? }) => {
        impl<$($generics)*> $crate::Params<$F> for $Model {
            fn visit<'a>(
                &'a self,
                path: $crate::Path<'_>,
                visit: &mut dyn FnMut($crate::Path<'_>, $crate::Leaf<'a, $F>),
            ) {
                // A struct expression has to name every field, so that none is forgotten. A pattern has
                // to as well, but inside a macro the compiler does not say which one is missing.
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                let _ = || Self { $($field: unreachable!(),)* $($($plain: unreachable!(),)*)? };
                let Self { $($field,)* .. } = self;
                $($crate::Params::<$F>::visit($field, path.field(stringify!($field)), visit);)*
                let _ = (path, visit);
            }
            fn visit_mut<'a>(
                &'a mut self,
                path: $crate::Path<'_>,
                visit: &mut dyn FnMut($crate::Path<'_>, $crate::LeafMut<'a, $F>),
            ) {
                let Self { $($field,)* .. } = self;
                $($crate::Params::<$F>::visit_mut($field, path.field(stringify!($field)), visit);)*
                let _ = (path, visit);
            }
        }
    };
    ($F:ty; $Model:ident $($fields:tt)*) => {
        $crate::params_of_precision! { [] $F; $Model $($fields)* }
    };
}

/// Implements [`Params`] in single precision for a struct, by the names of its fields.
///
/// `wengert::prelude` exports it as `params!`. Fields before the semicolon are parameters, buffers, or parts that
/// have them: layers, lists, options. Fields after it have none. The code does not compile if a field is missing.
///
/// ```
/// use wengert_core::{Param, Params, Tensor, params_f32};
///
/// struct Net { weights: Vec<Param<f32>>, bias: Param<f32>, rate: f64 }
/// params_f32! { Net { weights, bias; rate } }
///
/// let param = || Param::new(Tensor::zeros([2]));
/// let net = Net { weights: vec![param(), param()], bias: param(), rate: 0.1 };
/// let names: Vec<_> = net.named_params().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["weights.0", "weights.1", "bias"]);
/// ```
#[macro_export]
macro_rules! params_f32 {
    ($($model:tt)*) => { $crate::params_of_precision! { f32; $($model)* } };
}

/// Implements [`Params`] in double precision for a struct, by the names of its fields; see
/// [`params_f32!`]. `wengert::f64::prelude` exports it as `params!`.
#[macro_export]
macro_rules! params_f64 {
    ($($model:tt)*) => { $crate::params_of_precision! { f64; $($model)* } };
}

/// Implements [`Params`] in every precision for a struct, by the names of its fields; see [`params_f32!`].
///
/// The struct has the precision as its type parameter, as in `Layer<F: Float>`. A struct without a type parameter is
/// marked `plain`.
///
/// ```
/// use wengert_core::{Float, Param, params_generic};
///
/// struct Scale<F: Float> { weight: Param<F> }
/// params_generic! { Scale { weight } }
///
/// struct Dropout { p: f64 }
/// params_generic! { plain Dropout {; p } }
/// ```
#[macro_export]
macro_rules! params_generic {
    (plain $Model:ident $($fields:tt)*) => {
        $crate::params_of_precision! { [F: $crate::Float] F; $Model $($fields)* }
    };
    ($Model:ident $($fields:tt)*) => {
        $crate::params_of_precision! { [F: $crate::Float] F; $Model<F> $($fields)* }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Net {
        layers: Vec<Param<f32>>,
        bias: Option<Param<f32>>,
        mean: Buffer<f32>,
        rate: f32,
    }
    params_f32! { Net { layers, bias, mean; rate } }

    #[test]
    fn names_are_dotted_and_in_order_of_declaration() {
        let param = || Param::new(Tensor::zeros([2]));
        let mut net = Net {
            layers: vec![param(), param()],
            bias: Some(param()),
            mean: Buffer::new(Tensor::zeros([1])),
            rate: 0.5,
        };
        let names: Vec<_> = net.named_params().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["layers.0", "layers.1", "bias"]);
        assert_eq!(net.param_count(), 6);
        let mut all = Vec::new();
        net.visit_mut(Path::ROOT, &mut |path, _| all.push(path.to_string()));
        assert_eq!(all, ["layers.0", "layers.1", "bias", "mean"]);
        assert_eq!(net.rate, 0.5);
    }
}
