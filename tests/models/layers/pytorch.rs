//! Readers of the fixtures that PyTorch computed, and comparisons with them.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use wengert::Leaf;
use wengert::Path;
use wengert::f64::prelude::*;

/// Reads `{ shape, data }`, with the elements in row-major order.
pub(crate) fn tensor(json: &Json) -> Tensor {
    let list = |key: &str| json[key].as_array().expect(key).iter();
    let shape = list("shape").map(|n| n.as_u64().expect("an extent") as usize).collect::<Vec<_>>();
    let data = list("data").map(|x| x.as_f64().expect("a number")).collect();
    Tensor::from_vec(data, &*shape)
}

/// Reads nested lists, in which `"inf"` and `"nan"` are numbers.
fn nested(json: &Json) -> Tensor {
    fn read(json: &Json, depth: usize, extents: &mut Vec<usize>, data: &mut Vec<f64>) {
        match json {
            Json::Array(parts) => {
                if extents.len() == depth {
                    extents.push(parts.len());
                }
                parts.iter().for_each(|part| read(part, depth + 1, extents, data));
            }
            Json::String(word) => data.push(word.parse().expect("inf or nan")),
            number => data.push(number.as_f64().expect("a number")),
        }
    }
    let (mut extents, mut data) = (Vec::new(), Vec::new());
    read(json, 0, &mut extents, &mut data);
    Tensor::from_vec(data, &*extents)
}

/// Converts indices that a fixture has as a tensor, such as tokens.
pub(crate) fn indices(x: &Tensor) -> Indices {
    Indices::from_vec(x.as_slice().iter().map(|&token| token as usize).collect(), x.shape())
}

/// Asserts that two tensors agree to ten digits.
#[track_caller]
pub(crate) fn assert_near(what: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!(ours.shape(), theirs.shape(), "{what}: the shapes differ");
    for (ours, theirs) in ours.as_slice().iter().zip(theirs.as_slice()) {
        let near = (ours - theirs).abs() <= 1e-10 * theirs.abs().max(1.0);
        assert!(near, "{what}: {ours} where PyTorch has {theirs}");
    }
}

/// Returns a case of a fixture.
#[track_caller]
fn case_of(fixture: &str, case: &str) -> Json {
    let mut fixture: Json = serde_json::from_str(fixture).expect("JSON");
    let found = fixture["cases"][case].take();
    assert!(found.is_object(), "the fixture has no case {case:?}");
    found
}

/// Compares a model with a case of a fixture in the format of `fixtures/layers.json`.
///
/// Parameters and buffers are loaded by PyTorch's names. Compared are the outputs, the gradients of their
/// weighted sum by the inputs and by each parameter (by the sweep and recorded), and the new values of
/// the buffers. An input without a gradient in the fixture, such as tokens, is a constant.
#[track_caller]
pub(crate) fn agrees<M: Params<f64>>(
    fixture: &str,
    case: &str,
    model: M,
    forward: impl for<'t> Fn(&M, &[Var<'t>]) -> Vec<Var<'t>>,
) {
    agrees_on(Tape::new(), fixture, case, model, forward);
}

/// Compares on a given tape, such as one in evaluation mode.
#[track_caller]
pub(crate) fn agrees_on<M: Params<f64>>(
    tape: Tape,
    fixture: &str,
    case: &str,
    mut model: M,
    forward: impl for<'t> Fn(&M, &[Var<'t>]) -> Vec<Var<'t>>,
) {
    let expected = case_of(fixture, case);
    load(case, &mut model, &expected);

    let inputs = expected["inputs"].as_array().expect("inputs");
    let theirs = expected["input_grads"].as_array().expect("gradients");
    let x: Vec<_> = inputs
        .iter()
        .zip(theirs)
        .map(|(x, g)| match g {
            Json::Null => tape.constant(&tensor(x)),
            _ => tape.variable(&tensor(x)),
        })
        .collect();
    let y = forward(&model, &x);
    let outputs = expected["outputs"].as_array().expect("outputs");
    assert_eq!(y.len(), outputs.len(), "{case}: number of outputs");
    let mut loss = tape.constant(&Tensor::scalar(0.0));
    for (i, y) in y.iter().enumerate() {
        assert_near(&format!("{case}, output {i}"), &y.value(), &tensor(&outputs[i]));
        loss = loss + (y * &tensor(&expected["weights"][i])).sum();
    }

    let mut wrt = Vec::new();
    for (i, theirs) in theirs.iter().enumerate().filter(|(_, theirs)| !theirs.is_null()) {
        wrt.push((format!("input {i}"), x[i], tensor(theirs)));
    }
    for (name, theirs) in expected["parameter_grads"].as_object().expect("gradients") {
        let param = model.param(name).unwrap_or_else(|| panic!("{case}: no parameter {name}"));
        wrt.push((name.clone(), tape.param(param), tensor(theirs)));
    }
    let computed = loss.backward();
    let vars: Vec<_> = wrt.iter().map(|(_, var, _)| *var).collect();
    let recorded = grad(loss, &vars);
    for ((name, var, theirs), recorded) in wrt.iter().zip(recorded) {
        let ours = computed.wrt(*var).or_else(|| computed.named(&model, name));
        let ours = ours.unwrap_or_else(|| panic!("{case}: no gradient of {name}"));
        assert_near(&format!("{case}, gradient of {name}"), ours, theirs);
        assert_near(&format!("{case}, recorded gradient of {name}"), &recorded.value(), theirs);
    }

    let after = expected["buffers_after"].as_object().expect("buffers");
    model.visit(Path::ROOT, &mut |path, leaf| {
        let (Leaf::Buffer(buffer), name) = (leaf, path.to_string()) else { return };
        let Some(theirs) = after.get(&name) else { return };
        let new = computed.updates().iter().find(|(id, _)| *id == buffer.id());
        let ours = new.map_or(buffer.value(), |(_, value)| value);
        assert_near(&format!("{case}, {name} afterwards"), ours, &tensor(theirs));
    });
}

/// Compares a function with an edge case: its value, and the gradients of the sum of its elements by both
/// sweeps, to nine digits, and exactly on 0, inf and NaN.
#[track_caller]
pub(crate) fn agrees_at_the_edge(
    fixture: &str,
    case: &str,
    f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>,
) {
    let expected = case_of(fixture, case);
    let close = |what: &str, ours: &Tensor, theirs: &Json| {
        let theirs = nested(theirs);
        assert_eq!(ours.shape(), theirs.shape(), "{case}, {what}");
        for (&ours, &theirs) in ours.as_slice().iter().zip(theirs.as_slice()) {
            let same = ours == theirs || ours.is_nan() && theirs.is_nan();
            let near = (ours - theirs).abs() <= 1e-9 * theirs.abs() && theirs.is_finite();
            assert!(same || near, "{case}, {what}: {ours} where PyTorch has {theirs}");
        }
    };
    let tape = Tape::new();
    let inputs = expected["inputs"].as_array().expect("inputs").iter();
    let x: Vec<_> = inputs.map(|x| tape.variable(&nested(x))).collect();
    let y = f(&x);
    close("value", &y.value(), &expected["value"]);
    let (computed, recorded) = (y.sum().backward(), grad(y.sum(), &x));
    for (i, recorded) in recorded.iter().enumerate() {
        let theirs = &expected["grads_of_sum"][i];
        close(&format!("gradient {i}"), computed.wrt(x[i]).expect("a gradient"), theirs);
        close(&format!("recorded gradient {i}"), &recorded.value(), theirs);
    }
}

/// Loads parameters and buffers by name; both sides must have the same names.
fn load(case: &str, model: &mut impl Params<f64>, expected: &Json) {
    let all = ["parameters", "buffers"].map(|kind| expected[kind].as_object().expect(kind));
    let mut theirs: BTreeMap<_, _> = all.into_iter().flatten().collect();
    model.visit_mut(Path::ROOT, &mut |path, leaf| {
        let name = path.to_string();
        let value = theirs.remove(&name).unwrap_or_else(|| panic!("{case}: PyTorch has no {name}"));
        match leaf {
            wengert::LeafMut::Param(param) => param.set(tensor(value)),
            wengert::LeafMut::Buffer(buffer) => buffer.set(tensor(value)),
        }
    });
    assert!(theirs.is_empty(), "{case}: no place for {:?}", theirs.keys());
}
