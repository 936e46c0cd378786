//! Post-mortem: what happened at a step, found by running to it again. A run repeats to the bit, so it can be asked
//! afterwards.

use std::collections::VecDeque;
use std::fmt::Write;
use std::path::Path;

use wengert_core::{Leaf, NotFinite, Params, Path as ModelPath, Tensor};

use super::checkpoint::{Checkpoint, Checkpoints};
use super::folder::Folder;
use super::{Kinds, Network, Plan, RunError};
use crate::trainer::{Diverged, Norms, Step, Trainer};

/// Steps before the explained one whose norms are listed.
const BEFORE: usize = 10;

/// Explanation of a step, and the weights before it.
struct Explanation {
    text: String,
    weights: Vec<(String, Tensor<f32>)>,
}

/// Explains a step of a run, counted from 1: loss, rows of the batch, rate, norms, and the first operation whose result
/// is not finite, if there is one. The run may be finished or not; its folder stays as it is.
///
/// # Errors
/// If the folder holds no run, or the run has no such step.
pub fn explain(folder: &Path, step: u64, kinds: &Kinds) -> Result<String, RunError> {
    let folder = Folder::open(folder)?;
    let plan = Plan::load(folder.file("config.toml"), &[""; 0], kinds)?;
    let checkpoints = Checkpoints::of(&folder, plan.checkpoint.keep);
    let total = plan.trainer().total_steps();
    if !(1..=total).contains(&step) {
        return Err(RunError::Refused(format!(
            "--at-step: expected a step from 1 to {total}, found {step}"
        )));
    }
    Ok(of_step(&plan, &checkpoints, step)?.text)
}

/// Writes `postmortem.txt` and the weights before the step that went wrong.
pub(super) fn post_mortem(
    plan: &Plan,
    folder: &Folder,
    checkpoints: &Checkpoints,
    diverged: &Diverged,
) -> Result<(), RunError> {
    let Explanation { text, weights } = of_step(plan, checkpoints, diverged.step)?;
    folder.write("postmortem.txt", format!("{diverged}\n\n{text}"))?;
    checkpoints.save_good(weights)
}

/// Runs from a checkpoint to a step, or to the first step that makes a weight infinite or NaN.
fn of_step(plan: &Plan, checkpoints: &Checkpoints, step: u64) -> Result<Explanation, RunError> {
    let mut trainer = plan.trainer().norms_every(crate::trainer::Every::Steps(1));
    if let Some(checkpoint) = start(plan, checkpoints, step) {
        trainer.restore(checkpoint.state).map_err(RunError::Refused)?;
    }
    let mut before: VecDeque<Step> = VecDeque::new();
    let mut weights = crate::trainer::weights(trainer.model());
    let mut outcome = None;
    while trainer.progress().step + 1 < step && trainer.stopped().is_none() {
        let found = trainer.step().map_err(RunError::Diverged)?;
        if !is_finite(trainer.model()) {
            outcome = Some(found);
            break;
        }
        weights = crate::trainer::weights(trainer.model());
        before.push_back(found);
        if before.len() > BEFORE {
            before.pop_front();
        }
    }
    if let (None, Some(stop)) = (&outcome, trainer.stopped()) {
        let last = trainer.progress().step;
        return Err(RunError::Refused(format!("the run ended after step {last} ({stop:?})")));
    }
    let mut text = String::new();
    let next = (step, trainer.optimizer().lr());
    let at = outcome.as_ref().map_or(next, |overflow| (overflow.step, overflow.lr));
    describe(&mut text, plan, &trainer, at);
    let norms = match outcome {
        Some(overflow) => {
            let bad = not_finite(trainer.model());
            let _ = writeln!(
                text,
                "loss: {}\n\nThe update of this step made a weight that is not finite: {bad}.",
                overflow.loss
            );
            overflow.norms
        }
        None => match trainer.check_step() {
            Ok((loss, norms)) => {
                let _ = writeln!(text, "loss: {loss}\n\nAll numbers of this step are finite.");
                Some(norms)
            }
            Err(error) => {
                mistake(&mut text, plan, &error);
                None
            }
        },
    };
    history(&mut text, &before, norms.as_ref());
    Ok(Explanation { text, weights })
}

/// Returns the latest checkpoint that is far enough before a step to list the steps in between; if there is none, the
/// earliest that is before it.
fn start(plan: &Plan, checkpoints: &Checkpoints, step: u64) -> Option<Checkpoint> {
    if step <= BEFORE as u64 {
        return None;
    }
    let usable = |checkpoint: &Checkpoint| {
        checkpoint.step() < step
            && checkpoint.about.config == plan.text
            && checkpoint.state.tensors.values().all(Tensor::is_finite)
    };
    let mut earliest = None;
    for path in checkpoints.paths() {
        let Ok(checkpoint) = Checkpoint::read(&path) else { continue };
        if usable(&checkpoint) {
            let far_enough = checkpoint.step() + (BEFORE as u64) < step;
            earliest = Some(checkpoint);
            if far_enough {
                break;
            }
        }
    }
    earliest
}

fn describe(text: &mut String, plan: &Plan, trainer: &Trainer<Network>, (step, lr): (u64, f64)) {
    let per_epoch = trainer.steps_per_epoch();
    let (epoch, batch) = ((step - 1) / per_epoch + 1, (step - 1) % per_epoch + 1);
    let rows = trainer.rows(step - 1);
    let rows = rows.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
    let _ = writeln!(text, "step: {step}");
    let _ = writeln!(text, "epoch: {epoch}, batch {batch} of {per_epoch}");
    let _ = writeln!(text, "rate: {lr:?}");
    let _ = writeln!(text, "loss function: {}", plan.loss.name());
    let _ = writeln!(text, "rows of the training data, counted from 0: {rows}");
}

fn mistake(text: &mut String, plan: &Plan, error: &NotFinite) {
    let what = if error.is_leaf { "" } else { "operation " };
    let _ = writeln!(text, "\n{what}{}: {}", error.operation, error.number);
    let place = match error.cotangent {
        None => "its value".to_owned(),
        Some(input) => format!("the derivative by its input {input}"),
    };
    let _ = writeln!(text, "where: {place}, at {:?}", error.position);
    let _ = writeln!(text, "source: {}", error.location);
    if !error.layer.is_empty() {
        let _ = write!(text, "layer: {}", error.layer);
        if let Some(line) = config_line(&plan.text, &error.layer) {
            let _ = write!(text, ", at config.toml:{line}");
        }
        text.push('\n');
    }
    for (i, input) in error.inputs.iter().enumerate() {
        /// Characters of a printed input.
        const PRINTED: usize = 400;
        let cut: String = input.chars().take(PRINTED).collect();
        let more = if cut.len() < input.len() { " .." } else { "" };
        let _ = writeln!(text, "input {i}: {cut}{more}");
    }
}

/// Returns the line of the configuration that describes a layer such as `2 Linear`.
fn config_line(config: &str, layer: &str) -> Option<usize> {
    let index: usize = layer.split([' ', '.']).next()?.parse().ok()?;
    let lines = config.lines().enumerate();
    let mut layers = lines.filter(|(_, line)| *line == "[[model.layers]]");
    layers.nth(index).map(|(line, _)| line + 1)
}

/// Lists the steps before, then the norms by parameter.
fn history(text: &mut String, before: &VecDeque<Step>, norms: Option<&Norms>) {
    let total = |norms: &[(String, f64)]| norms.iter().map(|(_, n)| n * n).sum::<f64>().sqrt();
    if !before.is_empty() {
        let _ = writeln!(text, "\nThe steps before:");
        let _ = writeln!(
            text,
            "{:>8} {:>14} {:>14} {:>14} {:>14}",
            "step", "loss", "rate", "gradients", "weights"
        );
    }
    for step in before {
        let Step { step, loss, lr, norms, .. } = step;
        let norms = norms.clone().unwrap_or_default();
        let (gradients, weights) = (total(&norms.gradients), total(&norms.weights));
        let _ = writeln!(
            text,
            "{step:>8} {loss:>14.6e} {lr:>14.6e} {gradients:>14.6e} {weights:>14.6e}"
        );
    }
    let last = before.back().and_then(|step| step.norms.as_ref());
    let (when, norms) = match (norms, last) {
        (Some(norms), _) => ("at this step", norms),
        (None, Some(norms)) => ("at the step before", norms),
        (None, None) => return,
    };
    let _ = writeln!(text, "\nNorms {when}:\n{:>14} {:>14}  parameter", "gradient", "weight");
    for (name, weight) in &norms.weights {
        let gradient = norms.gradients.iter().find(|(own, _)| own == name);
        let gradient = gradient.map_or("none".to_owned(), |(_, norm)| format!("{norm:.6e}"));
        let _ = writeln!(text, "{gradient:>14} {weight:>14.6e}  {name}");
    }
}

/// Returns whether all weights and buffers are finite.
pub(super) fn is_finite(model: &Network) -> bool {
    let mut finite = true;
    model.visit(ModelPath::ROOT, &mut |_, leaf: Leaf<'_, f32>| finite &= leaf.value().is_finite());
    finite
}

/// Returns the names of the weights that are not finite.
fn not_finite(model: &Network) -> String {
    let mut names = Vec::new();
    model.visit(ModelPath::ROOT, &mut |path, leaf: Leaf<'_, f32>| {
        if !leaf.value().is_finite() {
            names.push(path.to_string());
        }
    });
    names.join(", ")
}
