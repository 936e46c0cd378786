//! Steps that evaluate the loss themselves, for solvers such as L-BFGS.

use wengert_core::{Float, Gradients, Leaf, Params, Path, Tensor};

use super::driver::{Checked, Optimizer, no_gradient, update_buffers};
use super::recipe::UnusedParameters;
use super::rule::StepContext;
use super::transform::Work;

impl<F: Float> Optimizer<F> {
    pub(super) fn try_minimize(&mut self, objective: &mut dyn Objective<F>) -> Checked<F> {
        let Some(Work::Solver(solver)) = self.solver().map(|solver| solver.work::<F>()) else {
            unreachable!("only called for a solver");
        };
        let solver = solver.clone();
        if self.steps == 0 {
            self.check(objective.model()).map_err(|error| error.to_string())?;
        }
        let (mut trained, mut x) = (Vec::new(), Vec::new());
        objective.model().for_each_param_mut(&mut |path, param| {
            let is_trained = !param.is_frozen() && !self.is_frozen(&path.to_string());
            trained.push(is_trained);
            if is_trained {
                x.extend_from_slice(param.value().as_slice());
            }
        });
        let n = x.len();
        let x = Tensor::from_vec(x, [n]);
        let skip = self.recipe.unused_parameters() == UnusedParameters::Skip;
        let (mut last, mut mistake) = (None, None);
        let mut loss_at = |point: &Tensor<F>| {
            move_to(objective.model(), &trained, point);
            let (value, grads) = objective.loss();
            let (gradient, missing) = gradient_of(objective.model(), &trained, &grads, n);
            if !skip && !missing.is_empty() {
                mistake.get_or_insert(no_gradient(&missing));
            }
            last = Some(grads);
            (value, gradient)
        };
        let context =
            StepContext { count: self.steps + 1, ..StepContext::new(self.steps, self.lr()) };
        let (value, end) = solver.step(context, &x, &mut loss_at, &mut self.solver_state);
        if let Some(mistake) = mistake {
            move_to(objective.model(), &trained, &x);
            return Err(mistake);
        }
        move_to(objective.model(), &trained, &end);
        if let Some(grads) = last.filter(|grads| !grads.updates().is_empty()) {
            update_buffers(objective.model(), &grads);
        }
        self.steps += 1;
        Ok(value)
    }
}

/// A model and its loss, their types erased.
pub(super) trait Objective<F: Float> {
    fn model(&mut self) -> &mut dyn Params<F>;
    /// Evaluates the loss of the model as it is now.
    fn loss(&mut self) -> (F, Gradients<F>);
}

/// A model and a closure that evaluates its loss.
pub(super) struct ModelLoss<'m, M, L> {
    pub(super) model: &'m mut M,
    pub(super) loss: L,
}

impl<F, M, L> Objective<F> for ModelLoss<'_, M, L>
where
    F: Float,
    M: Params<F>,
    L: FnMut(&M) -> (F, Gradients<F>),
{
    fn model(&mut self) -> &mut dyn Params<F> {
        self.model
    }
    fn loss(&mut self) -> (F, Gradients<F>) {
        (self.loss)(self.model)
    }
}

/// Writes a point of shape `[n]` into the parameters that are trained.
fn move_to<F: Float>(model: &mut dyn Params<F>, trained: &[bool], point: &Tensor<F>) {
    let (mut rest, mut trained) = (point.as_slice(), trained.iter());
    model.for_each_param_mut(&mut |path, param| {
        if trained.next() == Some(&true) {
            let n = param.value().numel();
            assert!(rest.len() >= n, "minimize: the point of the solver ends before {path}");
            let (part, tail) = rest.split_at(n);
            param.value_mut().as_mut_slice().copy_from_slice(part);
            rest = tail;
        }
    });
    assert!(
        rest.is_empty(),
        "minimize: the point of the solver has {} numbers too many",
        rest.len()
    );
}

/// Returns the gradient of the trained parameters, of shape `[n]`, and the names of those without a
/// gradient, which count as 0.
fn gradient_of<F: Float>(
    model: &dyn Params<F>,
    trained: &[bool],
    grads: &Gradients<F>,
    n: usize,
) -> (Tensor<F>, Vec<String>) {
    let (mut flat, mut trained, mut missing) = (Vec::with_capacity(n), trained.iter(), Vec::new());
    model.visit(Path::ROOT, &mut |path, leaf| {
        if let Leaf::Param(param) = leaf
            && trained.next() == Some(&true)
        {
            match grads.get(param) {
                Some(g) => flat.extend_from_slice(g.as_slice()),
                None => {
                    flat.resize(flat.len() + param.value().numel(), F::ZERO);
                    missing.push(path.to_string());
                }
            }
        }
    });
    (Tensor::from_vec(flat, [n]), missing)
}
