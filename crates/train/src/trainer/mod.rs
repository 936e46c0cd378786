//! Training: a model, an optimizer, data, a loss and metrics.
//!
//! [`Trainer`] is a loop over public parts; a loop of your own over [`gradients`](wengert_core::gradients) and
//! [`Optimizer::step`] is just as good. What it adds: evaluation, early stopping, hooks, and a state from which training
//! continues with the same bits.

mod evaluate;
mod hook;
mod loss;
mod progress;
mod reports;
mod state;

use wengert_core::{Gradients, Leaf, Params, Path, Tape, Tensor, Var, seeded};
use wengert_nn::Module;
use wengert_nn::optim::{NonFinite, Optimizer};

use crate::data::{Batches, Dataset, Epoch, Inputs};
use crate::metrics::Metric;

pub use evaluate::Evaluation;
pub(crate) use evaluate::outputs;
pub use hook::{Flow, Hook, Reporter};
pub use loss::{Loss, LossFn};
pub use progress::{Best, EarlyStopping, Every, Progress};
pub use reports::{Diverged, Norms, Step, Stop};
pub(crate) use state::weights;

/// Model that computes outputs from a batch of inputs. Every [`Module`] is one for inputs that are numbers.
pub trait Model: Params<f32> {
    /// Records the outputs for these inputs.
    ///
    /// # Panics
    /// If the inputs do not fit.
    fn outputs<'t>(&self, tape: &'t Tape<f32>, inputs: &Inputs) -> Var<'t, f32>;
}

impl<M: Module<f32>> Model for M {
    #[track_caller]
    fn outputs<'t>(&self, tape: &'t Tape<f32>, inputs: &Inputs) -> Var<'t, f32> {
        match inputs {
            Inputs::Numbers(numbers) => self.forward(tape.constant(numbers)),
            Inputs::Tokens(_) => panic!("{}: expected numbers, found tokens", self.name()),
        }
    }
}

/// Trains a model.
///
/// ```
/// use wengert_core::rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_nn::{Flatten, Linear, Sequential, optim::Optimizer};
/// use wengert_train::data::{Split, digits};
/// use wengert_train::metrics::Accuracy;
/// use wengert_train::trainer::Trainer;
///
/// let rng = &mut ChaCha8Rng::seed_from_u64(0);
/// let net = Sequential::<f32>::new().then(Flatten::new()).then(Linear::new(64, 10, rng));
/// let optimizer = Optimizer::from_toml("kind = 'adam'\nlr = 1e-2")?;
/// let data = digits();
/// let parts = Split::new(data.len()).share(0.2);
///
/// let mut trainer = Trainer::new(net, optimizer, data.take_rows(&parts.train))
///     .validation(data.take_rows(&parts.held_out))
///     .metric(Accuracy::default())
///     .epochs(3);
/// trainer.run(&mut [])?;
/// assert!(trainer.evaluation().unwrap().value("accuracy").unwrap() > 0.9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Trainer<M> {
    model: M,
    optimizer: Optimizer<f32>,
    data: Dataset,
    batches: Batches,
    validation: Option<Dataset>,
    loss: Loss,
    metrics: Vec<Box<dyn Metric>>,
    epochs: u64,
    seed: u64,
    evaluate: Every,
    norms: Vec<Every>,
    early_stopping: EarlyStopping,
    progress: Progress,
    /// The batches of the present epoch.
    order: Option<(u64, Epoch)>,
    evaluation: Option<Evaluation>,
    best_weights: Option<Vec<(String, Tensor<f32>)>>,
}

impl<M: Model> Trainer<M> {
    /// Makes a trainer that has not begun. Default: batches of 32 shuffled with seed 0, one epoch, the loss of
    /// [`Loss::for_targets`], an evaluation after each epoch.
    pub fn new(model: M, optimizer: Optimizer<f32>, data: Dataset) -> Self {
        Self {
            batches: Batches::new(data.len()),
            loss: Loss::for_targets(&data.targets),
            model,
            optimizer,
            data,
            validation: None,
            metrics: Vec::new(),
            epochs: 1,
            seed: 0,
            evaluate: Every::Epochs(1),
            norms: Vec::new(),
            early_stopping: EarlyStopping::default(),
            progress: Progress::default(),
            order: None,
            evaluation: None,
            best_weights: None,
        }
    }

    /// Sets the batches.
    ///
    /// # Panics
    /// If they are not made for as many rows as the data has, or there are none in an epoch.
    #[track_caller]
    pub fn batches(mut self, batches: Batches) -> Self {
        let (expected, found) = (self.data.len(), batches.len());
        assert!(expected == found, "batches: expected those of {expected} rows, found {found}");
        assert!(batches.per_epoch() > 0, "batches: there are none in an epoch");
        self.batches = batches;
        self
    }

    /// Sets the data for evaluation, which is not trained on.
    pub fn validation(mut self, data: Dataset) -> Self {
        self.validation = Some(data);
        self
    }

    /// Sets the loss.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// Adds a metric of evaluations.
    pub fn metric(mut self, metric: impl Metric + 'static) -> Self {
        self.metrics.push(Box::new(metric));
        self
    }

    /// Adds metrics of evaluations.
    pub fn metrics(mut self, metrics: impl IntoIterator<Item = Box<dyn Metric>>) -> Self {
        self.metrics.extend(metrics);
        self
    }

    /// Sets the number of passes over the data.
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the seed of random layers. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets when to evaluate. The end of the training is evaluated in any case.
    pub fn evaluate_every(mut self, every: Every) -> Self {
        self.evaluate = every;
        self
    }

    /// Adds an occasion at which a [`Step`] has the norms of gradients and weights. Default: none.
    pub fn norms_every(mut self, every: Every) -> Self {
        self.norms.push(every);
        self
    }

    /// Sets what the best evaluation is, and when to stop early.
    pub fn early_stopping(mut self, early_stopping: EarlyStopping) -> Self {
        self.early_stopping = early_stopping;
        self
    }

    /// Returns the model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Returns the model, with the weights of the last step.
    pub fn into_model(self) -> M {
        self.model
    }

    /// Returns the optimizer.
    pub fn optimizer(&self) -> &Optimizer<f32> {
        &self.optimizer
    }

    /// Returns the data to train on.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Returns how far the training is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns the number of steps of the whole training. Early stopping may end it before.
    pub fn total_steps(&self) -> u64 {
        self.epochs.saturating_mul(self.batches.per_epoch() as u64)
    }

    /// Returns the number of batches of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.batches.per_epoch() as u64
    }

    /// Returns why the training is over, if it is.
    pub fn stopped(&self) -> Option<Stop> {
        match self.progress {
            Progress { stopped_early: true, .. } => Some(Stop::Early),
            Progress { step, .. } if step >= self.total_steps() => Some(Stop::Done),
            _ => None,
        }
    }

    /// Returns the rows of the batch of step `step`, counted from 0.
    pub fn rows(&self, step: u64) -> Vec<usize> {
        let per_epoch = self.batches.per_epoch() as u64;
        self.batches.rows(step / per_epoch, (step % per_epoch) as usize)
    }

    /// Trains until the end, and calls the hooks after each step, in order.
    ///
    /// # Errors
    /// If the loss or a gradient is not finite. The model has the weights before that step.
    pub fn run(&mut self, hooks: &mut [&mut dyn Hook<M>]) -> Result<Stop, Diverged> {
        loop {
            if let Some(stop) = self.stopped() {
                return Ok(stop);
            }
            let step = self.step()?;
            for hook in &mut *hooks {
                if hook.after_step(self, &step) == Flow::Stop {
                    return Ok(Stop::Hook);
                }
            }
        }
    }

    /// Makes one step: one batch, and the evaluation that is due after it.
    ///
    /// # Errors
    /// If the loss or a gradient is not finite. The trainer is unchanged then.
    ///
    /// # Panics
    /// If the training is over.
    #[track_caller]
    pub fn step(&mut self) -> Result<Step, Diverged> {
        assert!(self.stopped().is_none(), "step: the training is over");
        let (at, per_epoch) = (self.progress.step, self.batches.per_epoch() as u64);
        let epoch = at / per_epoch;
        let rows = self.next_rows(epoch, (at % per_epoch) as usize);
        let batch = self.data.take_rows(&rows);
        let lr = self.optimizer.lr();
        let (loss, norms) = self.update(&batch, lr, at)?;

        let total = self.total_steps();
        let progress = &mut self.progress;
        progress.step += 1;
        if loss.is_finite() {
            progress.loss.update(loss, rows.len());
        }
        let (ends, is_last) = ((at + 1) % per_epoch == 0, at + 1 == total);
        if is_last {
            self.optimizer.flush(&mut self.model);
        }
        let epoch_loss = ends.then(|| std::mem::take(&mut self.progress.loss).value());
        let due = is_last || self.evaluate.is_due(at + 1, per_epoch);
        let evaluation = due.then(|| self.evaluate_now()).flatten();
        if let Some(value) = self.monitored(evaluation.as_ref(), epoch_loss) {
            self.optimizer.report_metric(value);
            self.note(value);
        }
        if evaluation.is_some() {
            self.evaluation.clone_from(&evaluation);
        }
        Ok(Step {
            step: at + 1,
            epoch: epoch + 1,
            loss,
            lr,
            rows: rows.len(),
            norms,
            epoch_loss,
            evaluation,
        })
    }

    /// Returns the rows of a batch; the order of an epoch is made once.
    fn next_rows(&mut self, epoch: u64, batch: usize) -> Vec<usize> {
        let fresh = self.order.as_ref().is_none_or(|(of, order)| {
            *of != epoch || order.len() != self.batches.per_epoch() - batch
        });
        if fresh {
            let mut order = self.batches.epoch(epoch);
            if batch > 0 {
                order.nth(batch - 1);
            }
            self.order = Some((epoch, order));
        }
        let order = self.order.as_mut().expect("made above");
        order.1.next().expect("an epoch has the batches that it promises")
    }

    /// Updates the model from a batch; returns the loss before, and the norms if they are due.
    fn update(
        &mut self,
        batch: &Dataset,
        lr: f64,
        at: u64,
    ) -> Result<(f32, Option<Norms>), Diverged> {
        let (key, loss) = (key(self.seed, at), self.loss.clone());
        let gradients = |model: &M| {
            seeded(key).gradients(|tape| loss.of(model.outputs(tape, &batch.inputs), batch))
        };
        let per_epoch = self.batches.per_epoch() as u64;
        let due = self.norms.iter().any(|every| every.is_due(at + 1, per_epoch));
        if self.optimizer.recipe().chain()[0].is_solver() {
            // A solver evaluates the loss itself, and judges what is not finite.
            let mut norms = None;
            let value = self.optimizer.minimize(&mut self.model, |model| {
                let (value, gradients) = gradients(model);
                norms = due.then(|| self::norms(model, &gradients));
                (value, gradients)
            });
            return Ok((value, norms));
        }
        let (value, gradients) = gradients(&self.model);
        let is_finite = gradients.is_finite();
        let is_skipped = !is_finite && self.optimizer.recipe().non_finite() == NonFinite::Skip;
        let is_usable = is_skipped || is_finite && value.is_finite();
        if !is_usable {
            let epoch = at / per_epoch + 1;
            return Err(Diverged { step: at + 1, epoch, loss: value, lr });
        }
        let mut norms = due.then(|| self::norms(&self.model, &gradients));
        self.optimizer.step(&mut self.model, &gradients);
        if let Some(norms) = &mut norms {
            norms.weights = weight_norms(&self.model);
        }
        Ok((value, norms))
    }

    /// Runs the next step under [`gradients_checked`](wengert_core::gradients_checked), and changes nothing.
    ///
    /// # Errors
    /// The first operation whose result is not finite.
    pub fn check_step(&self) -> Result<(f32, Norms), wengert_core::NotFinite> {
        let at = self.progress.step;
        let batch = self.data.take_rows(&self.rows(at));
        let checked = seeded(key(self.seed, at)).gradients_checked(|tape| {
            self.loss.of(self.model.outputs(tape, &batch.inputs), &batch)
        });
        let (loss, gradients) = checked.map_err(|error| error.in_model(&self.model))?;
        Ok((loss, norms(&self.model, &gradients)))
    }

    /// Measures the operations of the next step with [`profile`](wengert_core::profile()), and changes nothing.
    pub fn profile_step(&self) -> wengert_core::Profile {
        let at = self.progress.step;
        let batch = self.data.take_rows(&self.rows(at));
        let profile = seeded(key(self.seed, at))
            .profile(|tape| self.loss.of(self.model.outputs(tape, &batch.inputs), &batch));
        profile.in_model(&self.model)
    }
}

/// Returns the key of random layers at a step: an output of the generator SplitMix64.
fn key(seed: u64, step: u64) -> u64 {
    let mut z = seed.wrapping_add(step.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn norms(model: &impl Params<f32>, gradients: &Gradients<f32>) -> Norms {
    let mut norms = Norms { gradients: Vec::new(), weights: weight_norms(model) };
    model.visit(Path::ROOT, &mut |path, leaf| {
        if let Leaf::Param(param) = leaf
            && let Some(gradient) = gradients.get(param)
        {
            norms.gradients.push((path.to_string(), norm(gradient)));
        }
    });
    norms
}

fn weight_norms(model: &impl Params<f32>) -> Vec<(String, f64)> {
    model.named_params().into_iter().map(|(name, param)| (name, norm(param.value()))).collect()
}

fn norm(numbers: &Tensor<f32>) -> f64 {
    wengert_nn::optim::sum_of_squares(numbers.as_slice()).sqrt()
}
