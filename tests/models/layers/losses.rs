//! Losses against PyTorch: `fixtures/layers.json` and `fixtures/losses.json` to ten digits, with every
//! reduction and every setting; `fixtures/edge_cases_losses.json` to nine, exactly on 0, inf and NaN.

use wengert::check_gradients;
use wengert::f64::prelude::*;

use super::{Function, agrees, pytorch};

const FIXTURE: &str = include_str!("../../fixtures/losses.json");
const EDGES: &str = include_str!("../../fixtures/edge_cases_losses.json");

const ALL: [(&str, Reduction); 3] =
    [("mean", Reduction::Mean), ("sum", Reduction::Sum), ("none", Reduction::None)];
const BATCH: (&str, Reduction) = ("batchmean", Reduction::BatchMean);
/// The values of a setting that is on or off, as Python prints them.
const SWITCH: [(&str, bool); 2] = [("False", false), ("True", true)];

/// Compares a loss with the cases of this name, one for each reduction.
#[track_caller]
fn every(name: &str, loss: impl for<'t> Fn(&[Var<'t>], Reduction) -> Var<'t>) {
    for (word, reduction) in ALL {
        holds(&format!("{name} {word}"), |x| loss(x, reduction));
    }
}

#[track_caller]
fn holds(case: &str, loss: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>) {
    pytorch::agrees(FIXTURE, case, Function, |_, x| vec![loss(x)]);
}

/// The second input of a case as labels.
fn labels(x: &[Var<'_>]) -> Indices {
    pytorch::indices(&x[1].value())
}

fn weight() -> Tensor {
    tensor![0.5, 2.0, 1.0, 0.25]
}

#[test]
fn of_the_layers() {
    agrees("cross_entropy", Function, |_, x| x.cross_entropy([2, 0, 3, 1]));
    agrees("cross_entropy label_smoothing ignore_index", Function, |_, x| {
        x.cross_entropy_with([2, 0, 3, 1], CrossEntropy::new().label_smoothing(0.1).ignore_index(3))
    });
    agrees("mse", Function, |_, x| x.mse(0.3));
    agrees("huber", Function, |_, x| x.huber_with(0.0, Huber::new().delta(0.5)));
    agrees("bce_with_logits", Function, |_, x| x.bce_with_logits(0.25));
    agrees("kl_div", Function, |_, x| x.log_softmax().kl_div_with(0.25, Reduction::BatchMean));
}

#[test]
fn mse_and_l1() {
    every("mse", |x, reduction| x[0].mse_with(x[1], reduction));
    holds("mse batchmean", |x| x[0].mse_with(x[1], BATCH.1));
    holds("mse mean", |x| x[0].mse(x[1]));
    every("l1", |x, reduction| x[0].l1_with(x[1], reduction));
    holds("l1 mean", |x| x[0].l1(x[1]));
}

#[test]
fn huber_and_smooth_l1() {
    for (word, delta) in [("1.0", 1.0), ("0.4", 0.4), ("3.0", 3.0)] {
        every(&format!("huber delta={word}"), |x, reduction| {
            x[0].huber_with(x[1], Huber::new().delta(delta).reduction(reduction))
        });
    }
    every("huber delta=1.0", |x, reduction| x[0].huber_with(x[1], reduction));
    holds("huber delta=1.0 mean", |x| x[0].huber(x[1]));
    for (word, beta) in [("1.0", 1.0), ("0.4", 0.4), ("0.0", 0.0)] {
        every(&format!("smooth_l1 beta={word}"), |x, reduction| {
            x[0].smooth_l1_with(x[1], SmoothL1::new().beta(beta).reduction(reduction))
        });
    }
    holds("smooth_l1 beta=1.0 mean", |x| x[0].smooth_l1(x[1]));
}

#[test]
fn likelihoods() {
    for (full_word, full) in SWITCH {
        for (word, eps) in [("1e-06", 1e-6), ("0.5", 0.5)] {
            every(&format!("gaussian_nll full={full_word} eps={word}"), |x, reduction| {
                let settings = GaussianNll::new().full(full).eps(eps).reduction(reduction);
                x[0].gaussian_nll_with(x[1], x[2], settings)
            });
        }
        every(&format!("poisson_nll log_input=True full={full_word}"), |x, reduction| {
            x[0].poisson_nll_with(x[1], PoissonNll::new().full(full).reduction(reduction))
        });
        for (word, eps) in [("1e-08", 1e-8), ("0.1", 0.1)] {
            let name = format!("poisson_nll log_input=False full={full_word} eps={word}");
            every(&name, |x, reduction| {
                let settings = PoissonNll::new().log_input(false).full(full).eps(eps);
                x[0].poisson_nll_with(x[1], settings.reduction(reduction))
            });
        }
    }
    holds("gaussian_nll full=False eps=1e-06 mean", |x| x[0].gaussian_nll(x[1], x[2]));
    holds("poisson_nll log_input=True full=False mean", |x| x[0].poisson_nll(x[1]));
}

#[test]
fn cross_entropy_of_labels() {
    for (weight_word, weighted) in SWITCH {
        let settings = || match weighted {
            true => CrossEntropy::new().weight(&weight()),
            false => CrossEntropy::new(),
        };
        for (ignore, smoothing) in [
            ("255", "0.0"),
            ("255", "0.1"),
            ("255", "1.0"),
            ("None", "0.0"),
            ("None", "0.1"),
            ("3", "0.0"),
            ("3", "0.1"),
        ] {
            let name = format!(
                "cross_entropy weight={weight_word} ignore={ignore} label_smoothing={smoothing}"
            );
            every(&name, |x, reduction| {
                let settings = settings().label_smoothing(smoothing.parse().expect("a number"));
                let settings = match ignore.parse() {
                    Ok(label) => settings.ignore_index(label),
                    Err(_) => settings,
                };
                x[0].cross_entropy_with(labels(x), settings.reduction(reduction))
            });
        }
    }
    every("cross_entropy weight=False ignore=None label_smoothing=0.0", |x, reduction| {
        x[0].cross_entropy_with(labels(x), reduction)
    });
    for (word, smoothing) in [("0.0", 0.0), ("0.1", 0.1)] {
        let name = format!("cross_entropy one row label_smoothing={word}");
        every(&name, |x, reduction| {
            let settings = CrossEntropy::new().label_smoothing(smoothing).reduction(reduction);
            x[0].cross_entropy_with(labels(x), settings)
        });
    }
}

#[test]
fn cross_entropy_of_soft_targets() {
    for (weight_word, weighted) in SWITCH {
        for (word, smoothing) in [("0.0", 0.0), ("0.1", 0.1)] {
            let name = format!("cross_entropy soft weight={weight_word} label_smoothing={word}");
            every(&name, |x, reduction| {
                let settings = CrossEntropy::new().label_smoothing(smoothing).reduction(reduction);
                let settings = if weighted { settings.weight(&weight()) } else { settings };
                x[0].cross_entropy_with(x[1], settings)
            });
        }
    }
    let name = "cross_entropy soft weight=False label_smoothing=0.0 mean";
    holds(name, |x| x[0].cross_entropy(x[1]));
}

#[test]
fn nll_and_multi_margin() {
    every("nll weight=False ignore=255", |x, reduction| {
        x[0].nll_with(labels(x), Nll::new().ignore_index(255).reduction(reduction))
    });
    every("nll weight=True ignore=255", |x, reduction| {
        let settings = Nll::new().weight(&weight()).ignore_index(255);
        x[0].nll_with(labels(x), settings.reduction(reduction))
    });
    every("nll weight=False ignore=None", |x, reduction| x[0].nll_with(labels(x), reduction));
    every("nll weight=True ignore=None", |x, reduction| {
        x[0].nll_with(labels(x), Nll::new().weight(&weight()).reduction(reduction))
    });
    for (weight_word, weighted) in SWITCH {
        for p in [1, 2] {
            for (word, margin) in [("1.0", 1.0), ("0.3", 0.3)] {
                let name = format!("multi_margin weight={weight_word} p={p} margin={word}");
                every(&name, |x, reduction| {
                    let settings = MultiMargin::new().p(p).margin(margin).reduction(reduction);
                    let settings = if weighted { settings.weight(&weight()) } else { settings };
                    x[0].multi_margin_with(labels(x), settings)
                });
            }
        }
    }
    holds("multi_margin weight=False p=1 margin=1.0 mean", |x| x[0].multi_margin(labels(x)));
}

#[test]
fn binary_cross_entropies() {
    let (factors, positive) = (tensor![0.5, 2.0, 1.5], tensor![3.0, 0.2, 1.0]);
    for (weight_word, weighted) in SWITCH {
        every(&format!("bce weight={weight_word}"), |x, reduction| {
            let settings = Bce::from(reduction);
            x[0].bce_with(x[1], if weighted { settings.weight(&factors) } else { settings })
        });
        for (pos_word, pos) in SWITCH {
            let name = format!("bce_with_logits weight={weight_word} pos_weight={pos_word}");
            every(&name, |x, reduction| {
                let settings = BceWithLogits::from(reduction);
                let settings = if weighted { settings.weight(&factors) } else { settings };
                let settings = if pos { settings.pos_weight(&positive) } else { settings };
                x[0].bce_with_logits_with(x[1], settings)
            });
        }
    }
    holds("bce weight=False mean", |x| x[0].bce(x[1]));
}

#[test]
fn kl_div_and_hinge() {
    for (word, reduction) in ALL.into_iter().chain([BATCH]) {
        for (log_word, log_target) in SWITCH {
            let settings = KlDiv::new().log_target(log_target).reduction(reduction);
            holds(&format!("kl_div log_target={log_word} {word}"), |x| {
                x[0].kl_div_with(x[1], settings.clone())
            });
        }
        holds(&format!("hinge {word}"), |x| x[0].hinge_with(x[1], reduction));
    }
    holds("kl_div log_target=False mean", |x| x[0].kl_div(x[1]));
    holds("hinge mean", |x| x[0].hinge(x[1]));
}

#[test]
fn embeddings_and_rankings() {
    for (word, margin) in [("1.0", 1.0), ("0.3", 0.3)] {
        every(&format!("hinge_embedding margin={word}"), |x, reduction| {
            let settings = HingeEmbedding::new().margin(margin).reduction(reduction);
            x[0].hinge_embedding_with(x[1], settings)
        });
    }
    for (word, margin) in [("0.0", 0.0), ("0.5", 0.5)] {
        every(&format!("margin_ranking margin={word}"), |x, reduction| {
            let settings = MarginRanking::new().margin(margin).reduction(reduction);
            x[0].margin_ranking_with(x[1], x[2], settings)
        });
    }
    for (word, margin) in [("0.0", 0.0), ("0.2", 0.2)] {
        every(&format!("cosine_embedding margin={word}"), |x, reduction| {
            let settings = CosineEmbedding::new().margin(margin).reduction(reduction);
            x[0].cosine_embedding_with(x[1], x[2], settings)
        });
    }
    holds("hinge_embedding margin=1.0 mean", |x| x[0].hinge_embedding(x[1]));
    holds("margin_ranking margin=0.0 mean", |x| x[0].margin_ranking(x[1], x[2]));
    holds("cosine_embedding margin=0.0 mean", |x| x[0].cosine_embedding(x[1], x[2]));
}

#[test]
fn triplets() {
    for (margin_word, margin) in [("1.0", 1.0), ("2.5", 2.5)] {
        for (p_word, p) in [("2.0", 2.0), ("1.0", 1.0), ("3.0", 3.0)] {
            for (word, swap) in SWITCH {
                let name = format!("triplet_margin margin={margin_word} p={p_word} swap={word}");
                every(&name, |x, reduction| {
                    let settings = TripletMargin::new().margin(margin).p(p).swap(swap);
                    x[0].triplet_margin_with(x[1], x[2], settings.reduction(reduction))
                });
            }
        }
    }
    let name = "triplet_margin margin=1.0 p=2.0 swap=False mean";
    holds(name, |x| x[0].triplet_margin(x[1], x[2]));
}

#[test]
fn half_sse_is_half_of_the_squared_error() {
    let x = tensor![[1.0, 2.0], [3.0, 5.0], [-1.0, 0.5]];
    let run = |f: &dyn for<'t> Fn(Var<'t>) -> Var<'t>| evaluate(|tape| f(tape.constant(&x))).item();
    // (1 + 4 + 9 + 25 + 1 + 0.25) / 2, over 6 elements.
    assert_eq!(run(&|x| x.half_sse(0.0)), 20.125);
    assert_eq!(run(&|x| x.half_sse_with(0.0, Reduction::Mean)), 20.125 / 6.0);
}

#[track_caller]
fn edge(case: &str, loss: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>) {
    pytorch::agrees_at_the_edge(EDGES, case, loss);
}

#[test]
fn cross_entropy_at_the_edge() {
    let ignoring = || CrossEntropy::new().ignore_index(255);
    let smooth = || CrossEntropy::new().label_smoothing(0.1);
    edge("CE ignore all mean", |x| x[0].cross_entropy_with([255], ignoring()));
    edge("CE label smooth .1", |x| x[0].cross_entropy_with([0], smooth()));
    edge("CE soft target", |x| x[0].cross_entropy(&tensor![[0.3, 0.7]]));
    edge("CE ignore all sum", |x| {
        x[0].cross_entropy_with([255], ignoring().reduction(Reduction::Sum))
    });
    edge("CE ignore all smooth", |x| x[0].cross_entropy_with([255], smooth().ignore_index(255)));
    edge("CE of no weight", |x| {
        x[0].cross_entropy_with([0, 1], CrossEntropy::new().weight(&tensor![0.0, 1.0]))
    });
    edge("CE far out", |x| x[0].cross_entropy([2]));
    edge("CE far out smooth", |x| x[0].cross_entropy_with([0], smooth()));
    // A label that is a class can be ignored, too.
    edge("CE ignore all mean", |x| {
        x[0].cross_entropy_with([1], CrossEntropy::new().ignore_index(1))
    });
}

#[test]
fn binary_cross_entropy_at_the_edge() {
    let bce = |case, target: Tensor, reduction| {
        edge(case, |x| x[0].bce_with(&target, reduction));
    };
    bce("BCE 0 and 1", tensor![1.0, 0.0, 0.0, 1.0], Reduction::None);
    bce("BCE 0 and 1, half", tensor![0.5, 0.5], Reduction::Mean);
    bce("BCE close to 0", Tensor::ones([3]), Reduction::None);
    edge("BCE nan", |x| x[0].bce_with_logits(1.0).reshape([1]));
    edge("BCEwithlogits far out, pos_weight", |x| {
        let settings = BceWithLogits::new().pos_weight(&Tensor::full([3], 3.0));
        x[0].bce_with_logits_with(&tensor![1.0, 0.0, 0.5], settings.reduction(Reduction::None))
    });
    let tape = Tape::new();
    assert!(tape.constant(&tensor![f64::NAN, 0.5]).bce(1.0).item().is_nan());
    assert!(tape.constant(&tensor![1.5, 0.5]).bce(1.0).item().is_nan());
}

#[test]
fn divergences_and_likelihoods_at_the_edge() {
    let none = Reduction::None;
    edge("kl_div target 0", |x| {
        x[0].kl_div_with(&tensor![[0.0, 1.0], [0.5, 0.0]], Reduction::BatchMean)
    });
    edge("kl_div log_target -inf", |x| {
        let settings = KlDiv::new().log_target(true).reduction(none);
        x[0].kl_div_with(&tensor![-700.0, 0.0], settings)
    });
    edge("gaussian_nll var 0", |x| x[0].gaussian_nll_with(0.0, x[1], none));
    edge("gaussian_nll var at eps", |x| x[0].gaussian_nll_with(0.0, x[1], none));
    edge("poisson_nll target 0 and 1, full", |x| {
        let settings = PoissonNll::new().full(true).reduction(none);
        x[0].poisson_nll_with(&tensor![0.0, 1.0], settings)
    });
    edge("poisson_nll rate 0", |x| {
        let settings = PoissonNll::new().log_input(false).reduction(none);
        x[0].poisson_nll_with(&tensor![0.0, 1.0], settings)
    });
}

#[test]
fn distances_at_the_edge() {
    let none = Reduction::None;
    edge("huber at delta", |x| x[0].huber_with(0.0, none));
    edge("smooth_l1 at beta", |x| {
        x[0].smooth_l1_with(0.0, SmoothL1::new().beta(0.5).reduction(none))
    });
    edge("smooth_l1 beta 0 at 0", |x| {
        x[0].smooth_l1_with(0.0, SmoothL1::new().beta(0.0).reduction(none))
    });
    edge("hinge at the margin", |x| x[0].hinge_with(&tensor![1.0, -1.0, 1.0], none));
    edge("hinge_embedding at the margin", |x| x[0].hinge_embedding_with(-1.0, none));
    edge("margin_ranking equal", |x| x[0].margin_ranking_with(x[1], 1.0, none));
    edge("multi_margin at the margin", |x| x[0].multi_margin_with([1], none));
    edge("cosine_embedding zero vector", |x| {
        x[0].cosine_embedding_with(x[1], &Tensor::ones([1]), none)
    });
    for (word, p) in [("1.0", 1.0), ("2.0", 2.0), ("3.0", 3.0)] {
        edge(&format!("triplet_margin equal points p={word}"), |x| {
            x[0].triplet_margin_with(x[1], x[2], TripletMargin::new().p(p).reduction(none))
        });
    }
    edge("triplet_margin norm 0", |x| {
        let settings = TripletMargin::new().margin(5.0).eps(0.0).reduction(none);
        x[0].triplet_margin_with(x[1], x[2], settings)
    });
    edge("triplet_margin at the margin", |x| {
        x[0].triplet_margin_with(x[1], x[2], TripletMargin::new().eps(0.0).reduction(none))
    });
}

/// Derivatives of the first and second order against finite differences.
#[test]
fn derivatives() {
    let x = tensor![[0.3, -1.2, 2.1], [0.7, 0.1, -0.4]];
    let t = tensor![[-0.5, 0.4, 1.7], [1.9, -0.2, -0.7]];
    let v = tensor![[0.2, 0.7, 0.4], [0.6, 0.3, 0.9]];
    let far = || GaussianNll::new().full(true);
    let all = CrossEntropy::new().weight(&tensor![0.5, 2.0, 1.0]).label_smoothing(0.1);
    let bce = BceWithLogits::new().pos_weight(&tensor![3.0, 0.5, 1.0]);
    let like = tensor![1.0, -1.0];
    type Of<'a> = dyn for<'t> Fn(&[Var<'t>]) -> Var<'t> + 'a;
    let losses: [(&str, &Of<'_>); 19] = [
        ("mse", &|x| x[0].mse(x[1])),
        ("l1", &|x| x[0].l1(x[1])),
        ("huber", &|x| x[0].huber(x[1])),
        ("smooth_l1", &|x| x[0].smooth_l1_with(x[1], SmoothL1::new().beta(0.7))),
        ("gaussian_nll", &|x| x[0].gaussian_nll_with(x[1], x[2], far())),
        ("poisson_nll", &|x| x[0].poisson_nll(x[1])),
        ("cross_entropy", &|x| x[0].cross_entropy([2, 0])),
        ("cross_entropy, smooth", &|x| x[0].cross_entropy_with([2, 0], all.clone())),
        ("cross_entropy, soft", &|x| x[0].cross_entropy_with(x[2], all.clone())),
        ("nll", &|x| x[0].nll_with([2, 1], Nll::new().ignore_index(1))),
        ("multi_margin", &|x| x[0].multi_margin_with([2, 1], MultiMargin::new().p(2))),
        ("bce", &|x| x[2].bce(x[1])),
        ("bce_with_logits", &|x| x[0].bce_with_logits_with(x[1], bce.clone())),
        ("kl_div", &|x| x[0].kl_div_with(x[2], Reduction::BatchMean)),
        ("hinge", &|x| x[0].hinge(x[1])),
        ("hinge_embedding", &|x| x[0].hinge_embedding(&like.reshape([2, 1]))),
        ("margin_ranking", &|x| x[0].margin_ranking(x[1], -1.0)),
        ("cosine_embedding", &|x| x[0].cosine_embedding(x[1], &like)),
        ("triplet_margin", &|x| x[0].triplet_margin(x[1], x[2])),
    ];
    for (name, loss) in losses {
        if let Err(error) = check_gradients(loss, &[x.clone(), t.clone(), v.clone()]) {
            panic!("{name}: {error}");
        }
    }
}
