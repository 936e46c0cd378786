//! Rates one after the other.

use super::{AnySchedule, Rate};
use crate::optim::range::InvalidSetting;

/// See [`Rate::joined`].
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub(super) milestones: Vec<u64>,
    pub(super) pieces: Vec<Rate>,
}

/// The name under which configuration knows it.
pub(crate) const JOINED: &str = "joined";

impl Joined {
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let (found, expected) = (self.milestones.len(), self.pieces.len().saturating_sub(1));
        if self.pieces.is_empty() {
            return Err(InvalidSetting::new("pieces", "expected at least one, found none"));
        }
        if found != expected {
            let message = format!(
                "expected one between each two of the {} pieces, so {expected}, found {found}",
                self.pieces.len()
            );
            return Err(InvalidSetting::new("milestones", message));
        }
        if let Some(i) = self.milestones.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(InvalidSetting::new("milestones", "expected growing steps").at(i + 1));
        }
        self.pieces.iter().try_for_each(Rate::check)
    }

    /// Each piece with its part of what is remembered.
    fn parts(&self) -> impl Iterator<Item = (&Rate, std::ops::Range<usize>)> {
        let mut end = 0;
        self.pieces.iter().map(move |piece| {
            let start = end;
            end += piece.state().len();
            (piece, start..end)
        })
    }
}

impl AnySchedule for Joined {
    fn at(&self, step: u64, state: &[f64]) -> f64 {
        let piece = self.milestones.iter().filter(|milestone| **milestone <= step).count();
        let begun = piece.checked_sub(1).map_or(0, |last| self.milestones[last]);
        let (piece, part) =
            self.parts().nth(piece).expect("a piece for each milestone, and one more");
        piece.at_with(step - begun, &state[part])
    }

    fn state(&self) -> Vec<f64> {
        self.pieces.iter().flat_map(Rate::state).collect()
    }

    fn report_metric(&self, metric: f64, state: &mut [f64]) {
        self.parts().for_each(|(piece, part)| piece.report_metric(metric, &mut state[part]));
    }

    fn kind(&self) -> &'static str {
        JOINED
    }

    fn text(&self) -> Result<Vec<(String, String)>, InvalidSetting> {
        self.check()?;
        let milestones: Vec<String> = self.milestones.iter().map(u64::to_string).collect();
        let pieces: Result<Vec<String>, _> = self.pieces.iter().map(Rate::text).collect();
        Ok(vec![
            ("milestones".into(), format!("[{}]", milestones.join(", "))),
            ("pieces".into(), format!("[{}]", pieces?.join(", "))),
        ])
    }
}
