//! What a profile tells of programs whose operations, shapes and lines are known.

use std::time::Duration;

use wengert::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::{Profile, profile};

fn names(profile: &Profile) -> Vec<&str> {
    profile.operations.iter().map(|op| &*op.name).collect()
}

#[test]
fn rows_are_the_operations_of_the_program() {
    let weight = Param::new(Tensor::full([16, 8], 0.1));
    let (x, labels) = (Tensor::ones([4, 16]), Indices::from([0, 1, 2, 3]));
    let first = line!() + 2;
    let profile = profile(|tape| {
        let logits = tape.constant(&x).matmul(&weight);
        logits.log_softmax().pick(&labels).sum().neg()
    });
    assert_eq!(names(&profile), ["matmul", "log_softmax", "pick", "sum", "neg"]);
    let product = &profile.operations[0];
    assert_eq!(
        (&*product.inputs, product.output),
        (&[[4, 16].into(), [16, 8].into()][..], [4, 8].into())
    );
    assert_eq!((product.bytes, product.multiply_adds), (4 * 8 * 4, 4 * 16 * 8));
    assert_eq!(product.line(), format!("{}:{first}", file!()));
    let of_lines: Vec<_> = profile.operations.iter().map(|op| op.location.line() - first).collect();
    assert_eq!(of_lines, [0, 1, 1, 1, 1]);

    let leaves: Vec<_> = profile.leaves.iter().map(|leaf| (&*leaf.name, leaf.shape)).collect();
    let expected =
        [("constant", [4, 16].into()), ("parameter", [16, 8].into()), ("indices", [4].into())];
    assert_eq!(leaves, expected);
    assert_eq!(profile.operations[2].reads.len(), 2);
}

#[test]
fn sums_are_those_of_the_rows() {
    let weight = Param::new(Tensor::full([64, 64], 0.1));
    let profile = profile(|tape| {
        let y = tape.param(&weight).matmul(&weight);
        y.tanh().square().sum()
    });
    let all = profile.time();
    for folded in [profile.by_line(), profile.by_layer(), profile.by_operation()] {
        let time: Duration = folded.iter().map(|cost| cost.forward + cost.backward).sum();
        assert_eq!(time, all);
        assert_eq!(folded.iter().map(|cost| cost.operations).sum::<usize>(), 4);
        assert_eq!(folded.iter().map(|cost| cost.bytes).sum::<usize>(), 4 * (3 * 64 * 64 + 1));
        assert!((folded.iter().map(|cost| cost.share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(folded.is_sorted_by_key(|cost| std::cmp::Reverse(cost.forward + cost.backward)));
    }
    assert_eq!(profile.by_line().len(), 2);
    assert!(profile.rounds >= 3, "{profile}");
}

#[test]
fn the_expensive_line_comes_first() {
    let (small, large) = (Param::new(Tensor::ones([4, 4])), Param::new(Tensor::ones([192, 192])));
    let profile = profile(|tape| {
        let cheap = tape.param(&small).matmul(&small).sum();
        let dear = tape.param(&large).matmul(&large).sum();
        cheap + dear
    });
    let (dear, lines) = (&profile.operations[2], profile.by_line());
    assert_eq!(lines[0].name, dear.line());
    assert!(lines[0].share > 0.5, "{profile}");
    // Two products backward take longer than one forward.
    assert!(dear.backward > dear.forward, "{profile}");
}

#[test]
fn what_needs_no_gradient_takes_no_time_backward() {
    let weight = Param::new(Tensor::ones([32, 32]));
    let x = Tensor::ones([32, 32]);
    let profile = profile(|tape| (tape.constant(&x).exp() * &weight).sum());
    assert_eq!(profile.operations[0].backward, Duration::ZERO);
    assert!(profile.operations[1].backward > Duration::ZERO);
}

#[test]
fn layers_and_parameters_have_their_names() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let net = Sequential::new()
        .then(Linear::new(8, 16, rng))
        .then(Dropout::new(0.5))
        .then(Sequential::new().then(Linear::new(16, 4, rng)));
    let x = Tensor::ones([5, 8]);
    let profile = seeded(3).profile(|tape| net.forward(tape.constant(&x)).square().sum());
    let profile = profile.in_model(&net);
    let layer = |name: &str| {
        profile
            .operations
            .iter()
            .filter(|op| op.name == name)
            .map(|op| &*op.layer)
            .collect::<Vec<_>>()
    };
    assert_eq!(layer("linear"), ["0 Linear", "2.0 Linear"]);
    assert_eq!((layer("random"), layer("sum")), (vec!["1 Dropout"], vec![""]));
    let params: Vec<_> =
        profile.leaves.iter().filter(|leaf| leaf.param.is_some()).map(|leaf| &*leaf.name).collect();
    assert_eq!(params, ["0.weight", "0.bias", "2.0.weight", "2.0.bias"]);
    let dot = profile.dot();
    for part in ["label=\"2.0 Linear\"", "2.0.weight\\n[4, 16]", "linear [5, 16]\\n"] {
        assert!(dot.contains(part), "{dot}");
    }
    assert!(profile.to_string().contains("random  -> [5, 16] at"), "{profile}");
}

#[test]
fn a_layer_in_a_temporary_recording_leaves_its_name_to_nobody() {
    let weight = Param::new(Tensor::ones([2, 2]));
    let profile = profile(|tape| {
        let scale = tape.temporarily(|| {
            let _layer = tape.layer("Probe");
            tape.constant(weight.value()).square().sum()
        });
        let _layer = tape.layer("Body");
        (scale * &weight).sum()
    });
    assert!(profile.operations.iter().all(|op| op.layer == "Body"), "{profile}");
}

#[test]
fn a_layer_that_ends_before_a_temporary_recording_keeps_its_name() {
    let weight = Param::new(Tensor::ones([2, 2]));
    let profile = profile(|tape| {
        let layer = tape.layer("Body");
        let body = tape.param(&weight).square();
        drop(layer);
        let scale = tape.temporarily(|| body.stop_gradient().sum());
        (body * scale).sum()
    });
    let layers: Vec<_> = profile.operations.iter().map(|op| (&*op.name, &*op.layer)).collect();
    assert_eq!(layers, [("square", "Body"), ("mul", ""), ("sum", "")]);
}

#[test]
fn checkpoints_and_both_precisions() {
    let weight = wengert::Param::new(wengert::Tensor::<f64>::full([3, 3], 0.5));
    let profile = profile(|tape| tape.param(&weight).checkpoint(|x| x.exp().tanh()).sum());
    assert_eq!(names(&profile), ["exp", "tanh", "sum"]);
    assert_eq!(profile.operations[0].bytes, 72);
}

#[test]
#[should_panic(expected = "expected a loss of one element, found shape [2]")]
fn a_loss_of_two_elements_is_refused() {
    let x = Param::new(tensor![1.0, 2.0]);
    profile(|tape| tape.param(&x).square());
}
