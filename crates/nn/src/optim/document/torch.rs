//! A recipe as a program for PyTorch.

use super::NoEquivalent;
use super::python::{SCHEDULES, number_or_function, setting};
use crate::optim::recipe::{Choice, Plan, Recipe};
use crate::optim::rule::Rule;
use crate::optim::rules::LazyAdam;
use crate::optim::transform::Transform;

const RULE: &str = include_str!("python/torch_rule.py");
const LION: &str = include_str!("python/torch_lion.py");
const ADAN: &str = include_str!("python/torch_adan.py");
const MUON: &str = include_str!("python/torch_muon.py");
const SCHEDULE_FREE: &str = include_str!("python/torch_schedule_free.py");
const RECIPE: &str = include_str!("python/torch_recipe.py");

/// Name of a rule in the program, and its definition if PyTorch has none.
fn class_of(kind: &str) -> Option<(&'static str, Option<&'static str>)> {
    Some(match kind {
        "sgd" => ("torch.optim.SGD", None),
        "rmsprop" => ("torch.optim.RMSprop", None),
        "adagrad" => ("torch.optim.Adagrad", None),
        "adadelta" => ("torch.optim.Adadelta", None),
        "adam" => ("torch.optim.Adam", None),
        "adamax" => ("torch.optim.Adamax", None),
        "nadam" => ("torch.optim.NAdam", None),
        "radam" => ("torch.optim.RAdam", None),
        "lion" => ("Lion", Some(LION)),
        "adan" => ("Adan", Some(ADAN)),
        "muon" => ("Muon", Some(MUON)),
        "schedule_free_adamw" => ("ScheduleFreeAdamW", Some(SCHEDULE_FREE)),
        _ => return None,
    })
}

/// Transforms that stand before a rule.
const BEFORE: [&str; 5] =
    ["clip_value", "clip_tensor_norm", "clip_norm", "maximize", "weight_decay"];

impl Recipe {
    /// Returns a program for PyTorch whose class `Recipe` makes the steps of this recipe: the same numbers in f64, to
    /// about 1e-12.
    ///
    /// ```
    /// use wengert_nn::optim::Recipe;
    ///
    /// let recipe: Recipe = "kind = 'adamw'\nlr = 1e-3".parse()?;
    /// assert!(recipe.to_torch()?.contains("torch.optim.Adam"));
    /// let centered: Recipe = "kind = 'rmsprop'\neps_inside_sqrt = true".parse()?;
    /// assert_eq!(centered.to_torch().unwrap_err().link(), "rmsprop");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns the first link that PyTorch does not have in this place: a rule or a schedule of your own, a solver, a
    /// schedule that follows a metric, or transforms in an order that its optimizers do not know.
    pub fn to_torch(&self) -> Result<String, NoEquivalent> {
        let mut plans = Vec::new();
        let mut classes: Vec<&str> = Vec::new();
        let groups = self.groups().iter().map(|group| {
            let names: Vec<String> = group.params().iter().map(|name| format!("{name}")).collect();
            (names, group.plan())
        });
        for (names, plan) in groups.chain([(Vec::new(), Some(self.plan()))]) {
            let Some(plan) = plan else {
                plans.push(format!("    {{\"names\": {names:?}, \"rule\": None}},\n"));
                continue;
            };
            plans.push(plan_of(&names, plan, &mut classes)?);
        }
        let mut program = String::from(
            "# The recipe as a program for PyTorch, written by wengert.\n\
             import re\nfrom math import cos, pi, sqrt\n\nimport torch\n\n\
             minimum, maximum = min, max\n\n\n\
             def where(condition, a, b):\n    return a if condition else b\n\n\n",
        );
        let plans: String = plans.concat();
        if ["warmup(", "joined(", "cosine(", "restarts(", "cycle("]
            .iter()
            .any(|f| plans.contains(f))
        {
            program += &format!("{SCHEDULES}\n\n");
        }
        if !classes.is_empty() {
            program += &format!("{RULE}\n\n{}\n\n", classes.join("\n\n"));
        }
        let words = (self.non_finite().word(), self.unused_parameters().word());
        program += &format!(
            "# The first group whose pattern matches has a parameter; the last one has all others.\n\
             PLANS = [\n{plans}]\nACCUMULATE = {}\nNON_FINITE = \"{}\"\nUNUSED_PARAMETERS = \"{}\"\n\n\n{RECIPE}",
            self.accumulate(),
            words.0,
            words.1
        );
        Ok(program)
    }
}

/// Returns the entry of a plan, and adds the class of its rule to those that the program defines.
fn plan_of(
    names: &[String],
    plan: &Plan,
    classes: &mut Vec<&'static str>,
) -> Result<String, NoEquivalent> {
    let mut chain = plan.chain();
    let (mut before, mut after) = (Vec::new(), (String::from("0.0"), String::from("None")));
    if let Some((ema, rest)) = chain.split_last().filter(|(last, _)| last.kind() == "ema") {
        (after.1, chain) = (setting(ema, "decay")?, rest);
    }
    let rule = chain.iter().position(|link| class_of(link.kind()).is_some());
    let end = rule.unwrap_or(chain.len());
    for link in &chain[..end] {
        let key = link.settings().keys().next().map_or("", String::as_str);
        match link.kind() {
            kind if !BEFORE.contains(&kind) => return Err(unknown(link)),
            "clip_norm" if before.iter().any(|b: &String| b.contains("\"clip_norm\"")) => {
                return Err(NoEquivalent::new("clip_norm", "it stands twice in a chain"));
            }
            "maximize" => before.push("(\"maximize\", None)".to_owned()),
            kind => before.push(format!("(\"{kind}\", {})", setting(link, key)?)),
        }
    }
    let (mut class, mut settings) = ("torch.optim.SGD", vec![]);
    if let Some(rule) = rule.map(|at| &chain[at]) {
        let (name, definition) = class_of(rule.kind()).unwrap_or((class, None));
        class = name;
        if let Some(definition) = definition.filter(|definition| !classes.contains(definition)) {
            classes.push(definition);
        }
        settings = settings_of(rule)?;
    }
    settings.push(format!("\"lr\": {}", number_or_function(plan.lr())?));
    for link in chain.iter().skip(end + 1) {
        if link.kind() != "weight_decay" || after.0 != "0.0" {
            let rule = rule.map_or("", |rule| chain[rule].kind());
            let reason = format!("PyTorch has no place for it after `{rule}`");
            return Err(NoEquivalent::new(link.kind(), reason));
        }
        let kept = ["adan", "muon", "schedule_free_adamw"];
        if let Some(kind) = rule.map(|rule| chain[rule].kind()).filter(|kind| kept.contains(kind)) {
            return Err(NoEquivalent::new(
                "weight_decay",
                format!("`{kind}` has a decay of its own"),
            ));
        }
        after.0 = setting(link, "weight_decay")?;
    }
    Ok(format!(
        "    {{\n        \"names\": {names:?},\n        \"before\": [{}],\n        \"rule\": {class},\n        \
         \"settings\": {{{}}},\n        \"decay\": {},\n        \"ema\": {},\n    }},\n",
        before.join(", "),
        settings.join(", "),
        after.0,
        after.1
    ))
}

/// Returns the settings of a rule under PyTorch's names, which are those of the recipe.
fn settings_of(rule: &Transform) -> Result<Vec<String>, NoEquivalent> {
    let is = |key: &str, value: bool| {
        rule.settings().get(key).and_then(toml::Value::as_bool) == Some(value)
    };
    if rule.kind() == "rmsprop" && is("eps_inside_sqrt", true) {
        return Err(NoEquivalent::new("rmsprop", "PyTorch adds eps outside of the square root"));
    }
    let momentum = rule.schedule("momentum", None);
    if momentum.is_some_and(|momentum| (0..1000).any(|step| momentum.at(step) == 0.0)) {
        return Err(NoEquivalent::new(
            rule.kind(),
            "PyTorch drops the buffer where a momentum is 0",
        ));
    }
    let keys = rule.settings().keys().filter(|key| *key != "eps_inside_sqrt");
    keys.map(|key| Ok(format!("\"{key}\": {}", setting(rule, key)?))).collect()
}

fn unknown(link: &Transform) -> NoEquivalent {
    let reason = if link.is_solver() {
        "it calls the loss itself"
    } else if link.kind() == LazyAdam::KIND {
        "`SparseAdam` takes sparse gradients alone, those of an embedding with `sparse=True`"
    } else if ["weight_decay", "clip_value", "ema"].contains(&link.kind()) {
        "it stands in another place than in PyTorch"
    } else {
        "it is a rule of your own"
    };
    NoEquivalent::new(link.kind(), reason)
}
