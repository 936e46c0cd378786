//! Progress for a person: a bar where a terminal is attached, plain lines where not.

use std::fmt;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::trainer::{Reporter, Step};

/// Prints what the user asked for. A reader that has enough is no mistake.
pub(super) fn print(text: &str) {
    let _ = stdout().write_all(text.as_bytes());
}

/// Prints an error.
pub(super) fn error(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// Returns the reporter for this terminal, or for none.
pub(super) fn reporter(quiet: bool) -> Box<dyn Reporter> {
    match (quiet, stderr().is_terminal()) {
        (true, _) => Box::new(Quiet),
        (false, true) => Box::new(Bar { bar: ProgressBar::hidden(), line: String::new() }),
        (false, false) => Box::new(Lines { began: Instant::now(), first: 0 }),
    }
}

/// Says only what went wrong.
struct Quiet;

impl Reporter for Quiet {}

/// Returns what an epoch or an evaluation found.
fn found(step: &Step) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(loss) = step.epoch_loss {
        parts.push(format!("loss {loss:.4}"));
    }
    if let Some(evaluation) = &step.evaluation {
        parts.push(format!("validation loss {:.4}", evaluation.loss));
        let metrics = evaluation.metrics.iter();
        parts.extend(metrics.map(|(name, value)| format!("{name} {value:.4}")));
    }
    (!parts.is_empty()).then(|| parts.join("  "))
}

/// A bar with loss, metrics, rate, steps per second and the time left.
struct Bar {
    bar: ProgressBar,
    /// Results of the last evaluation.
    line: String,
}

impl Reporter for Bar {
    fn begin(&mut self, step: u64, total: u64) {
        let style = "{bar:30.cyan/blue} {pos}/{len}  {speed}  {eta} left  {msg}";
        let speed = |state: &ProgressState, text: &mut dyn fmt::Write| {
            let _ = write!(text, "{:.0} steps/s", state.per_sec());
        };
        let style = ProgressStyle::with_template(style)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("speed", speed);
        self.bar = ProgressBar::new(total).with_style(style).with_position(step);
        self.bar.reset_eta();
    }

    fn step(&mut self, step: &Step, _: u64) {
        if let Some(found) = found(step) {
            self.bar.println(format!("epoch {:>4}  {found}  rate {:.3e}", step.epoch, step.lr));
            if step.evaluation.is_some() {
                self.line = found;
            }
        }
        self.bar.set_position(step.step);
        let Step { epoch, loss, lr, .. } = step;
        self.bar
            .set_message(format!("epoch {epoch}  loss {loss:.4}  rate {lr:.2e}  {}", self.line));
    }

    fn note(&mut self, text: &str) {
        self.bar.suspend(|| error(text));
    }

    fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A line for each epoch.
struct Lines {
    began: Instant,
    first: u64,
}

impl Reporter for Lines {
    fn begin(&mut self, step: u64, _: u64) {
        (self.began, self.first) = (Instant::now(), step);
    }

    fn step(&mut self, step: &Step, total: u64) {
        if let Some(found) = found(step) {
            let seconds = self.began.elapsed().as_secs_f64();
            let speed = (step.step - self.first) as f64 / seconds;
            let (left, rate) = ((total - step.step) as f64 / speed, step.lr);
            error(&format!(
                "epoch {:>4}  step {:>6}/{total}  {found}  rate {rate:.3e}  {speed:.0} steps/s  {left:.0} s left",
                step.epoch, step.step
            ));
        }
    }

    fn note(&mut self, text: &str) {
        error(text);
    }
}
