//! The elements that a rule transforms, and the loop over them.

use wengert_core::Float;

/// Elements of one parameter during a step: for each one the incoming update, the parameter, and the
/// rule's state.
///
/// A rule gives the formula for one element, and this type has the loop. The last rule of a chain therefore writes
/// the parameter directly, and a chain of one rule reads the gradient directly. Adam alone makes no more passes over
/// memory than a hand-written loop.
#[derive(Debug)]
pub struct Elements<'a, F> {
    output: Output<'a, F>,
    /// The slots, one after the other.
    state: &'a mut [F],
}

/// Proof that a rule has transformed its elements. Only [`Elements::map`] returns one, so that a rule
/// cannot forget the call.
#[derive(Debug)]
pub struct MapProof(());

/// Destination of the transformed update.
#[derive(Debug)]
enum Output<'a, F> {
    /// The next rule: the update is replaced.
    Update { update: &'a mut [F], param: &'a [F] },
    /// The parameter: the update times `lr` is subtracted.
    Param { update: &'a [F], param: &'a mut [F], lr: F },
}

impl<'a, F: Float> Elements<'a, F> {
    /// The elements of a rule that is not the last of its chain. Public for programs that read a rule as a formula.
    #[doc(hidden)]
    #[inline(always)]
    pub fn to_update(update: &'a mut [F], param: &'a [F], state: &'a mut [F]) -> Self {
        Elements { output: Output::Update { update, param }, state }
    }

    #[inline(always)]
    pub(crate) fn to_param(
        update: &'a [F],
        param: &'a mut [F],
        state: &'a mut [F],
        lr: f64,
    ) -> Self {
        Elements { output: Output::Param { update, param, lr: F::of(lr) }, state }
    }

    /// Replaces each update. `rule(g, p, state)` takes the incoming update, the parameter before this
    /// step, and the slots in the order of [`Rule::state`](super::Rule::state). It returns the outgoing
    /// update and the new slots.
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
    /// If `N` is not the number of slots that the rule's `state()` names.
    #[inline(always)]
    pub fn map<const N: usize>(self, rule: impl Fn(F, F, [F; N]) -> (F, [F; N])) -> MapProof {
        match self.output {
            Output::Update { update, param } => {
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
            Output::Param { update, param, lr } => {
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

/// Splits a rule's state into its slots. Returns an array, whose length the compiler knows: the pointers
/// of a slice of slices would be loaded again for each element, at half the speed.
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
