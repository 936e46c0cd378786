//! Random numbers of a tape: the distributions, and how a number is drawn.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use crate::{Float, Shape, Tensor};

/// Distribution of a random leaf; see [`Tape::random`](crate::Tape::random).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Random {
    /// Uniform in `0..1`.
    Uniform,
    /// Normal with mean 0 and standard deviation 1.
    Normal,
    /// 1 with this probability, else 0.
    Bernoulli(f64),
}

/// A draw of a tape: its distribution, and its number among all draws of the tape.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Draw {
    pub(crate) distribution: Random,
    pub(crate) number: u64,
}

impl Draw {
    /// The numbers that a tape with this key draws. Both precisions draw the same numbers, up to rounding.
    pub(crate) fn numbers<F: Float>(self, shape: Shape, key: u64) -> Tensor<F> {
        let mut rng = ChaCha8Rng::seed_from_u64(key);
        rng.set_stream(self.number);
        match self.distribution {
            Random::Uniform => Tensor::uniform(shape, 0.0, 1.0, &mut rng),
            Random::Normal => Tensor::randn(shape, &mut rng),
            Random::Bernoulli(p) => {
                // One 32-bit word a number: a probability is resolved to 2^-32.
                let below = (p * 2f64.powi(32)) as u64;
                Tensor::from_fn(shape, |_| {
                    if u64::from(rng.next_u32()) < below { F::ONE } else { F::ZERO }
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReduceOps, Tape, gradients, seeded};

    fn draw(key: u64, distribution: Random) -> Tensor<f64> {
        seeded(key).evaluate(|tape| tape.random([100, 100], distribution))
    }

    #[test]
    fn a_key_and_a_place_decide_what_is_drawn() {
        let first = draw(1, Random::Uniform);
        assert_eq!(first, draw(1, Random::Uniform));
        assert_ne!(first, draw(2, Random::Uniform));
        let tape = seeded(1).tape();
        let (a, b) =
            (tape.random([100, 100], Random::Uniform), tape.random([100, 100], Random::Uniform));
        assert!(a.value() == first && b.value() != first);
        let single =
            seeded(1).evaluate(|tape: &Tape<f32>| tape.random([100, 100], Random::Uniform));
        assert_eq!(single, first.cast());
    }

    #[test]
    fn the_draws_have_their_distribution() {
        let share = draw(3, Random::Bernoulli(0.3)).mean().item();
        // Four deviations of the mean of 10,000.
        assert!((share - 0.3).abs() < 4.0 * (0.3f64 * 0.7 / 1e4).sqrt(), "{share}");
        assert!(draw(3, Random::Bernoulli(0.0)).as_slice().iter().all(|x| *x == 0.0));
        assert!(draw(3, Random::Bernoulli(1.0)).as_slice().iter().all(|x| *x == 1.0));
        let normal = draw(3, Random::Normal);
        assert!(normal.mean().item().abs() < 0.04);
        let squares = normal.as_slice().iter().map(|x| x * x).sum::<f64>() / 1e4;
        assert!((squares - 1.0).abs() < 4.0 * (2f64 / 1e4).sqrt(), "{squares}");
    }

    #[test]
    fn a_word_is_one_where_it_is_below_the_probability() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        rng.set_stream(3);
        let word = f64::from(rng.next_u32());
        let drawn = |below: f64| {
            let draw = Draw { distribution: Random::Bernoulli(below / 2f64.powi(32)), number: 3 };
            draw.numbers::<f64>([].into(), 5).item()
        };
        assert_eq!((drawn(word), drawn(word + 1.0)), (0.0, 1.0));
    }

    #[test]
    #[should_panic(expected = "this tape has no key")]
    fn without_a_key_nothing_is_drawn() {
        gradients(|tape: &Tape<f32>| tape.random([2], Random::Uniform).sum());
    }
}
