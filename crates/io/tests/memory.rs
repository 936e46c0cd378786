//! The memory that saving and loading take besides the model: little to save, and once the model to load.
#![allow(unsafe_code)] // An allocator is unsafe by its trait.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use wengert_core::{Param, Params, Tensor};
use wengert_io::{Load, load, load_state, npy, npz, safetensors, save, save_state};
use wengert_nn::optim::Optimizer;

/// The system's allocator, which also follows how much memory this thread holds.
struct Measuring;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn note(change: isize) {
    let held = HELD.get() + change;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call is handed to the system's allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

/// The megabytes that `f` takes at its peak, besides what is held before.
fn peak(f: impl FnOnce()) -> f64 {
    let before = HELD.get();
    PEAK.set(before);
    f();
    (PEAK.get() - before) as f64 / (1 << 20) as f64
}

/// A model of four tensors of 4 MB.
fn model() -> Vec<Param<f32>> {
    (0..4).map(|i| Param::new(Tensor::full([1 << 20], i as f32))).collect()
}

#[test]
fn files_take_little_memory_besides_what_they_hold() {
    const LITTLE: f64 = 0.5;
    let folder = tempfile::tempdir().unwrap();
    let [weights, state, array, arrays] =
        ["w.safetensors", "s.safetensors", "x.npy", "x.npz"].map(|name| folder.path().join(name));
    let (mut net, mut optimizer) = (model(), Optimizer::from_toml("kind = 'momentum'").unwrap());
    let (_, grads) = wengert_core::gradients(|tape| {
        use wengert_core::ReduceOps;
        net.iter().map(|param| tape.param(param).sum()).reduce(|a, b| a + b).unwrap()
    });
    optimizer.step(&mut net, &grads);
    drop(grads);

    let saving = peak(|| save(&weights, &net).unwrap());
    assert!(saving < LITTLE, "{saving} MB");
    let loading = peak(|| load(&weights, &mut net).unwrap());
    assert!(loading < 16.0 + LITTLE, "{loading} MB");
    let report = Load::new().lenient().file(&weights, &mut net[..1].to_vec()).unwrap();
    assert_eq!(report.unexpected, ["1", "2", "3"]);

    // The saved state is a copy of that in the optimizer.
    let saving = peak(|| save_state(&state, &optimizer, &net).unwrap());
    assert!(saving < 16.0 + LITTLE, "{saving} MB");
    let loading = peak(|| load_state(&state, &mut optimizer, &net).unwrap());
    assert!(loading < 32.0 + LITTLE, "{loading} MB");

    let writing = peak(|| npy::write(&array, net[0].value()).unwrap());
    assert!(writing < LITTLE, "{writing} MB");
    let reading = peak(|| drop(npy::read::<f32>(&array).unwrap()));
    assert!(reading < 4.0 + LITTLE, "{reading} MB");
    let named = wengert_io::named(&net);
    let writing = peak(|| npz::write(&arrays, &named).unwrap());
    assert!(writing < LITTLE, "{writing} MB");
    let reading = peak(|| drop(npz::Archive::open(&arrays).unwrap().array::<f32>("1").unwrap()));
    assert!(reading < 4.0 + LITTLE, "{reading} MB");
    let reading = peak(|| drop(safetensors::read::<f32>(&weights).unwrap()));
    assert!(reading < 16.0 + LITTLE, "{reading} MB");
    assert_eq!(net.param_count(), 4 << 20);
}

#[test]
fn a_header_of_many_tensors_takes_a_few_times_its_size() {
    let names: Vec<_> = (0..50_000).map(|i| format!("layers.{i}.weight")).collect();
    let tensors = names.into_iter().map(|name| (name, Tensor::<f32>::scalar(1.0))).collect();
    let bytes = safetensors::to_bytes(&tensors).unwrap();
    drop(tensors);
    let mut model = vec![Param::new(Tensor::<f32>::zeros([2]))];
    let megabytes = bytes.len() as f64 / (1 << 20) as f64;
    let loading = peak(|| drop(Load::new().bytes(&bytes, &mut model).unwrap_err()));
    assert!(loading < 8.0 * megabytes, "{loading} MB for {megabytes} MB");
}
