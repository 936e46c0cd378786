//! Losses.

use serde_json::{Value as Json, json};
use wengert::core::Var;
use wengert::nn::{
    Bce, BceWithLogits, CosineEmbedding, CrossEntropy, GaussianNll, HingeEmbedding, Huber, KlDiv,
    MarginRanking, MultiMargin, Nll, PoissonNll, SmoothL1, TripletMargin,
};
use wengert::{Float, Loss, Tensor};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

pub(super) const NAMES: &[&str] = &[
    "mse",
    "half_sse",
    "l1",
    "huber",
    "smooth_l1",
    "gaussian_nll",
    "poisson_nll",
    "cross_entropy",
    "cross_entropy_soft",
    "nll",
    "multi_margin",
    "bce",
    "bce_with_logits",
    "kl_div",
    "hinge",
    "hinge_embedding",
    "margin_ranking",
    "cosine_embedding",
    "triplet_margin",
];

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    let (mut args, mut settings) = match op {
        "cross_entropy" | "nll" | "multi_margin" => labelled(op, d),
        "cosine_embedding" | "triplet_margin" => vectors(op, d),
        _ => elementwise(op, d),
    };
    let kinds = if op == "kl_div" {
        &["mean", "sum", "none", "batchmean"][..]
    } else {
        &["mean", "sum", "none"]
    };
    settings["reduction"] = json!(d.choose(kinds));
    if op == "kl_div" && d.one_in(2) {
        // The target as logarithms.
        settings["log_target"] = json!(true);
        args[1] = d.push("ln", vec![args[1]], json!({}));
    }
    (args, settings)
}

/// Losses of classes with labels; PyTorch's reduction `batchmean` is for `kl_div` alone.
fn labelled(op: &str, d: &mut Draw<'_>) -> Drawn {
    let classes = 1 + d.below(4);
    let rank = d.below(if op == "multi_margin" { 2 } else { 3 });
    let rows = d.extents(rank);
    let x = d.like(&[&rows[..], &[classes]].concat());
    let x = if op == "nll" && d.one_in(2) {
        d.push("log_softmax", vec![x], json!({ "axis": -1 }))
    } else {
        x
    };
    let mut settings = json!({ "labels": d.indices(&rows, classes) });
    if d.one_in(2) {
        settings["weight"] = d.positive(&[classes]);
    }
    match op {
        "multi_margin" => {
            settings["p"] = json!(1 + d.below(2));
            settings["margin"] = json!(d.number(0.0, 2.0));
        }
        _ if d.one_in(2) => settings["ignore_index"] = json!(d.below(classes)),
        _ => {}
    }
    if op == "cross_entropy" && d.one_in(2) {
        settings["label_smoothing"] = json!(0.25);
    }
    (vec![x], settings)
}

/// Losses of distances between vectors.
fn vectors(op: &str, d: &mut Draw<'_>) -> Drawn {
    let shape = [d.some(), d.some()];
    let mut args = vec![d.like(&shape), d.like(&shape)];
    if op == "cosine_embedding" {
        args.push(signs(&shape[..1], d));
        return (args, json!({ "margin": d.number(-0.5, 0.5) }));
    }
    args.push(d.like(&shape));
    let p = d.choose(&[2.0, 2.0, 1.0, 3.0]);
    (args, json!({ "margin": d.number(0.5, 2.0), "p": p, "swap": d.one_in(2) }))
}

fn signs(shape: &[usize], d: &mut Draw<'_>) -> usize {
    let signs = Tensor::from_fn(shape, |_| if d.one_in(2) { 1.0 } else { -1.0 });
    d.input_of(&signs)
}

/// Numbers from 0 to 1, both included.
fn shares(shape: &[usize], d: &mut Draw<'_>) -> usize {
    let shares = d.numbers(shape, 0.0, 1.0);
    d.input_of(&shares)
}

fn elementwise(op: &str, d: &mut Draw<'_>) -> Drawn {
    let least = usize::from(matches!(op, "kl_div" | "cross_entropy_soft"));
    let x = d.of_rank(least, 3);
    let shape = d.shape(x);
    let settings = match op {
        "huber" => json!({ "delta": d.number(0.25, 2.0) }),
        "smooth_l1" => json!({ "beta": d.number(0.0, 2.0) }),
        "gaussian_nll" => json!({ "full": d.one_in(2), "eps": d.choose(&[1e-6, 0.25]) }),
        "poisson_nll" => json!({ "full": d.one_in(2), "log_input": d.one_in(2) }),
        "hinge_embedding" => json!({ "margin": d.number(0.0, 2.0) }),
        "margin_ranking" => json!({ "margin": d.number(-1.0, 1.0) }),
        "cross_entropy_soft" => {
            let classes = shape[shape.rank() - 1];
            let weight = if d.one_in(2) { d.positive(&[classes]) } else { Json::Null };
            json!({ "weight": weight, "label_smoothing": d.choose(&[0.0, 0.25]) })
        }
        "bce" | "bce_with_logits" => {
            let weight = if d.one_in(2) { d.positive(&shape) } else { Json::Null };
            let pos_weight = match (op, shape.last()) {
                ("bce_with_logits", Some(&last)) if d.one_in(2) => d.positive(&[last]),
                _ => Json::Null,
            };
            json!({ "weight": weight, "pos_weight": pos_weight })
        }
        _ => json!({}),
    };
    let args = match op {
        "gaussian_nll" => {
            let variance = d.numbers(&shape, 0.0, 2.0);
            vec![x, d.like(&shape), d.input_of(&variance)]
        }
        "poisson_nll" => {
            let counts = d.numbers(&shape, 0.0, 4.0);
            vec![x, d.input_of(&counts)]
        }
        "cross_entropy_soft" | "bce_with_logits" => vec![x, shares(&shape, d)],
        "bce" => {
            // PyTorch refuses all else.
            let x =
                if d.one_in(2) { shares(&shape, d) } else { d.push("sigmoid", vec![x], json!({})) };
            vec![x, shares(&shape, d)]
        }
        "kl_div" => {
            let x = d.push("log_softmax", vec![x], json!({ "axis": -1 }));
            vec![x, shares(&shape, d)]
        }
        "hinge" | "hinge_embedding" => vec![x, signs(&shape, d)],
        "margin_ranking" => vec![x, d.like(&shape), signs(&shape, d)],
        _ => vec![x, d.like(&shape)],
    };
    (args, settings)
}

pub(super) fn run<'t, F: Float>(op: &str, args: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    if !NAMES.contains(&op) {
        return None;
    }
    let (x, reduction) = (args[0], s.reduction());
    let margin = || s.f64("margin");
    Some(match op {
        "mse" => x.mse_with(args[1], reduction),
        "half_sse" => x.half_sse_with(args[1], reduction),
        "l1" => x.l1_with(args[1], reduction),
        "huber" => x.huber_with(args[1], Huber::new().delta(s.f64("delta")).reduction(reduction)),
        "smooth_l1" => {
            x.smooth_l1_with(args[1], SmoothL1::new().beta(s.f64("beta")).reduction(reduction))
        }
        "gaussian_nll" => {
            let settings = GaussianNll::new().full(s.flag("full")).eps(s.f64("eps"));
            x.gaussian_nll_with(args[1], args[2], settings.reduction(reduction))
        }
        "poisson_nll" => {
            let settings = PoissonNll::new().full(s.flag("full")).log_input(s.flag("log_input"));
            x.poisson_nll_with(args[1], settings.reduction(reduction))
        }
        "cross_entropy" => x.cross_entropy_with(s.indices("labels"), cross_entropy(s)),
        "cross_entropy_soft" => x.cross_entropy_with(args[1], cross_entropy(s)),
        "nll" => {
            let mut settings = Nll::new().reduction(reduction);
            if let Some(weight) = s.tensor("weight") {
                settings = settings.weight(&weight);
            }
            if let Some(label) = s.maybe("ignore_index") {
                settings = settings.ignore_index(label);
            }
            x.nll_with(s.indices("labels"), settings)
        }
        "multi_margin" => {
            let mut settings =
                MultiMargin::new().p(s.i32("p")).margin(margin()).reduction(reduction);
            if let Some(weight) = s.tensor("weight") {
                settings = settings.weight(&weight);
            }
            x.multi_margin_with(s.indices("labels"), settings)
        }
        "bce" => {
            let mut settings = Bce::new().reduction(reduction);
            if let Some(weight) = s.tensor("weight") {
                settings = settings.weight(&weight);
            }
            x.bce_with(args[1], settings)
        }
        "bce_with_logits" => {
            let mut settings = BceWithLogits::new().reduction(reduction);
            if let Some(weight) = s.tensor("weight") {
                settings = settings.weight(&weight);
            }
            if let Some(weight) = s.tensor("pos_weight") {
                settings = settings.pos_weight(&weight);
            }
            x.bce_with_logits_with(args[1], settings)
        }
        "kl_div" => {
            let settings = KlDiv::new().log_target(s.flag("log_target"));
            x.kl_div_with(args[1], settings.reduction(reduction))
        }
        "hinge" => x.hinge_with(args[1], reduction),
        "hinge_embedding" => x.hinge_embedding_with(
            args[1],
            HingeEmbedding::new().margin(margin()).reduction(reduction),
        ),
        "margin_ranking" => {
            let settings = MarginRanking::new().margin(margin());
            x.margin_ranking_with(args[1], args[2], settings.reduction(reduction))
        }
        "cosine_embedding" => {
            let settings = CosineEmbedding::new().margin(margin());
            x.cosine_embedding_with(args[1], args[2], settings.reduction(reduction))
        }
        _ => {
            let settings = TripletMargin::new().margin(margin()).p(s.f64("p")).swap(s.flag("swap"));
            x.triplet_margin_with(args[1], args[2], settings.reduction(reduction))
        }
    })
}

fn cross_entropy<F: Float>(s: &Settings) -> CrossEntropy<F> {
    let mut settings = CrossEntropy::new().reduction(s.reduction());
    if let Some(weight) = s.tensor("weight") {
        settings = settings.weight(&weight);
    }
    if let Some(label) = s.maybe("ignore_index") {
        settings = settings.ignore_index(label);
    }
    if let Some(smoothing) = s.maybe("label_smoothing") {
        settings = settings.label_smoothing(smoothing);
    }
    settings
}
