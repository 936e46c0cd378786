//! Chains: results independent of chunks and threads, norms over the model, rules from outside of the
//! library.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use wengert_core::{Float, Tensor, UnaryOps};
use wengert_nn::optim::{
    Adam, Chain, ChainState, ClipNorm, ClipTensorNorm, ClipValue, ConfigError, Elements,
    InvalidSetting, MapProof, Maximize, Recipe, Registry, RmsProp, Rule, Scope, Sgd, StepContext,
    TensorRule, Transform, WeightDecay, range, sum_of_squares,
};

/// Returns irregular numbers of both signs.
fn noise<F: Float>(len: usize, seed: f64) -> Vec<F> {
    (0..len).map(|i| F::of((i as f64 * 0.7 + seed).sin() * 3.0)).collect()
}

/// Makes steps over a whole parameter.
fn train<F: Float>(recipe: &Recipe, start: &[F], steps: u64) -> Vec<F> {
    let chain = Chain::new(recipe.chain());
    let mut param = vector(start);
    let mut slots = chain.init(param.shape());
    for step in 0..steps {
        let x = param.as_slice();
        let gradient = Tensor::from_fn([x.len()], |i| x[i].sin() + F::of(0.1));
        let context = StepContext::new(step, recipe.lr().at(step));
        chain.finish(context, &gradient, &mut param, &mut slots);
    }
    param.to_vec()
}

fn vector<F: Float>(x: &[F]) -> Tensor<F> {
    Tensor::from_vec(x.to_vec(), [x.len()])
}

fn recipes() -> [Recipe; 4] {
    [
        Recipe::new(0.1, Sgd { momentum: 0.9, nesterov: true, ..Sgd::default() }),
        Recipe::new(0.01, RmsProp { centered: true, momentum: 0.5, ..RmsProp::default() }),
        Recipe::new(0.01, Adam { amsgrad: true, ..Adam::default() }).then(WeightDecay::default()),
        crate::read("kind = 'adagrad'\nweight_decay = 0.1\nlr_decay = 0.1").unwrap(),
    ]
}

fn check_elements_are_independent<F: Float>() {
    let start: Vec<F> = noise(10_000, 0.3);
    for recipe in recipes() {
        let whole = train(&recipe, &start, 5);
        for (i, p) in start.iter().enumerate() {
            assert_eq!(train(&recipe, &[*p], 5), [whole[i]], "element {i} under {recipe}");
        }
    }
}

#[test]
fn an_element_does_not_depend_on_its_neighbours_f32() {
    check_elements_are_independent::<f32>();
}

#[test]
fn an_element_does_not_depend_on_its_neighbours_f64() {
    check_elements_are_independent::<f64>();
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let start: Vec<f32> = noise(300_001, 0.9);
    let in_pool = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let trained: Vec<_> = recipes().iter().map(|recipe| train(recipe, &start, 3)).collect();
            (trained, sum_of_squares(&start))
        })
    };
    assert_eq!(in_pool(1), in_pool(2));
}

#[test]
fn sum_of_squares_is_accurate() {
    assert_eq!(sum_of_squares::<f32>(&[]), 0.0);
    assert_eq!(sum_of_squares(&[3.0f32, 4.0]), 25.0);
    let exact = 1e7 * f64::from(0.1f32) * f64::from(0.1f32);
    assert!((sum_of_squares(&vec![0.1f32; 10_000_000]) / exact - 1.0).abs() < 1e-13);
    assert!(sum_of_squares(&[1.0, f64::NAN]).is_nan());
}

/// Makes a step over all parameters of a model, phase by phase.
fn step<F: Float>(
    chain: &Chain<F>,
    context: StepContext,
    gradients: &[Vec<F>],
    params: &mut [Tensor<F>],
    slots: &mut [ChainState<F>],
) {
    let mut updates: Vec<_> = gradients.iter().map(|g| vector(g)).collect();
    for phase in 0..chain.phases() {
        let mut context = context;
        if chain.needs_norm(phase) {
            context.norm = updates.iter().map(|u| sum_of_squares(u.as_slice())).sum::<f64>().sqrt();
        }
        let last = phase + 1 == chain.phases();
        for ((u, p), m) in updates.iter_mut().zip(&mut *params).zip(&mut *slots) {
            if last {
                chain.finish(context, u, p, m)
            } else {
                chain.advance(phase, context, u, p, m)
            }
        }
    }
}

#[test]
fn clipping_first_scales_the_gradient_of_the_whole_model() {
    let recipe = crate::read("kind = 'sgd'\nlr = 1.0\nclip_norm = 1.0").unwrap();
    let chain = Chain::<f64>::new(recipe.chain());
    assert_eq!((chain.phases(), chain.needs_norm(0)), (1, true));
    let mut params = [vector(&[0.0]), vector(&[0.0])];
    let mut slots = [(); 2].map(|()| chain.init([1].into()));
    let mut run = |t, gradients: [f64; 2]| {
        step(
            &chain,
            StepContext::new(t, 1.0),
            &gradients.map(|g| vec![g]),
            &mut params,
            &mut slots,
        );
        params.each_ref().map(|p| p.as_slice()[0])
    };
    let scale = 1.0 / (5.0 + 1e-6);
    assert_eq!(run(0, [3.0, 4.0]), [-3.0 * scale, -4.0 * scale]);
    // Short gradients stay unchanged; a NaN reaches every element.
    assert_eq!(run(1, [0.3, 0.4]), [-3.0 * scale - 0.3, -4.0 * scale - 0.4]);
    assert!(run(2, [f64::NAN, 0.4]).iter().all(|p| p.is_nan()));
}

#[test]
fn clipping_in_the_middle_sees_the_updates_of_the_rule_before_it() {
    let recipe = Recipe::new(0.5, Sgd { momentum: 0.5, ..Sgd::default() })
        .then(ClipNorm { max_norm: 2.0 })
        .then(WeightDecay { weight_decay: 0.1 });
    let chain = Chain::<f64>::new(recipe.chain());
    assert_eq!((chain.phases(), chain.needs_norm(0), chain.needs_norm(1)), (2, false, true));
    let mut params = [vector(&noise::<f64>(5000, 0.1)), vector(&noise(3, 0.2))];
    let mut slots = [chain.init([5000].into()), chain.init([3].into())];
    let mut plain = params.each_ref().map(|p| p.to_vec()).concat();
    let mut buffer = vec![0.0; plain.len()];
    for t in 0..4 {
        let gradients = [noise::<f64>(5000, t as f64), noise(3, -(t as f64))];
        step(&chain, StepContext::new(t, 0.5), &gradients, &mut params, &mut slots);
        for (v, g) in buffer.iter_mut().zip(gradients.concat()) {
            *v = 0.5 * *v + g;
        }
        let norm = buffer.iter().map(|v| v * v).sum::<f64>().sqrt();
        for (p, v) in plain.iter_mut().zip(&buffer) {
            *p -= 0.5 * (v * (2.0 / (norm + 1e-6)).min(1.0) + 0.1 * *p);
        }
        for (found, expected) in params.iter().flat_map(|p| p.as_slice()).zip(&plain) {
            assert!((found - expected).abs() < 1e-12);
        }
    }
}

proptest! {
    /// The average of the squares minus the square of the average may round below zero.
    #[test]
    fn centered_rmsprop_of_a_constant_gradient_stays_finite(g in -1e3..1e3f64) {
        let recipe = crate::read("kind = 'rmsprop'\ncentered = true\nalpha = 0.5").unwrap();
        let chain = Chain::new(recipe.chain());
        let (mut param, mut slots) = (vector(&[0.0]), chain.init([1].into()));
        for step in 0..200 {
            chain.finish(StepContext::new(step, 0.01), &vector(&[g]), &mut param, &mut slots);
        }
        prop_assert!(param.is_finite());
    }
}

/// A rule from outside of the library that uses the whole interface: heavy ball, its velocity initially 1.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HeavyBall {
    mass: f64,
    weight_decay: f64,
}

impl Default for HeavyBall {
    fn default() -> Self {
        HeavyBall { mass: 0.5, weight_decay: 0.0 }
    }
}

impl Rule for HeavyBall {
    const KIND: &'static str = "heavy_ball";
    const LR: f64 = 0.25;

    fn check(&self) -> Result<(), InvalidSetting> {
        range::fraction("mass", self.mass)
    }

    fn state(&self) -> &'static [&'static str] {
        &["velocity"]
    }

    fn initial(&self, _: usize) -> f64 {
        1.0
    }

    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        elements.map(|g, _, [v]| {
            let v = F::of(self.mass) * v + g;
            (v, [v])
        })
    }
}

/// A rule without settings, as a unit struct.
#[derive(Debug, Serialize, Deserialize)]
struct Flip;

impl Rule for Flip {
    const KIND: &'static str = "flip";

    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        elements.map(|g, _, []| (-g, []))
    }
}

fn registry() -> Registry {
    Registry::default().rule::<HeavyBall>().rule::<Flip>()
}

fn check_outside_rule<F: Float>() -> Result<(), ConfigError> {
    let recipe = registry().read("kind = 'heavy_ball'")?;
    let chain = Chain::<F>::new(recipe.chain());
    let (mut param, mut slots) = (Tensor::zeros([2]), chain.init([2].into()));
    for step in 0..2 {
        let context = StepContext::new(step, recipe.lr().at(step));
        chain.finish(context, &vector(&[F::ONE, F::of(2.0)]), &mut param, &mut slots);
    }
    // Velocities 1.5 and 1.75, 2.5 and 3.25, times 1/4.
    assert_eq!(param.to_vec(), [F::of(-0.8125), F::of(-1.4375)]);
    Ok(())
}

#[test]
fn a_rule_from_outside_runs_in_both_precisions() -> Result<(), ConfigError> {
    check_outside_rule::<f32>()?;
    check_outside_rule::<f64>()
}

#[test]
fn a_rule_from_outside_is_configured_like_any_other() -> Result<(), ConfigError> {
    let registry = registry();
    let text = "[[chain]]\nkind = 'flip'\n[[chain]]\nkind = 'heavy_ball'\nmass = 0.75";
    let recipe = registry.read(&format!("lr = 1\n{text}"))?;
    assert_eq!(registry.read(&recipe.to_string())?, recipe);
    // `weight_decay` is a setting of the rule here, and not the shared key.
    let own = registry.read("kind = 'heavy_ball'\nweight_decay = 0.5")?;
    assert_eq!(own.chain().len(), 1);
    let error = registry.read("kind = 'heavy_ball'\nmass = 1.5").unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 8));
    let error = registry.read("kind = 'flip'\nmass = 1.5").unwrap_err();
    assert!(error.message().starts_with("unknown key `mass`"), "{error}");
    let error = crate::read("kind = 'heavy_ball'").unwrap_err();
    assert!(error.message().starts_with("unknown optimizer `heavy_ball`"), "{error}");
    Ok(())
}

#[test]
fn a_kind_without_a_default_rate_requires_one() {
    let registry = registry();
    for kind in
        ["flip", "clip_norm", "clip_value", "clip_tensor_norm", "weight_decay", "maximize", "ema"]
    {
        let error = registry.read(&format!("kind = '{kind}'")).unwrap_err();
        assert_eq!((error.line(), error.column()), (1, 8));
        assert_eq!(error.message(), format!("missing key `lr`: `{kind}` has no default rate"));
        assert_eq!(registry.read(&format!("kind = '{kind}'\nlr = 2")).unwrap().lr().at(0), 2.0);
        let group = format!("kind = 'sgd'\nlr = 1\n[[groups]]\nparams = '*'\nkind = '{kind}'");
        let error = registry.read(&group).unwrap_err();
        assert_eq!((error.line(), error.column()), (5, 8), "{error}");
        // The schema says the same.
        let schema = registry.schema();
        let short = schema.lines().find(|line| line.starts_with(&format!("\"short.{kind}\":")));
        assert!(short.unwrap().contains("{\"required\": [\"lr\"]}"), "{kind}");
    }
    assert_eq!(registry.read("kind = 'heavy_ball'").unwrap().lr().at(0), 0.25);
}

#[test]
#[should_panic(expected = "the rule `flip` is registered already")]
fn a_name_is_registered_only_once() {
    let _ = registry().rule::<Flip>();
}

#[test]
#[should_panic(expected = "adam: `betas[1]`: expected a number of at least 0 and below 1, found 1")]
fn a_setting_out_of_range_is_refused_in_rust_too() {
    let _ = Recipe::new(0.1, Adam { betas: [0.9, 1.0], ..Adam::default() });
}

#[test]
#[should_panic(expected = "constant rate: `lr`: expected a finite number of at least 0, found NaN")]
fn a_rate_out_of_range_is_refused_in_rust_too() {
    let _ = Recipe::new(f64::NAN, Sgd::default());
}

#[test]
#[should_panic(expected = "expected an update of shape [2], found [3]")]
fn an_update_of_another_shape_is_refused() {
    let recipe = Recipe::new(0.1, Sgd::default());
    let chain = Chain::new(recipe.chain());
    let (mut param, mut slots) = (vector(&[0.0; 2]), chain.init([2].into()));
    chain.finish(StepContext::new(0, 0.1), &vector(&[1.0; 3]), &mut param, &mut slots);
}

/// Scales the update of a parameter by `|p| / |g|`.
#[derive(Debug, Serialize, Deserialize)]
struct TrustRatio;

impl Rule for TrustRatio {
    const KIND: &'static str = "trust_ratio";

    fn scope(&self) -> Scope {
        Scope::Tensor
    }

    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let ratio = F::of(context.param_norm / context.norm);
        elements.map(|g, _, []| (ratio * g, []))
    }
}

/// `u = 2 g` for whole tensors.
#[derive(Debug, Serialize, Deserialize)]
struct Twice;

impl TensorRule for Twice {
    const KIND: &'static str = "twice";

    fn apply<F: Float>(
        &self,
        _: StepContext,
        update: Tensor<F>,
        _param: &Tensor<F>,
        _state: &mut [Tensor<F>],
    ) -> Tensor<F> {
        update.mul_scalar(2.0)
    }
}

/// Makes one step from [3, 4] along [0.6, 0.8] with rate 1/4.
fn after_a_step(text: &str) -> Vec<f64> {
    let registry = Registry::default().rule::<TrustRatio>().tensor_rule::<Twice>();
    let recipe = registry.read(&format!("lr = 0.25\n{text}")).unwrap();
    let chain = Chain::new(recipe.chain());
    let (mut param, mut state) = (vector(&[3.0, 4.0]), chain.init([2].into()));
    chain.finish(StepContext::new(0, 0.25), &vector(&[0.6, 0.8]), &mut param, &mut state);
    param.to_vec()
}

#[test]
fn norms_of_a_tensor_and_rules_for_whole_tensors_in_any_place() {
    let close = |text: &str, factor: f64| {
        let found = after_a_step(text);
        let expected = [3.0 - 0.25 * 0.6 * factor, 4.0 - 0.25 * 0.8 * factor];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15, "{text}: {found} {expected}");
        }
    };
    // |p| / |g| is 5 over 1; a rule before it changes only |g|.
    close("kind = 'trust_ratio'", 5.0);
    close("chain = [{ kind = 'twice' }, { kind = 'trust_ratio' }]", 5.0);
    close("chain = [{ kind = 'sgd' }, { kind = 'twice' }, { kind = 'trust_ratio' }]", 5.0);
    close("chain = [{ kind = 'trust_ratio' }, { kind = 'twice' }]", 10.0);
    close("kind = 'twice'", 2.0);
    close("chain = [{ kind = 'sgd' }, { kind = 'twice' }]", 2.0);
    close("chain = [{ kind = 'twice' }, { kind = 'maximize' }]", -2.0);
    close("chain = [{ kind = 'twice' }, { kind = 'twice' }]", 4.0);
}

#[test]
fn a_parameter_of_any_length_passes_through_two_transforms() {
    let recipe = Recipe::new(0.5, ClipValue { clip_value: 2.0 }).then(Maximize {});
    let chain = Chain::<f32>::new(recipe.chain());
    for len in [0, 1, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 8191, 8192, 8193] {
        let (mut param, mut state) = (Tensor::ones([len]), chain.init([len].into()));
        let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let gradient = Tensor::from_fn([len], |i| sign(i) * i as f32);
        chain.finish(StepContext::new(0, 0.5), &gradient, &mut param, &mut state);
        let expected = Tensor::from_fn([len], |i| 1.0 + 0.5 * sign(i) * (i as f32).min(2.0));
        assert_eq!(param, expected, "{len}");
    }
}

#[test]
fn a_parameter_of_any_length_passes_through_one_transform_with_a_slot() {
    let recipe = Recipe::new(0.5, Sgd { momentum: 0.5, ..Sgd::default() });
    let chain = Chain::<f32>::new(recipe.chain());
    for len in [1, 4097, 65_535, 65_536, 65_537, 196_609] {
        let (mut param, mut state) = (Tensor::zeros([len]), chain.init([len].into()));
        let gradient = Tensor::from_fn([len], |i| (i % 1000) as f32);
        for step in 0..2 {
            chain.finish(StepContext::new(step, 0.5), &gradient, &mut param, &mut state);
        }
        let expected = Tensor::from_fn([len], |i| -1.25 * (i % 1000) as f32);
        assert_eq!(param, expected, "{len}");
    }
}

#[test]
#[should_panic(expected = "expected a state of 4 numbers for shape [2], found 6")]
fn a_state_of_another_shape_is_refused() {
    let chain = Chain::new(Recipe::new(0.1, Adam::default()).chain());
    let (mut param, mut state) = (vector(&[0.0; 2]), chain.init([3].into()));
    chain.finish(StepContext::new(0, 0.1), &vector(&[1.0; 2]), &mut param, &mut state);
}

/// Two passes before a barrier: the norm of the tensor, and a rule for whole tensors.
#[test]
fn all_passes_of_a_phase_run_before_its_barrier() {
    let registry = Registry::default().tensor_rule::<Twice>();
    let text = "lr = 1\nchain = [{ kind = 'clip_tensor_norm' }, { kind = 'twice' }, \
                { kind = 'clip_norm', max_norm = 9 }, { kind = 'maximize' }]";
    let chain = Chain::<f64>::new(registry.read(text).unwrap().chain());
    let (mut update, mut param) = (vector(&[3.0, 4.0]), vector(&[0.0, 0.0]));
    let mut state = chain.init([2].into());
    chain.advance(0, StepContext::new(0, 1.0), &mut update, &param, &mut state);
    let scale = 2.0 / (5.0 + 1e-6);
    assert_eq!(update.to_vec(), [3.0 * scale, 4.0 * scale]);
    let mut context = StepContext::new(0, 1.0);
    context.norm = 2.0;
    chain.finish(context, &update, &mut param, &mut state);
    assert_eq!(param.to_vec(), update.to_vec());
}

#[test]
fn transforms_differ_if_a_setting_does() {
    let clip = |max_norm| Transform::new(ClipNorm { max_norm });
    assert_eq!(clip(1.0), clip(1.0));
    assert_ne!(clip(1.0), clip(2.0));
    assert_ne!(clip(1.0), Transform::new(ClipTensorNorm { max_norm: 1.0 }));
}
