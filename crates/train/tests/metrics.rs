//! Metrics, held to scikit-learn's numbers.

use serde_json::Value;
use wengert_core::Tensor;
use wengert_train::data::Targets;
use wengert_train::metrics::{self, Average, ConfusionMatrix, Metric, TopK};

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/metrics.json")).unwrap()
}

/// Reads numbers, in a list or in rows.
fn tensor(value: &Value) -> Tensor<f32> {
    let list = value.as_array().unwrap();
    let numbers = |list: &[Value]| -> Vec<f32> {
        list.iter().map(|number| number.as_f64().unwrap() as f32).collect()
    };
    match list[0].as_array() {
        None => Tensor::from_vec(numbers(list), [list.len()]),
        Some(row) => {
            let rows = list.iter().flat_map(|row| numbers(row.as_array().unwrap())).collect();
            Tensor::from_vec(rows, [list.len(), row.len()])
        }
    }
}

fn take(targets: &Targets, rows: &[usize]) -> Targets {
    let inputs = Tensor::zeros([targets.rows().unwrap(), 1]);
    wengert_train::data::Dataset::new(inputs, targets.clone()).take_rows(rows).targets
}

/// Checks each expected value, and that batches of any size give the same one to the bit.
fn check(case: &Value, output: &Tensor<f32>, targets: &Targets) {
    let rows: Vec<usize> = (0..targets.rows().unwrap()).collect();
    for (name, expected) in case["expected"].as_object().unwrap() {
        let mut metric = metrics::named(name).unwrap();
        assert!(metric.accepts(targets));
        assert!(metric.value().is_nan(), "{name} without rows is {}", metric.value());
        metric.update(output, targets);
        let value = metric.value();
        let place = format!("{name} of {}", case["name"]);
        match expected.as_f64() {
            None => assert!(value.is_nan(), "{place} is {value}"),
            Some(expected) => {
                let error = (value - expected).abs();
                assert!(
                    error <= 1e-14 + 1e-12 * expected.abs(),
                    "{place}: {value}, not {expected}"
                );
            }
        }
        for size in [1, 7, rows.len()] {
            metric.reset();
            for batch in rows.chunks(size) {
                metric.update(&output.take_rows(batch), &take(targets, batch));
            }
            assert_eq!(metric.value().to_bits(), value.to_bits(), "{place} by {size}");
        }
    }
}

#[test]
fn classification_is_that_of_scikit_learn() {
    for case in fixture()["classification"].as_array().unwrap() {
        let labels = case["labels"].as_array().unwrap();
        let labels: Vec<usize> =
            labels.iter().map(|label| label.as_u64().unwrap() as usize).collect();
        let names = (0..case["classes"].as_u64().unwrap()).map(|class| class.to_string());
        let (logits, targets) = (tensor(&case["logits"]), Targets::classes(labels, names));
        check(case, &logits, &targets);
        let mut confusion = ConfusionMatrix::default();
        confusion.update(&logits, &targets);
        assert_eq!(Value::from(confusion.rows()), case["confusion"]);
        let accuracy = case["expected"]["accuracy"].as_f64().unwrap();
        assert_eq!(confusion.accuracy(), accuracy);
        // The first of equal logits wins in both.
        let mut top_1 = TopK::new(1);
        top_1.update(&logits, &targets);
        assert_eq!(top_1.value(), accuracy);
    }
}

#[test]
fn regression_is_that_of_scikit_learn() {
    for case in fixture()["regression"].as_array().unwrap() {
        check(case, &tensor(&case["found"]), &Targets::Values(tensor(&case["values"])));
    }
}

#[test]
fn values_do_not_depend_on_the_order_of_rows() {
    for case in fixture()["regression"].as_array().unwrap() {
        let (found, values) = (tensor(&case["found"]), tensor(&case["values"]));
        let backwards: Vec<usize> = (0..values.shape()[0]).rev().collect();
        for name in ["mae", "rmse", "r2"] {
            let value = |found: &Tensor<f32>, values: &Tensor<f32>| {
                let mut metric = metrics::named(name).unwrap();
                metric.update(found, &Targets::Values(values.clone()));
                metric.value().to_bits()
            };
            let reversed = value(&found.take_rows(&backwards), &values.take_rows(&backwards));
            assert_eq!(value(&found, &values), reversed, "{name}");
        }
    }
}

#[test]
fn outputs_that_are_not_finite_are_no_good_predictions() {
    let targets = Targets::classes([0, 1, 1], ["a", "b"]);
    let logits = Tensor::from([[f32::NAN, 0.0], [0.0, 1.0], [f32::NEG_INFINITY, f32::INFINITY]]);
    let value = |name: &str| {
        let mut metric = metrics::named(name).unwrap();
        metric.update(&logits, &targets);
        metric.value()
    };
    assert_eq!(value("accuracy"), 1.0); // NaN counts as largest, as in `argmax`.
    assert!(value("roc_auc").is_nan() && value("log_loss").is_nan());
    let mut mae = metrics::named("mae").unwrap();
    mae.update(&Tensor::from([1.0, f32::INFINITY]), &Targets::Values(Tensor::from([1.0, 1.0])));
    assert_eq!(mae.value(), f64::INFINITY);
}

#[test]
fn tokens_count_one_by_one() {
    let logits = Tensor::from_fn([2, 3, 4], |i| if i % 4 == i / 4 % 4 { 5.0 } else { 0.0 });
    let tokens = Targets::Tokens([[0, 1, 2], [3, 0, 0]].into());
    let mut accuracy = metrics::named("accuracy").unwrap();
    accuracy.update(&logits, &tokens);
    assert_eq!(accuracy.value(), 5.0 / 6.0);
    let mut confusion = ConfusionMatrix::default();
    confusion.update(&logits, &tokens);
    assert_eq!((confusion.total(), confusion.names()[3].as_str()), (6, "3"));
    assert_eq!(confusion.recall(Average::Class(0)), 2.0 / 3.0);
}

#[test]
fn names_and_targets_are_checked() {
    let classes = Targets::classes([0], ["a", "b"]);
    let values = Targets::Values(Tensor::zeros([1]));
    for (name, of_classes) in [("f1_1", true), ("f1_2", false), ("mae", false), ("roc_auc", true)] {
        assert_eq!(metrics::named(name).unwrap().accepts(&classes), of_classes, "{name}");
    }
    assert!(metrics::named("r2").unwrap().accepts(&values));
    assert!(!metrics::named("perplexity").unwrap().accepts(&values));
    for name in ["", "top_", "top_0", "top_+3", "f1", "f1_", "f1_mean", "precision_-1", "auc"] {
        let error = metrics::named(name).unwrap_err().to_string();
        assert!(error.starts_with(&format!("unknown metric `{name}`")), "{error}");
    }
}

#[test]
#[should_panic = "accuracy: expected outputs of shape [2] with 3 logits each, found [2, 2]"]
fn outputs_of_another_width() {
    let mut accuracy = metrics::named("accuracy").unwrap();
    accuracy.update(&Tensor::zeros([2, 2]), &Targets::classes([0, 1], ["a", "b", "c"]));
}

#[test]
#[should_panic = "mae: expected outputs of shape [2, 3], found [2, 2]"]
fn values_of_another_shape() {
    let mut mae = metrics::named("mae").unwrap();
    mae.update(&Tensor::zeros([2, 2]), &Targets::Values(Tensor::zeros([2, 3])));
}
