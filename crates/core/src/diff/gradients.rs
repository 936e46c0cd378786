//! Gradients as values: they add, scale, flatten and cross threads.

use std::ops::{AddAssign, Div, Mul};

use crate::kernels;
use crate::ops::UnaryOps;
use crate::{Float, Leaf, Param, ParamId, Params, Path, Tensor, Var};

/// The gradients of one loss: by parameter, and by variable of the tape. With them travel the new
/// values of buffers.
#[derive(Debug)]
pub struct Gradients<F: Float> {
    /// By parameter, in the order in which the recording first met them.
    pub(crate) params: Vec<(ParamId, Tensor<F>)>,
    pub(crate) variables: Vec<(u32, Tensor<F>)>,
    pub(crate) updates: Vec<(ParamId, Tensor<F>)>,
}

impl<F: Float> Gradients<F> {
    /// Gradients that come from elsewhere, such as a file or another machine, by parameter.
    pub fn from_params(params: Vec<(ParamId, Tensor<F>)>) -> Self {
        Self { params, variables: Vec::new(), updates: Vec::new() }
    }

    /// The gradient of a parameter; `None` if none arrived.
    pub fn get(&self, param: &Param<F>) -> Option<&Tensor<F>> {
        self.find(param.id(), 0).map(|place| &self.params[place].1)
    }

    /// The gradient of a parameter by its dotted name in a model.
    pub fn named(&self, model: &impl Params<F>, name: &str) -> Option<&Tensor<F>> {
        self.get(model.param(name)?)
    }

    /// The gradient of a leaf variable made by `tape.variable`, of the tape that was differentiated;
    /// `None` if none arrived.
    pub fn wrt(&self, variable: Var<'_, F>) -> Option<&Tensor<F>> {
        self.variables.iter().find_map(|(id, g)| (*id == variable.id).then_some(g))
    }

    /// The gradient of a leaf by its number, be it a parameter's or a variable's.
    pub(crate) fn of_leaf(&self, leaf: u32) -> Option<&Tensor<F>> {
        self.variables.iter().find_map(|(id, g)| (*id == leaf).then_some(g))
    }

    /// The names of those parameters of a model that received no gradient and are not frozen.
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

    /// The place of a parameter's gradient, sought from `hint` on. Whoever asks in the same order
    /// at every step, and hands the place after the last as a hint, is answered at once.
    pub fn find(&self, id: ParamId, hint: usize) -> Option<usize> {
        let at = |range: std::ops::Range<usize>| {
            let start = range.start;
            self.params[range].iter().position(|(own, _)| *own == id).map(|place| start + place)
        };
        let hint = hint.min(self.params.len());
        at(hint..self.params.len()).or_else(|| at(0..hint))
    }

    /// The gradients of parameters with their identities, in the order in which the recording first
    /// met them.
    pub fn as_slice(&self) -> &[(ParamId, Tensor<F>)] {
        &self.params
    }

    /// The new values of buffers, in the order in which they were recorded.
    pub fn updates(&self) -> &[(ParamId, Tensor<F>)] {
        &self.updates
    }

    /// The Euclidean norm over all parameters' gradients.
    pub fn global_norm(&self) -> f64 {
        let square = |g: &Tensor<F>| kernels::dot(g.as_slice(), g.as_slice());
        self.params.iter().map(|(_, g)| square(g)).sum::<f64>().sqrt()
    }

    /// All parameters' gradients as one array of shape `[n]`, in the order of [`Self::as_slice`].
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

    /// The gradients of a model's parameters as one array of shape `[n]`, in the model's order: as
    /// [`Params::flatten`] lays out the parameters themselves. Frozen ones are left out.
    ///
    /// # Panics
    /// If a parameter received no gradient, with the names of all such.
    #[track_caller]
    pub fn flatten_for(&self, model: &(impl Params<F> + ?Sized)) -> Tensor<F> {
        let missing = self.missing(model);
        assert!(missing.is_empty(), "flatten_for: no gradient arrived at {}", missing.join(", "));
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

    /// Replaces all parameters' gradients by those of a flat slice, as [`Self::flatten`] lays it out.
    ///
    /// # Panics
    /// If the slice has another length.
    #[track_caller]
    pub fn set_flat(&mut self, flat: &[F]) {
        let n = self.params.iter().map(|(_, g)| g.numel()).sum::<usize>();
        assert!(flat.len() == n, "set_flat: {} numbers for {n} parameters", flat.len());
        let mut rest = flat;
        for (_, g) in &mut self.params {
            let (part, tail) = rest.split_at(g.numel());
            g.as_mut_slice().copy_from_slice(part);
            rest = tail;
        }
    }

    /// Whether every number is neither infinite nor NaN.
    pub fn is_finite(&self) -> bool {
        self.params.iter().all(|(_, g)| g.is_finite())
    }

    fn scale(&mut self, by: f64) {
        let params = self.params.iter_mut().map(|(_, g)| g);
        for g in params.chain(self.variables.iter_mut().map(|(_, g)| g)) {
            *g = UnaryOps::mul_scalar(g, by);
        }
    }
}

/// Adds the gradients of the same model from another recording, such as another part of a batch.
/// Where both have a new value for a buffer, the added one stays.
impl<F: Float> AddAssign<&Gradients<F>> for Gradients<F> {
    fn add_assign(&mut self, other: &Self) {
        for (place, (id, g)) in other.params.iter().enumerate() {
            match self.find(*id, place) {
                Some(own) => {
                    let sum = self.params[own].1.as_mut_slice();
                    kernels::zip1(sum, g.as_slice(), |sum, g| *sum += g);
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

impl<F: Float> Mul<f64> for Gradients<F> {
    type Output = Self;
    fn mul(mut self, by: f64) -> Self {
        self.scale(by);
        self
    }
}

/// Averages, as in `grads / n`.
impl<F: Float> Div<f64> for Gradients<F> {
    type Output = Self;
    fn div(mut self, by: f64) -> Self {
        self.scale(by.recip());
        self
    }
}

// In a list of a step before, so that a copy at each of many steps allocates nothing.
impl<F: Float> Clone for Gradients<F> {
    fn clone(&self) -> Self {
        let mut params = crate::tape::reuse::spare_list();
        params.extend_from_slice(&self.params);
        Self { params, variables: self.variables.clone(), updates: self.updates.clone() }
    }
}

impl<F: Float> Drop for Gradients<F> {
    fn drop(&mut self) {
        crate::tape::reuse::return_list(std::mem::take(&mut self.params));
    }
}
