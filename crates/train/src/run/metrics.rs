//! Metrics by name, for targets of one kind.

use crate::data::Targets;
use crate::metrics::{self, Metric};

/// Returns the names of the metrics that are usual for such targets.
pub(super) fn usual(targets: &Targets) -> Vec<String> {
    let names: &[&str] = match targets {
        Targets::Classes { .. } | Targets::Tokens(_) => &["accuracy"],
        Targets::Values(_) => &["mae", "r2"],
        Targets::None => &[],
    };
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Returns the metric of this name.
pub(super) fn named(name: &str, targets: &Targets) -> Result<Box<dyn Metric>, String> {
    let metric = metrics::named(name).map_err(|error| error.message().to_owned())?;
    match metric.accepts(targets) {
        true => Ok(metric),
        false => Err(format!("`{name}` is no metric of targets that are {}", targets.kind())),
    }
}
