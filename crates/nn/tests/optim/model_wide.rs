//! Groups and what concerns the whole model: rules of model scope, and the moving average.

use serde::{Deserialize, Serialize};
use wengert_core::{Float, Gradients, Param, Tensor, params_f64};
use wengert_nn::optim::{
    Alias, ClipNorm, ClipValue, Elements, Ema, InvalidSetting, MapProof, Maximize, Optimizer, Plan,
    Recipe, Registry, Rule, Scope, Sgd, StepContext, Transform, WeightDecay,
};

/// A rule of model scope from outside of the library: the update over its norm.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unit {}

impl Rule for Unit {
    const KIND: &'static str = "unit";

    fn scope(&self) -> Scope {
        Scope::Model
    }

    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        elements.map(|g, _, []| (g / F::of(context.norm), []))
    }
}

/// `unit`, then `sgd`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitSgd {}

impl Alias for UnitSgd {
    const KIND: &'static str = "unit_sgd";
    const LR: f64 = 1e-3;

    fn transforms(self) -> Result<Vec<Transform>, InvalidSetting> {
        Ok(vec![Transform::rule(Unit {})?, Transform::rule(Sgd::default())?])
    }
}

fn registry() -> Registry {
    Registry::default().rule::<Unit>().alias::<UnitSgd>()
}

struct Net {
    weight: Param<f64>,
    bias: Param<f64>,
}
params_f64! { Net { weight, bias } }

impl Net {
    /// A weight of two elements and a bias of one, initially 1.
    fn new() -> Self {
        Net { weight: Param::new(Tensor::ones([2])), bias: Param::new(Tensor::ones([1])) }
    }

    fn gradients(&self, [a, b, c]: [f64; 3]) -> Gradients<f64> {
        let weight = (self.weight.id(), Tensor::from([a, b]));
        Gradients::from_params(vec![weight, (self.bias.id(), Tensor::from([c]))])
    }

    fn values(&self) -> [f64; 3] {
        let weight = self.weight.value().as_slice();
        [weight[0], weight[1], self.bias.value().as_slice()[0]]
    }
}

const GRADIENTS: [[f64; 3]; 3] = [[3.0, 4.0, 12.0], [-0.1, 0.2, 0.3], [8.0, -1.0, 4.0]];

/// Barriers that a recipe may begin with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Barrier {
    None,
    ClipNorm,
    /// `clip_value = 5`, then `clip_norm`: the barrier is not the first transform.
    ClipBoth,
    Unit,
}

/// How the recipe is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Short,
    Long,
}

/// What the group of the bias says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum OfBias {
    Rate,
    Kind,
    Chain,
    /// A chain with a barrier of its own in the middle, and a second rule.
    OwnBarrier,
    Frozen,
}

/// Returns the recipe in TOML.
fn text(form: Form, bias: OfBias, barrier: Barrier, ema: bool) -> String {
    let mut text = "lr = 0.5\n".to_owned();
    match form {
        Form::Short => {
            text += match barrier {
                Barrier::Unit => "kind = 'unit_sgd'\n",
                _ => "kind = 'sgd'\n",
            };
            text += match barrier {
                Barrier::ClipNorm => "clip_norm = 2.0\n",
                Barrier::ClipBoth => "clip_value = 5.0\nclip_norm = 2.0\n",
                Barrier::None | Barrier::Unit => "",
            };
            text += if ema { "ema = 0.75\n" } else { "" };
        }
        Form::Long => {
            let both = "[[chain]]\nkind = 'clip_value'\nclip_value = 5.0\n";
            text += if barrier == Barrier::ClipBoth { both } else { "" };
            text += match barrier {
                Barrier::None => "",
                Barrier::Unit => "[[chain]]\nkind = 'unit'\n",
                _ => "[[chain]]\nkind = 'clip_norm'\nmax_norm = 2.0\n",
            };
            text += "[[chain]]\nkind = 'sgd'\n";
            text += if ema { "[[chain]]\nkind = 'ema'\ndecay = 0.75\n" } else { "" };
        }
    }
    text += "[[groups]]\nparams = 'bias'\n";
    text += match bias {
        OfBias::Rate => "lr = 0.25\n",
        OfBias::Kind => "kind = 'momentum'\nmomentum = 0.5\nlr = 0.25\n",
        OfBias::Chain => "lr = 0.25\n[[groups.chain]]\nkind = 'sgd'\nmomentum = 0.5\n",
        OfBias::OwnBarrier => {
            "lr = 0.25\n[[groups.chain]]\nkind = 'sgd'\nmomentum = 0.5\n\
             [[groups.chain]]\nkind = 'clip_norm'\nmax_norm = 1.5\n"
        }
        OfBias::Frozen => "frozen = true\n",
    };
    text
}

/// Three steps as plain arithmetic. Returns the values and the averages after each one.
fn by_hand(bias: OfBias, barrier: Barrier, ema: bool) -> Vec<([f64; 3], [f64; 3])> {
    let (mut p, mut a, mut velocity) = ([1.0; 3], [1.0; 3], 0.0);
    let clip = |norm: f64, most: f64| (most / (norm + 1e-6)).min(1.0);
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut seen = Vec::new();
    for (t, g) in GRADIENTS.into_iter().enumerate() {
        let trained = if bias == OfBias::Frozen { 2 } else { 3 };
        let mut u = g;
        // The group with a barrier of its own has the recipe's other barrier in front, but no second `clip_norm`.
        let own_clip = bias == OfBias::OwnBarrier && barrier != Barrier::Unit;
        if barrier == Barrier::ClipBoth {
            u = u.map(|u| u.clamp(-5.0, 5.0));
        }
        if own_clip {
            // The first barrier of the group comes after its momentum.
            velocity = 0.5 * velocity + u[2];
            u[2] = velocity;
        }
        let whole = norm(&u[..trained]);
        for (i, u) in u.iter_mut().enumerate() {
            *u *= match barrier {
                _ if i == 2 && own_clip => clip(whole, 1.5),
                Barrier::None => 1.0,
                Barrier::ClipNorm | Barrier::ClipBoth => clip(whole, 2.0),
                Barrier::Unit => 1.0 / whole,
            };
        }
        if !own_clip && matches!(bias, OfBias::Kind | OfBias::Chain | OfBias::OwnBarrier) {
            velocity = 0.5 * velocity + u[2];
            u[2] = velocity;
        }
        if bias == OfBias::OwnBarrier && !own_clip {
            // The second barrier of the group; the weight has none, and counts with its gradient.
            u[2] *= clip(norm(&[g[0], g[1], u[2]]), 1.5);
        }
        for i in 0..trained {
            p[i] -= if i == 2 { 0.25 } else { 0.5 } * u[i];
            a[i] = if t == 0 { p[i] } else { 0.75 * a[i] + 0.25 * p[i] };
        }
        seen.push((p, if ema { a } else { p }));
    }
    seen
}

#[track_caller]
fn assert_near(found: [f64; 3], expected: [f64; 3], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-14, "{found} where {expected} was expected\n{what}");
    }
}

#[test]
fn every_form_of_group_keeps_barrier_and_average() {
    for form in [Form::Short, Form::Long] {
        for bias in [OfBias::Rate, OfBias::Kind, OfBias::Chain, OfBias::OwnBarrier, OfBias::Frozen]
        {
            for barrier in [Barrier::None, Barrier::ClipNorm, Barrier::ClipBoth, Barrier::Unit] {
                for ema in [false, true] {
                    let text = text(form, bias, barrier, ema);
                    let recipe = registry().read(&text).unwrap_or_else(|error| panic!("{error}"));
                    let printed = recipe.to_string();
                    assert_eq!(registry().read(&printed).unwrap(), recipe, "{printed}");
                    let (mut net, mut optimizer) = (Net::new(), Optimizer::new(recipe));
                    for (g, (values, averages)) in
                        GRADIENTS.into_iter().zip(by_hand(bias, barrier, ema))
                    {
                        let grads = net.gradients(g);
                        optimizer.step(&mut net, &grads);
                        assert_near(net.values(), values, &printed);
                        if ema {
                            let found = optimizer.with_ema(&mut net, |net| net.values());
                            assert_near(found, averages, &printed);
                        }
                    }
                }
            }
        }
    }
}

/// Norms 10 and 19 of weight and bias: sgd with rate 1 moves the model by 1 in all.
#[test]
fn a_group_with_a_chain_is_clipped_with_the_rest() {
    let text = "kind = 'sgd'\nlr = 1\nclip_norm = 1\n[[groups]]\nparams = 'bias'\n
                [[groups.chain]]\nkind = 'sgd'";
    let (mut net, mut optimizer) = (Net::new(), Optimizer::from_toml(text).unwrap());
    let grads = net.gradients([6.0, 8.0, 19.0]);
    optimizer.step(&mut net, &grads);
    let scale = 1.0 / (461f64.sqrt() + 1e-6);
    assert_near(net.values(), [1.0 - 6.0 * scale, 1.0 - 8.0 * scale, 1.0 - 19.0 * scale], text);
}

fn kinds(plan: Option<&Plan>) -> Vec<&str> {
    plan.unwrap().chain().iter().map(|transform| transform.kind()).collect()
}

fn kinds_of_group(text: &str) -> Vec<String> {
    let recipe = registry().read(text).unwrap_or_else(|error| panic!("{error}"));
    let printed = recipe.to_string();
    assert_eq!(registry().read(&printed).unwrap(), recipe, "{printed}");
    kinds(recipe.groups()[0].plan()).into_iter().map(str::to_owned).collect()
}

#[test]
fn what_a_group_keeps_stands_where_the_short_form_puts_it() {
    let short = "kind = 'adamw'\nclip_norm = 1\nmaximize = true\nweight_decay = 1\nema = 0.5\n";
    let long = "lr = 1\nchain = [{ kind = 'weight_decay' }, { kind = 'clip_norm' }, { kind = 'maximize' }, \
                { kind = 'adam' }, { kind = 'clip_value' }, { kind = 'ema' }]\n";
    let group = "[[groups]]\nparams = 'a'\n";
    let cases = [
        (short, "kind = 'sgd'", "clip_norm maximize sgd ema"),
        (short, "kind = 'sgd'\nmaximize = false", "clip_norm sgd ema"),
        (short, "kind = 'adamw'\nmaximize = false", "clip_norm adam weight_decay ema"),
        (short, "maximize = false\nclip_value = 1", "clip_value clip_norm adam weight_decay ema"),
        (short, "kind = 'sgd'\nclip_value = 1", "clip_value clip_norm maximize sgd ema"),
        (
            short,
            "kind = 'sgd'\nclip_norm = 3\nweight_decay = 1",
            "clip_norm maximize weight_decay sgd ema",
        ),
        (short, "chain = [{ kind = 'sgd' }]", "clip_norm sgd ema"),
        (short, "chain = [{ kind = 'sgd' }, { kind = 'clip_norm' }]", "sgd clip_norm ema"),
        (short, "chain = [{ kind = 'clip_value' }, { kind = 'ema' }]", "clip_value clip_norm ema"),
        (long, "kind = 'sgd'", "clip_norm maximize sgd clip_value ema"),
        (long, "kind = 'sgd'\nmaximize = false", "clip_norm sgd clip_value ema"),
        (long, "kind = 'sgd'\nema = 0", "clip_norm maximize sgd clip_value ema"),
        (long, "chain = [{ kind = 'sgd' }]", "clip_norm sgd clip_value ema"),
        (long, "lr = 3", "weight_decay clip_norm maximize adam clip_value ema"),
        ("kind = 'unit'\nlr = 1\n", "kind = 'sgd'", "sgd"),
        ("kind = 'unit'\nlr = 1\nclip_norm = 1\n", "kind = 'sgd'", "clip_norm sgd"),
        ("lr = 1\nchain = [{ kind = 'unit' }, { kind = 'sgd' }]\n", "kind = 'adam'", "unit adam"),
        ("lr = 1\nchain = [{ kind = 'sgd' }, { kind = 'unit' }]\n", "kind = 'adam'", "adam unit"),
        (
            "lr = 1\nchain = [{ kind = 'unit' }, { kind = 'sgd' }]\n",
            "chain = [{ kind = 'clip_norm' }, { kind = 'adam' }]",
            "unit clip_norm adam",
        ),
        (
            "lr = 1\nchain = [{ kind = 'clip_norm' }, { kind = 'clip_value' }, { kind = 'sgd' }]\n",
            "kind = 'adam'",
            "clip_norm clip_value adam",
        ),
    ];
    for (base, own, expected) in cases {
        let text = format!("{base}{group}{own}");
        assert_eq!(kinds_of_group(&text).join(" "), expected, "{text}");
    }
}

#[test]
fn a_group_has_its_own_clipping_and_average_if_it_says_so() {
    let base = "kind = 'sgd'\nclip_norm = 1\nema = 0.5\n[[groups]]\nparams = 'bias'\n";
    for own in [
        "kind = 'adam'\nclip_norm = 3\nema = 0.25",
        "chain = [{ kind = 'clip_norm', max_norm = 3 }, { kind = 'adam' }, { kind = 'ema', decay = 0.25 }]",
    ] {
        let recipe = crate::read(&format!("{base}{own}")).unwrap();
        let chain = recipe.groups()[0].plan().unwrap().chain();
        assert_eq!(chain[0], Transform::new(ClipNorm { max_norm: 3.0 }));
        assert_eq!((chain.len(), &chain[2]), (3, &Transform::new(Ema { decay: 0.25 })));
    }
}

#[test]
fn a_group_with_a_chain_has_the_rate_of_the_recipe_and_a_group_with_a_kind_its_default() {
    let base = "kind = 'sgd'\nlr = 0.5\n[[groups]]\nparams = 'bias'\n";
    let lr = |own: &str| {
        crate::read(&format!("{base}{own}")).unwrap().groups()[0].plan().unwrap().lr().at(0)
    };
    assert_eq!(lr("chain = [{ kind = 'adam' }]"), 0.5);
    assert_eq!(lr("chain = [{ kind = 'adam' }]\nlr = 0.25"), 0.25);
    assert_eq!(lr("kind = 'adam'"), 1e-3);
}

#[test]
fn groups_in_rust_keep_the_same_in_any_order_of_calls() {
    let of_bias = || Plan::new(0.1, Sgd::default());
    let recipe = Recipe::new(1.0, ClipNorm { max_norm: 2.0 })
        .group(["bias"], of_bias())
        .then(Maximize {})
        .then(Sgd::default())
        .then(ClipValue { clip_value: 1.0 })
        .then(WeightDecay::default())
        .then(Ema::default());
    assert_eq!(kinds(recipe.groups()[0].plan()), ["clip_norm", "sgd", "clip_value", "ema"]);
    assert_eq!(crate::read(&recipe.to_string()).unwrap(), recipe);
    let later = Recipe::new(1.0, ClipNorm { max_norm: 2.0 })
        .then(Maximize {})
        .then(Sgd::default())
        .then(ClipValue { clip_value: 1.0 })
        .then(WeightDecay::default())
        .then(Ema::default())
        .group(["bias"], of_bias());
    assert_eq!(later, recipe);
}
