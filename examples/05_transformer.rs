//! A small causal transformer learns to sort.
//!
//! Teaches: attention, embeddings, positions, tied weights, a learning rate schedule, generation.
//! Run: `cargo run --release --example 05_transformer`
//!
//! A sequence is eight digits, a mark, and the same digits in order. The net predicts each token from the
//! tokens before it. One table embeds the tokens and, transposed, gives the logits (tied weights).
//! At the end the net sorts 1,000 new sequences, writing one token after the other.

use std::process::ExitCode;

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use wengert::prelude::*;

const DIGITS: usize = 8;
/// The token between the question and the answer.
const MARK: usize = 10;
const WIDTH: usize = 32;

struct Transformer {
    tokens: Param,
    positions: SinusoidalPositions,
    blocks: [TransformerBlock; 2],
}
params! { Transformer { tokens, positions, blocks } }

impl Transformer {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        let mut block = || {
            let block = TransformerBlock::new(WIDTH, 4, 2 * WIDTH, rng);
            block.causal().norm_first().activation(|x| x.gelu())
        };
        let blocks = [block(), block()];
        Self {
            tokens: init::normal([MARK + 1, WIDTH], 0.3, rng).into(),
            positions: SinusoidalPositions::new(2 * DIGITS, WIDTH),
            blocks,
        }
    }

    /// Takes tokens `[batch, time]` and returns the logits `[batch, time, tokens]` of the next token.
    fn logits<'t>(&self, tape: &'t Tape, tokens: &Indices) -> Var<'t> {
        let table = tape.param(&self.tokens);
        let mut x = self.positions.forward(table.embedding(tokens.clone(), None));
        for block in &self.blocks {
            x = block.forward(x);
        }
        x.matmul_transposed(table)
    }
}

/// Draws sequences: question, mark, answer.
fn sequences(count: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let mut sequence = || {
        let question: Vec<usize> = (0..DIGITS).map(|_| rng.random_range(0..10)).collect();
        let mut answer = question.clone();
        answer.sort_unstable();
        [question, vec![MARK], answer].concat()
    };
    (0..count).map(|_| sequence()).collect()
}

/// Returns the same range of each sequence, `[sequences, range]`.
fn part(sequences: &[Vec<usize>], range: std::ops::Range<usize>) -> Indices {
    let parts = sequences.iter().flat_map(|sequence| &sequence[range.clone()]);
    Indices::from_vec(parts.copied().collect(), [sequences.len(), range.len()])
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut net = Transformer::new(&mut rng);
    let steps = 800;
    let mut optimizer = Optimizer::from_toml(&format!(
        "kind = 'adamw'\nclip_norm = 1.0\n\
         lr = {{ kind = 'cosine', peak = 3e-3, warmup_steps = 50, t_max = {steps} }}"
    ))?;
    for step in 1..=steps {
        let batch = sequences(64, &mut rng);
        let (tokens, next) =
            (part(&batch, 0..2 * DIGITS), part(&batch, DIGITS + 1..2 * DIGITS + 1));
        let (loss, grads) = gradients(|tape| {
            net.logits(tape, &tokens).narrow(1, DIGITS, DIGITS).cross_entropy(next)
        });
        optimizer.step(&mut net, &grads);
        if step % 200 == 0 {
            println!("step {step:4}: loss {loss:.5}");
        }
    }

    // There are 10^8 questions, so hardly any of these was seen in training.
    let expected = sequences(1000, &mut rng);
    let mut written: Vec<_> =
        expected.iter().map(|sequence| sequence[..=DIGITS].to_vec()).collect();
    for time in DIGITS + 1..=2 * DIGITS {
        let tokens = part(&written, 0..time);
        let next = evaluate(|tape| net.logits(tape, &tokens).narrow(1, time - 1, 1)).argmax();
        for (sequence, &token) in written.iter_mut().zip(next.as_slice()) {
            sequence.push(token);
        }
    }
    let sorted = written.iter().zip(&expected).filter(|(a, b)| a == b).count();
    println!(
        "The transformer sorts {sorted} of {} new sequences without a mistake, more than 990 required.",
        expected.len()
    );
    Ok(if sorted > 990 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
