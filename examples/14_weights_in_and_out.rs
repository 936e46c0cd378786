//! Weights in files: load a file that PyTorch wrote, interrupt and resume training, save the result.
//!
//! Teaches: safetensors, renaming, partial loading, optimizer state in a file, averaged weights, `.npy`.
//! Run: `cargo run --release --features io --example 14_weights_in_and_out`

use std::error::Error;
use std::path::Path;

use wengert::io::{Load, load, load_state, named, npy, save, save_state};
use wengert::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

/// `classify` is the layer `head` of the PyTorch model in `tests/interop/weights.py`; `judge` is new.
struct Net {
    classify: Linear,
    judge: Linear,
}
params! { Net { classify, judge } }

impl Module for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.judge.forward(self.classify.forward(x).tanh())
    }
}

fn net(seed: u64) -> Net {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Net { classify: Linear::new(128, 10, &mut rng), judge: Linear::new(10, 1, &mut rng) }
}

fn train(net: &mut Net, optimizer: &mut Optimizer, x: &Tensor, steps: usize) -> f32 {
    let mut last = f32::NAN;
    for _ in 0..steps {
        let (loss, grads) = gradients(|tape| (net.forward(tape.constant(x)) - 1.0).square().mean());
        optimizer.step(net, &grads);
        last = loss;
    }
    last
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("wengert_{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = run(&folder);
    std::fs::remove_dir_all(&folder)?;
    done
}

fn run(folder: &Path) -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("tests/fixtures/interop/from_pytorch.safetensors");

    // A strict load refuses a file that does not fit, lists the names, and leaves the net as it was.
    let mut net = net(0);
    let error = load(&file, &mut net).expect_err("the file has other names");
    let message = error.to_string().replace(&*root.to_string_lossy(), ".");
    println!("A strict load is refused, as expected:\n  {}\n", message.replace('\n', "\n  "));

    // A lenient load takes the tensors that fit, here under another name, and reports the rest.
    let report = Load::new().lenient().rename("head.*", "classify.*").file(&file, &mut net)?;
    assert_eq!(report.missing, ["judge.weight", "judge.bias"]);
    assert!(
        report.shape_mismatch.is_empty() && report.unexpected.contains(&"conv.weight".to_owned())
    );

    // Six steps: once without a break, once saved after three and resumed by a new net and optimizer.
    let x = Tensor::from_fn([8, 128], |i| (i % 11) as f32 / 11.0);
    let recipe = "kind = 'adam'\nlr = 0.01\nema = 0.9";
    let mut optimizer = Optimizer::from_toml(recipe)?;
    train(&mut net, &mut optimizer, &x, 3);
    save(folder.join("weights.safetensors"), &net)?;
    save_state(folder.join("state.safetensors"), &optimizer, &net)?;
    let loss = train(&mut net, &mut optimizer, &x, 3);

    let mut resumed = self::net(1);
    load(folder.join("weights.safetensors"), &mut resumed)?;
    let mut again = Optimizer::from_toml(recipe)?;
    load_state(folder.join("state.safetensors"), &mut again, &resumed)?;
    let loss_again = train(&mut resumed, &mut again, &x, 3);
    println!("loss after six steps: {loss} without a break, {loss_again} resumed");
    assert_eq!(named(&resumed), named(&net));
    assert_eq!(loss, loss_again);

    // Averaged weights are saved like any others. NumPy reads single tensors as .npy.
    let averages = folder.join("averages.safetensors");
    optimizer.with_ema(&mut net, |net| save(&averages, net))?;
    load(&averages, &mut resumed)?;
    assert_ne!(named(&resumed), named(&net));
    npy::write(folder.join("judge.npy"), net.judge.weight.value())?;
    assert_eq!(&npy::read(folder.join("judge.npy"))?, net.judge.weight.value());
    println!(
        "PyTorch's weights were loaded, and resumed training gave the same bits in every weight."
    );
    Ok(())
}
