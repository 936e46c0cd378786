//! Schedules and settings as expressions of Python, for steps `t` counted from 0.

use toml::Value;

use super::NoEquivalent;
use crate::optim::schedule::{Curve, Rate, Warmup};
use crate::optim::transform::Transform;

/// Functions that schedules call.
pub(super) const SCHEDULES: &str = include_str!("python/schedules.py");

/// Returns the expression of a rate in `t`.
pub(super) fn rate(rate: &Rate) -> Result<String, NoEquivalent> {
    let own = curve(rate)?;
    Ok(match rate.warmup {
        Some(Warmup { steps, start_factor }) => {
            format!("warmup(t, {steps}, {start_factor:?}, lambda t: {own})")
        }
        None => own,
    })
}

/// Returns a number, or the function of the step that it is.
pub(super) fn number_or_function(own: &Rate) -> Result<String, NoEquivalent> {
    match own.kind() {
        "constant" if own.warmup.is_none() => rate(own),
        _ => Ok(format!("lambda t: {}", rate(own)?)),
    }
}

/// Returns the expression of a rate without its warm-up. It divides by floats: JAX divides integers in single precision.
fn curve(rate: &Rate) -> Result<String, NoEquivalent> {
    let schedule = match &rate.curve {
        Curve::One(schedule) => schedule,
        Curve::Joined { milestones, pieces } => {
            let pieces = pieces.iter().map(|piece| Ok(format!("lambda t: {}", self::rate(piece)?)));
            let pieces = pieces.collect::<Result<Vec<_>, _>>()?.join(", ");
            return Ok(format!("joined(t, {milestones:?}, [{pieces}])"));
        }
    };
    let kind = rate.kind();
    let Ok(settings) = &schedule.settings else {
        return Err(NoEquivalent::new(kind, "its settings are out of range"));
    };
    let of = |key: &str| settings.get(key).map(literal).unwrap_or_default();
    let cycle = |values: String| {
        let linear = if of("anneal_strategy") == "\"linear\"" { "True" } else { "False" };
        let [total, share, three] = ["total_steps", "pct_start", "three_phase"].map(of);
        format!("cycle(t, {total}, {share}, {linear}, {three}, [{values}])")
    };
    let lr = of("lr");
    Ok(match kind {
        "constant" => lr,
        "step" => format!("{lr} * {} ** (t // {})", of("gamma"), of("step_size")),
        "multi_step" => {
            format!(
                "{lr} * {} ** sum(t >= m for m in {})",
                of("gamma"),
                brackets(&of("milestones"))
            )
        }
        "exponential" => format!("{lr} * {} ** t", of("gamma")),
        "linear" => {
            let [start, end, total] = ["start_factor", "end_factor", "total_iters"].map(of);
            format!("{lr} * ({start} + ({end} - {start}) * minimum(t, {total}) / {total}.0)")
        }
        "polynomial" => {
            let [total, power] = ["total_iters", "power"].map(of);
            format!("{lr} * (1 - minimum(t, {total}) / {total}.0) ** {power}")
        }
        "inverse_sqrt" => format!("{lr} * sqrt({0}.0 / ({0}.0 + t))", of("timescale")),
        "cosine" => format!("half_cosine({lr}, {}, t / {}.0)", of("eta_min"), of("t_max")),
        "cosine_warm_restarts" => {
            format!("restarts(t, {lr}, {}, {}, {})", of("t_0"), of("t_mult"), of("eta_min"))
        }
        "one_cycle" => {
            let (max, first) = (of("max_lr"), format!("{} / {}", of("max_lr"), of("div_factor")));
            cycle(format!("{first}, {max}, {first}, {first} / {}", of("final_div_factor")))
        }
        "one_cycle_momentum" => {
            let (low, high) = (of("base_momentum"), of("max_momentum"));
            cycle(format!("{high}, {low}, {high}, {high}"))
        }
        "plateau" => {
            return Err(NoEquivalent::new(
                kind,
                "it follows a metric, and is no function of the step",
            ));
        }
        _ => return Err(NoEquivalent::new(kind, "it is a schedule of your own")),
    })
}

/// Returns a setting of a transform: a literal, or a function of the step.
pub(super) fn setting(transform: &Transform, key: &str) -> Result<String, NoEquivalent> {
    match (transform.schedule(key, None), transform.settings().get(key)) {
        (Some(rate), _) => number_or_function(rate),
        (None, Some(Value::Array(list))) => {
            let elements = (0..list.len()).map(|i| element(transform, key, i));
            Ok(format!("({},)", elements.collect::<Result<Vec<_>, _>>()?.join(", ")))
        }
        (None, value) => Ok(value.map(literal).unwrap_or_default()),
    }
}

/// Returns one number of a list.
pub(super) fn element(transform: &Transform, key: &str, i: usize) -> Result<String, NoEquivalent> {
    match transform.schedule(key, Some(i)) {
        Some(rate) => number_or_function(rate),
        None => Ok(transform.settings()[key].get(i).map(literal).unwrap_or_default()),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Boolean(true) => "True".into(),
        Value::Boolean(false) => "False".into(),
        Value::Float(number) => format!("{number:?}"),
        Value::Array(list) => {
            format!("({},)", list.iter().map(literal).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Returns a tuple as a list, which may be empty.
fn brackets(tuple: &str) -> String {
    format!("[{}]", tuple.trim_matches(['(', ')', ',']))
}
