//! Steps that evaluate the loss themselves, for solvers such as L-BFGS.

use wengert_core::{Float, Gradients, Leaf, Params, Path, Tensor};

use super::driver::{Checked, Optimizer, check_shape, no_gradient, update_buffers};
use super::recipe::UnusedParameters;
use super::rule::StepContext;
use super::transform::{Transform, Work};

impl<F: Float> Optimizer<F> {
    pub(super) fn try_minimize(&mut self, objective: &mut dyn Objective<F>) -> Checked<F> {
        let Some(Work::Solver(solver)) = self.solver().map(|solver| solver.work::<F>()) else {
            unreachable!("only called for a solver");
        };
        let (solver, kind) = (solver.clone(), self.solver().map_or("", Transform::kind));
        self.check_start(objective.model())?;
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
        let mut trial = Trial { objective, trained: &trained, end: &x };
        let mut state = self.solver_state.clone();
        let skip_unused = self.recipe.unused_parameters() == UnusedParameters::Skip;
        let (mut last, mut mistake, mut accepted) = (None, None, None);
        let mut loss_at = |point: &Tensor<F>| {
            let given = point.shape();
            assert!(
                given == [n].into(),
                "minimize: `{kind}` asks for the loss at {given:?}, not [{n}]"
            );
            let model = trial.objective.model();
            move_to(model, &trained, point);
            let (value, grads) = trial.objective.loss();
            let model = trial.objective.model();
            let (gradient, missing) = match gradient_of(model, &trained, &grads, n) {
                Ok(found) => found,
                Err(misshapen) => {
                    mistake.get_or_insert(misshapen);
                    (Tensor::zeros([n]), Vec::new())
                }
            };
            if !skip_unused && !missing.is_empty() {
                mistake.get_or_insert(no_gradient(&missing));
            }
            // A line search may try points without a finite loss, but not begin at one.
            if accepted.is_none() {
                match self.accepts(model, &grads) {
                    Ok(accepts) => accepted = Some(accepts),
                    Err(not_finite) => drop(mistake.get_or_insert(not_finite)),
                }
            }
            last = Some(grads);
            (value, gradient)
        };
        let context =
            StepContext { count: self.steps + 1, ..StepContext::new(self.steps, self.lr()) };
        let (value, end) = solver.step(context, &x, &mut loss_at, &mut state);
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
        if accepted == Some(false) {
            self.skipped += 1;
            return Ok(value);
        }
        if end.shape() != [n].into() {
            return Err(format!("`{kind}` ends at a point of shape {:?}, not [{n}]", end.shape()));
        }
        trial.end = &end;
        drop(trial);
        if let Some(grads) = last.filter(|grads| !grads.updates().is_empty()) {
            update_buffers(objective.model(), &grads);
        }
        self.solver_state = state;
        self.steps += 1;
        Ok(value)
    }
}

/// A model that a solver moves about. It goes to the end point when this value is dropped, which is where it
/// started unless the step succeeds.
struct Trial<'a, F: Float> {
    objective: &'a mut dyn Objective<F>,
    trained: &'a [bool],
    end: &'a Tensor<F>,
}

// On drop, so that the model goes back after a panic in the loss too.
impl<F: Float> Drop for Trial<'_, F> {
    fn drop(&mut self) {
        move_to(self.objective.model(), self.trained, self.end);
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
    model.for_each_param_mut(&mut |_, param| {
        if trained.next() == Some(&true) {
            let (part, tail) = rest.split_at(param.value().numel());
            param.value_mut().as_mut_slice().copy_from_slice(part);
            rest = tail;
        }
    });
}

/// Returns the gradient of the trained parameters, of shape `[n]`, and the names of those without a
/// gradient, which count as 0.
///
/// # Errors
/// If a gradient and its parameter differ in shape.
fn gradient_of<F: Float>(
    model: &dyn Params<F>,
    trained: &[bool],
    grads: &Gradients<F>,
    n: usize,
) -> Checked<(Tensor<F>, Vec<String>)> {
    let (mut flat, mut trained, mut missing) = (Vec::with_capacity(n), trained.iter(), Vec::new());
    let mut mistake = None;
    model.visit(Path::ROOT, &mut |path, leaf| {
        if let Leaf::Param(param) = leaf
            && trained.next() == Some(&true)
        {
            match grads.get(param) {
                Some(g) => {
                    check_shape(&mut mistake, path, param, g);
                    flat.extend_from_slice(g.as_slice());
                }
                None => {
                    flat.resize(flat.len() + param.value().numel(), F::ZERO);
                    missing.push(path.to_string());
                }
            }
        }
    });
    match mistake {
        Some(mistake) => Err(mistake),
        None => Ok((Tensor::from_vec(flat, [n]), missing)),
    }
}
