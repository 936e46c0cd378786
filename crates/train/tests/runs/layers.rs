//! Every kind of layer is built from its table, and spelled out.

use std::fs;

use serde::{Deserialize, Serialize};
use wengert_core::{Params, UnaryOps};
use wengert_nn::optim::InvalidSetting;
use wengert_nn::{CloneModule, Lambda};
use wengert_train::run::{Kinds, LayerKind, Layers, Plan, Site};

/// Returns the plan of a model with these layers on the digits.
fn plan(layers: &str, kinds: &Kinds) -> Result<Plan, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layers.toml");
    let (data, model) = ("[data]\nkind = 'digits'\n", format!("[model]\nlayers = [{layers}]\n"));
    let rest = "[training]\nepochs = 1\n[optimizer]\nkind = 'sgd'\n";
    fs::write(&path, format!("{data}{model}{rest}")).unwrap();
    let plan = Plan::load(&path, &[""; 0], kinds).map_err(|error| error.to_string())?;
    // What is spelled out reads back.
    fs::write(&path, &plan.text).unwrap();
    assert_eq!(Plan::load(&path, &[""; 0], kinds).unwrap().text, plan.text);
    Ok(plan)
}

/// Returns the names and shapes of the parameters.
fn params(layers: &str) -> Vec<String> {
    let trainer = plan(layers, &Kinds::default()).unwrap().trainer();
    let params = trainer.model().named_params().into_iter();
    params.map(|(name, param)| format!("{name} {:?}", param.value().shape())).collect()
}

#[test]
fn images_pass_through_windows() {
    let found = params(
        "{ kind = 'conv2d', out_channels = 6, kernel_size = 3, same = true },
         { kind = 'batch_norm' }, { kind = 'group_norm', num_groups = 2, affine = false },
         { kind = 'prelu', per_channel = true }, { kind = 'max_pool2d', kernel_size = 2 },
         { kind = 'dropout2d' }, { kind = 'upsample', scale_factor = 2 },
         { kind = 'avg_pool2d', kernel_size = [2, 4] },
         { kind = 'adaptive_avg_pool2d', output_size = 2 },
         { kind = 'adaptive_max_pool2d', output_size = [1, 2] },
         { kind = 'flatten' }, { kind = 'linear', bias = false }",
    );
    let expected = [
        "0.weight [6, 1, 3, 3]",
        "0.bias [6]",
        "1.weight [6]",
        "1.bias [6]",
        "3.weight [6]",
        "11.weight [10, 12]",
    ];
    assert_eq!(found, expected);
}

#[test]
fn sequences_pass_through_recurrence_and_attention() {
    let found = params(
        "{ kind = 'reshape', shape = [8, 8] }, { kind = 'sinusoidal_positions' },
         { kind = 'attention', num_heads = 2, causal = true },
         { kind = 'transformer_block', nhead = 4, dim_feedforward = 16 },
         { kind = 'residual', layers = [{ kind = 'layer_norm' }, { kind = 'gru', hidden_size = 8 }] },
         { kind = 'lstm', hidden_size = 3, bidirectional = true }, { kind = 'rms_norm' },
         { kind = 'rnn', hidden_size = 5, num_layers = 2, bias = false },
         { kind = 'last' }, { kind = 'leaky_relu' }, { kind = 'linear' }",
    );
    for name in [
        "4.body.0.weight [8]",
        "4.body.1.weight_ih_l0 [24, 8]",
        "7.weight_hh_l1 [5, 5]",
        "10.weight [10, 5]",
    ] {
        assert!(found.iter().any(|own| own == name), "{name}: {found:?}");
    }
    let conv = "{ kind = 'reshape', shape = [4, 16] }, { kind = 'conv1d', out_channels = 6, kernel_size = 3 },
                { kind = 'max_pool1d', kernel_size = 2 }, { kind = 'avg_pool1d', kernel_size = 2, stride = 1 },
                { kind = 'adaptive_avg_pool1d', output_size = 1 }, { kind = 'mean' }, { kind = 'linear' }";
    assert_eq!(params(conv)[2], "6.weight [10, 1]");
}

#[test]
fn settings_that_do_not_fit_are_refused_in_their_place() {
    let cases = [
        (
            "{ kind = 'conv2d', out_channels = 4, kernel_size = 0 }",
            "`kernel_size`: expected a number of at least 1",
        ),
        (
            "{ kind = 'conv2d', out_channels = 4, kernel_size = 3, groups = 2 }",
            "expected a divisor of the 1 input channels",
        ),
        ("{ kind = 'conv2d', out_channels = 4, kernel_size = 9 }", "kernel"),
        (
            "{ kind = 'max_pool2d', kernel_size = [1, 2, 3] }",
            "`kernel_size`: expected a whole number",
        ),
        ("{ kind = 'max_pool2d', kernel_size = 2, stride = 0 }", "`stride`"),
        (
            "{ kind = 'reshape', shape = [7, 9] }",
            "`shape`: expected as many numbers as in [1, 8, 8]",
        ),
        (
            "{ kind = 'gru', hidden_size = 3 }",
            "expected an input [n, time, width], found [1, 1, 8, 8]",
        ),
        ("{ kind = 'embedding', embedding_dim = 3 }", "unknown layer `embedding`"),
        ("{ kind = 'residual', layers = [{ kind = 'flatten' }] }", "the body changes the shape"),
        (
            "{ kind = 'linear', out_features = 1_000_000_000_000 }",
            "`out_features`: expected at most 1048576, found 1000000000000",
        ),
        ("{ kind = 'linear', frozen = 1 }", "`frozen`: expected `true` or `false`, found integer"),
        ("", "missing `[[model.layers]]`"),
    ];
    for (layers, message) in cases {
        let error = plan(layers, &Kinds::default()).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn frozen_layers_stay_as_they_are() {
    let layers =
        "{ kind = 'batch_norm', frozen = true }, { kind = 'flatten' }, { kind = 'linear' }";
    let mut trainer = plan(layers, &Kinds::default()).unwrap().trainer();
    let state = |trainer: &wengert_train::trainer::Trainer<_>| {
        let state = trainer.state().tensors;
        (state["0.running_mean"].clone(), state["0.weight"].clone(), state["2.weight"].clone())
    };
    let before = state(&trainer);
    trainer.step().unwrap();
    let after = state(&trainer);
    assert_eq!((&before.0, &before.1), (&after.0, &after.1));
    assert_ne!(before.2, after.2);
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Power {
    exponent: i32,
}

impl LayerKind for Power {
    const KIND: &'static str = "power";

    fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
        let exponent = self.exponent;
        Ok(Box::new(Lambda::new(move |x| x.powi(exponent))))
    }
}

#[test]
fn a_program_adds_layers_of_its_own() {
    let kinds = Kinds { layers: Layers::default().layer::<Power>(), ..Kinds::default() };
    let layers = "{ kind = 'power', exponent = 2 }, { kind = 'flatten' }, { kind = 'linear' }";
    let plan = plan(layers, &kinds).unwrap();
    assert!(
        plan.text.contains("kind = \"power\"\nfrozen = false\nexponent = 2\n"),
        "{}",
        plan.text
    );
    let wrong = self::plan("{ kind = 'power', exponent = 'two' }", &kinds).unwrap_err();
    assert!(wrong.contains("`exponent`: expected a whole number, found string"), "{wrong}");
}
