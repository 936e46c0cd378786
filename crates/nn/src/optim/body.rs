//! The transforms of a chain, each with its name in the state.

use std::ops::Range;
use std::sync::Arc;

use wengert_core::Float;

use super::range::InvalidSetting;
use super::transform::{ErasedRule, ErasedTensorRule};
use super::value::Value;

/// A transform, with its name in the state.
#[derive(Debug)]
pub(super) struct Entry<F: Float> {
    pub(super) name: String,
    pub(super) body: Body<F>,
}

#[derive(Debug)]
pub(super) enum Body<F: Float> {
    /// An elementwise rule, and its slots among those of the chain.
    Elements(Arc<dyn ErasedRule<F>>, Range<usize>),
    /// A rule for whole tensors, and its index among the tensors of the state.
    Tensor(Arc<dyn ErasedTensorRule<F>>, usize),
}

impl<F: Float> Body<F> {
    /// Gives the body a rule that no other chain has.
    pub(super) fn make_own(&mut self, settings: &Value) -> Result<(), InvalidSetting> {
        match self {
            Body::Elements(rule, _) => *rule = rule.with(settings)?,
            Body::Tensor(rule, _) => *rule = rule.with(settings)?,
        }
        Ok(())
    }

    /// Replaces the settings of a rule that no other chain has. Returns whether the state has the same form as before.
    pub(super) fn set(&mut self, settings: &Value) -> Result<bool, InvalidSetting> {
        const OWN: &str = "the chain has the rule for itself";
        match self {
            Body::Elements(rule, slots) => {
                let rule = Arc::get_mut(rule).expect(OWN);
                rule.set(settings)?;
                Ok(rule.state().len() == slots.len())
            }
            Body::Tensor(rule, _) => Arc::get_mut(rule).expect(OWN).set(settings).map(|()| true),
        }
    }

    /// Checks the ranges of the settings.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        match self {
            Body::Elements(rule, _) => rule.check(),
            Body::Tensor(rule, _) => rule.check(),
        }
    }
}
