//! Names that other libraries use, and names in a wrong place: the message says the name or place here.

use std::collections::BTreeSet;

use wengert_nn::optim::Registry;

fn message(text: &str) -> String {
    crate::read(text).expect_err(text).message().to_owned()
}

/// PyTorch's, optax's and Keras's names of settings.
#[test]
fn settings_are_known_under_other_names() {
    for (recipe, hint) in [
        ("kind = 'adam'\nlearning_rate = 0.1", "it is called `lr` here"),
        ("kind = 'adam'\nepsilon = 1e-8", "it is called `eps` here"),
        ("kind = 'adam'\nbeta1 = 0.9", "it is an element of `betas` here"),
        ("kind = 'adam'\nbeta_2 = 0.9", "it is an element of `betas` here"),
        ("kind = 'adam'\nb1 = 0.9", "it is an element of `betas` here"),
        ("kind = 'rmsprop'\ndecay = 0.9", "it is called `alpha` here"),
        ("kind = 'rmsprop'\nrho = 0.9", "it is called `alpha` here"),
        ("kind = 'adam'\nclip_grad_norm = 1", "it is called `clip_norm` here"),
        ("kind = 'adam'\nmax_grad_norm = 1", "it is called `clip_norm` here"),
        ("kind = 'adam'\nglobal_clipnorm = 1", "it is called `clip_norm` here"),
        ("kind = 'adam'\nclipnorm = 1", "it is called `clip_tensor_norm` here"),
        ("kind = 'adam'\nclipvalue = 1", "it is called `clip_value` here"),
        ("kind = 'adamw'\nwd = 0.1", "it is called `weight_decay` here"),
        ("kind = 'adamw'\nuse_ema = true", "it is called `ema` here"),
        ("kind = 'adamw'\nema_momentum = 0.9", "it is called `ema` here"),
        ("kind = 'adamw'\ngradient_accumulation_steps = 4", "it is called `accumulate` here"),
        ("kind = 'adamw'\nparam_groups = []", "it is called `groups` here"),
        ("kind = 'sgd'\nschedule = 'cosine'", "it is a table under `lr` here"),
        ("kind = 'sgd'\nlr_scheduler = 'cosine'", "it is a table under `lr` here"),
        ("name = 'adam'", "it is called `kind` here"),
        ("type = 'adam'", "it is called `kind` here"),
        ("kind = 'sgd'\nlr = { type = 'cosine' }", "it is called `kind` here"),
        ("kind = 'sgd'\nlr = { name = 'cosine' }", "it is called `kind` here"),
        (
            "kind = 'sgd'\nlr = { kind = 'cosine', lr = 1, t_max = 9, warmup = 3 }",
            "it is called `warmup_steps` here",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'cosine', init_value = 1, t_max = 9 }",
            "it is called `lr` here",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'cosine', lr = 1, decay_steps = 9 }",
            "it is called `t_max` here",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'cosine', lr = 1, t_max = 9, min_lr = 0 }",
            "it is called `eta_min` here",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'step', lr = 1, decay_rate = 9 }",
            "it is called `gamma` here",
        ),
        ("kind = 'sgd'\n[[groups]]\nparameters = '*'\nlr = 1", "it is called `params` here"),
        (
            "kind = 'sgd'\n[[groups]]\nparams = '*'\nrequires_grad = false",
            "it is the opposite of `frozen` here",
        ),
        ("lr = 1\n[[chain]]\nkind = 'clip_norm'\nclip_norm = 1", "it is called `max_norm`"),
    ] {
        let said = message(recipe);
        assert!(said.starts_with("unknown key `") && said.contains(hint), "{recipe}\n{said}");
    }
}

/// Each class of PyTorch's `optim` and `lr_scheduler` that the page of optimizers names, and others.
#[test]
fn kinds_are_known_under_other_names() {
    for (class, kind) in [
        ("SGD", "sgd"),
        ("sdg", "sgd"),
        ("Adam", "adam"),
        ("AdamW", "adamw"),
        ("RMSprop", "rmsprop"),
        ("NAdam", "nadam"),
        ("Nadam", "nadam"),
        ("clip_by_global_norm", "clip_norm"),
        ("clip_grad_norm_", "clip_norm"),
        ("clip_grad_value_", "clip_value"),
        ("add_decayed_weights", "weight_decay"),
        ("AveragedModel", "ema"),
        ("gradient_descent", "sgd"),
        ("scale_by_adam", "adam"),
    ] {
        let said = message(&format!("kind = '{class}'"));
        let (called, typo) =
            (format!("it is called `{kind}` here"), format!("did you mean `{kind}`?"));
        assert!(said.contains(&called) || said.contains(&typo), "{said}");
    }
    for (class, kind) in [
        ("StepLR", "step"),
        ("MultiStepLR", "multi_step"),
        ("piecewise_constant_schedule", "multi_step"),
        ("ExponentialLR", "exponential"),
        ("exponential_decay", "exponential"),
        ("LinearLR", "linear"),
        ("linear_schedule", "linear"),
        ("PolynomialLR", "polynomial"),
        ("CosineAnnealingLR", "cosine"),
        ("cosine_decay_schedule", "cosine"),
        ("CosineDecay", "cosine"),
        ("CosineAnnealingWarmRestarts", "cosine_warm_restarts"),
        ("sgdr_schedule", "cosine_warm_restarts"),
        ("OneCycleLR", "one_cycle"),
        ("cosine_onecycle_schedule", "one_cycle"),
        ("ReduceLROnPlateau", "plateau"),
        ("SequentialLR", "joined"),
        ("join_schedules", "joined"),
        ("ConstantLR", "constant"),
        ("noam", "inverse_sqrt"),
    ] {
        let said = message(&format!("kind = 'sgd'\nlr = {{ kind = '{class}' }}"));
        assert!(said.contains(&format!("it is called `{kind}` here")), "{said}");
    }
}

#[test]
fn a_key_in_a_wrong_place_is_told_its_place() {
    for (recipe, hint) in [
        ("kind = 'sgd'\nwarmup_steps = 3", "it belongs to a schedule: `lr = { kind = .., "),
        (
            "kind = 'adam'\nwarmup = 3",
            "it belongs to a schedule: `lr = { kind = .., warmup_steps = .. }`",
        ),
        ("kind = 'sgd'\nt_max = 3", "it belongs to a schedule: `lr = { kind = .., t_max = .. }`"),
        (
            "kind = 'adam'\nmomentum = 0.9",
            "it is a setting of `momentum`, `muon`, `nesterov`, `rmsprop`, ",
        ),
        (
            "kind = 'sgd'\nbetas = [0.9, 0.9]",
            "it is a setting of `adam`, `adamax`, `adamw`, `adan`, `ams",
        ),
        ("kind = 'sgd'\nparams = '*'", "it belongs to a group, `[[optimizer.groups]]`"),
        ("kind = 'sgd'\nfrozen = true", "it belongs to a group, `[[optimizer.groups]]`"),
        (
            "kind = 'sgd'\n[[groups]]\nparams = '*'\naccumulate = 3",
            "it belongs to the recipe as a whole",
        ),
        (
            "lr = 1\n[[chain]]\nkind = 'sgd'\nweight_decay = 0.1",
            "in the long form it is a transform of the chain",
        ),
        ("lr = 1\n[[chain]]\nkind = 'sgd'\nlr = 0.1", "it belongs to the recipe or a group"),
        (
            "kind = 'sgd'\nlr = { kind = 'step', lr = 1, step_size = 2, t_max = 3 }",
            "it is a setting of `cosine`",
        ),
        (
            "kind = 'sgd'\nlr = { kind = 'step', lr = 1, step_size = 2, momentum = 3 }",
            "it belongs beside `lr`",
        ),
    ] {
        let said = message(recipe);
        assert!(said.starts_with("unknown key `") && said.contains(hint), "{recipe}\n{said}");
    }
}

/// A table of other names that gives a name which the library does not have would mislead.
#[test]
fn every_name_on_the_page_of_optimizers_is_known() {
    let page = include_str!("../../../../docs/optimizers.md");
    let (kinds, schedules): (BTreeSet<_>, BTreeSet<_>) = {
        let registry = Registry::default();
        (registry.rules().collect(), registry.schedules().collect())
    };
    let mut checked = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let kind = cells[0].trim_matches('`');
        let of_rule = kinds.contains(kind) && cells.len() == 7;
        if !of_rule && !schedules.contains(kind) {
            continue;
        }
        let elsewhere = if of_rule { &cells[4..] } else { &cells[cells.len() - 1..] };
        for name in elsewhere.iter().map(|cell| cell.trim_matches('`')) {
            let name = name.split('(').next().unwrap();
            let text = match of_rule {
                true => format!("kind = '{name}'"),
                false => format!("kind = 'sgd'\nlr = {{ kind = '{name}' }}"),
            };
            // `SGD(momentum=0.9)` is `sgd` as well as `momentum`.
            if name.is_empty() || kinds.contains(name) || elsewhere[0].contains('(') {
                continue;
            }
            checked += 1;
            let said = message(&text);
            let hints = [format!("it is called `{kind}` here"), format!("did you mean `{kind}`?")];
            assert!(hints.iter().any(|hint| said.contains(hint)), "{name}: {said}");
        }
    }
    assert!(checked > 25, "{checked}");
}
