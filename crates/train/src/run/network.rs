//! The model of a configuration: layers one after the other.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use wengert_core::rand::rngs::ChaCha8Rng;
use wengert_core::{Leaf, LeafMut, Params, Path, Shape, Tape, Var};
use wengert_nn::optim::{ConfigError, ConfigTable, InvalidSetting, range};
use wengert_nn::{CloneModule, Embedding, EvalMode, Module, Residual, Sequential, check_shapes};

use super::config::written;
use super::data::Prepared;
use super::layers::{Layers, Site};
use crate::data::{Dataset, Inputs, Targets};
use crate::trainer::{Loss, Model};

/// Model that a configuration describes: perhaps an embedding of tokens, then modules one after the other. Parameters
/// are named by position, such as `0.weight`.
#[derive(Clone)]
pub struct Network {
    embedding: Option<Embedding>,
    layers: Vec<Box<dyn CloneModule>>,
}

impl Params<f32> for Network {
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, f32>)) {
        let first = self.embedding.iter().count();
        self.embedding.iter().for_each(|embedding| embedding.visit(path.index(0), visit));
        let layers = self.layers.iter().enumerate();
        layers.for_each(|(i, layer)| layer.visit(path.index(first + i), visit));
    }

    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, f32>),
    ) {
        let first = self.embedding.iter().count();
        self.embedding.iter_mut().for_each(|embedding| embedding.visit_mut(path.index(0), visit));
        let layers = self.layers.iter_mut().enumerate();
        layers.for_each(|(i, layer)| layer.visit_mut(path.index(first + i), visit));
    }
}

impl Model for Network {
    #[track_caller]
    fn outputs<'t>(&self, tape: &'t Tape<f32>, inputs: &Inputs) -> Var<'t, f32> {
        let mut x = match (inputs, &self.embedding) {
            (Inputs::Numbers(numbers), _) => tape.constant(numbers),
            (Inputs::Tokens(tokens), Some(embedding)) => {
                let _part = tape.layer(0);
                embedding.forward(tape, tokens)
            }
            (Inputs::Tokens(_), None) => panic!("Network: tokens need an embedding"),
        };
        let first = self.embedding.iter().count();
        for (i, layer) in self.layers.iter().enumerate() {
            let _part = tape.layer(first + i);
            x = layer.forward(x);
        }
        x
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.layers.iter().map(|layer| layer.name())).finish()
    }
}

/// A network, and its layers as TOML with all settings.
pub(super) struct Described {
    pub(super) network: Network,
    pub(super) toml: String,
}

/// Settings of the embedding. Default of `num_embeddings`: the vocabulary of the data.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddingSettings {
    num_embeddings: Option<usize>,
    embedding_dim: usize,
}

/// Builds the network of the table `[model]` for such data.
pub(super) fn build(
    kinds: &Layers,
    mut model: ConfigTable,
    data: &Prepared,
    loss: &Loss,
    smallest_batch: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Described, ConfigError> {
    let place = model.place();
    let tables = model.take_tables("layers")?;
    model.finish(&[])?;
    if tables.is_empty() {
        return Err(place.error("missing `[[model.layers]]`: expected at least one layer"));
    }
    let last = tables.last().map_or(place, ConfigTable::place);
    let (row, tokens) = (data.train.take_rows(&[0]), data.tokens());
    let expected = output_shape(&row, tokens, loss);
    let outputs = match row.targets {
        Targets::Tokens(_) => tokens,
        _ => expected[1..].iter().product(),
    };

    let mut tables = tables.into_iter().peekable();
    let (mut embedding, mut toml) = (None, "[model]\n".to_owned());
    let mut shape = match &row.inputs {
        Inputs::Numbers(numbers) => numbers.shape(),
        Inputs::Tokens(inputs) => {
            let mut table = tables.next().expect("there is a layer");
            table.take_kind("layer of tokens", &["embedding"])?;
            let (made, settings) = table.make(|mut settings: EmbeddingSettings| {
                let count = *settings.num_embeddings.get_or_insert(tokens);
                if count < tokens {
                    let message =
                        format!("expected at least the {tokens} tokens of the data, found {count}");
                    return Err(InvalidSetting::new("num_embeddings", message));
                }
                range::at_least_one("embedding_dim", settings.embedding_dim as u64)?;
                Ok((Embedding::new(count, settings.embedding_dim, rng), settings))
            })?;
            embedding = Some(made);
            let _ =
                write!(toml, "\n[[model.layers]]\nkind = \"embedding\"\n{}", written(&settings));
            Shape::from(&[&inputs.shape()[..], &[settings.embedding_dim]].concat()[..])
        }
    };
    let mut builder = Builder { kinds, outputs, smallest_batch, rng, toml };
    let mut layers = Vec::new();
    for table in tables {
        let (layer, next) = builder.layer(table, shape, "model.layers")?;
        layers.push(layer);
        shape = next;
    }
    if shape[..] != expected[..] {
        let of = &expected[1..];
        let message = format!(
            "expected outputs of shape {of:?} for the data and `{}`, found {:?}",
            loss.name(),
            &shape[1..]
        );
        return Err(last.error(message));
    }
    Ok(Described { network: Network { embedding, layers }, toml: builder.toml })
}

/// Returns the shape of the outputs for one row; `tokens` is the size of the vocabulary.
fn output_shape(row: &Dataset, tokens: usize, loss: &Loss) -> Vec<usize> {
    match (&row.targets, &row.inputs) {
        (Targets::Classes { .. }, _) if matches!(loss, Loss::BceWithLogits) => vec![1, 1],
        (Targets::Classes { names, .. }, _) => vec![1, names.len()],
        (Targets::Values(values), _) => values.shape().to_vec(),
        (Targets::Tokens(targets), _) => [&targets.shape()[..], &[tokens]].concat(),
        (Targets::None, Inputs::Numbers(inputs)) => inputs.shape().to_vec(),
        (Targets::None, Inputs::Tokens(inputs)) => inputs.shape().to_vec(),
    }
}

struct Builder<'a> {
    kinds: &'a Layers,
    outputs: usize,
    smallest_batch: usize,
    rng: &'a mut ChaCha8Rng,
    toml: String,
}

impl Builder<'_> {
    /// Builds the layer of a table in the list at `path`. Returns it with the shape of its output.
    fn layer(
        &mut self,
        mut table: ConfigTable,
        input: Shape,
        path: &str,
    ) -> Result<(Box<dyn CloneModule>, Shape), ConfigError> {
        const RESIDUAL: &str = "residual";
        let mut kinds: Vec<&'static str> = self.kinds.kinds().collect();
        kinds.push(RESIDUAL);
        kinds.sort_unstable();
        let frozen = table.take_flag("frozen")?.unwrap_or(false);
        let kind = table.take_kind("layer", &kinds)?;
        let place = table.place();
        let _ = write!(self.toml, "\n[[{path}]]\nkind = \"{kind}\"\nfrozen = {frozen}\n");
        let mut module = if kind == RESIDUAL {
            let inner = table.take_tables("layers")?;
            table.finish(&[])?;
            let (mut body, mut shape) = (Sequential::new(), input);
            for table in inner {
                let (layer, next) = self.layer(table, shape, &format!("{path}.layers"))?;
                body = body.then(layer);
                shape = next;
            }
            Box::new(Residual::new(body)) as Box<dyn CloneModule>
        } else {
            let rows = if frozen { self.smallest_batch.max(2) } else { self.smallest_batch };
            let mut site = Site { input, outputs: self.outputs, rows, rng: self.rng };
            let built = self.kinds.build(kind, table, &mut site)?;
            self.toml += &built.settings;
            built.module
        };
        if frozen {
            module.for_each_param_mut(&mut |_, param| param.set_frozen(true));
            module = Box::new(EvalMode::new(module));
        }
        let output = check_shapes(&module, input).map_err(|e| place.error(e.to_string()))?;
        Ok((module, output))
    }
}
