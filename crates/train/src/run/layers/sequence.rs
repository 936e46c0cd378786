//! Layers of sequences `[n, time, width]`: recurrent, attention, positions, and what takes a sequence to one vector.

use serde::{Deserialize, Serialize};
use wengert_core::{MovementOps, ReduceOps};
use wengert_nn::optim::InvalidSetting;
use wengert_nn::{self as nn, CloneModule};

use super::{LayerKind, Layers, Site, divides, misfit, one, probability, size, yes};

pub(super) fn list(layers: Layers) -> Layers {
    layers
        .layer::<Rnn>()
        .layer::<Lstm>()
        .layer::<Gru>()
        .layer::<Attention>()
        .layer::<TransformerBlock>()
        .plain("last", || {
            Box::new(nn::Lambda::new(|x| x.narrow(1, x.shape()[1] - 1, 1).squeeze([1])))
        })
        .plain("mean", || Box::new(nn::Lambda::new(|x| x.mean_axes([1], false))))
        .layer::<SinusoidalPositions>()
}

/// Returns the extents `[time, width]` of a sequence.
fn sequence(site: &Site<'_>) -> Result<[usize; 2], InvalidSetting> {
    match *site.input {
        [_, time, width] if time > 0 && width > 0 => Ok([time, width]),
        _ => Err(misfit(format!("expected an input [n, time, width], found {:?}", site.input))),
    }
}

/// Declares the recurrent layers, which have the same settings.
macro_rules! recurrent {
    ($($Kind:ident $name:literal;)*) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $Kind {
            hidden_size: usize,
            #[serde(default = "one")]
            num_layers: usize,
            #[serde(default)]
            bidirectional: bool,
            #[serde(default = "yes")]
            bias: bool,
            #[serde(default)]
            dropout: f64,
        }

        impl LayerKind for $Kind {
            const KIND: &'static str = $name;

            fn build(
                &mut self,
                site: &mut Site<'_>,
            ) -> Result<Box<dyn CloneModule>, InvalidSetting> {
                let [_, width] = sequence(site)?;
                let hidden_size = size("hidden_size", self.hidden_size)?;
                let mut layer = nn::$Kind::builder(width, hidden_size)
                    .num_layers(size("num_layers", self.num_layers)?)
                    .dropout(probability("dropout", self.dropout)?);
                if self.bidirectional {
                    layer = layer.bidirectional();
                }
                if !self.bias {
                    layer = layer.without_bias();
                }
                Ok(Box::new(layer.build(site.rng)))
            }
        }
    )*};
}

recurrent! {
    Rnn "rnn";
    Lstm "lstm";
    Gru "gru";
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attention {
    num_heads: usize,
    #[serde(default)]
    causal: bool,
    #[serde(default)]
    dropout: f64,
    #[serde(default = "yes")]
    bias: bool,
}

impl LayerKind for Attention {
    const KIND: &'static str = "attention";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let [_, width] = sequence(site)?;
        let heads = divides("num_heads", self.num_heads, width, "features")?;
        let mut layer = nn::MultiHeadAttention::new(width, heads, site.rng)
            .dropout(probability("dropout", self.dropout)?);
        if self.causal {
            layer = layer.causal();
        }
        if !self.bias {
            layer = layer.without_bias();
        }
        Ok(Box::new(layer))
    }
}

/// Default of `dim_feedforward`: four times the width.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TransformerBlock {
    nhead: usize,
    dim_feedforward: Option<usize>,
    #[serde(default)]
    causal: bool,
    #[serde(default)]
    norm_first: bool,
    #[serde(default)]
    dropout: f64,
}

impl LayerKind for TransformerBlock {
    const KIND: &'static str = "transformer_block";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let [_, width] = sequence(site)?;
        let heads = divides("nhead", self.nhead, width, "features")?;
        let inner = size("dim_feedforward", *self.dim_feedforward.get_or_insert(4 * width))?;
        let mut block = nn::TransformerBlock::new(width, heads, inner, site.rng)
            .dropout(probability("dropout", self.dropout)?);
        if self.causal {
            block = block.causal();
        }
        if self.norm_first {
            block = block.norm_first();
        }
        Ok(Box::new(block))
    }
}

/// Default of `length`: that of the sequences in the data.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SinusoidalPositions {
    length: Option<usize>,
}

impl LayerKind for SinusoidalPositions {
    const KIND: &'static str = "sinusoidal_positions";

    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let [time, width] = sequence(site)?;
        let length = *self.length.get_or_insert(time);
        if length < time {
            let message =
                format!("expected at least the {time} positions of the data, found {length}");
            return Err(InvalidSetting::new("length", message));
        }
        Ok(Box::new(nn::SinusoidalPositions::new(length, width)))
    }
}
