//! A recipe as a program for optax.

use super::NoEquivalent;
use super::python::{SCHEDULES, element, number_or_function, setting};
use crate::optim::recipe::{NonFinite, Plan, Recipe};
use crate::optim::transform::Transform;

const LINKS: &str = include_str!("python/optax_links.py");

const HEAD: &str =
    "# The recipe as a program for optax, written by wengert. For f64: JAX_ENABLE_X64=1.
import re

import jax
import jax.numpy as jnp
import optax
from jax.numpy import cos, maximum, minimum, pi, sqrt, where


";

/// Gives each parameter the chain of its group.
const GROUPS: &str = include_str!("python/optax_groups.py");

impl Recipe {
    /// Returns a program for optax with the function `optimizer(params)`, which returns a gradient transformation that
    /// makes the steps of this recipe: the same numbers in f64, to about 1e-12. `params` is a flat dictionary by name.
    ///
    /// ```
    /// use wengert_nn::optim::Recipe;
    ///
    /// let recipe: Recipe = "kind = 'adamw'\nlr = 1e-3".parse()?;
    /// assert!(recipe.to_optax()?.contains("optax.scale_by_adam("));
    /// let amsgrad: Recipe = "kind = 'amsgrad'".parse()?;
    /// assert!(amsgrad.to_optax().unwrap_err().to_string().starts_with("`adam` has no equivalent"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns the first link that optax does not have or defines otherwise, so that the numbers would differ.
    pub fn to_optax(&self) -> Result<String, NoEquivalent> {
        if self.non_finite() == NonFinite::Skip {
            return Err(NoEquivalent::new(
                "non_finite",
                "optax has no step that is skipped for good",
            ));
        }
        let groups = self.groups().iter().map(|group| group.plan());
        let plans: Vec<Option<&Plan>> = groups.chain([Some(self.plan())]).collect();
        let clip = self.common_clip(&plans)?;
        let chains = plans.iter().map(|plan| match plan {
            None => Ok("optax.set_to_zero()".to_owned()),
            Some(plan) => chain_of(plan, &plan.chain()[usize::from(clip.is_some())..]),
        });
        let mut chains = chains.collect::<Result<Vec<_>, _>>()?;
        let clip = clip.map(link_of).transpose()?;
        let text = format!("{} {clip:?}", chains.join(" "));
        let mut program = String::from(HEAD);
        if ["warmup(", "joined(", "cosine(", "restarts(", "cycle("].iter().any(|f| text.contains(f))
        {
            program += &format!("{SCHEDULES}\n\n");
        }
        if ["clip_norm", "clip_tensor_norm", "ema(", "(ema)"].iter().any(|f| text.contains(f)) {
            program += &format!("{LINKS}\n\n");
        }
        program += "def optimizer(params):\n";
        if let (1, Some(chain)) = (chains.len(), chains.pop_if(|_| plans.len() == 1)) {
            program += &format!("    whole = {chain}\n");
        } else {
            let patterns = self.groups().iter().map(|group| {
                group.params().iter().map(ToString::to_string).collect::<Vec<String>>()
            });
            let patterns: Vec<_> = patterns.collect();
            let chains = chains.join(",\n        ");
            program += &format!(
                "    groups = {patterns:?}\n    chains = [\n        {chains},\n    ]\n{GROUPS}"
            );
        }
        if let Some(clip) = clip {
            program += &format!("    whole = optax.chain({clip}, whole)\n");
        }
        if self.accumulate() > 1 {
            let steps = self.accumulate();
            program += "    dtype = jax.tree.leaves(params)[0].dtype\n";
            program += &format!(
                "    whole = optax.MultiSteps(whole, {steps}, accumulator_dtype=dtype).gradient_transformation()\n"
            );
        }
        Ok(program + "    return whole\n")
    }

    /// Returns the `clip_norm` that stands in front of the division into groups, if there are groups: its norm is that
    /// of the whole model.
    fn common_clip(&self, plans: &[Option<&Plan>]) -> Result<Option<&Transform>, NoEquivalent> {
        let is_clip = |link: &&Transform| link.kind() == "clip_norm";
        let first = self.chain().first().filter(is_clip);
        let all = || plans.iter().flatten().flat_map(|plan| plan.chain());
        if plans.len() == 1 || !all().any(|link| is_clip(&link)) {
            return Ok(None);
        }
        let same = plans.iter().all(|plan| plan.is_some_and(|plan| plan.chain().first() == first));
        if first.is_some() && same && all().filter(is_clip).count() == plans.len() {
            return Ok(first);
        }
        let reason =
            "with groups it must be first and the same in every chain, and no group may be frozen";
        Err(NoEquivalent::new("clip_norm", reason))
    }
}

/// Returns the chain of a plan, of which `links` are left.
fn chain_of(plan: &Plan, links: &[Transform]) -> Result<String, NoEquivalent> {
    let (ema, links) = match links.split_last() {
        Some((last, rest)) if last.kind() == "ema" => (Some(last), rest),
        _ => (None, links),
    };
    let mut parts = links.iter().map(link_of).collect::<Result<Vec<_>, _>>()?;
    let rate = number_or_function(plan.lr())?;
    parts.push(format!("optax.scale_by_learning_rate({rate})"));
    parts.extend(ema.map(link_of).transpose()?);
    Ok(format!("optax.chain({})", parts.join(", ")))
}

/// Returns one link.
fn link_of(link: &Transform) -> Result<String, NoEquivalent> {
    let flag = |key: &str| link.settings().get(key).and_then(toml::Value::as_bool) == Some(true);
    let zero =
        |key: &str| link.number(key, None) == Some(0.0) && link.schedule(key, None).is_none();
    let refused = |reason: &str| Err(NoEquivalent::new(link.kind(), reason));
    let betas = || Ok([("b1", element(link, "betas", 0)?), ("b2", element(link, "betas", 1)?)]);
    let one = |name: &'static str, key: &str| Ok::<_, NoEquivalent>((name, setting(link, key)?));
    let (function, arguments): (&str, Vec<(&str, String)>) = match link.kind() {
        "clip_value" => ("optax.clip", vec![one("max_delta", "clip_value")?]),
        "clip_tensor_norm" => ("clip_tensor_norm", vec![one("max_norm", "max_norm")?]),
        "clip_norm" => ("clip_norm", vec![one("max_norm", "max_norm")?]),
        "maximize" => ("optax.scale", vec![("step_size", "-1.0".into())]),
        "weight_decay" => ("optax.add_decayed_weights", vec![one("weight_decay", "weight_decay")?]),
        "ema" => ("ema", vec![one("decay", "decay")?]),
        "sgd" if !zero("dampening") => return refused("optax has no dampening"),
        "sgd" if zero("momentum") => return Ok("optax.identity()".into()),
        "sgd" => {
            let nesterov = if flag("nesterov") { "True" } else { "False" };
            ("optax.trace", vec![one("decay", "momentum")?, ("nesterov", nesterov.into())])
        }
        "rmsprop" => {
            let function =
                if flag("centered") { "optax.scale_by_stddev" } else { "optax.scale_by_rms" };
            let inside = if flag("eps_inside_sqrt") { "True" } else { "False" };
            let arguments =
                vec![one("decay", "alpha")?, one("eps", "eps")?, ("eps_in_sqrt", inside.into())];
            let scale = call(function, &arguments);
            if zero("momentum") {
                return Ok(scale);
            }
            let trace = call("optax.trace", &[one("decay", "momentum")?]);
            return Ok(format!("{scale}, {trace}"));
        }
        "adagrad" => {
            return refused("optax adds eps inside of the square root, and has no lr_decay");
        }
        "adadelta" => ("optax.scale_by_adadelta", vec![one("rho", "rho")?, one("eps", "eps")?]),
        "adam" if flag("amsgrad") => {
            return refused("optax takes the largest `v` after the bias correction");
        }
        "adam" => {
            let betas: Result<[_; 2], NoEquivalent> = betas();
            ("optax.scale_by_adam", betas?.into_iter().chain([one("eps", "eps")?]).collect())
        }
        "adamax" => {
            let betas: Result<[_; 2], NoEquivalent> = betas();
            ("optax.scale_by_adamax", betas?.into_iter().chain([one("eps", "eps")?]).collect())
        }
        "lion" => {
            let betas: Result<[_; 2], NoEquivalent> = betas();
            ("optax.scale_by_lion", betas?.into_iter().collect())
        }
        "nadam" => return refused("the momentum of optax's `nadam` does not grow"),
        "radam" => return refused("optax adds eps after the bias correction"),
        "lazy_adam" => return refused("optax has no rule that updates rows alone"),
        "adan" => return refused("optax weights the change of the gradient by `1 - beta2`"),
        "muon" => return refused("optax's `contrib.muon` corrects the bias of its momentum"),
        "schedule_free_adamw" => {
            return refused("optax's `contrib` wraps an optimizer, with other states");
        }
        _ if link.is_solver() => return refused("it calls the loss itself"),
        _ => return refused("it is a rule of your own"),
    };
    Ok(call(function, &arguments))
}

/// Returns the call of a function; settings that follow schedules are injected.
fn call(function: &str, arguments: &[(&str, String)]) -> String {
    let all: Vec<String> = arguments.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let scheduled = arguments.iter().any(|(_, value)| value.starts_with("lambda"));
    let fixed: Vec<String> = arguments
        .iter()
        .filter(|(_, value)| value == "True" || value == "False")
        .map(|(key, _)| format!("\"{key}\""))
        .collect();
    match (scheduled, fixed.is_empty()) {
        (false, _) => format!("{function}({})", all.join(", ")),
        (true, true) => format!("optax.inject_hyperparams({function})({})", all.join(", ")),
        (true, false) => format!(
            "optax.inject_hyperparams({function}, static_args=({},))({})",
            fixed.join(", "),
            all.join(", ")
        ),
    }
}
