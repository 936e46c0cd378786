//! A recipe as a document: programs for PyTorch and optax that make the same steps, recipes of PyTorch's groups, words.
//!
//! `fixtures/recipe_programs.json` has recipes, the programs printed for them, and the numbers of these programs.
//! `WENGERT_BLESS=1` writes the programs anew; then `tests/interop/recipe_programs.py` runs them.

use serde_json::{Value, json};
use wengert_core::{Gradients, Param, Params, Tensor, UnaryOps};
use wengert_nn::optim::{Optimizer, Recipe};

use crate::hex::{close, hex_float};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/recipe_programs.json");

struct Net {
    hidden: Layer,
    head: Layer,
}

struct Layer {
    weight: Param<f64>,
    bias: Param<f64>,
}

wengert_core::params_f64! { Layer { weight, bias } }
wengert_core::params_f64! { Net { hidden, head } }

fn layer(rows: usize, columns: usize, from: f64) -> Layer {
    let cosines = |n: usize, from: f64| (0..n).map(|i| (i as f64 * 0.7 + from).cos()).collect();
    Layer {
        weight: Param::new(Tensor::from_vec(cosines(rows * columns, from), [rows, columns])),
        bias: Param::new(Tensor::from_vec(cosines(rows, from + 2.0), [rows])),
    }
}

fn net() -> Net {
    Net { hidden: layer(3, 4, 0.3), head: layer(2, 3, 1.1) }
}

/// Returns `3 sin(1.3 p + 0.2 t) + 0.1 p` for each parameter.
fn gradients_of(net: &mut Net, t: usize) -> Gradients<f64> {
    let mut all = Vec::new();
    net.for_each_param_mut(&mut |_, param| {
        let p = param.value();
        all.push((param.id(), (p * 1.3 + 0.2 * t as f64).sin() * 3.0 + p * 0.1));
    });
    Gradients::from_params(all)
}

fn values(net: &Net) -> Vec<f64> {
    [&net.hidden, &net.head]
        .iter()
        .flat_map(|layer| [layer.weight.value().to_vec(), layer.bias.value().to_vec()].concat())
        .collect()
}

/// Every kind with settings of its own, schedules, settings by schedule, clipping, groups, averages, accumulation.
fn recipes() -> Vec<String> {
    let groups = "\n[[groups]]\nparams = ['*.bias']\n";
    let kinds = [
        "kind = 'sgd'\nlr = 0.05",
        "kind = 'sgd'\nlr = 0.05\nmomentum = 0.8\ndampening = 0.1\nweight_decay = 0.1\nmaximize = true",
        "kind = 'nesterov'\nlr = 0.02\nclip_value = 0.5",
        "kind = 'rmsprop'\nlr = 0.01\ncentered = true\nmomentum = 0.5\nalpha = 0.9",
        "kind = 'rmsprop'\nlr = 0.01\neps_inside_sqrt = true",
        "kind = 'adagrad'\nlr = 0.1\nlr_decay = 0.1\ninitial_accumulator_value = 0.2",
        "kind = 'adadelta'\nlr = 1.5\nclip_tensor_norm = 1.0",
        "kind = 'adam'\nlr = 0.05\nbetas = [0.8, 0.95]\nweight_decay = 0.1",
        "kind = 'amsgrad'\nlr = 0.05\nbetas = [0.8, 0.6]",
        "kind = 'adamw'\nlr = 0.05\nweight_decay = 0.2",
        "kind = 'adamax'\nlr = 0.05\neps = 1e-4",
        "kind = 'nadam'\nlr = 0.05\nweight_decay = 0.1\ndecoupled_weight_decay = true",
        "kind = 'radam'\nlr = 0.05\nbetas = [0.8, 0.9]",
        "kind = 'lion'\nlr = 0.02\nweight_decay = 0.1",
        "kind = 'lazy_adam'\nlr = 0.05",
        "kind = 'adan'\nlr = 0.05\nweight_decay = 0.1",
        "kind = 'schedule_free_adamw'\nlr = 0.05\nweight_decay = 0.1",
        "kind = 'clip_norm'\nlr = 0.1\nmax_norm = 0.5",
    ];
    let schedules = [
        "{ kind = 'step', lr = 0.1, step_size = 7 }",
        "{ kind = 'multi_step', lr = 0.1, milestones = [5, 9, 20], gamma = 0.5 }",
        "{ kind = 'exponential', lr = 0.1, gamma = 0.9 }",
        "{ kind = 'linear', lr = 0.1, total_iters = 20 }",
        "{ kind = 'polynomial', lr = 0.1, total_iters = 25, power = 2.0 }",
        "{ kind = 'inverse_sqrt', lr = 0.1, timescale = 10, warmup_steps = 10 }",
        "{ kind = 'cosine', lr = 0.1, t_max = 12, eta_min = 0.01, warmup_steps = 4, warmup_start_factor = 0.1 }",
        "{ kind = 'cosine_warm_restarts', lr = 0.1, t_0 = 3, t_mult = 2 }",
        "{ kind = 'one_cycle', max_lr = 0.1, total_steps = 25, three_phase = true }",
        "{ kind = 'one_cycle', max_lr = 0.1, total_steps = 30, anneal_strategy = 'linear' }",
        "{ kind = 'joined', milestones = [4, 12], pieces = [0.05, { kind = 'linear', lr = 0.1, total_iters = 5 }, { kind = 'cosine', lr = 0.1, t_max = 9 }] }",
        "{ kind = 'plateau', lr = 0.1 }",
    ];
    let whole = [
        "kind = 'adamw'\nlr = 0.05\nclip_norm = 1.0\nema = 0.9\naccumulate = 2".to_owned(),
        "kind = 'adamw'\nlr = { kind = 'one_cycle', max_lr = 0.1, total_steps = 30 }\n\
         betas = [{ kind = 'one_cycle_momentum', total_steps = 30 }, 0.99]\n\
         weight_decay = { kind = 'cosine', lr = 0.3, t_max = 30 }\n\
         clip_norm = { kind = 'step', lr = 2.0, step_size = 10, gamma = 0.5 }"
            .to_owned(),
        "kind = 'momentum'\nlr = 0.02\nema = { kind = 'linear', lr = 0.9, total_iters = 20 }\n\
         momentum = { kind = 'linear', lr = 0.9, total_iters = 20 }"
            .to_owned(),
        format!("kind = 'adamw'\nlr = 0.05\nclip_norm = 1.0{groups}weight_decay = 0.0\nlr = 0.1"),
        format!("kind = 'adam'\nlr = 0.05\nema = 0.8{groups}frozen = true"),
        format!("kind = 'muon'\nlr = 0.02\nclip_value = 1.0{groups}kind = 'sgd'\nlr = 0.1"),
        format!(
            "kind = 'lion'\nlr = 0.02\nclip_norm = 3.0{groups}kind = 'sgd'\nlr = 0.1\nclip_norm = 1.0"
        ),
        "lr = 0.1\n[[chain]]\nkind = 'adam'\n[[chain]]\nkind = 'clip_value'".to_owned(),
        "kind = 'adam'\nnon_finite = 'skip'".to_owned(),
    ];
    let schedules = schedules.iter().map(|lr| format!("kind = 'sgd'\nlr = {lr}"));
    kinds.iter().map(ToString::to_string).chain(schedules).chain(whole).collect()
}

/// Returns the program, or the reason why there is none.
fn printed(recipe: &str) -> Value {
    let recipe = crate::read(recipe).unwrap_or_else(|error| panic!("{recipe}\n{error}"));
    let of = |program: Result<String, wengert_nn::optim::NoEquivalent>| match program {
        Ok(program) => json!({ "program": program }),
        Err(none) => json!({ "none": none.to_string() }),
    };
    json!({ "torch": of(recipe.to_torch()), "optax": of(recipe.to_optax()) })
}

#[test]
fn the_programs_are_those_that_were_run() {
    let printed: Vec<(String, Value)> =
        recipes().into_iter().map(|recipe| (recipe.clone(), printed(&recipe))).collect();
    if std::env::var_os("WENGERT_BLESS").is_some() {
        let runs = printed.iter().map(|(recipe, programs)| {
            json!({ "recipe": recipe, "torch": programs["torch"], "optax": programs["optax"] })
        });
        let text = serde_json::to_string(&json!({ "runs": runs.collect::<Vec<_>>() })).unwrap();
        std::fs::write(FILE, text).unwrap();
    }
    let file: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    let runs = file["runs"].as_array().unwrap();
    assert_eq!(runs.len(), printed.len());
    let (mut torch, mut optax) = (0, 0);
    for (run, (recipe, programs)) in runs.iter().zip(&printed) {
        assert_eq!(run["recipe"], recipe.as_str());
        for (library, count) in [("torch", &mut torch), ("optax", &mut optax)] {
            for key in ["program", "none"] {
                assert_eq!(run[library][key], programs[library][key], "{recipe}, {library}");
            }
            *count += usize::from(run[library]["program"].is_string());
        }
    }
    assert_eq!((torch, optax), (35, 27));
}

#[test]
fn the_programs_make_the_same_steps() {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    for run in file["runs"].as_array().unwrap() {
        let recipe = run["recipe"].as_str().unwrap();
        for library in ["torch", "optax"] {
            if run[library]["program"].is_null() {
                continue;
            }
            let mut optimizer = Optimizer::from_toml(recipe).unwrap();
            let mut net = net();
            let steps = run[library]["steps_hex"].as_array().unwrap_or_else(|| panic!("{recipe}"));
            let compare = |found: &[f64], expected: &Value, what: &str| {
                let expected = expected.as_array().unwrap();
                let hex = |x: &Value| hex_float(x.as_str().unwrap());
                assert_eq!(found.len(), expected.len());
                let near = found.iter().zip(expected).all(|(a, b)| close(*a, hex(b)));
                assert!(near, "{recipe}\n{library}, {what}: {found:?} {expected:?}");
            };
            for t in 0..30 {
                let grads = gradients_of(&mut net, t);
                optimizer.step(&mut net, &grads);
                if t % 10 == 9 {
                    compare(&values(&net), &steps[t / 10], &format!("step {t}"));
                }
            }
            let evaluated = optimizer.with_ema(&mut net, values);
            compare(&evaluated, &run[library]["evaluated_hex"], "in evaluation");
        }
    }
}

const GROUP: &str = r#"{"lr": 0.01, "betas": [0.9, 0.99], "eps": 1e-08, "weight_decay": 0.1, "amsgrad": false, "maximize": false, "foreach": null, "capturable": false, "differentiable": false, "fused": null, "decoupled_weight_decay": true, "params": [0]"#;

#[test]
fn groups_of_pytorch_are_a_recipe() {
    let one = format!("{{\"class\": \"AdamW\", \"param_groups\": [{GROUP}}}]}}");
    let expected = "kind = 'adamw'\nlr = 0.01\nbetas = [0.9, 0.99]\nweight_decay = 0.1";
    assert_eq!(Recipe::from_torch(&one).unwrap(), crate::read(expected).unwrap());
    let second = GROUP.replace("0.1,", "0.0,").replace("0.01", "0.5");
    let two = format!(
        "{{\"class\": \"AdamW\", \"param_groups\": [{GROUP}, \"param_names\": [\"a.weight\"]}},\n {second}, \"param_names\": [\"a.bias\"]}}]}}"
    );
    let grouped =
        format!("{expected}\n[[groups]]\nparams = 'a.bias'\nlr = 0.5\nweight_decay = 0.0");
    assert_eq!(Recipe::from_torch(&two).unwrap(), crate::read(&grouped).unwrap());
}

#[test]
fn mistakes_in_groups_of_pytorch_are_located() {
    let text = format!("{{\"class\": \"AdamW\",\n\"param_groups\": [\n{GROUP}}}]}}");
    let two = text.replace("}]}", &format!("}},\n{GROUP}}}]}}"));
    // The mistake stands where the text has this the first time.
    for (text, at, message) in [
        (text.replace("AdamW", "ASGD"), "\"ASGD", "unknown class `ASGD`"),
        (
            text.replace("AdamW", "Adamw"),
            "\"Adamw",
            "unknown class `Adamw`; it is called `AdamW` here",
        ),
        (text.replace("0.99", "\"x\""), "\"x\"", "`betas`: expected a number, found string"),
        (text.replace("1e-08", "-1"), "-1", "`eps`: expected a finite number of at least 0"),
        (
            text.replace("amsgrad", "amsgrat"),
            "\"amsgrat",
            "unknown key `amsgrat`; did you mean `amsgrad`?",
        ),
        (text.replace("\"class\"", "\"klass\""), "{", "missing key `class`"),
        (text.replace("\"lr\": 0.01,", "\"lr\" 0.01,"), "0.01", "expected `:`, found `0`"),
        (text.replace("1e-08", "1e-"), "1e-", "expected a value, found `1e-`"),
        (text.replace("[0]}", "[0;"), ";", "expected `,` or `]`, found `;`"),
        (two, "{\"lr", "several groups need `param_names`"),
        ("[]".into(), "[", "expected an object with `class`"),
        (format!("{}X", "[".repeat(63)), "X", "expected a value, found `X`"),
    ] {
        let error = Recipe::from_torch(&text).expect_err(message);
        assert!(error.message().starts_with(message), "{error}");
        let before = &text[..text.find(at).unwrap()];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        assert_eq!((error.line(), error.column()), (line, column), "{error}");
    }
    let deep = Recipe::from_torch(&"[".repeat(100_000)).unwrap_err();
    assert!(deep.message().starts_with("too many values within each other"), "{deep}");
}

#[test]
fn a_recipe_is_explained() {
    let recipe = crate::read(
        "kind = 'adamw'\nlr = { kind = 'linear', lr = 0.4, start_factor = 0.5, total_iters = 8 }\nclip_norm = 1.0\n\
         [[groups]]\nparams = '*.bias'\nkind = 'muon'\nlr = 0.1",
    );
    let shapes = [("a.weight".to_owned(), vec![2, 3]), ("a.bias".to_owned(), vec![2])];
    let text = recipe.unwrap().explain(&shapes);
    for line in [
        "  1. clip_norm\n       u = g min(1, max_norm / (norm + 1e-6)), the norm of the whole model's update\n     max_norm = 1.0\n",
        "  3. weight_decay\n       u = g + weight_decay p\n     weight_decay = 0.01\n",
        "\ngroups.0, for parameters *.bias\n  1. clip_norm\n",
        "     step 0: 2.000000e-1, 2: 2.500000e-1, 4: 3.000000e-1, 6: 3.500000e-1, 8: 4.000000e-1\n",
        "   4.000e-1 |",
        "  a.weight   [2, 3]  the recipe       clip_norm > adam > weight_decay  0.2           0.01\n",
        "  a.bias     [2]     groups.0 *.bias  clip_norm > muon                 0.1           0.1\n",
        "  `muon` refuses `a.bias`: it is a rule for matrices\n",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
}
