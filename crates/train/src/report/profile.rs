//! The cost of a step, by line, layer and operation.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use wengert_core::{CostSum, Profile};

use super::axis::significant;
use super::html::escape;

/// Costs of a training step, measured by [`wengert_core::profile`]: the file `profile.json`.
///
/// ```
/// use wengert_core::{Param, ReduceOps, Tensor, UnaryOps, profile};
/// use wengert_train::report::ProfileTable;
///
/// let weight = Param::new(Tensor::<f32>::ones([64, 64]));
/// let table = ProfileTable::from(&profile(|tape| tape.param(&weight).tanh().sum()));
/// assert_eq!(table.operations.len(), 2);
/// std::fs::write(std::env::temp_dir().join("profile.json"), serde_json::to_string(&table)?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfileTable {
    /// Seconds of a step.
    pub step: f64,
    /// Costs of the source lines.
    pub lines: Vec<CostRow>,
    /// Costs of the layers.
    pub layers: Vec<CostRow>,
    /// Costs of the operations, each by its name, shapes and layer.
    pub operations: Vec<CostRow>,
}

/// A row of a [`ProfileTable`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CostRow {
    /// The line, the layer, or the operation.
    pub name: String,
    /// Seconds forward.
    pub forward: f64,
    /// Seconds backward.
    pub backward: f64,
    /// Bytes of the values.
    pub bytes: usize,
    /// Share of the time of all operations, 0 to 1.
    pub share: f64,
}

impl From<&Profile> for ProfileTable {
    fn from(profile: &Profile) -> Self {
        let rows = |costs: Vec<CostSum>| costs.into_iter().map(CostRow::from).collect();
        let whole = profile.time().as_secs_f64().max(f64::MIN_POSITIVE);
        let mut operations = profile.operations.iter().collect::<Vec<_>>();
        operations.sort_by_key(|op| std::cmp::Reverse(op.time()));
        let operation = |op: &&wengert_core::OpCost| {
            let shapes = op.inputs.iter().map(|shape| format!("{shape:?} ")).collect::<String>();
            let layer = if op.layer.is_empty() { String::new() } else { format!(", {}", op.layer) };
            CostRow {
                name: format!("{} {shapes}\u{2192} {:?}{layer}", op.name, op.output),
                forward: op.forward.as_secs_f64(),
                backward: op.backward.as_secs_f64(),
                bytes: op.bytes,
                share: op.time().as_secs_f64() / whole,
            }
        };
        Self {
            step: profile.step.as_secs_f64(),
            lines: rows(profile.by_line()),
            layers: rows(profile.by_layer()),
            operations: operations.iter().map(operation).collect(),
        }
    }
}

impl From<CostSum> for CostRow {
    fn from(cost: CostSum) -> Self {
        Self {
            name: cost.name,
            forward: cost.forward.as_secs_f64(),
            backward: cost.backward.as_secs_f64(),
            bytes: cost.bytes,
            share: cost.share,
        }
    }
}

/// The rows that a table shows.
const ROWS: usize = 12;

/// Tables by layer, by operation, and by line if there is more than one.
pub(crate) fn html(profile: &ProfileTable) -> String {
    let mut html = format!(
        "<p class=\"dim\">One step takes {}. Time of each operation, forward and backward: the shortest of repeated \
         runs.</p>\n",
        time(profile.step)
    );
    for (title, rows) in
        [("layer", &profile.layers), ("operation", &profile.operations), ("line", &profile.lines)]
    {
        if rows.len() > 1 {
            html += &table(title, rows);
        }
    }
    html
}

fn table(title: &str, rows: &[CostRow]) -> String {
    let mut html = format!(
        "<div class=\"scroll\"><table class=\"costs\">\n<tr><th>{title}</th><th class=\"bar\"></th>\
         <th class=\"number\">share</th><th class=\"number\">forward</th><th class=\"number\">backward</th>\
         <th class=\"number\">kilobytes</th></tr>\n"
    );
    for row in rows.iter().take(ROWS) {
        let name = if row.name.is_empty() { "outside of layers" } else { &row.name };
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td class=\"bar\"><span style=\"--a:{:.3}\"></span></td>\
             <td class=\"number\">{:.1}%</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td></tr>",
            escape(name),
            row.share,
            100.0 * row.share,
            time(row.forward),
            time(row.backward),
            significant(row.bytes as f64 / 1e3, 3),
        );
    }
    if rows.len() > ROWS {
        let rest = rows[ROWS..].iter().map(|row| row.share).sum::<f64>();
        let _ = writeln!(
            html,
            "<tr><td class=\"dim\">{} more</td><td class=\"bar\"></td><td class=\"number dim\">{:.1}%</td></tr>",
            rows.len() - ROWS,
            100.0 * rest
        );
    }
    html + "</table></div>\n"
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{} \u{b5}s", significant(1e6 * s, 3)),
        s if s < 1.0 => format!("{} ms", significant(1e3 * s, 3)),
        s => format!("{} s", significant(s, 3)),
    }
}
