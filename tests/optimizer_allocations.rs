//! A steady step of an optimizer does not allocate, whatever the recipe.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::optim::Registry;
use wengert::prelude::*;

mod allocations;
use allocations::ALLOCATIONS;

/// Allocations in twenty steps under this recipe, after a few to warm up.
fn allocations(recipe: &str) -> usize {
    let mut optimizer = Optimizer::from_toml(recipe).unwrap_or_else(|error| panic!("{error}"));
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // Longer than a chunk of the chain, and a short one.
    let mut model = Linear::new(97, 101, &mut rng);
    let x = Tensor::randn([3, 97], &mut rng);
    let (_, grads) = gradients(|tape| model.forward(tape.constant(&x)).square().sum());
    (0..5).for_each(|_| optimizer.step(&mut model, &grads));
    let before = ALLOCATIONS.get();
    (0..20).for_each(|_| optimizer.step(&mut model, &grads));
    ALLOCATIONS.get() - before
}

/// A parameter in front of others is left out from some step on: frozen, or without a gradient.
#[test]
fn a_steady_step_without_some_parameters_allocates_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for frozen in [true, false] {
        let recipe = "kind = 'adam'\nclip_norm = 1.0\nunused_parameters = 'skip'";
        let mut optimizer = Optimizer::from_toml(recipe).unwrap();
        let mut model = Linear::new(7, 5, &mut rng);
        let x = Tensor::randn([3, 7], &mut rng);
        let (_, grads) = gradients(|tape| model.forward(tape.constant(&x)).square().sum());
        (0..5).for_each(|_| optimizer.step(&mut model, &grads));
        model.weight.set_frozen(frozen);
        let bias = model.bias.as_ref().unwrap();
        let (_, grads) = gradients(|tape| tape.param(bias).square().sum());
        (0..5).for_each(|_| optimizer.step(&mut model, &grads));
        let before = ALLOCATIONS.get();
        (0..20).for_each(|_| optimizer.step(&mut model, &grads));
        assert_eq!(ALLOCATIONS.get() - before, 0, "frozen: {frozen}");
    }
}

/// Other rows at each step, and another number of them.
#[test]
fn a_steady_step_by_rows_allocates_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let tokens: Vec<Indices> =
        (2..12).map(|n| (0..n).map(|i| i * i % 97).collect::<Vec<_>>().into()).collect();
    for kind in ["sgd", "adagrad", "lazy_adam"] {
        let mut optimizer = Optimizer::from_toml(&format!("kind = '{kind}'\nlr = 0.1")).unwrap();
        let mut table = Embedding::new(97, 51, &mut rng);
        let mut epoch = || {
            for tokens in &tokens {
                let (_, grads) = gradients(|tape| table.forward(tape, tokens).square().sum());
                assert!(grads.rows(&table.weight).is_some());
                optimizer.step(&mut table, &grads);
            }
        };
        (0..5).for_each(|_| epoch());
        let before = ALLOCATIONS.get();
        (0..5).for_each(|_| epoch());
        assert_eq!(ALLOCATIONS.get() - before, 0, "{kind}");
    }
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert!(ALLOCATIONS.get() > before);
}

#[test]
fn a_steady_step_of_every_kind_allocates_nothing() {
    // A rule for whole tensors makes new ones.
    for kind in Registry::default().rules().filter(|kind| *kind != "muon") {
        assert_eq!(allocations(&format!("kind = '{kind}'\nlr = 1e-3")), 0, "{kind}");
    }
}

#[test]
fn a_steady_step_of_a_whole_recipe_allocates_nothing() {
    for recipe in [
        "kind = 'adamw'\nclip_value = 1.0\nclip_tensor_norm = 1.0\nclip_norm = 1.0\nema = 0.99\n\
         non_finite = 'skip'\nlr = { kind = 'cosine', lr = 0.1, t_max = 9, warmup_steps = 3 }\n\
         [[groups]]\nparams = 'bias'\nkind = 'lion'\nlr = { kind = 'plateau', lr = 0.1 }",
        "kind = 'momentum'\naccumulate = 4",
        "kind = 'adamw'\nclip_norm = { kind = 'step', lr = 1, step_size = 3 }\n\
         betas = [{ kind = 'one_cycle_momentum', total_steps = 20 }, 0.99]\n\
         weight_decay = { kind = 'joined', milestones = [9], pieces = [0.1, { kind = 'cosine', lr = 1, t_max = 9 }] }",
        "kind = 'nadam'\nweight_decay = 0.1\nunused_parameters = 'skip'\n\
         [[groups]]\nparams = 'weight'\nfrozen = true",
        "lr = { kind = 'joined', milestones = [3], pieces = [1, { kind = 'step', lr = 1, step_size = 2 }] }\n\
         [[chain]]\nkind = 'momentum'\n[[chain]]\nkind = 'clip_norm'\n[[chain]]\nkind = 'weight_decay'",
    ] {
        assert_eq!(allocations(recipe), 0, "{recipe}");
    }
}
