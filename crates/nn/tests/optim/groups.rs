//! Groups of parameters by name, with rates, decays and rules of their own, or frozen.

use wengert_core::{Gradients, Leaf, LeafMut, Param, Params, Path, ReduceOps, Tensor, gradients};
use wengert_nn::Pattern;
use wengert_nn::optim::{Adam, ConfigError, Optimizer, Plan, Recipe, Sgd};

/// Four parameters with dotted names, initially 1, with the gradients 1, 2, 3 and 4.
struct Model(Vec<(&'static str, Param<f64>)>);

impl Model {
    fn new() -> Self {
        let names = ["encoder.0.weight", "encoder.0.bias", "head.weight", "head.bias"];
        Model(names.map(|name| (name, Param::new(Tensor::ones([2])))).into())
    }

    fn gradients(&self) -> Gradients<f64> {
        let g = |(i, (_, param)): (usize, &(_, Param<f64>))| {
            (param.id(), Tensor::full([2], (i + 1) as f64))
        };
        Gradients::from_params(self.0.iter().enumerate().map(g).collect())
    }

    fn values(&self) -> [f64; 4] {
        std::array::from_fn(|i| self.0[i].1.value().as_slice()[1])
    }
}

impl Params<f64> for Model {
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, f64>)) {
        for (name, param) in &self.0 {
            param.visit(path.field(name), visit);
        }
    }
    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, f64>),
    ) {
        for (name, param) in &mut self.0 {
            param.visit_mut(path.field(name), visit);
        }
    }
}

/// Returns the parameters after one step.
fn after_a_step(text: &str) -> [f64; 4] {
    let (mut model, mut optimizer) = (Model::new(), Optimizer::from_toml(text).unwrap());
    let grads = model.gradients();
    optimizer.step(&mut model, &grads);
    model.values()
}

fn assert_near(found: [f64; 4], expected: [f64; 4]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-14, "{found} where {expected} was expected");
    }
}

#[test]
fn a_group_has_its_own_rate_and_decay() {
    let found = after_a_step(
        "kind = 'sgd'\nlr = 0.1\nweight_decay = 0.5\n
         [[groups]]\nparams = '*.bias'\nweight_decay = 0.0\n
         [[groups]]\nparams = ['head.*']\nlr = { kind = 'step', lr = 0.01, step_size = 1 }",
    );
    // p - lr (g + decay p), from p = 1.
    assert_near(found, [1.0 - 0.15, 1.0 - 0.2, 1.0 - 0.01 * 3.5, 1.0 - 0.4]);
}

#[test]
fn a_parameter_belongs_to_the_first_matching_group() {
    let text = "kind = 'sgd'\nlr = 0.1\n[[groups]]\nparams = 'head.bias'\nlr = 1.0\n
                [[groups]]\nparams = '*'\nlr = 0.0";
    assert_near(after_a_step(text), [1.0, 1.0, 1.0, -3.0]);
}

#[test]
fn a_frozen_group_stays_unchanged() {
    let text = "kind = 'adam'\nlr = 0.1\n[[groups]]\nparams = 'encoder.**'\nfrozen = true";
    let found = after_a_step(text);
    assert_eq!(found[..2], [1.0, 1.0]);
    // The first step of Adam is the rate, to within eps.
    assert!((found[2] - 0.9).abs() < 1e-8 && (found[3] - 0.9).abs() < 1e-8);
}

#[test]
fn a_frozen_parameter_needs_no_gradient() {
    let mut model = Model::new();
    let head = |model: &Model| gradients(|tape| tape.param(&model.0[2].1).sum()).1;
    let text =
        "kind = 'sgd'\nlr = 1.0\n[[groups]]\nparams = ['encoder.*', '*.bias']\nfrozen = true";
    let mut optimizer = Optimizer::from_toml(text).unwrap();
    let grads = head(&model);
    optimizer.step(&mut model, &grads);
    assert_eq!(model.values(), [1.0, 1.0, 0.0, 1.0]);
}

#[test]
fn a_group_with_its_own_rule_inherits_the_clipping() {
    let text = "kind = 'adam'\nbetas = [0.5, 0.5]\nlr = 0.1\nweight_decay = 0.3\nclip_norm = 1.0\n
                [[groups]]\nparams = 'head.*'\nkind = 'momentum'\nlr = 1.0";
    let recipe = crate::read(text).unwrap();
    let kinds =
        |plan: &Plan| plan.chain().iter().map(|transform| transform.kind()).collect::<Vec<_>>();
    assert_eq!(kinds(recipe.groups()[0].plan().unwrap()), ["clip_norm", "sgd"]);
    // The norm is that of the whole model: sqrt(2 (1 + 4 + 9 + 16)).
    let scale = 1.0 / (60f64.sqrt() + 1e-6);
    let found = after_a_step(text);
    assert!((found[2] - (1.0 - 3.0 * scale)).abs() < 1e-14);
    assert!((found[3] - (1.0 - 4.0 * scale)).abs() < 1e-14);
    assert!((found[0] - 0.9).abs() < 1e-6, "{}", found[0]);
}

#[test]
fn a_group_of_the_same_kind_inherits_the_settings_it_does_not_set() {
    let text = "kind = 'adamw'\nbetas = [0.5, 0.9]\nlr = 0.1\n
                [[groups]]\nparams = 'head.*'\nkind = 'adamw'\neps = 0.1";
    let recipe = crate::read(text).unwrap();
    let group = recipe.groups()[0].plan().unwrap();
    let adam = Adam { betas: [0.5, 0.9], eps: 0.1, amsgrad: false };
    assert_eq!(group, &Plan::new(0.1, adam).then(wengert_nn::optim::WeightDecay::default()));
}

#[test]
fn groups_in_the_long_form() {
    let found = after_a_step(
        "lr = 0.1\n[[chain]]\nkind = 'sgd'\n
         [[groups]]\nparams = 'head.weight'\nlr = 0.01\n
         [[groups]]\nparams = 'head.bias'\n[[groups.chain]]\nkind = 'clip_value'\nclip_value = 1.0\n
         [[groups]]\nparams = 'encoder.0.bias'\nkind = 'sgd'\nlr = 1.0\nweight_decay = 1.0",
    );
    assert_near(found, [0.9, 1.0 - 3.0, 1.0 - 0.03, 1.0 - 0.1]);
}

#[test]
fn a_printed_recipe_with_groups_reads_back_equal() -> Result<(), ConfigError> {
    let text = "kind = 'adamw'\nclip_norm = 2.0\nema = 0.99\naccumulate = 3\nnon_finite = 'skip'\n
                maximize = true\ndecoupled_weight_decay = false\n
                [[groups]]\nparams = ['*.bias', 'a\\\"b']\nweight_decay = 0.0\n
                [[groups]]\nparams = 'head.*'\nkind = 'sgd'\nlr = { kind = 'step', lr = 1, step_size = 2 }\n
                [[groups]]\nparams = 'encoder.**'\nfrozen = true";
    let recipe = crate::read(&text.replace("'a\\\"b'", "'a\"b'"))?;
    assert_eq!(crate::read(&recipe.to_string())?, recipe);
    let same = Recipe::new(0.1, Sgd::default())
        .group(["*.bias"], Plan::new(0.01, Sgd::default()))
        .freeze(["encoder.*"]);
    assert_eq!(crate::read(&same.to_string())?, same);
    Ok(())
}

#[test]
fn a_pattern_without_a_match_is_an_error_with_the_names() {
    let text = "kind = 'sgd'\n[[groups]]\nparams = ['*.bias', 'decoder.*']\nfrozen = true";
    let optimizer = Optimizer::<f64>::from_toml(text).unwrap();
    let error = optimizer.check(&Model::new()).unwrap_err();
    assert_eq!((error.line(), error.column()), (3, 21));
    assert_eq!(
        error.message(),
        "no parameter is called `decoder.*`; the model has `encoder.0.weight`, `encoder.0.bias`, \
         `head.weight`, `head.bias`"
    );
}

#[test]
fn a_group_without_a_parameter_of_its_own_is_an_error() {
    let text = "kind = 'sgd'\n[[groups]]\nparams = ['*.bias', 'head.*']\n
                [[groups]]\nparams = ['head.bias', 'encoder.0.bias']\nlr = 1";
    let optimizer = Optimizer::from_toml(text).unwrap();
    let error = optimizer.check(&Model::new()).unwrap_err();
    assert_eq!((error.line(), error.column()), (6, 11));
    assert_eq!(
        error.message(),
        "the group has no effect: earlier groups have its parameters `encoder.0.bias`, `head.bias`"
    );
    // A group may narrow an earlier one down, and an earlier one may take a part of it.
    for fine in ["*", "encoder.*"] {
        let recipe = Recipe::new(0.1, Sgd::default()).freeze(["*.bias"]).freeze([fine]);
        Optimizer::new(recipe).check(&Model::new()).unwrap();
    }
}

#[test]
#[should_panic(expected = "step: no parameter is called `decoder.*`; the model has `encoder.0.we")]
fn a_step_with_a_pattern_without_a_match_panics() {
    let recipe = Recipe::new(0.1, Sgd::default()).freeze(["decoder.*"]);
    let mut model = Model::new();
    let grads = model.gradients();
    Optimizer::new(recipe).step(&mut model, &grads);
}

#[test]
fn mistakes_in_groups_are_located() {
    let cases = [
        ("[[groups]]\nlr = 1", 2, 1, "missing key `params`"),
        ("[[groups]]\nparams = 3", 3, 10, "`params`: expected a pattern"),
        ("[[groups]]\nparams = []", 3, 10, "`params`: expected a pattern"),
        ("[[groups]]\nparams = ['a', 3]", 3, 16, "`params`: expected a pattern"),
        (
            "[[groups]]\nparams = 'a'\nfrozn = true",
            4,
            1,
            "unknown key `frozn`; did you mean `frozen`?",
        ),
        ("[[groups]]\nparams = 'a'\nfrozen = 1", 4, 10, "`frozen`: expected `true` or `false`"),
        ("[[groups]]\nparams = 'a'\nfrozen = true\nlr = 1", 5, 1, "unknown key `lr`; expected one"),
        ("[[groups]]\nparams = 'a'\nlr = -1", 4, 6, "`lr`: expected a finite number"),
        ("[[groups]]\nparams = 'a'\nmomentm = 1", 4, 1, "unknown key `momentm`; did you mean"),
        ("[[groups]]\nparams = 'a'\naccumulate = 2", 4, 1, "unknown key `accumulate`"),
        ("groups = 3", 2, 10, "`groups`: expected an array of tables"),
        ("[[groups]]\nparams = 'a'\nkind = 'adma'", 4, 8, "unknown optimizer `adma`; did you mean"),
    ];
    for (text, line, column, message) in cases {
        let error = crate::read(&format!("kind = 'sgd'\n{text}")).unwrap_err();
        assert_eq!((error.line(), error.column()), (line, column), "{text:?}\n{error}");
        assert!(error.message().starts_with(message), "{text:?}\n{error}");
    }
}

#[test]
fn a_star_matches_any_characters() {
    let fits = |pattern: &str, name: &str| Pattern::new(pattern).matches(name);
    assert!(fits("*", "") && fits("*", "a.b") && fits("**", "a.b") && fits("a.b", "a.b"));
    assert!(fits("*.bias", "a.b.bias") && fits("a.*.bias", "a.0.bias") && fits("a*a", "aa"));
    assert!(fits("*a*b*", "xaxbx") && fits("*ab*ab", "ababab"));
    assert!(!fits("a*a", "a") && !fits("*.bias", "bias") && !fits("", "a") && !fits("a", "ab"));
    assert!(!fits("*a*b*", "xbxax") && !fits("ab*ba", "aba"));
}
