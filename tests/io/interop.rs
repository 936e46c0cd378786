//! Files from PyTorch and NumPy, and files for them. `tests/interop/weights.py` wrote the former and checks
//! the latter; all are in `tests/fixtures/interop`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wengert::f64::prelude::*;
use wengert::io::{self, Load, load, load_state, load_state_lenient, npy, npz, save, save_state};
use wengert::prelude as single;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/interop").join(name)
}

struct Conv {
    weight: Param,
    bias: Param,
}
params! { Conv { weight, bias } }

struct Norm {
    weight: Param,
    bias: Param,
    running_mean: Buffer,
    running_var: Buffer,
    num_batches_tracked: Buffer,
}
params! { Norm { weight, bias, running_mean, running_var, num_batches_tracked } }

/// The net of `weights.py`, with its parameter names.
struct Net {
    conv: Conv,
    norm: Norm,
    head: Linear,
}
params! { Net { conv, norm, head } }

impl Module<f64> for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let channels = |x: &Tensor| x.reshape([8, 1, 1]);
        let x = x.reshape([x.shape()[0], 1, 8, 8]);
        let options = ConvOptions::new().padding(1);
        let x = x.conv2d_with_bias(&self.conv.weight, &self.conv.bias, options);
        let Norm { weight, bias, running_mean, running_var, .. } = &self.norm;
        let x = (x - &channels(running_mean.value()))
            / &channels(running_var.value()).add_scalar(1e-5).sqrt();
        let x = x * &channels(weight.value()) + &channels(bias.value());
        self.head.forward(x.relu().max_pool2d(2).flatten_axes(1, -1))
    }
}

/// A net with weights of its own, the same on every machine.
fn net() -> Net {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut draw = |shape: &[usize], low, high| Tensor::uniform(shape, low, high, &mut rng);
    Net {
        conv: Conv {
            weight: draw(&[8, 1, 3, 3], -0.5, 0.5).into(),
            bias: draw(&[8], -0.5, 0.5).into(),
        },
        norm: Norm {
            weight: draw(&[8], 0.5, 1.5).into(),
            bias: draw(&[8], -0.5, 0.5).into(),
            running_mean: Buffer::new(draw(&[8], -0.5, 0.5)),
            running_var: Buffer::new(draw(&[8], 0.5, 1.5)),
            num_batches_tracked: Buffer::new(Tensor::scalar(3.0)),
        },
        head: Linear::from_tensors(draw(&[10, 128], -0.2, 0.2), Some(draw(&[10], -0.2, 0.2))),
    }
}

fn logits(net: &Net, x: &Tensor) -> Tensor {
    evaluate(|tape| net.forward(tape.constant(x)))
}

#[track_caller]
fn agrees(found: &Tensor, expected: &Tensor) {
    assert_eq!(found.shape(), expected.shape());
    let error = (found - expected).abs().max().item();
    assert!(error < 1e-12, "{error:e}");
}

#[test]
fn weights_from_pytorch_give_the_logits_of_pytorch() {
    let expected = io::safetensors::read(fixture("from_pytorch_logits.safetensors")).unwrap();
    let mut net = net();
    load(fixture("from_pytorch.safetensors"), &mut net).unwrap();
    agrees(&logits(&net, &expected["x"]), &expected["logits"]);
    // Five times thirty batches: an I64 in the file.
    assert_eq!(net.norm.num_batches_tracked.value().item(), 150.0);

    // F16 and BF16, under the names of a model that PyTorch wrapped.
    let half = fixture("from_pytorch_half.safetensors");
    let error = load(&half, &mut net).unwrap_err().to_string();
    assert!(error.contains("missing: conv.weight, conv.bias") && error.contains("module."));
    let report = Load::new().drop_prefix("module.").file(&half, &mut net).unwrap();
    assert!(report.is_complete());
    agrees(&logits(&net, &expected["x"]), &expected["logits_half"]);
}

/// `WENGERT_WRITE=1 cargo test --test io --features io` writes the files, and `weights.py check` reads them
/// in PyTorch. Without the variable the test checks that it would write the same files.
#[test]
fn weights_for_pytorch_are_the_files_that_pytorch_has_checked() {
    let write = std::env::var_os("WENGERT_WRITE").is_some();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| if write { fixture(name) } else { folder.path().join(name) };
    let same = |name: &str| {
        let (new, kept) = (std::fs::read(place(name)), std::fs::read(fixture(name)));
        assert!(new.unwrap() == kept.unwrap(), "{name}");
    };

    let (mut net, x) = (net(), Tensor::from_fn([4, 64], |i| (i % 7) as f64 / 7.0));
    save(place("wengert.safetensors"), &net).unwrap();
    same("wengert.safetensors");
    npy::write(place("wengert.npy"), &single::Tensor::arange(6).reshape([2, 3]).mul_scalar(0.25))
        .unwrap();
    same("wengert.npy");

    let mut arrays = BTreeMap::from([
        ("x".to_owned(), x.clone()),
        ("logits".to_owned(), logits(&net, &x)),
        ("scalar".to_owned(), Tensor::scalar(2.5)),
        ("empty".to_owned(), Tensor::zeros([0, 3])),
    ]);
    npz::write(place("wengert.npz"), &arrays).unwrap();
    // The last digits of logits depend on the processor.
    let kept = npz::read(fixture("wengert.npz")).unwrap();
    agrees(&arrays.remove("logits").unwrap(), &kept["logits"]);
    assert!(arrays.iter().all(|(name, array)| &kept[name] == array) && kept.len() == 4);

    let (_, grads) = gradients(|tape| net.forward(tape.constant(&x)).sum());
    let recipe = "kind = 'adam'\nunused_parameters = 'skip'";
    let mut optimizer = Optimizer::from_toml(recipe).unwrap();
    optimizer.step(&mut net, &grads);
    save_state(place("wengert_state.safetensors"), &optimizer, &net).unwrap();
    let kept = fixture("wengert_state.safetensors");
    let mut other = Optimizer::from_toml(recipe).unwrap();
    let restored = load_state_lenient(&kept, &mut other, &net).unwrap();
    // The weights of the normalisation are constants in this net and have no gradient.
    assert!(restored.unexpected.is_empty() && restored.shape_mismatch.is_empty());
    assert!(restored.missing.iter().all(|name| name.starts_with("norm.")), "{restored:?}");
}

#[test]
fn weights_are_no_state_of_an_optimizer() {
    let folder = tempfile::tempdir().unwrap();
    let (path, net) = (folder.path().join("weights.safetensors"), net());
    save(&path, &net).unwrap();
    let mut optimizer = Optimizer::from_toml("kind = 'adam'").unwrap();
    let error = load_state(&path, &mut optimizer, &net).unwrap_err();
    assert_eq!(error.file(), Some(&*path));
    let said = error.to_string();
    assert!(said.contains("does not fit the optimizer\n  missing: steps, skipped, conv"), "{said}");
    let io::Problem::StateMismatch(report) = error.problem() else { panic!("{said}") };
    assert!(report.unexpected.contains(&"conv.weight".to_owned()));
    let lenient = load_state_lenient(&path, &mut optimizer, &net).unwrap();
    assert_eq!(lenient, *report);
}

#[test]
fn arrays_from_numpy_are_read_exactly() {
    let grid = Tensor::arange(6).reshape([2, 3]).mul_scalar(0.25);
    let expected = [
        ("f4", grid.clone()),
        ("f8_big", grid.clone()),
        ("f4_fortran", Tensor::arange(24).reshape([2, 3, 4])),
        ("i8", tensor![-(2f64.powi(40)), 7.0]),
        ("i2_big", tensor![-300.0, 300.0]),
        ("u1", tensor![0.0, 255.0]),
        ("u8", tensor![2f64.powi(63)]),
        ("bool", tensor![1.0, 0.0]),
        ("scalar", Tensor::scalar(2.5)),
        ("empty", Tensor::zeros([0, 3])),
    ];
    let stored = npz::read::<f64>(fixture("from_numpy.npz")).unwrap();
    let deflated = npz::read::<f64>(fixture("from_numpy_compressed.npz")).unwrap();
    for (name, expected) in &expected {
        let file = fixture(&format!("from_numpy_{name}.npy"));
        assert_eq!(&npy::read::<f64>(&file).unwrap(), expected, "{name}");
        assert_eq!(npy::read::<f32>(&file).unwrap().cast(), *expected, "{name}");
        assert_eq!(&stored[*name], expected);
        assert_eq!(&deflated[*name], expected);
    }
    assert_eq!((stored.len(), deflated.len()), (expected.len() + 1, expected.len() + 1));
    for version in ["from_numpy_v2.npy", "from_numpy_v3.npy"] {
        assert_eq!(npy::read::<f64>(fixture(version)).unwrap(), grid);
    }
    // Half precision: largest, smallest, infinite, NaN, minus zero, a third.
    for half in [npy::read::<f64>(fixture("from_numpy_f2.npy")).unwrap(), stored["f2"].clone()] {
        let half = half.to_vec();
        let numbers = [0.5, -2.0, 65504.0, 2f64.powi(-24), 2f64.powi(-14), f64::INFINITY];
        assert_eq!(half[..6], numbers);
        assert!(half[6] == f64::NEG_INFINITY && half[7].is_nan());
        assert!(half[8] == 0.0 && half[8].is_sign_negative());
        assert_eq!(half[9], 1365.0 / 4096.0);
    }
    let integers = io::safetensors::read::<f64>(fixture("from_numpy.safetensors")).unwrap();
    for (name, array) in &integers {
        assert_eq!(array, &stored[name], "{name}");
    }
    assert_eq!(integers.len(), 5);
    let error = npy::read::<f32>(fixture("from_numpy_complex.npy")).unwrap_err().to_string();
    assert!(error.contains("from_numpy_complex.npy: byte 10: expected a dtype of f2"), "{error}");
    assert!(error.ends_with("found `<c8`"), "{error}");
}
