//! Steps on a loss that is there to be called: those of solvers such as L-BFGS.

use wengert_core::{Float, Gradients, Leaf, Params, Path as Place, Tensor};

use super::optimizer::{Optimizer, remember};
use super::transform::Work;
use super::{StepContext, UnusedParameters};

impl<F: Float> Optimizer<F> {
    /// Makes one step on the loss that `loss` computes, and returns the loss before it. Serves every
    /// recipe, so that one whose solver calls the loss itself is swapped in by configuration alone.
    ///
    /// # Panics
    /// As [`Optimizer::step`].
    #[track_caller]
    pub fn minimize<M: Params<F>>(
        &mut self,
        model: &mut M,
        mut loss: impl FnMut(&M) -> (F, Gradients<F>),
    ) -> F {
        let Some(solver) = self.solver().cloned() else {
            let (value, grads) = loss(model);
            self.step(model, &grads);
            return value;
        };
        if self.steps == 0
            && let Err(error) = self.check(model)
        {
            panic!("minimize: {error}");
        }
        let Work::Solver(solver) = solver.work::<F>() else { unreachable!("looked at") };
        let mut trained = Vec::new();
        model.for_each_param_mut(&mut |place, param| {
            let frozen = param.is_frozen() || self.is_frozen(&place.to_string());
            trained.push(!frozen);
        });
        let mut x = Vec::new();
        let mut places = trained.iter();
        model.for_each_param_mut(&mut |_, param| {
            if places.next() == Some(&true) {
                x.extend_from_slice(param.value().as_slice());
            }
        });
        let n = x.len();
        let x = Tensor::from_vec(x, [n]);
        let skip = self.recipe.unused_parameters() == UnusedParameters::Skip;
        let mut last = None;
        let mut at_point = |point: &Tensor<F>| {
            move_to(model, &trained, point);
            let (value, grads) = loss(model);
            let gradient = gradient_of(model, &trained, &grads, skip, n);
            last = Some(grads);
            (value, gradient)
        };
        let context =
            StepContext { count: self.steps + 1, ..StepContext::new(self.steps, self.lr()) };
        let (value, end) = solver.step(context, &x, &mut at_point, &mut self.solver_state);
        move_to(model, &trained, &end);
        if let Some(grads) = last.filter(|grads| !grads.updates().is_empty()) {
            remember(model, &grads);
        }
        self.steps += 1;
        value
    }
}

/// Writes a flat point into the parameters that are trained.
#[track_caller]
fn move_to<F: Float>(model: &mut (impl Params<F> + ?Sized), trained: &[bool], point: &Tensor<F>) {
    let (mut rest, mut trained) = (point.as_slice(), trained.iter());
    model.for_each_param_mut(&mut |place, param| {
        if trained.next() == Some(&true) {
            let n = param.value().numel();
            assert!(rest.len() >= n, "minimize: the solver's point ends before {place}");
            let (part, tail) = rest.split_at(n);
            param.value_mut().as_mut_slice().copy_from_slice(part);
            rest = tail;
        }
    });
    assert!(rest.is_empty(), "minimize: the solver's point has {} numbers too many", rest.len());
}

/// The gradient of the parameters that are trained, as one array.
#[track_caller]
fn gradient_of<F: Float>(
    model: &(impl Params<F> + ?Sized),
    trained: &[bool],
    grads: &Gradients<F>,
    skip: bool,
    n: usize,
) -> Tensor<F> {
    let (mut flat, mut trained, mut missing) = (Vec::with_capacity(n), trained.iter(), Vec::new());
    model.visit(Place::ROOT, &mut |place, leaf| {
        if let Leaf::Param(param) = leaf
            && trained.next() == Some(&true)
        {
            match grads.get(param) {
                Some(g) => flat.extend_from_slice(g.as_slice()),
                None if skip => flat.resize(flat.len() + param.value().numel(), F::ZERO),
                None => missing.push(place.to_string()),
            }
        }
    });
    assert!(
        missing.is_empty(),
        "minimize: no gradient arrived at {}; freeze what is not trained, or say \
         unused_parameters = \"skip\"",
        missing.join(", ")
    );
    Tensor::from_vec(flat, [n])
}
