//! The state of a training, from which it continues with the same bits.

use wengert_core::{Leaf, LeafMut, Params, Path, Tensor};
use wengert_nn::optim::OptimizerState;

use super::{Best, Model, Progress, Trainer};
use crate::metrics::MeanLoss;

/// Prefixes of the names in a state. Weights have their names in the model.
const OPTIMIZER: &str = "optimizer/";
const TRAINER: &str = "trainer/";

impl<M: Model> Trainer<M> {
    /// Returns the state by name: weights and buffers under their names in the model, the optimizer's state under
    /// `optimizer/` (gradients that wait included), the progress under `trainer/`.
    pub fn state(&self) -> OptimizerState<f32> {
        let OptimizerState { tensors, numbers } = self.optimizer.state(&self.model);
        let mut state = OptimizerState {
            tensors: tensors
                .into_iter()
                .map(|(name, t)| (format!("{OPTIMIZER}{name}"), t))
                .collect(),
            numbers: numbers
                .into_iter()
                .map(|(name, n)| (format!("{OPTIMIZER}{name}"), n))
                .collect(),
        };
        state.tensors.extend(weights(&self.model));
        let Progress { step, loss, best, since_best, stopped_early } = &self.progress;
        let (loss_sum, loss_rows) = loss.parts();
        let mut put = |name: &str, value: f64| {
            state.numbers.insert(format!("{TRAINER}{name}"), value);
        };
        put("step", *step as f64);
        put("loss_sum", loss_sum);
        put("loss_rows", loss_rows as f64);
        put("since_best", *since_best as f64);
        put("stopped_early", f64::from(u8::from(*stopped_early)));
        if let Some(Best { step, value }) = best {
            put("best_step", *step as f64);
            put("best_value", *value);
        }
        state
    }

    /// Restores a state. Training continues as if it had not been interrupted.
    ///
    /// # Errors
    /// If the state is not that of such a model and optimizer; the message says why. The trainer is unchanged then.
    pub fn restore(&mut self, state: OptimizerState<f32>) -> Result<(), String> {
        let (mut of_optimizer, mut weights) = (OptimizerState::default(), Vec::new());
        for (name, tensor) in state.tensors {
            match name.strip_prefix(OPTIMIZER) {
                Some(own) => drop(of_optimizer.tensors.insert(own.to_owned(), tensor)),
                None => weights.push((name, tensor)),
            }
        }
        let mut numbers = std::collections::BTreeMap::new();
        for (name, number) in state.numbers {
            match name.strip_prefix(OPTIMIZER) {
                Some(own) => drop(of_optimizer.numbers.insert(own.to_owned(), number)),
                None => drop(numbers.insert(name, number)),
            }
        }
        let number = |name: &str| numbers.get(&format!("{TRAINER}{name}")).copied();
        let need = |name: &str| number(name).ok_or_else(|| format!("it has no `{TRAINER}{name}`"));
        let best = number("best_step").zip(number("best_value"));
        let progress = Progress {
            step: need("step")? as u64,
            loss: MeanLoss::from_parts(need("loss_sum")?, need("loss_rows")? as u64),
            best: best.map(|(step, value)| Best { step: step as u64, value }),
            since_best: need("since_best")? as u64,
            stopped_early: need("stopped_early")? != 0.0,
        };
        check_fit(&self.model, &weights)?;
        self.optimizer.restore(&self.model, of_optimizer).map_err(|error| error.to_string())?;
        set_weights(&mut self.model, weights);
        self.progress = progress;
        self.order = None;
        self.evaluation = None;
        self.best_weights = None;
        Ok(())
    }
}

/// Returns the parameters and buffers of a model by name, in the model's order.
pub(crate) fn weights(model: &impl Params<f32>) -> Vec<(String, Tensor<f32>)> {
    let mut weights = Vec::new();
    model.visit(Path::ROOT, &mut |path, leaf| {
        weights.push((path.to_string(), leaf.value().clone()));
    });
    weights
}

/// Checks that these are the weights of the model by name and shape.
fn check_fit(model: &impl Params<f32>, weights: &[(String, Tensor<f32>)]) -> Result<(), String> {
    let (mut mistake, mut count) = (None, 0);
    model.visit(Path::ROOT, &mut |path, leaf: Leaf<'_, f32>| {
        let (name, expected) = (path.to_string(), leaf.value().shape());
        count += 1;
        let found = weights.iter().find(|(own, _)| *own == name).map(|(_, t)| t.shape());
        if found != Some(expected) {
            mistake.get_or_insert_with(|| match found {
                Some(found) => format!("{name} is {expected:?} in the model, {found:?} in it"),
                None => format!("it has no weight {name}"),
            });
        }
    });
    match mistake {
        None if count < weights.len() => Err("it has weights that the model does not have".into()),
        None => Ok(()),
        Some(mistake) => Err(mistake),
    }
}

fn set_weights(model: &mut impl Params<f32>, weights: Vec<(String, Tensor<f32>)>) {
    let mut weights: std::collections::BTreeMap<_, _> = weights.into_iter().collect();
    model.visit_mut(Path::ROOT, &mut |path, leaf| {
        if let Some(tensor) = weights.remove(&path.to_string()) {
            match leaf {
                LeafMut::Param(param) => param.set(tensor),
                LeafMut::Buffer(buffer) => buffer.set(tensor),
            }
        }
    });
}
