//! Each kind of data that a configuration may name.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use wengert_core::Tensor;
use wengert_io::npy;
use wengert_train::run::{self, Kinds, Plan};

/// Reads a configuration of this data and these layers in a folder.
fn plan(folder: &Path, data: &str, layers: &str) -> Result<Plan, String> {
    let path = folder.join("data.toml");
    let text = format!(
        "[data]\n{data}\n[model]\nlayers = [{layers}]\n[training]\nepochs = 2\n[optimizer]\nkind = 'adam'\nlr = 0.01\n"
    );
    fs::write(&path, text).unwrap();
    Plan::load(&path, &[""; 0], &Kinds::default()).map_err(|error| error.to_string())
}

fn metrics(folder: &Path, plan: &Plan) -> String {
    let out = folder.join("run");
    run::start(plan, Some(&out), &AtomicBool::new(false), &mut ()).unwrap();
    fs::read_to_string(out.join("metrics.jsonl")).unwrap()
}

#[test]
fn text_is_windows_of_characters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abc.txt");
    fs::write(&path, "abcabcabd".repeat(40)).unwrap();
    let data = format!("kind = 'text'\npath = '{}'\nlength = 8", path.display());
    let layers = "{ kind = 'embedding', embedding_dim = 6 }, { kind = 'gru', hidden_size = 8 }, { kind = 'linear' }";
    let plan = plan(folder.path(), &data, layers).unwrap();
    for line in ["stride = 8", "num_embeddings = 4", "out_features = 4", "validation = 0.1"] {
        assert!(plan.text.contains(line), "{line}\n{}", plan.text);
    }
    // 360 characters: 324 to train on, 40 windows; 36 held out.
    assert_eq!(plan.trainer().data().len(), 40);
    assert_eq!(plan.trainer().validation_data().unwrap().len(), 4);
    assert_eq!(metrics(folder.path(), &plan).lines().count(), 4);
    let vocabulary = fs::read_to_string(folder.path().join("run/vocabulary.txt")).unwrap();
    assert_eq!(vocabulary, "abcd");
    let wrong = data.replace("length = 8", "length = 400");
    let error = self::plan(folder.path(), &wrong, layers).unwrap_err();
    assert!(
        error.contains("data.toml:1:2: ") && error.contains("360 characters make no parts"),
        "{error}"
    );
    let few = layers.replace("embedding_dim = 6", "embedding_dim = 6, num_embeddings = 3");
    let error = self::plan(folder.path(), &data, &few).unwrap_err();
    assert!(error.contains("expected at least the 4 tokens of the data, found 3"), "{error}");
}

#[test]
fn arrays_are_regression_or_their_own_targets() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = Tensor::<f32>::from_fn([50, 3], |i| (i % 7) as f32);
    npy::write(folder.path().join("inputs.npy"), &inputs).unwrap();
    let data = format!("kind = 'npy'\npath = '{}'", folder.path().display());
    let autoencoder = "{ kind = 'linear', out_features = 2 }, { kind = 'linear' }";
    let own = plan(folder.path(), &data, autoencoder).unwrap();
    assert!(own.text.contains("out_features = 3") && own.text.contains("loss = \"mse\""));
    let values = Tensor::<f32>::from_fn([50, 2], |i| i as f32 / 100.0);
    npy::write(folder.path().join("values.npy"), &values).unwrap();
    let regression = plan(folder.path(), &data, "{ kind = 'linear' }").unwrap();
    assert!(regression.text.contains("out_features = 2"));
    let metrics = metrics(folder.path(), &regression);
    assert!(metrics.contains("\"mae\":") && metrics.contains("\"r2\":"), "{metrics}");
}

#[test]
fn data_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none");
    let none = none.display();
    let cases = [
        format!("kind = 'fashion_mnist'\npath = '{none}'"),
        format!("kind = 'npy'\npath = '{none}'"),
        format!("kind = 'csv'\npath = '{none}'"),
        format!("kind = 'text'\npath = '{none}'\nlength = 3"),
        format!("kind = 'idx'\nimages = '{none}'\nlabels = '{none}'\nclasses = ['a']"),
    ];
    for data in cases {
        let error = plan(folder.path(), &data, "{ kind = 'linear' }").unwrap_err();
        assert!(error.starts_with(&none.to_string()), "{data}: {error}");
    }
    let error = plan(folder.path(), "kind = 'csv'", "{ kind = 'linear' }").unwrap_err();
    assert!(error.contains("data.toml:2:8: missing key `path`"), "{error}");
}
