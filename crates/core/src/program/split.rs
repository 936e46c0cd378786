//! A training step on parts of a batch, each on a thread of its own.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Mutex;

use crate::float::PerPrecision;
use crate::program::batch::{count_rows, with_rows};
use crate::program::call::{Call, Part};
use crate::program::engine::{Engine, How};
use crate::program::examples::{Sharing, Visit};
use crate::program::inputs::Rows;
use crate::program::recorded::Recorded;
use crate::tape::record::Mode;
use crate::tensor::pool;
use crate::{Float, Gradients};

/// Job of [`Engine::run_parts`], compiled once for each precision.
pub(crate) struct RunParts<'x>(PhantomData<&'x ()>);

impl<'a> PerPrecision<'a> for RunParts<'a> {
    type Input<F: Float> = (&'a mut Engine<F>, &'a Call<'a, F>, Split);
    type Output<F: Float> = F;
    fn f32((engine, call, split): Self::Input<f32>) -> f32 {
        engine.run_parts(call, split)
    }
    fn f64((engine, call, split): Self::Input<f64>) -> f64 {
        engine.run_parts(call, split)
    }
}

/// How the losses of parts make up that of the batch.
#[derive(Clone, Copy)]
pub(crate) enum Total {
    /// The loss is a mean over the rows.
    Mean,
    /// The loss is a sum over the rows.
    Sum,
}

/// What a program divides each batch into.
#[derive(Clone, Copy)]
pub(crate) struct Split {
    pub(crate) parts: usize,
    pub(crate) total: Total,
}

/// A batch in parts. The first ones have a row more than the others, if the rows cannot be shared equally.
#[derive(Clone, Copy)]
struct Division {
    rows: usize,
    split: Split,
}

impl Division {
    fn part(self, number: usize) -> Rows {
        let (len, longer) = (self.rows / self.split.parts, self.rows % self.split.parts);
        Rows { start: number * len + number.min(longer), len: len + usize::from(number < longer) }
    }

    /// The derivative of the loss towards that of a part.
    fn weight(self, number: usize) -> f64 {
        match self.split.total {
            Total::Mean => self.part(number).len as f64 / self.rows as f64,
            Total::Sum => 1.0,
        }
    }

    /// The numbers of the parts of each size.
    fn groups(self) -> impl Iterator<Item = Range<usize>> {
        let longer = self.rows % self.split.parts;
        [0..longer, longer..self.split.parts].into_iter().filter(|group| !group.is_empty())
    }

    /// Calls `run` with the call for one part.
    fn with_part<F: Float, R>(
        self,
        number: usize,
        call: &Call<'_, F>,
        run: impl FnOnce(&Call<'_, F>) -> R,
    ) -> R {
        let rows = self.part(number);
        with_rows(call.inputs, rows, |inputs| {
            let mode = Mode { seed: part_key(call.mode.seed, number), ..call.mode };
            let part = Part { rows: Some(rows), ..call.part };
            run(&Call { mode, inputs, part, cotangent: F::of(self.weight(number)), ..*call })
        })
    }
}

/// The key of a part, so that parts draw different numbers.
fn part_key(key: Option<u64>, number: usize) -> Option<u64> {
    Some(key?.wrapping_add((number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

impl<F: Float> Engine<F> {
    /// Runs the program on parts of the batch. Returns the loss of the batch; its gradients are in place.
    #[track_caller]
    fn run_parts(&mut self, call: &Call<'_, F>, split: Split) -> F {
        let rows = count_rows(call.inputs, "split");
        let division = Division { rows, split: Split { parts: split.parts.min(rows), ..split } };
        let parts = division.split.parts;
        if parts < 2 {
            return self.run(call).loss();
        }
        let mut gradients = std::mem::take(&mut self.parts);
        gradients.resize_with(parts, || Gradients::from_params(Vec::new()));
        let results = Mutex::new((vec![0.0; parts], gradients));
        let arrive = |number: usize, loss: F, arrived: &mut Gradients<F>| {
            let (losses, gradients) = &mut *results.lock().expect("no panic inside");
            losses[number] = loss.to_f64() * division.weight(number);
            // The memory of the step before serves the next part.
            std::mem::swap(&mut gradients[number], arrived);
        };
        let mut is_new = false;
        for group in division.groups() {
            is_new |= self.run_group(call, division, group, &arrive);
        }
        let (losses, mut gradients) = results.into_inner().expect("no panic inside");
        // Before the losses are compared, because statistics of a batch change its loss too.
        let updates = gradients[0].updates.len();
        assert!(
            updates == 0,
            "split: the step has new values for {updates} buffers, such as statistics of the batch, and a part has those of \
             its own rows only"
        );
        if is_new {
            check_total(call, division, &losses);
        }
        std::mem::swap(&mut self.gradients, &mut gradients[0]);
        gradients[1..].iter().for_each(|part| self.gradients += part);
        self.parts = gradients;
        F::of(losses.iter().sum())
    }

    /// Runs parts of one size. Returns whether they were recorded for the first time.
    #[track_caller]
    fn run_group(
        &mut self,
        call: &Call<'_, F>,
        division: Division,
        group: Range<usize>,
        arrive: Visit<'_, F>,
    ) -> bool {
        let first = group.start;
        let how = division.with_part(first, call, |call| {
            let how = self.choose(call);
            match how {
                // It runs with the others.
                How::Replay => self.recorded[0].unload(),
                _ => arrive(first, self.run_as(how, call).loss(), &mut self.gradients),
            }
            how
        });
        let numbers = if how == How::Replay { group } else { first + 1..group.end };
        let recorded = &mut self.recorded[0];
        let threads = rayon::current_num_threads().min(numbers.len());
        for worker in recorded.workers(threads) {
            let fits = worker.adopt(call.model);
            debug_assert!(fits, "the model of the first part");
        }
        let (batch, key) = (call.inputs, call.mode.seed);
        let load = |worker: &mut Recorded<F>, number: usize| {
            with_rows(batch, division.part(number), |inputs| worker.load_inputs(inputs))
        };
        let sharing = Sharing {
            threads,
            at_a_time: 1,
            key: &|number| part_key(key, number),
            cotangent: &|number| F::of(division.weight(number)),
        };
        for number in recorded.run_on(sharing, numbers, &load, arrive) {
            division.with_part(number, call, |call| {
                arrive(number, self.run(call).loss(), &mut self.gradients);
            });
        }
        pool::end_step::<F>();
        how == How::Record
    }
}

/// Checks that the losses of the parts, as they were weighted, make up that of the batch. A loss that draws random numbers
/// cannot be compared.
#[track_caller]
fn check_total<F: Float>(call: &Call<'_, F>, division: Division, losses: &[f64]) {
    let mut whole = Recorded::new(call);
    let record = whole.tape.record.get_mut();
    if !record.randoms.is_empty() {
        return;
    }
    let loss = record.nodes[whole.output as usize].value().item().to_f64();
    let (sum, size) = losses.iter().fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
    let tolerance = F::EPSILON.to_f64().sqrt() * (loss.abs() + size);
    let kind = match division.split.total {
        Total::Mean => "mean",
        Total::Sum => "sum",
    };
    assert!(
        (loss - sum).abs() <= tolerance || !(loss - sum).is_finite(),
        "split: the loss of {} rows is {loss}, and the {kind} of its {} parts is {sum}; the loss has to be a {kind} over the \
         rows",
        division.rows,
        losses.len()
    );
}
