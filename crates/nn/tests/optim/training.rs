//! Schedules in shares of the training and in epochs, and keys that belong to the program.

use wengert_nn::optim::{Cosine, Exponential, OneCycle, Optimizer, Rate, Registry, StepDecay};

/// Reads a rate for 20 epochs of 50 batches.
fn rate(lr: &str, more: &str) -> Rate {
    let registry = Registry::default().training(20, 50);
    let text = format!("kind = 'sgd'\nlr = {{ {lr} }}\n{more}");
    registry.read(&text).unwrap_or_else(|error| panic!("{error}")).lr().clone()
}

#[test]
fn steps_may_be_shares_or_epochs() {
    for (short, long) in [
        ("kind = 'cosine', lr = 1, t_max = '25%'", "kind = 'cosine', lr = 1, t_max = 250"),
        ("kind = 'cosine', lr = 1, T_max = '3 epochs'", "kind = 'cosine', lr = 1, t_max = 150"),
        (
            "kind = 'cosine', lr = 1, total_steps = '100%', warmup_steps = '1 epoch'",
            "kind = 'cosine', lr = 1, t_max = 950, warmup_steps = 50",
        ),
        (
            "kind = 'step', lr = 1, step_size = '2.5 epochs'",
            "kind = 'step', lr = 1, step_size = 125",
        ),
        (
            "kind = 'multi_step', lr = 1, milestones = ['50%', 700, '15 epochs']",
            "kind = 'multi_step', lr = 1, milestones = [500, 700, 750]",
        ),
        (
            "kind = 'cosine_warm_restarts', lr = 1, T_0 = '10%'",
            "kind = 'cosine_warm_restarts', lr = 1, t_0 = 100",
        ),
        (
            "kind = 'linear', lr = 1, total_steps = '12.5%', warmup_steps = '2%'",
            "kind = 'linear', lr = 1, total_iters = 105, warmup_steps = 20",
        ),
        (
            "kind = 'polynomial', lr = 1, total_iters = '0.1%'",
            "kind = 'polynomial', lr = 1, total_iters = 1",
        ),
        (
            "kind = 'inverse_sqrt', lr = 1, timescale = '1 epoch', warmup_steps = '1 epoch'",
            "kind = 'inverse_sqrt', lr = 1, timescale = 50, warmup_steps = 50",
        ),
        (
            "kind = 'joined', milestones = ['10%'], pieces = [1, { kind = 'cosine', lr = 1, t_max = '90%' }]",
            "kind = 'joined', milestones = [100], pieces = [1, { kind = 'cosine', lr = 1, t_max = 900 }]",
        ),
        // A length that is required is that of the training.
        ("kind = 'cosine', lr = 1", "kind = 'cosine', lr = 1, t_max = 1000"),
        (
            "kind = 'cosine', lr = 1, warmup_steps = 10",
            "kind = 'cosine', lr = 1, t_max = 990, warmup_steps = 10",
        ),
        ("kind = 'one_cycle', max_lr = 1", "kind = 'one_cycle', max_lr = 1, total_steps = 1000"),
        (
            "kind = 'one_cycle', max_lr = 1, total_steps = '50%'",
            "kind = 'one_cycle', max_lr = 1, total_steps = 500",
        ),
        (
            "kind = 'joined', milestones = [9, 20], pieces = [1, { kind = 'cosine', lr = 1 }, { kind = 'cosine', lr = 1 }]",
            "kind = 'joined', milestones = [9, 20], pieces = [1, { kind = 'cosine', lr = 1, t_max = 11 }, { kind = 'cosine', lr = 1, t_max = 980 }]",
        ),
        (
            "kind = 'joined', warmup_steps = '10%', milestones = [20], pieces = [1, { kind = 'cosine', lr = 1, warmup_steps = 30 }]",
            "kind = 'joined', warmup_steps = 100, milestones = [20], pieces = [1, { kind = 'cosine', lr = 1, warmup_steps = 30, t_max = 850 }]",
        ),
        // A default stays a default.
        ("kind = 'linear', lr = 1", "kind = 'linear', lr = 1, total_iters = 5"),
    ] {
        let found = rate(short, "");
        assert_eq!(found, rate(long, ""), "{short}");
        // Printed in steps, and read without the length of the training.
        let printed = format!("kind = 'sgd'\nlr = {found}");
        assert_eq!(crate::read(&printed).unwrap().lr(), &found);
    }
    // Four batches make a step.
    let lr = "kind = 'cosine', lr = 1, warmup_steps = '1 epoch'";
    let expected = Rate::from(Cosine { lr: 1.0, t_max: 237, eta_min: 0.0 }).warmup(13, 0.0);
    assert_eq!(rate(lr, "accumulate = 4"), expected);
    // In a group, and in an override.
    let registry = Registry::default().training(20, 50).overridden(&["lr.step_size=10%"]);
    let text = "kind = 'sgd'\nlr = { kind = 'step', lr = 1, step_size = 3 }\n
                [[groups]]\nparams = '*'\nlr = { kind = 'cosine', lr = 1 }";
    let recipe = registry.read(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(recipe.lr(), &StepDecay { lr: 1.0, step_size: 100, gamma: 0.1 }.into());
    let group = recipe.groups()[0].plan().unwrap().lr();
    assert_eq!(group, &Cosine { lr: 1.0, t_max: 1000, eta_min: 0.0 }.into());
}

#[test]
fn mistakes_with_shares_are_located() {
    for (lr, column, message) in [
        (
            "kind = 'cosine', lr = 1, t_max = 'all'",
            41,
            "`t_max`: expected a whole number, a share ",
        ),
        (
            "kind = 'cosine', lr = 1, t_max = '-5%'",
            41,
            "`t_max`: expected a whole number, a share ",
        ),
        ("kind = 'cosine', lr = 1, t_max = '1e3%'", 41, "`t_max`: expected a whole number, a "),
        (
            "kind = 'cosine', lr = 1, t_max = '5 %'",
            41,
            "`t_max`: expected a whole number, a share ",
        ),
        ("kind = 'cosine', lr = 1, t_max = '%'", 41, "`t_max`: expected a whole number, a share "),
        ("kind = 'cosine', lr = 1, t_max = '3 steps'", 41, "`t_max`: expected a whole number, a "),
        ("kind = 'cosine', lr = 1, t_max = '0%'", 41, "`t_max`: expected a number of at least 1"),
        (
            "kind = 'cosine', lr = 1, warmup_steps = '100%'",
            15,
            "`total_steps`: expected more than 1",
        ),
        (
            "kind = 'plateau', lr = 1, patience = '2 epochs'",
            45,
            "`patience`: expected a whole numb",
        ),
        (
            "kind = 'joined', milestones = [1000], pieces = [1, { kind = 'cosine', lr = 1 }]",
            68,
            "`total_steps`: expected more than 0, found 0",
        ),
    ] {
        let registry = Registry::default().training(20, 50);
        let error = registry.read(&format!("kind = 'sgd'\nlr = {{ {lr} }}")).unwrap_err();
        assert!(error.message().starts_with(message), "{lr}\n{error}");
        assert_eq!((error.line(), error.column()), (2, column), "{lr}\n{error}");
    }
    // The program has not told the length.
    let text = "kind = 'sgd'\nlr = { kind = 'cosine', lr = 1, T_max = '5%' }";
    let error = Optimizer::<f32>::from_toml(text).unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 41));
    assert_eq!(
        error.message(),
        "`T_max`: \"5%\" needs the length of the training, which the program tells with \
         `Registry::training`"
    );
}

#[test]
#[should_panic(expected = "training: 3 epochs of 0 batches make no step")]
fn a_training_has_steps() {
    let _ = Registry::default().training(3, 0);
}

#[test]
fn the_program_declares_its_keys() {
    let registry = Registry::default().program_keys(&["model", "seed", "scheduler"]);
    let program = "seed = 3\n[model]\nlayers = 3\n[scheduler]\nx = 1\n";
    // Declared, a name may be near one of a recipe.
    assert!(registry.read(&format!("{program}[optimizer]\nkind = 'sgd'")).is_ok());
    // A recipe may be at top level, too.
    assert!(registry.read(&format!("kind = 'sgd'\n{program}")).is_ok());
    for (text, line, message) in [
        ("[modle]\n[optimizer]\nkind = 'sgd'", 1, "unknown table `modle`; did you mean `model`?"),
        ("sed = 3\n[optimizer]\nkind = 'sgd'", 1, "unknown key `sed`; did you mean `seed`?"),
        ("[[data]]\n[optimizer]\nkind = 'sgd'", 1, "unknown table `data`; expected one of `opt"),
        ("lr = 3\n[optimizer]\nkind = 'sgd'", 1, "`lr` stands outside of `[optimizer]`"),
    ] {
        let error = registry.read(text).unwrap_err();
        assert!(error.message().starts_with(message), "{text}\n{error}");
        assert_eq!(error.line(), line, "{text}\n{error}");
    }
}

#[test]
fn a_range_test_grows_and_stays_finite() {
    let rate = Rate::from(Exponential { lr: 1e-6, gamma: 1.1 });
    assert!((rate.at(100) / (1e-6 * 13780.6123398222) - 1.0).abs() < 1e-12);
    assert_eq!(rate.at(u64::MAX), f64::MAX);
    // 1.1^7500 is 10^310.45.
    assert!((rate.at(7500).log10() - 304.4451386866878).abs() < 1e-9);
    assert_eq!(Rate::from(Exponential { lr: 0.0, gamma: 1.1 }).at(u64::MAX), 0.0);
    assert_eq!(Rate::from(StepDecay { lr: 2.0, step_size: 1, gamma: 3.0 }).at(9999), f64::MAX);
}

#[test]
#[should_panic(expected = "warmup: the rate has a warm-up already")]
fn a_cycle_accepts_no_second_warm_up() {
    let cycle = OneCycle {
        max_lr: 1.0,
        total_steps: 9,
        pct_start: 0.3,
        anneal_strategy: Default::default(),
        div_factor: 25.0,
        final_div_factor: 1e4,
        three_phase: false,
    };
    let _ = Rate::from(cycle).warmup(3, 0.0);
}
