//! Gradients as values that can be added, scaled, flattened and sent between threads.

use std::ops::{AddAssign, Div, Mul};

use crate::kernels;
use crate::ops::UnaryOps;
use crate::tape::reuse::{ParamList, RowList, return_lists, spare_lists};
use crate::{Float, Indices, Leaf, Param, ParamId, Params, Path, Tensor, Var};

/// The gradients of a loss with respect to parameters and variables, and the new values of buffers.
///
/// Gradients are plain values: the gradients of several parts of a batch can be computed on several threads
/// and added. An optimizer's `step` takes them; [`Gradients::get`] reads one of them.
///
/// ```
/// use wengert_core::{Param, ReduceOps, Tensor, UnaryOps, gradients};
///
/// let weight = Param::new(Tensor::<f32>::from([1.0, 2.0]));
/// let part = |x: f64| gradients(|tape| (tape.param(&weight).square() * x).sum()).1;
/// let mut sum = part(1.0);
/// sum += &part(3.0);
/// let mean = sum / 2.0;
/// assert_eq!(mean.get(&weight), Some(&Tensor::from([4.0, 8.0])));
/// ```
#[derive(Debug)]
pub struct Gradients<F: Float> {
    /// The gradient of each parameter, in the order in which the parameters were first used.
    pub(crate) params: ParamList<F>,
    /// For a parameter whose gradient is 0 outside of some rows: the indices of these, in one entry or several.
    pub(crate) rows: RowList,
    /// The gradient of each variable, by the number and the generation of its node.
    pub(crate) variables: Vec<((u32, u32), Tensor<F>)>,
    /// The new value of each buffer, in the order in which they were recorded.
    pub(crate) updates: Vec<(ParamId, Tensor<F>)>,
    /// The recording that the variables belong to; 0 if there is none.
    pub(crate) recording: u64,
}

impl<F: Float> Gradients<F> {
    /// Wraps gradients from elsewhere, such as a file or another machine, by parameter.
    pub fn from_params(params: Vec<(ParamId, Tensor<F>)>) -> Self {
        let (variables, updates) = (Vec::new(), Vec::new());
        Self { params, rows: Vec::new(), variables, updates, recording: 0 }
    }

    /// Returns the gradient of a parameter. It has the parameter's shape. `None` if the loss does not depend on it,
    /// or it is frozen.
    pub fn get(&self, param: &Param<F>) -> Option<&Tensor<F>> {
        self.find(param.id(), 0).map(|place| &self.params[place].1)
    }

    /// Returns the gradient of a parameter by its dotted name in a model, such as `layers.2.weight`. `None`
    /// if the model has no such parameter, or the loss does not depend on it.
    pub fn named(&self, model: &impl Params<F>, name: &str) -> Option<&Tensor<F>> {
        self.get(model.param(name)?)
    }

    /// Returns the rows of a parameter outside of which its gradient is known to be 0: the indices along its first axis
    /// that the loss read, as often as it read them and in no particular order. `None` if there is no gradient, or the
    /// loss reads the parameter in another way too.
    ///
    /// The gradient of an [`embedding`](crate::IndexOps::embedding), of [`index_select`](crate::IndexOps::index_select)
    /// and of [`gather`](crate::IndexOps::gather) along the first axis is of this kind. An optimizer need not look at
    /// the other rows.
    ///
    /// ```
    /// use wengert_core::{IndexOps, Param, ReduceOps, Tensor, gradients};
    ///
    /// let table = Param::new(Tensor::<f32>::ones([1000, 4]));
    /// let (_, grads) = gradients(|tape| tape.param(&table).embedding([7, 3, 7], None).sum());
    /// assert_eq!(grads.rows(&table).unwrap().collect::<Vec<_>>(), [7, 3, 7]);
    ///
    /// let (_, grads) = gradients(|tape| {
    ///     let table = tape.param(&table);
    ///     table.embedding([7, 3, 7], None).sum() + table.sum()
    /// });
    /// assert!(grads.rows(&table).is_none());
    /// ```
    pub fn rows(&self, param: &Param<F>) -> Option<impl Iterator<Item = usize> + '_> {
        let rows = self.rows_of(param.id())?;
        self.get(param).map(|_| rows)
    }

    /// [`rows`](Self::rows) of a parameter that is known to have a gradient.
    fn rows_of(&self, id: ParamId) -> Option<impl Iterator<Item = usize> + '_> {
        let of = move |(own, _): &&(ParamId, Indices)| *own == id;
        let mut known = self.rows.iter().filter(of).peekable();
        known.peek()?;
        Some(known.flat_map(|(_, rows)| rows.as_slice().iter().copied()))
    }

    /// Returns the gradient of a variable that `tape.variable` made. It has the variable's shape. `None` if the loss
    /// does not depend on it.
    ///
    /// # Panics
    /// If the variable is not on the tape of the loss, or was dropped.
    #[track_caller]
    pub fn wrt(&self, variable: Var<'_, F>) -> Option<&Tensor<F>> {
        let id = variable.on_tape(variable.tape);
        let recording = variable.tape.record.borrow().recording;
        assert!(recording == self.recording, "wrt: the variable is not on the tape of the loss");
        let key = (id, variable.generation);
        self.variables.iter().find_map(|(own, g)| (*own == key).then_some(g))
    }

    /// Returns the gradient of a variable by its node.
    pub(crate) fn of_leaf(&self, leaf: u32) -> Option<&Tensor<F>> {
        self.variables.iter().find_map(|((id, _), g)| (*id == leaf).then_some(g))
    }

    /// Returns the dotted names of the parameters of a model that have no gradient here. Frozen parameters
    /// are not listed.
    pub fn missing(&self, model: &(impl Params<F> + ?Sized)) -> Vec<String> {
        let (mut missing, mut hint) = (Vec::new(), 0);
        model.visit(Path::ROOT, &mut |path, leaf| {
            if let Leaf::Param(param) = leaf
                && !param.is_frozen()
            {
                match self.find(param.id(), hint) {
                    Some(place) => hint = place + 1,
                    None => missing.push(path.to_string()),
                }
            }
        });
        missing
    }

    /// Returns the place of a parameter's gradient in [`Gradients::as_slice`]. The search begins at `hint` and wraps
    /// around. To look up parameters in order, pass the place after the previous answer: each search then takes
    /// constant time.
    pub fn find(&self, id: ParamId, hint: usize) -> Option<usize> {
        let hint = hint.min(self.params.len());
        let (before, after) = self.params.split_at(hint);
        let is_own = |(own, _): &(ParamId, Tensor<F>)| *own == id;
        let place = after.iter().position(is_own).map(|place| hint + place);
        place.or_else(|| before.iter().position(is_own))
    }

    /// Returns the gradients of all parameters, in the order in which the loss first used the parameters.
    pub fn as_slice(&self) -> &[(ParamId, Tensor<F>)] {
        &self.params
    }

    /// Returns the new values of buffers, such as running means, in the order in which they were recorded.
    pub fn updates(&self) -> &[(ParamId, Tensor<F>)] {
        &self.updates
    }

    /// Returns the Euclidean norm of all parameters' gradients taken as one vector.
    pub fn global_norm(&self) -> f64 {
        let square = |g: &Tensor<F>| kernels::dot(g.as_slice(), g.as_slice());
        self.params.iter().map(|(_, g)| square(g)).sum::<f64>().sqrt()
    }

    /// Concatenates all parameters' gradients to a tensor of shape `[n]`, in the order of
    /// [`Gradients::as_slice`].
    pub fn flatten(&self) -> Tensor<F> {
        let n = self.params.iter().map(|(_, g)| g.numel()).sum::<usize>();
        Tensor::written([n].into(), |flat| {
            let mut rest = flat;
            for (_, g) in &self.params {
                let (part, tail) = rest.split_at_mut(g.numel());
                part.copy_from_slice(g.as_slice());
                rest = tail;
            }
        })
    }

    /// Concatenates the gradients of a model's parameters to a tensor of shape `[n]`, in the order of
    /// [`Params::flatten`]. Frozen parameters are left out.
    ///
    /// # Panics
    /// If a parameter that is not frozen has no gradient; the message names each.
    #[track_caller]
    pub fn flatten_for(&self, model: &(impl Params<F> + ?Sized)) -> Tensor<F> {
        let missing = self.missing(model);
        assert!(missing.is_empty(), "flatten_for: no gradient for {}", missing.join(", "));
        let mut flat = Vec::new();
        model.visit(Path::ROOT, &mut |_, leaf| {
            if let Leaf::Param(param) = leaf
                && !param.is_frozen()
            {
                flat.extend(self.get(param).iter().flat_map(|g| g.as_slice()));
            }
        });
        let n = flat.len();
        Tensor::from_vec(flat, [n])
    }

    /// Replaces all parameters' gradients by those in a flat slice, in the order of [`Gradients::flatten`].
    ///
    /// # Panics
    /// If the slice does not have one number for each gradient.
    #[track_caller]
    pub fn set_flat(&mut self, flat: &[F]) {
        let n = self.params.iter().map(|(_, g)| g.numel()).sum::<usize>();
        assert!(flat.len() == n, "set_flat: expected {n} numbers, found {}", flat.len());
        let mut rest = flat;
        for (_, g) in &mut self.params {
            let (part, tail) = rest.split_at(g.numel());
            g.as_mut_slice().copy_from_slice(part);
            rest = tail;
        }
        self.rows.clear();
    }

    /// Returns whether the gradients of all parameters are free of NaN and infinity.
    pub fn is_finite(&self) -> bool {
        self.params.iter().all(|(id, g)| match self.rows_of(*id) {
            Some(mut rows) if g.numel() > 0 => {
                let (g, width) = (g.as_slice(), g.numel() / g.shape()[0]);
                rows.all(|row| kernels::is_finite(&g[row * width..][..width]))
            }
            _ => g.is_finite(),
        })
    }

    /// Drops all gradients and keeps their list.
    pub(crate) fn forget(&mut self) {
        self.params.clear();
        self.rows.clear();
        self.variables.clear();
        self.updates.clear();
        self.recording = 0;
    }

    /// Joins the rows of a sum, before its gradients are added.
    fn add_rows(&mut self, other: &Self) {
        let knows =
            |grads: &Self, id: ParamId| grads.rows_of(id).is_some() || grads.find(id, 0).is_none();
        for (id, indices) in &other.rows {
            if knows(self, *id) {
                self.rows.push((*id, indices.clone()));
            }
        }
        self.rows.retain(|(id, _)| knows(other, *id));
    }

    fn scale(&mut self, by: f64) {
        let params = self.params.iter_mut().map(|(_, g)| g);
        for g in params.chain(self.variables.iter_mut().map(|(_, g)| g)) {
            *g = UnaryOps::mul_scalar(g, by);
        }
        // Otherwise a zero outside of the rows became NaN or -0.
        if !(by.is_finite() && by.is_sign_positive()) {
            self.rows.clear();
        }
    }
}

/// Adds the gradients of parameters, such as those of another part of a batch.
///
/// A gradient that only one side has is kept. Where both sides have a new value for a buffer, the right one
/// is kept. Gradients of variables belong to one tape and are not added.
///
/// It panics if the gradients of a parameter differ in shape; both sides stay unchanged then.
impl<F: Float> AddAssign<&Gradients<F>> for Gradients<F> {
    #[track_caller]
    fn add_assign(&mut self, other: &Self) {
        for (place, (id, g)) in other.params.iter().enumerate() {
            let own = self.find(*id, place).map_or(g.shape(), |own| self.params[own].1.shape());
            let given = g.shape();
            assert!(
                own == given,
                "gradients +=: one parameter has a gradient of shape {own:?} on the left, {given:?} on the right"
            );
        }
        self.add_rows(other);
        for (place, (id, g)) in other.params.iter().enumerate() {
            match self.find(*id, place) {
                Some(own) => {
                    let sum = self.params[own].1.as_mut_slice();
                    kernels::add_to(sum, g.as_slice());
                }
                None => self.params.push((*id, g.clone())),
            }
        }
        for (id, value) in &other.updates {
            self.updates.retain(|(own, _)| own != id);
            self.updates.push((*id, value.clone()));
        }
    }
}

/// Scales all gradients, as in `grads * 0.5`.
impl<F: Float> Mul<f64> for Gradients<F> {
    type Output = Self;
    fn mul(mut self, by: f64) -> Self {
        self.scale(by);
        self
    }
}

/// Divides all gradients, as in the mean of `n` parts: `sum / n`.
impl<F: Float> Div<f64> for Gradients<F> {
    type Output = Self;
    fn div(mut self, by: f64) -> Self {
        self.scale(by.recip());
        self
    }
}

// The list is one that an earlier step returned, so that a clone in each of many steps allocates nothing.
impl<F: Float> Clone for Gradients<F> {
    fn clone(&self) -> Self {
        let (mut params, mut rows) = spare_lists();
        params.extend_from_slice(&self.params);
        rows.extend_from_slice(&self.rows);
        let (variables, updates) = (self.variables.clone(), self.updates.clone());
        Self { params, rows, variables, updates, recording: self.recording }
    }
}

impl<F: Float> Drop for Gradients<F> {
    fn drop(&mut self) {
        return_lists(std::mem::take(&mut self.params), std::mem::take(&mut self.rows));
    }
}
