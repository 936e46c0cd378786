//! Writes what happens in a training into the folder of its run.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::checkpoint::{About, Checkpoint, Checkpoints};
use super::explain::is_finite;
use super::folder::Folder;
use super::lines::Metrics;
use super::{Network, Plan, RunError};
use crate::trainer::{Diverged, Flow, Hook, Progress, Reporter, Step, Stop, Trainer};

/// Hook that writes metrics and checkpoints.
pub(super) struct Recorder<'a> {
    plan: &'a Plan,
    checkpoints: &'a mut Checkpoints,
    metrics: Metrics,
    timing: Option<File>,
    interrupt: &'a AtomicBool,
    reporter: &'a mut dyn Reporter,
    /// When the epoch began.
    began: Instant,
    /// When the last checkpoint was written.
    saved: Instant,
    error: Option<RunError>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        folder: &Folder,
        checkpoints: &'a mut Checkpoints,
        metrics: Metrics,
        interrupt: &'a AtomicBool,
        reporter: &'a mut dyn Reporter,
    ) -> Self {
        // Times are for a report, which does without them.
        let timing = File::options().create(true).append(true).open(folder.file("timing.jsonl"));
        let now = Instant::now();
        let (timing, began, saved) = (timing.ok(), now, now);
        Self { plan, checkpoints, metrics, timing, interrupt, reporter, began, saved, error: None }
    }

    fn record(&mut self, trainer: &mut Trainer<Network>, step: &Step) -> Result<Flow, RunError> {
        self.metrics.write(step, self.plan.training.log_every_steps)?;
        if let (Some(_), Some(timing)) = (step.epoch_loss, &mut self.timing) {
            let seconds = self.began.elapsed().as_secs_f64();
            self.began = Instant::now();
            let _ = writeln!(
                timing,
                "{{\"epoch\":{},\"step\":{},\"seconds\":{seconds:.3}}}",
                step.epoch, step.step
            );
        }
        self.reporter.step(step, trainer.total_steps());
        let interrupted = self.interrupt.load(Ordering::Relaxed);
        let settings = &self.plan.checkpoint;
        let by_steps = settings.every_steps.is_some_and(|every| step.step.is_multiple_of(every));
        // The time decides when to save, and nothing else.
        let by_time = settings.every_seconds > 0.0
            && self.saved.elapsed() >= Duration::from_secs_f64(settings.every_seconds);
        if interrupted || by_steps || by_time || trainer.stopped().is_some() {
            self.save(trainer)?;
        }
        Ok(if interrupted { Flow::Stop } else { Flow::Continue })
    }

    /// Writes the best weights if they are new, then a checkpoint.
    fn save(&mut self, trainer: &mut Trainer<Network>) -> Result<(), RunError> {
        // Not at other checkpoints, whose time may be chance: a run must end in the same way each time.
        if trainer.stopped().is_some() && !is_finite(trainer.model()) {
            let Progress { step, .. } = trainer.progress();
            let epoch = step.div_ceil(trainer.steps_per_epoch());
            let (lr, loss) = (trainer.optimizer().lr(), f32::NAN);
            return Err(RunError::Diverged(Diverged { step: *step + 1, epoch, loss, lr }));
        }
        if let (Some(weights), Some(best)) = (trainer.take_best_weights(), trainer.progress().best)
        {
            self.checkpoints.save_best(weights, best.step)?;
        }
        let metrics_bytes = self.metrics.sync()?;
        let about = About::new(self.plan.text.clone(), self.plan.data.checksum(), metrics_bytes);
        self.checkpoints.save(&Checkpoint { state: trainer.state(), about })?;
        self.saved = Instant::now();
        Ok(())
    }

    /// Returns how the training ended, or the mistake that ended it.
    pub(super) fn finish(self, stop: Result<Stop, Diverged>) -> Result<Stop, RunError> {
        match self.error {
            Some(error) => Err(error),
            None => stop.map_err(RunError::Diverged),
        }
    }
}

impl Hook<Network> for Recorder<'_> {
    fn after_step(&mut self, trainer: &mut Trainer<Network>, step: &Step) -> Flow {
        self.record(trainer, step).unwrap_or_else(|error| {
            self.error = Some(error);
            Flow::Stop
        })
    }
}
