//! A recording run again.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::error::rethrow;
use crate::program::call::{Call, Outcome};
use crate::program::recorded::Recorded;
use crate::tape::record::{Content, Kind, Record};
use crate::{Float, Gradients, Shape, Tensor};

impl<F: Float> Recorded<F> {
    /// Runs the recording again, on the values that were loaded.
    #[track_caller]
    pub(crate) fn replay(
        &mut self,
        call: &Call<'_, F>,
        gradients: &mut Gradients<F>,
    ) -> Outcome<F> {
        let value = self.compute_again(call.mode.seed, call.cotangent, gradients);
        self.unload();
        value
    }

    /// Computes the results from the values that were loaded, which stay.
    #[track_caller]
    pub(crate) fn compute_again(
        &mut self,
        key: Option<u64>,
        cotangent: F,
        gradients: &mut Gradients<F>,
    ) -> Outcome<F> {
        match &mut self.plan {
            Some(plan) => {
                let record = self.tape.record.get_mut();
                Outcome::Loss(plan.run(record, &self.shapes, key, cotangent, gradients))
            }
            None => {
                gradients.forget();
                if self.tape.mode.get().tracking {
                    self.compute();
                } else {
                    self.defer();
                }
                self.results(cotangent, gradients)
            }
        }
    }

    /// Computes all values.
    #[track_caller]
    fn compute(&mut self) {
        let (record, key) = (self.tape.record.get_mut(), self.tape.mode.get().seed);
        let mut current = 0;
        let computed = catch_unwind(AssertUnwindSafe(|| {
            let (mut copies, mut drops) = (self.repeat.copies.iter(), self.drops.iter().peekable());
            let mut checkpoint = 0;
            for (id, &shape) in self.shapes.iter().enumerate() {
                while let Some(ended) = record.checkpoints.get(checkpoint)
                    && ended.nodes.end as usize <= id
                {
                    // If a recorded derivative held the values, nodes that follow read them.
                    if ended.held_from.is_none() {
                        let ended = ended.clone();
                        record.release(&ended);
                    }
                    checkpoint += 1;
                }
                let value = match record.nodes[id].kind {
                    Kind::Op => {
                        current = id;
                        record.forward_again(id, shape)
                    }
                    Kind::Random(_) => record.draw_again(id, shape, key),
                    Kind::Leaf if self.copied[id] => record.copy_again(&mut copies),
                    Kind::Leaf | Kind::Indices(_) => continue,
                };
                record.nodes[id].content = Content::Value(value);
                while let Some((_, nodes)) = drops.next_if(|(last, _)| *last as usize <= id) {
                    record.drop_values(nodes.clone());
                }
            }
        }));
        if let Err(panic) = computed {
            let (op, line) = (record.op(current).name(), record.nodes[current].location);
            rethrow(panic, "computing", &op, line);
        }
    }

    /// Prepares values that are computed when they are read, as [`evaluate`](crate::evaluate) does.
    #[track_caller]
    fn defer(&mut self) {
        let (record, key) = (self.tape.record.get_mut(), self.tape.mode.get().seed);
        for (id, &shape) in self.shapes.iter().enumerate() {
            match record.nodes[id].kind {
                Kind::Op => record.nodes[id].content = Content::Deferred { shape, again: false },
                Kind::Random(_) => {
                    record.nodes[id].content = Content::Value(record.draw_again(id, shape, key));
                }
                Kind::Leaf | Kind::Indices(_) => (),
            }
        }
        let mut copies = self.repeat.copies.iter();
        while let Some(&(leaf, source)) = copies.as_slice().first() {
            record.compute_deferred(&[source], Record::<F>::NONE_DEAD);
            record.nodes[leaf as usize].content = Content::Value(record.copy_again(&mut copies));
        }
    }
}

impl<F: Float> Record<F> {
    pub(crate) fn forward_again(&self, id: usize, shape: Shape) -> Tensor<F> {
        let (op, view) = (self.op(id), self.view());
        let (values, index) = view.split(&self.nodes[id].inputs);
        op.forward(&view.values(values), index, shape)
            .unwrap_or_else(|mistake| resume_unwind(Box::new(mistake.in_operation(&op.name()))))
    }

    pub(crate) fn draw_again(&self, id: usize, shape: Shape, key: Option<u64>) -> Tensor<F> {
        let Kind::Random(place) = self.nodes[id].kind else { unreachable!("a random leaf") };
        let key = key.expect("a key, as when it was recorded");
        self.randoms[place as usize].numbers(shape, key)
    }

    /// The value of the next leaf that has the value of another node.
    fn copy_again(&self, copies: &mut std::slice::Iter<'_, (u32, u32)>) -> Tensor<F> {
        let &(_, source) = copies.next().expect("a source for each copy");
        self.nodes[source as usize].value().clone()
    }
}
