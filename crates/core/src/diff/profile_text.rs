//! A profile as a table, and as a graph for Graphviz.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::diff::profile::{CostSum, OpCost, Profile, share};

/// Rows of each table that `{}` prints; `{:#}` prints all.
const ROWS: usize = 20;

/// A table of source lines, and one of operations, the most expensive first. `{:#}` leaves out none.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |time: fn(&OpCost) -> Duration| self.operations.iter().map(time).sum();
        let (forward, backward): (Duration, Duration) =
            (sum(|op| op.forward), sum(|op| op.backward));
        writeln!(
            f,
            "step {}: operations forward {}, backward {}; recording and bookkeeping {} (the shortest of {})",
            time(self.step),
            time(forward),
            time(backward),
            time(self.step.saturating_sub(forward + backward)),
            self.rounds,
        )?;
        let rows = if f.alternate() { usize::MAX } else { ROWS };
        let lines = self.by_line();
        head(f, "line")?;
        for cost in lines.iter().take(rows) {
            let CostSum { name, operations, forward, backward, bytes, share } = cost;
            let name =
                format!("{name} ({operations} op{})", if *operations == 1 { "" } else { "s" });
            row(f, *share, [*forward, *backward], *bytes, &name)?;
        }
        rest(f, lines.len(), rows)?;
        let mut operations = self.operations.iter().collect::<Vec<_>>();
        operations.sort_by_key(|op| std::cmp::Reverse(op.time()));
        head(f, "operation")?;
        for op in operations.iter().take(rows) {
            let shapes = op.inputs.iter().map(|shape| format!("{shape:?}")).collect::<Vec<_>>();
            let layer = if op.layer.is_empty() { String::new() } else { format!(", {}", op.layer) };
            let name = format!(
                "{} {} -> {:?} at {}{layer}",
                op.name,
                shapes.join(" "),
                op.output,
                op.line(),
            );
            row(f, share(op.time(), self.time()), [op.forward, op.backward], op.bytes, &name)?;
        }
        rest(f, operations.len(), rows)
    }
}

fn head(f: &mut fmt::Formatter<'_>, last: &str) -> fmt::Result {
    writeln!(f, "\n share   forward  backward     bytes  {last}")
}

fn row(
    f: &mut fmt::Formatter<'_>,
    share: f64,
    times: [Duration; 2],
    size: usize,
    name: &str,
) -> fmt::Result {
    let ([forward, backward], share) = (times.map(time), 100.0 * share);
    writeln!(f, "{share:5.1}%  {forward:>8}  {backward:>8}  {:>8}  {name}", bytes(size))
}

/// Says how many rows are not shown.
fn rest(f: &mut fmt::Formatter<'_>, rows: usize, shown: usize) -> fmt::Result {
    match rows.checked_sub(shown) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(f, "and {more} more"),
    }
}

impl Profile {
    /// Returns the graph of the operations in the language of Graphviz: `dot -Tsvg` draws it. The more time an
    /// operation takes, the stronger its colour; a frame stands around each layer.
    pub fn dot(&self) -> String {
        let mut dot = String::from(
            "digraph step {\n  node [shape=box style=\"rounded,filled\" fontname=\"sans-serif\" fontsize=11 \
             color=\"#b5b1aa\" fillcolor=\"#ffffff\"];\n  edge [color=\"#8a8780\" arrowsize=0.6];\n  \
             graph [fontname=\"sans-serif\" fontsize=11 style=rounded color=\"#d5d1ca\"];\n",
        );
        let mut layers: BTreeMap<&str, Vec<&OpCost>> = BTreeMap::new();
        for op in &self.operations {
            layers.entry(&op.layer).or_default().push(op);
        }
        for (i, (layer, operations)) in layers.into_iter().enumerate() {
            if !layer.is_empty() {
                let _ = writeln!(dot, "  subgraph cluster_{i} {{\n  label={};", quoted(layer));
            }
            for op in operations {
                let _ = writeln!(dot, "  {}", self.dot_node(op));
            }
            if !layer.is_empty() {
                dot.push_str("  }\n");
            }
        }
        for leaf in &self.leaves {
            let label = quoted(&format!("{}\n{:?}", leaf.name, leaf.shape));
            let style = "style=\"rounded,dashed\" fontcolor=\"#6f6c66\"";
            let _ = writeln!(dot, "  n{} [label={label} {style}];", leaf.node);
        }
        for op in &self.operations {
            for read in &op.reads {
                let _ = writeln!(dot, "  n{read} -> n{};", op.node);
            }
        }
        dot + "}\n"
    }

    fn dot_node(&self, op: &OpCost) -> String {
        let part = share(op.time(), self.time());
        let file = op.location.file().rsplit(['/', '\\']).next().unwrap_or_default();
        let label = format!(
            "{} {:?}\n{} + {}, {:.1}%\n{file}:{}",
            op.name,
            op.output,
            time(op.forward),
            time(op.backward),
            100.0 * part,
            op.location.line(),
        );
        // From white to orange; the root lets small shares be seen.
        format!(
            "n{} [label={} fillcolor=\"0.08 {:.3} 1.0\"];",
            op.node,
            quoted(&label),
            0.75 * part.sqrt()
        )
    }
}

/// A text in quotes as Graphviz reads it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A time with three digits and its unit.
fn time(time: Duration) -> String {
    let nanoseconds = time.as_nanos() as f64;
    let (unit, value) = match nanoseconds {
        ns if ns < 999.5 => return format!("{ns:.0} ns"),
        ns if ns < 999.5e3 => ("us", ns / 1e3),
        ns if ns < 999.5e6 => ("ms", ns / 1e6),
        ns => ("s", ns / 1e9),
    };
    format!("{} {unit}", three_digits(value))
}

fn bytes(bytes: usize) -> String {
    let (unit, value) = match bytes as f64 {
        b if b < 1e3 => return format!("{b} B"),
        b if b < 1e6 => ("KB", b / 1e3),
        b if b < 1e9 => ("MB", b / 1e6),
        b => ("GB", b / 1e9),
    };
    format!("{} {unit}", three_digits(value))
}

fn three_digits(value: f64) -> String {
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Param, ReduceOps, Tensor, UnaryOps, profile};

    #[test]
    fn units() {
        let times = [0, 999, 1000, 12_345, 999_499, 999_500, 2_500_000_000]
            .map(Duration::from_nanos)
            .map(time);
        assert_eq!(times, ["0 ns", "999 ns", "1.00 us", "12.3 us", "999 us", "1.00 ms", "2.50 s"]);
        assert_eq!([4, 8_192, 16_777_216].map(bytes), ["4 B", "8.19 KB", "16.8 MB"]);
    }

    #[test]
    fn texts_are_quoted() {
        assert_eq!(quoted("a \"b\\c\"\nd"), r#""a \"b\\c\"\nd""#);
    }

    #[test]
    fn a_long_table_ends_with_the_number_of_rows_left_out() {
        let x = Param::new(Tensor::<f64>::ones([2]));
        let profile = profile(|tape| {
            let mut y = tape.param(&x);
            for _ in 0..30 {
                y = y.tanh();
            }
            y.sum()
        });
        assert!(profile.to_string().ends_with("and 11 more\n"));
        assert!(!format!("{profile:#}").contains("more"));
        assert!(profile.dot().matches(" -> ").count() == 31);
    }
}
