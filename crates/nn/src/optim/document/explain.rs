//! A recipe in words: formulas, rates, and what each parameter gets.

use std::fmt::Write;

use crate::optim::recipe::{Choice, Plan, Recipe};
use crate::optim::schedule::{Curve, Rate};

/// Columns and rows of the curve of a rate.
const WIDTH: u64 = 64;
const HEIGHT: usize = 8;

impl Recipe {
    /// Explains the recipe in plain text: the formula and the settings of each link of its chains, the curve of each
    /// rate, and what each of the parameters gets, given by name and shape; there may be none.
    ///
    /// ```
    /// use wengert_nn::optim::Recipe;
    ///
    /// let recipe: Recipe = "kind = 'sgd'\nlr = 0.1\n[[groups]]\nparams = '*.bias'\nfrozen = true".parse()?;
    /// let text = recipe.explain(&[("a.weight".into(), vec![2, 3]), ("a.bias".into(), vec![2])]);
    /// assert!(text.contains("a.weight   [2, 3]  the recipe       sgd"), "{text}");
    /// assert!(text.contains("a.bias     [2]     groups.0 *.bias  frozen"), "{text}");
    /// # Ok::<(), wengert_nn::optim::ConfigError>(())
    /// ```
    pub fn explain(&self, params: &[(String, Vec<usize>)]) -> String {
        let mut text = String::from(
            "Each step: u = g, the gradient; u goes through the chain; then p <- p - lr u.\n\
             In a formula g is what a link receives, t the number of its steps from 1.\n",
        );
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "A step is made of {} gradient{}; gradients that are not finite: {}; unused parameters: {}.",
            self.accumulate(),
            if self.accumulate() == 1 { "" } else { "s, their mean" },
            self.non_finite().word(),
            self.unused_parameters().word()
        );
        let has_groups = !self.groups().is_empty();
        plan(
            &mut text,
            if has_groups { "The recipe, for parameters of no group" } else { "The recipe" },
            self.plan(),
        );
        for (i, group) in self.groups().iter().enumerate() {
            let title = format!("{}, for parameters {}", label(i), patterns(self, i));
            match group.plan() {
                Some(own) => plan(&mut text, &title, own),
                None => _ = write!(text, "\n{title}\n  frozen: these parameters are not trained\n"),
            }
        }
        if !params.is_empty() {
            parameters(&mut text, self, params);
        }
        text
    }
}

fn label(group: usize) -> String {
    format!("groups.{group}")
}

fn patterns(recipe: &Recipe, group: usize) -> String {
    let patterns = recipe.groups()[group].params().iter();
    patterns.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn plan(text: &mut String, title: &str, plan: &Plan) {
    let _ = write!(text, "\n{title}\n");
    for (i, link) in plan.chain().iter().enumerate() {
        let _ = writeln!(text, "  {}. {}", i + 1, link.kind());
        if !link.formula().is_empty() {
            for part in link.formula().split("; ") {
                let _ = writeln!(text, "       {part}");
            }
        }
        for line in link.setting_lines() {
            let _ = writeln!(text, "     {line}");
        }
        for scheduled in &link.scheduled {
            let name = match scheduled.index {
                Some(index) => format!("{}.{index}", scheduled.name),
                None => scheduled.name.to_owned(),
            };
            curve(text, &name, &scheduled.rate);
        }
    }
    curve(text, "lr", plan.lr());
}

/// Writes a rate: its schedule, a plot unless it is constant, and numbers at some steps.
fn curve(text: &mut String, name: &str, rate: &Rate) {
    let _ = writeln!(text, "  {name} = {rate}");
    let end = horizon(rate);
    if end == 0 {
        return;
    }
    if rate.follows_a_metric() {
        let _ = writeln!(text, "     until a metric is reported that reduces it");
        return;
    }
    let values: Vec<f64> = (0..WIDTH).map(|i| rate.at(end * i / (WIDTH - 1))).collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    for row in (0..HEIGHT).rev() {
        let level = |value: f64| (value / most * (HEIGHT - 1) as f64).round() as usize;
        let line: String =
            values.iter().map(|value| if level(*value) == row { '*' } else { ' ' }).collect();
        let scale = match row {
            0 => format!("{:>10}", 0),
            row if row == HEIGHT - 1 => format!("{most:>10.3e}"),
            _ => " ".repeat(10),
        };
        let _ = writeln!(text, "  {scale} |{}", line.trim_end());
    }
    let _ = writeln!(text, "  {:>10} +{}", "", "-".repeat(WIDTH as usize));
    let mut steps: Vec<u64> = (0..=4).map(|quarter| end * quarter / 4).collect();
    steps.extend(rate.warmup.map(|warmup| warmup.steps));
    if let Curve::Joined { milestones, .. } = &rate.curve {
        steps.extend(milestones);
    }
    steps.sort();
    steps.dedup();
    let numbers = steps.iter().map(|step| format!("{step}: {:.6e}", rate.at(*step)));
    let _ = writeln!(text, "     step {}", numbers.collect::<Vec<_>>().join(", "));
}

/// Returns the number of steps after which nothing new happens, or a few periods; 0 for a constant rate.
fn horizon(rate: &Rate) -> u64 {
    let warmup = rate.warmup.map_or(0, |warmup| warmup.steps);
    let own = match &rate.curve {
        Curve::Joined { milestones, pieces } => {
            let last = pieces.last().map_or(0, horizon);
            milestones.last().map_or(last, |start| start + last.max(start / 4))
        }
        Curve::One(schedule) => {
            let whole = |key: &str| {
                let settings = schedule.settings.as_ref().ok()?;
                settings.get(key)?.as_integer().map(i64::unsigned_abs)
            };
            match rate.kind() {
                "constant" => 0,
                "step" => whole("step_size").unwrap_or(0).saturating_mul(5),
                "cosine_warm_restarts" => {
                    let (first, factor) = (whole("t_0").unwrap_or(1), whole("t_mult").unwrap_or(1));
                    first.saturating_mul(1 + factor + factor.saturating_mul(factor))
                }
                "inverse_sqrt" => whole("timescale").unwrap_or(0).saturating_mul(8),
                "multi_step" => {
                    let settings = schedule.settings.as_ref().ok();
                    let last = settings
                        .and_then(|s| s.get("milestones")?.as_array()?.last()?.as_integer());
                    last.map_or(0, |last| last.unsigned_abs().saturating_mul(5) / 4)
                }
                _ => ["t_max", "total_iters", "total_steps"]
                    .into_iter()
                    .find_map(whole)
                    .unwrap_or(1000),
            }
        }
    };
    // A warm-up before a constant rate, and a while of that rate.
    warmup.saturating_add(if own == 0 { warmup / 2 } else { own })
}

/// Writes a table of what each parameter gets.
fn parameters(text: &mut String, recipe: &Recipe, params: &[(String, Vec<usize>)]) {
    let mut rows = vec![
        ["parameter", "shape", "group", "chain", "lr at step 0", "weight decay"].map(String::from),
    ];
    for (name, shape) in params {
        let group = recipe.group_of(name);
        let plan = group.map_or(Some(recipe.plan()), |group| recipe.groups()[group].plan());
        let place = group.map_or("the recipe".to_owned(), |group| {
            format!("{} {}", label(group), patterns(recipe, group))
        });
        let [chain, lr, decay] = match plan {
            None => ["frozen".to_owned(), "-".to_owned(), "-".to_owned()],
            Some(plan) => {
                let kinds: Vec<&str> = plan.chain().iter().map(|link| link.kind()).collect();
                let decays =
                    plan.chain().iter().filter_map(|link| link.number("weight_decay", None));
                let decays: Vec<String> = decays.map(|decay| format!("{decay:?}")).collect();
                let decay = if decays.is_empty() { "0".to_owned() } else { decays.join(" + ") };
                [kinds.join(" > "), format!("{:?}", plan.lr().at(0)), decay]
            }
        };
        rows.push([name.clone(), format!("{shape:?}"), place, chain, lr, decay]);
    }
    let widths: Vec<usize> =
        (0..6).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    text.push_str("\nParameters\n");
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(text, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    for (name, shape) in params {
        let group = recipe.group_of(name);
        let plan = group.map_or(Some(recipe.plan()), |group| recipe.groups()[group].plan());
        for link in plan.into_iter().flat_map(Plan::chain) {
            if let Err(reason) = link.accepts(shape.as_slice().into()) {
                let _ = writeln!(text, "  `{}` refuses `{name}`: {reason}", link.kind());
            }
        }
    }
}
