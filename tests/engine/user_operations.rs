//! Operations of a user that are wrong: in the shape of the value or of a cotangent, or by a panic. The message names the
//! operation, both shapes, and the user's line.

use wengert::core::IndexVar;
use wengert::f64::prelude::*;
use wengert::{Float, IndexOp, ManyOp, Op, Shape, ShapeError, Value};

use crate::panics::{caught, fails};

/// The sum of its inputs. It says that the shape is `shape`, and computes the shape `value`.
#[derive(Clone, Debug)]
struct Liar {
    shape: Shape,
    value: Shape,
}

impl Liar {
    fn new(shape: impl Into<Shape>, value: impl Into<Shape>) -> Self {
        Self { shape: shape.into(), value: value.into() }
    }
}

impl Op<1> for Liar {
    fn shape(&self, _: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(self.shape)
    }
    fn forward<F: Float>(&self, _: [&wengert::Tensor<F>; 1], _: Shape) -> wengert::Tensor<F> {
        wengert::Tensor::ones(self.value)
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        g.clone()
    }
}

/// As [`Liar`], of any number of inputs.
#[derive(Clone, Debug)]
struct ManyLiar(Liar);

impl ManyOp for ManyLiar {
    fn shape(&self, _: &[Shape]) -> Result<Shape, ShapeError> {
        Ok(self.0.shape)
    }
    fn forward<F: Float>(&self, _: &[&wengert::Tensor<F>], _: Shape) -> wengert::Tensor<F> {
        wengert::Tensor::ones(self.0.value)
    }
    fn vjp<V: Value>(&self, _: usize, _: &[&V], _: &V, g: &V) -> V {
        g.clone()
    }
}

/// As [`Liar`], with indices.
#[derive(Clone, Debug)]
struct IndexLiar(Liar);

impl IndexOp for IndexLiar {
    fn shape(&self, _: Shape, _: &Indices) -> Result<Shape, ShapeError> {
        Ok(self.0.shape)
    }
    fn forward<F: Float>(
        &self,
        _: &wengert::Tensor<F>,
        _: &Indices,
        _: Shape,
    ) -> wengert::Tensor<F> {
        wengert::Tensor::ones(self.0.value)
    }
    fn vjp<V: Value>(&self, _: &V, _: &V::Index, _: &V, g: &V) -> V {
        g.clone()
    }
}

#[test]
#[rustfmt::skip] // A call stands on the line of its `fails!`.
fn a_value_of_another_shape_than_declared_is_refused() {
    let lies = || Liar::new([2, 3], [3, 2]);
    let text = |name: &str| format!("{name}: `forward` returned shape [3, 2], but `shape` returned [2, 3]");
    let t = Tensor::ones([2, 3]);
    let tape = Tape::new();
    let x = tape.variable(&t);
    let index: IndexVar<'_, f64> = tape.indices([0]);
    fails! { t.apply_op(lies()), text("liar") }
    fails! { x.apply_op(lies()), text("liar") }
    fails! { t.cast::<f32>().apply_op(lies()), text("liar") }
    fails! { Tensor::apply_many(ManyLiar(lies()), &[&t, &t]), text("many_liar") }
    fails! { Var::apply_many(ManyLiar(lies()), &[&x, &x]), text("many_liar") }
    fails! { Tensor::apply_indexed(IndexLiar(lies()), &t, &[0].into()), text("index_liar") }
    fails! { Var::apply_indexed(IndexLiar(lies()), &x, &index), text("index_liar") }
    // As many elements, but another rank; and one element more.
    fails! { t.apply_op(Liar::new([6], [2, 3])), "liar: `forward` returned shape [2, 3], but `shape` returned [6]" }
    fails! { t.apply_op(Liar::new([6], [7])), "liar: `forward` returned shape [7], but `shape` returned [6]" }
    // The tape can be used after it.
    assert_eq!((x + 1.0).value(), Tensor::full([2, 3], 2.0));
}

#[test]
fn in_an_evaluation_the_message_names_the_line_too() {
    let t = Tensor::ones([2, 3]);
    let lies = Liar::new([6], [7]);
    let (at, error) = (line!(), caught(|| _ = evaluate(|tape| tape.constant(&t).apply_op(lies))));
    let message = "liar: `forward` returned shape [7], but `shape` returned [6]\n  while computing liar recorded at ";
    assert!(error.message.starts_with(message), "{}", error.message);
    assert!(error.message.contains(&format!("{}:{at}:", file!())), "{}", error.message);
    assert_eq!((&*error.file, error.line), (file!(), at));
}

/// The sum of two values of one shape, with a cotangent that is wrong in its shape, or panics.
#[derive(Clone, Debug)]
struct Wrong {
    cotangent: Shape,
    message: Option<&'static str>,
}

impl Op<2> for Wrong {
    fn shape(&self, [x, _]: [Shape; 2]) -> Result<Shape, ShapeError> {
        Ok(x)
    }
    fn forward<F: Float>(&self, [x, y]: [&wengert::Tensor<F>; 2], _: Shape) -> wengert::Tensor<F> {
        x + y
    }
    fn vjp<V: Value>(&self, i: usize, _: [&V; 2], y: &V, g: &V) -> V {
        if let Some(message) = self.message {
            panic!("{message} of input {i}");
        }
        if i == 0 { g.clone() } else { y.constant_like(self.cotangent, 1.0) }
    }
}

fn both<'t>(op: &Wrong, x: Var<'t>) -> Var<'t> {
    Var::apply(op.clone(), [&x, &x]).sum()
}

#[test]
fn a_wrong_cotangent_and_a_panic_are_told_with_the_operation_at_the_users_line() {
    let shaped = |shape: &[usize]| Wrong { cotangent: shape.into(), message: None };
    let cases = [
        (shaped(&[3]), "a cotangent of shape [3] does not sum to [2, 2]"),
        (shaped(&[2]), "a cotangent of shape [2] does not sum to [2, 2]"),
        (shaped(&[2, 1]), "a cotangent of shape [2, 1] does not sum to [2, 2]"),
        (shaped(&[4]), "a cotangent of shape [4] does not sum to [2, 2]"),
        (
            Wrong { cotangent: Shape::SCALAR, message: Some("no derivative") },
            "no derivative of input",
        ),
    ];
    for (op, message) in cases {
        let t = Tensor::ones([2, 2]);
        let tape = Tape::new();
        let x = tape.variable(&t);
        let (line, y) = (line!(), Var::apply(op.clone(), [&x, &x]));
        let loss = y.sum();
        let recorded = format!("while differentiating wrong recorded at {}:{line}:", file!());
        let told = |at: u32, error: crate::panics::Caught| {
            assert!(error.message.starts_with(message), "{}", error.message);
            assert!(error.message.contains(&recorded), "{}", error.message);
            assert_eq!((&*error.file, error.line), (file!(), at), "{}", error.message);
        };
        told(line!(), caught(|| _ = loss.backward()));
        told(line!(), caught(|| _ = grad(loss, &[x])));
        told(line!(), caught(|| _ = vjp(y, &[x], x)));
        told(line!(), caught(|| _ = jvp(y, &[x], &[x])));
        told(line!(), caught(|| _ = hvp(loss, &[x], &[x])));
        let told = |at: u32, error: crate::panics::Caught| {
            assert!(error.message.starts_with(message), "{}", error.message);
            assert!(error.message.contains(file!()), "{}", error.message);
            assert_eq!((&*error.file, error.line), (file!(), at), "{}", error.message);
        };
        told(line!(), caught(|| _ = gradients(|tape| both(&op, tape.variable(&t)))));
        told(line!(), caught(|| _ = gradients_with(|tape| (both(&op, tape.variable(&t)), 0))));
        told(line!(), caught(|| _ = seeded(1).gradients(|tape| both(&op, tape.variable(&t)))));
        told(line!(), caught(|| _ = gradients_checked(|tape| both(&op, tape.variable(&t)))));
    }
}

#[test]
fn a_cotangent_that_broadcasting_explains_is_summed() {
    // The first input broadcasts along the first axis, the second along both.
    #[derive(Clone, Debug)]
    struct Plain;

    impl Op<2> for Plain {
        fn shape(&self, [x, y]: [Shape; 2]) -> Result<Shape, ShapeError> {
            x.broadcast(y)
        }
        fn forward<F: Float>(
            &self,
            [x, y]: [&wengert::Tensor<F>; 2],
            _: Shape,
        ) -> wengert::Tensor<F> {
            x + y
        }
        fn vjp<V: Value>(&self, _: usize, _: [&V; 2], _: &V, g: &V) -> V {
            g.clone()
        }
    }
    let tape = Tape::new();
    let (x, y) = (tape.variable(&Tensor::ones([1, 3])), tape.variable(&Tensor::ones([2, 1])));
    let loss = Var::apply(Plain, [&x, &y]).sum();
    let grads = loss.backward();
    assert_eq!(grads.wrt(x), Some(&Tensor::full([1, 3], 2.0)));
    assert_eq!(grads.wrt(y), Some(&Tensor::full([2, 1], 3.0)));
    assert_eq!(grad(loss, &[y])[0].value(), Tensor::full([2, 1], 3.0));
}
