//! The elements that a rule is applied to, and the loop over them.

use wengert_core::Float;

/// Some elements of one parameter, in the middle of a step: for each of them the update that
/// arrives, the parameter, and what the rule remembers.
///
/// A rule says what becomes of one element, and the loop is here. So the last rule of a chain
/// writes the parameter itself, and a chain of one reads the gradient itself: Adam alone touches
/// state as often as a loop written by hand.
#[derive(Debug)]
pub struct Elements<'a, F> {
    way: Way<'a, F>,
    /// The slots, one after the other.
    state: &'a mut [F],
}

/// That a rule has transformed its elements: only [`Elements::map`] makes one, so that a rule
/// cannot forget to.
#[derive(Debug)]
pub struct MapProof(());

#[derive(Debug)]
enum Way<'a, F> {
    /// To the next rule: the update is replaced.
    Pass { update: &'a mut [F], param: &'a [F] },
    /// To the parameter: `lr` times the update is subtracted.
    Finish { update: &'a [F], param: &'a mut [F], lr: F },
}

impl<'a, F: Float> Elements<'a, F> {
    #[inline(always)]
    pub(crate) fn pass(update: &'a mut [F], param: &'a [F], state: &'a mut [F]) -> Self {
        Elements { way: Way::Pass { update, param }, state }
    }

    #[inline(always)]
    pub(crate) fn finish(update: &'a [F], param: &'a mut [F], state: &'a mut [F], lr: f64) -> Self {
        Elements { way: Way::Finish { update, param, lr: F::of(lr) }, state }
    }

    /// Replaces each update: `rule(g, p, state)` takes the update that arrives, the parameter
    /// before this step, and what is remembered, in the order of
    /// [`Rule::state`](super::Rule::state); it gives the update that leaves and what is to be
    /// remembered.
    ///
    /// ```
    /// # use wengert_core::Float;
    /// # use wengert_nn::optim::{Elements, MapProof};
    /// /// v = momentum v + g, u = v
    /// fn momentum<F: Float>(momentum: F, elements: Elements<'_, F>) -> MapProof {
    ///     elements.map(|g, _, [v]| {
    ///         let v = momentum * v + g;
    ///         (v, [v])
    ///     })
    /// }
    /// ```
    ///
    /// # Panics
    /// When `N` is not the number of names that the rule's `state()` gives.
    #[inline(always)]
    pub fn map<const N: usize>(self, rule: impl Fn(F, F, [F; N]) -> (F, [F; N])) -> MapProof {
        match self.way {
            Way::Pass { update, param } => {
                let len = update.len();
                let param = &param[..len];
                let mut slots = slots::<F, N>(self.state, len);
                for i in 0..len {
                    let (u, state) = rule(update[i], param[i], slots.each_ref().map(|s| s[i]));
                    update[i] = u;
                    for (slot, new) in slots.iter_mut().zip(state) {
                        slot[i] = new;
                    }
                }
            }
            Way::Finish { update, param, lr } => {
                let len = update.len();
                let param = &mut param[..len];
                let mut slots = slots::<F, N>(self.state, len);
                for i in 0..len {
                    let (u, state) = rule(update[i], param[i], slots.each_ref().map(|s| s[i]));
                    param[i] -= lr * u;
                    for (slot, new) in slots.iter_mut().zip(state) {
                        slot[i] = new;
                    }
                }
            }
        }
        MapProof(())
    }
}

/// Cuts a rule's state into its slots. An array, whose length the compiler knows: a slice of
/// slices would be loaded again for every element, at half the speed.
#[inline(always)]
fn slots<F, const N: usize>(mut state: &mut [F], len: usize) -> [&mut [F]; N] {
    assert!(
        state.len() == N * len,
        "a rule that maps {N} slots of state must name as many in `state()`"
    );
    std::array::from_fn(|_| {
        let (slot, rest) = std::mem::take(&mut state).split_at_mut(len);
        state = rest;
        slot
    })
}
