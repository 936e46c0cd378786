//! Random schedules for property tests.

use proptest::prelude::*;
use wengert_nn::optim::{
    Cosine, CosineWarmRestarts, Exponential, InverseSqrt, LinearRamp, MultiStep, OneCycle,
    OneCycleMomentum, Plateau, Polynomial, Rate, StepDecay,
};

/// A plateau that reduces the rate at the first observation without improvement.
pub(crate) fn plateau() -> Plateau {
    Plateau {
        lr: 1.0,
        mode: Default::default(),
        factor: 0.5,
        patience: 0,
        threshold: 1e-4,
        threshold_mode: Default::default(),
        cooldown: 0,
        min_lr: 0.0,
        eps: 0.0,
    }
}

/// Generates schedules with settings in range.
pub(crate) fn any_rate() -> impl Strategy<Value = Rate> {
    let numbers = (0.0..2.0f64, 0.0..1.0f64, 0.0..1.0f64, 1..1_000_000u64, 1..50u64);
    let leaf = (0..12, numbers, any::<bool>()).prop_map(|(kind, (lr, a, b, n, m), flag)| -> Rate {
        match kind {
            0 => lr.into(),
            1 => StepDecay { lr, step_size: n, gamma: a }.into(),
            2 => MultiStep { lr, milestones: vec![m, n.max(m)], gamma: a }.into(),
            3 => Exponential { lr, gamma: 2.0 * a }.into(),
            4 => LinearRamp { lr, start_factor: a, end_factor: b, total_iters: n }.into(),
            5 => Polynomial { lr, total_iters: n, power: 3.0 * a }.into(),
            6 => Cosine { lr, t_max: n, eta_min: a }.into(),
            7 => CosineWarmRestarts { lr, t_0: n, t_mult: m, eta_min: a }.into(),
            8 => InverseSqrt { lr, timescale: n }.into(),
            9 => OneCycle {
                max_lr: lr,
                total_steps: n,
                pct_start: a,
                anneal_strategy: Default::default(),
                div_factor: 1.0 + b,
                final_div_factor: 10.0,
                three_phase: flag,
            }
            .into(),
            10 => OneCycleMomentum {
                base_momentum: a,
                max_momentum: b,
                total_steps: n,
                pct_start: a,
                anneal_strategy: Default::default(),
                three_phase: flag,
            }
            .into(),
            _ => Plateau { lr, factor: a / 2.0, patience: m, ..plateau() }.into(),
        }
    });
    let warm =
        (leaf, any::<bool>(), 0..1000u64, 0.0..1.0).prop_map(|(rate, warm, steps, factor)| {
            // A cycle has a warm-up of its own.
            if warm && !rate.kind().starts_with("one_cycle") {
                rate.warmup(steps, factor)
            } else {
                rate
            }
        });
    warm.prop_recursive(3, 8, 3, |inner| {
        prop::collection::vec(inner, 1..4).prop_map(|pieces| {
            let milestones: Vec<u64> = (1..pieces.len() as u64).map(|i| 10 * i).collect();
            Rate::joined(milestones, pieces)
        })
    })
}
