//! Memory: a steady step does not allocate, long chains neither recurse nor overflow the stack, and
//! the resident set stays where it is.

use std::sync::mpsc;
use std::thread;

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::prelude::*;

mod allocations;
use allocations::{ALLOCATIONS, LIVE, PEAK};

struct Net {
    hidden: Linear,
    output: Linear,
}
params! { Net { hidden, output } }

impl Module for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.output.forward(self.hidden.forward(x).relu()).sigmoid()
    }
}

impl Net {
    fn new(sizes: [usize; 3]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut linear = |from, to| Linear::new(sizes[from], sizes[to], &mut rng);
        Self { hidden: linear(0, 1), output: linear(1, 2) }
    }

    fn gradients(&self, x: &Tensor, y: &Tensor) -> Gradients {
        gradients(|tape| self.forward(tape.constant(x)).half_sse(y)).1
    }

    /// Plain gradient descent, in place.
    fn descend(&mut self, gradients: &Gradients) {
        self.for_each_param_mut(&mut |_, param| {
            let place = gradients.find(param.id(), 0).expect("a gradient");
            let g = gradients.as_slice()[place].1.as_slice();
            let x = param.value_mut().as_mut_slice();
            x.iter_mut().zip(g).for_each(|(x, g)| *x -= 0.01 * g / 2.0);
        });
    }
}

fn tiny() -> (Net, Tensor, Tensor) {
    (Net::new([2, 3, 2]), tensor![[0.1, -0.2], [-0.1, 0.2]], tensor![[0.0, 1.0], [1.0, 0.0]])
}

#[test]
fn after_warm_up_a_training_step_allocates_nothing() {
    let (mut net, x, y) = tiny();
    let mut step = || {
        let gradients = net.gradients(&x, &y);
        net.descend(&gradients);
    };
    (0..10).for_each(|_| step());
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| step());
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in a hundred steps");
}

#[test]
fn boxed_modules_and_labels_do_not_allocate_either() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let net = Sequential::new()
        .then(Linear::new(2, 3, &mut rng))
        .then(Tanh)
        .then(Linear::new(3, 2, &mut rng));
    let (x, labels) = (tensor![[0.1, -0.2], [-0.1, 0.2]], Indices::from([1, 0]));
    let step = || drop(gradients(|tape| net.forward(tape.constant(&x)).cross_entropy(&labels)));
    (0..10).for_each(|_| step());
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| step());
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in a hundred steps");
}

#[test]
fn gradients_of_no_parameters_do_not_take_the_place_of_others() {
    let (mut net, x, y) = tiny();
    let mut step = || {
        let gradients = net.gradients(&x, &y);
        (0..4).for_each(|_| drop(Gradients::from_params(Vec::new())));
        net.descend(&gradients);
    };
    (0..10).for_each(|_| step());
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| step());
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in a hundred steps");
}

#[test]
fn layers_that_enlarge_and_reduce_planes_do_not_allocate_either() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let pool = Pooling::new(2).dilation(2).ceil_mode(true);
    let net = Sequential::new()
        .then(ConvTranspose2d::new(1, 2, 3, ConvOptions::new().stride(2), &mut rng))
        .then(MaxPool2d::new(pool))
        .then(Upsample::new(2).mode(UpsampleMode::Linear { align_corners: false }))
        .then(AvgPool2d::new(pool));
    let x = Tensor::ones([2, 1, 3, 3]);
    let step = || drop(gradients(|tape| net.forward(tape.constant(&x)).square().sum()));
    (0..10).for_each(|_| step());
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| step());
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in a hundred steps");
}

#[test]
fn a_program_that_runs_again_allocates_nothing() {
    let (mut net, x, y) = tiny();
    let mut step = Program::<Net, (Tensor, Tensor)>::new(|net, _, (x, y)| {
        net.forward(x).half_sse(y) + net.forward(x.to_variable()).square().sum()
    });
    // Run 128 records again.
    (0..130).for_each(|_| net.descend(step.gradients(&net, (&x, &y)).1));
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| net.descend(step.gradients(&net, (&x, &y)).1));
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in a hundred steps");
    let mut output = Program::<Net, Tensor>::new(|net, _, x| net.forward(x));
    (0..130).for_each(|_| drop(output.evaluate(&net, &x)));
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| drop(output.evaluate(&net, &x)));
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in a hundred evaluations");
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert!(ALLOCATIONS.get() > before);
}

/// Runs `f` on a stack on which a recursion of a million would not fit, nor one of ten thousand.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(f)
        .expect("a thread")
        .join()
        .expect("an end");
}

const LONG: usize = 1_000_000;

#[test]
fn a_chain_of_a_million_operations_runs_backward_and_drops() {
    on_a_small_stack(|| {
        let w = Param::new(Tensor::scalar(1.0));
        let (loss, gradients) =
            gradients(|tape| (0..LONG).fold(tape.param(&w), |x, _| x + 1.0).sum());
        assert_eq!(loss, 1.0 + LONG as f32);
        assert_eq!(gradients.get(&w).expect("a gradient").item(), 1.0);
    });
}

#[test]
fn a_chain_of_a_hundred_thousand_operations_is_differentiated_by_a_recorded_sweep() {
    on_a_small_stack(|| {
        let tape = Tape::new();
        let x = tape.variable(&Tensor::scalar(1.0));
        let y = (0..100_000).fold(x, |y, _| -y);
        assert_eq!(grad(y.square(), &[x])[0].item(), 2.0);
    });
}

/// The resident set in bytes.
fn resident() -> usize {
    status("VmRSS:")
}

/// A figure of this process in bytes.
fn status(figure: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a system with /proc");
    let line = status.lines().find(|line| line.starts_with(figure)).expect("the figure");
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok());
    kib.expect("a number") * 1024
}

/// Runs a test of this file in a process of its own, where no other test moves the resident set.
fn alone(test: &str, f: impl FnOnce()) {
    const CHILD: &str = "WENGERT_MEMORY_TEST";
    if std::env::var_os(CHILD).is_some() {
        return f();
    }
    let program = std::env::current_exe().expect("this program");
    let output = std::process::Command::new(program)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{test} did not run");
}

const TOLERANCE: usize = 1 << 20;

#[test]
#[cfg(target_os = "linux")]
fn ten_thousand_steps_leave_memory_where_step_one_hundred_had_it() {
    alone("ten_thousand_steps_leave_memory_where_step_one_hundred_had_it", || {
        let (mut net, x, y) = tiny();
        let mut early = 0;
        for step in 0..10_000 {
            let gradients = net.gradients(&x, &y);
            net.descend(&gradients);
            if step == 100 {
                early = resident();
            }
        }
        let late = resident();
        assert!(late <= early + TOLERANCE, "from {early} to {late} bytes");
    });
}

/// The largest resident set of this process so far, in bytes.
fn largest_resident() -> usize {
    status("VmHWM:")
}

const MIB: usize = 1 << 20;

/// Each layer, followed by the positive part.
fn forward<'t>(layers: &[Linear], x: Var<'t>) -> Var<'t> {
    layers.iter().fold(x, |x, layer| layer.forward(x).relu())
}

/// Forty layers over 10,000 rows of 256 numbers: each value takes 10 MB, and all that are recorded 800 MB.
fn deep_net() -> (Vec<Linear>, Tensor) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    ((0..40).map(|_| Linear::new(256, 256, &mut rng)).collect(), Tensor::ones([10_000, 256]))
}

#[test]
#[cfg(target_os = "linux")]
fn an_evaluation_takes_the_memory_of_its_widest_part() {
    alone("an_evaluation_takes_the_memory_of_its_widest_part", || {
        let (layers, x) = deep_net();
        let before = resident();
        let y = evaluate(|tape| forward(&layers, tape.constant(&x)));
        // Read in the middle, as for an accuracy beside a loss.
        let mut largest = 0.0;
        let z = evaluate(|tape| {
            let y = forward(&layers, tape.constant(&x));
            largest = y.value().max().item();
            y.mean()
        });
        assert!((y.mean().item() - z.item()).abs() < 1e-6 && largest >= z.item());
        let taken = largest_resident() - before;
        assert!(taken < 64 * MIB, "{} MiB", taken / MIB);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn temporary_recordings_leave_no_memory_behind() {
    alone("temporary_recordings_leave_no_memory_behind", || {
        let tape = wengert::seeded::<f32>(0).tape();
        let x = tape.constant(&Tensor::ones([64, 32]));
        let labels = Indices::from(vec![1; 64]);
        let run = || {
            let loss = || {
                let noise = tape.random([64, 32], wengert::Random::Normal);
                (x + noise).cross_entropy(&labels)
            };
            for _ in 0..3000 {
                let y = tape.temporarily(loss);
                tape.temporarily(|| {
                    let model = Param::new(Tensor::ones([64, 32]));
                    tape.bind(&model, x * y);
                    _ = tape.param(&model).sum().item();
                });
            }
        };
        run();
        let before = resident();
        run();
        // The 3,000 losses that were kept take less than a MiB.
        assert!(resident() <= before + 2 * MIB, "from {before} to {} bytes", resident());
    });
}

/// The MiB that this thread holds.
fn live() -> usize {
    LIVE.get().max(0) as usize / MIB
}

#[test]
fn the_memory_of_large_tensors_goes_back() {
    drop(Tensor::zeros([600, 1 << 18]));
    assert!(live() < 1, "{} MiB", live());
    // 64 tensors of 8 to 20 MiB: 0.9 GiB.
    let mib = |i: usize| 8 + i * 12 / 63;
    let tensors = (0..64).map(|i| Tensor::zeros([mib(i), 1 << 18])).collect::<Vec<_>>();
    let needed = (0..64).map(mib).sum::<usize>();
    assert!(live() < needed + needed / 15, "{} MiB for {needed} MiB", live());
    drop(tensors);
    assert!(live() <= 64, "{} MiB", live());
    wengert::empty_cache();
    assert!(live() < 1, "{} MiB", live());
}

#[test]
fn the_memory_of_one_large_step_goes_back() {
    let (mut net, x, y) = tiny();
    let mut steps = |count: usize| {
        for _ in 0..count {
            let gradients = net.gradients(&x, &y);
            net.descend(&gradients);
        }
    };
    steps(10);
    let w = Param::new(Tensor::scalar(1.0));
    // A million nodes; then four values of 64 MiB, at two steps.
    drop(gradients(|tape| (0..LONG).fold(tape.param(&w), |x, _| x + 1.0).sum()));
    assert!(live() <= 80, "{} MiB", live());
    let large = Tensor::zeros([64, 1 << 18]);
    for _ in 0..2 {
        drop(gradients(|tape| (tape.constant(&large) * &w).exp().square().sum()));
    }
    drop(large);
    assert!(live() > 128, "a second step of this size finds the memory of the first");
    steps(60);
    assert!(live() <= 80, "{} MiB", live());
    wengert::empty_cache();
    assert!(live() < 1, "{} MiB", live());
    steps(10);
}

#[test]
fn a_step_ends_with_its_tape_and_with_a_temporary_recording() {
    fn chain(tape: &Tape, mib: usize) -> Var<'_> {
        tape.constant(&Tensor::zeros([mib, 1 << 18])).neg().square().sum()
    }
    let long = Tape::new();
    let own = |mib| _ = chain(&Tape::new(), mib);
    let temporary = |mib| _ = long.temporarily(|| chain(&long, mib));
    for step in [&own as &dyn Fn(usize), &temporary] {
        wengert::empty_cache();
        (0..2).for_each(|_| step(30));
        assert!(live() > 80, "a second step of this size finds the memory of the first");
        (0..60).for_each(|_| step(1));
        assert!(live() <= 65, "{} MiB", live());
    }
}

/// The MiB that this thread holds at most while `f` runs, more than before.
fn peak(f: impl FnOnce()) -> usize {
    wengert::empty_cache();
    let before = LIVE.get();
    PEAK.set(before);
    f();
    (PEAK.get() - before) as usize / MIB
}

#[test]
fn a_sweep_drops_the_values_that_it_has_passed() {
    // Values of 40 MiB, and as much for gradients.
    let x = Tensor::ones([4, 1 << 18]);
    let weights = (0..10).map(|_| Param::new(x.clone())).collect::<Vec<_>>();
    let taken = peak(|| {
        drop(gradients(|tape| weights.iter().fold(tape.constant(&x), |x, w| x * w).mean()));
    });
    assert!(taken < 60, "{taken} MiB");
}

#[test]
fn a_temporary_recording_of_a_program_drops_its_values() {
    // Ten recordings with values of 8 MiB.
    let (w, x) = (Param::new(Tensor::scalar(2.0)), Tensor::ones([4, 1 << 18]));
    let mut step = Program::<Param, Tensor>::new(|w, tape, x| {
        let mut sum = tape.constant(&Tensor::scalar(0.0));
        for _ in 0..10 {
            sum = tape.temporarily(|| (x.neg() * 2.0).sum() + sum);
        }
        sum * w
    });
    // Recorded, recorded again to compare, and run.
    for run in 1..4 {
        let taken = peak(|| _ = step.gradients(&w, &x));
        assert!(taken < 24, "run {run}: {taken} MiB");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn batches_of_random_sizes_take_little_more_than_the_largest() {
    alone("batches_of_random_sizes_take_little_more_than_the_largest", || {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let layers = (0..10).map(|_| Linear::new(64, 64, &mut rng)).collect::<Vec<_>>();
        let step = |batch: usize| {
            let x = Tensor::ones([batch, 64]);
            drop(gradients(|tape| forward(&layers, tape.constant(&x)).square().sum()));
        };
        let before = resident();
        (0..3).for_each(|_| step(20_000));
        let largest = resident() - before;
        assert!(largest > 100 * MIB, "{} MiB", largest / MIB);
        (0..30).for_each(|i| step(1 + i * 7919 % 20_000));
        let taken = largest_resident() - before;
        // Twice the largest step, and what the allocator cannot join.
        assert!(2 * taken < 5 * largest, "{} MiB for {} MiB", taken / MIB, largest / MIB);
    });
}

#[test]
fn after_warm_up_an_evaluation_allocates_nothing_alone_and_between_steps() {
    let (net, x, y) = tiny();
    let evaluation = || drop(evaluate(|tape| net.forward(tape.constant(&x))));
    let step = || drop(net.gradients(&x, &y));
    for between in [false, true] {
        let run = || {
            evaluation();
            if between {
                step();
            }
        };
        (0..10).for_each(|_| run());
        let before = ALLOCATIONS.get();
        (0..100).for_each(|_| run());
        assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in a hundred evaluations");
    }
}

#[test]
fn after_warm_up_a_long_recording_allocates_nothing() {
    let w = Param::new(Tensor::scalar(1.0));
    // Longer than what is kept after a single one.
    let step = || {
        drop(gradients(|tape| (0..20_000).fold(tape.param(&w), |x, _| x + 1.0).sum()));
    };
    (0..5).for_each(|_| step());
    let before = ALLOCATIONS.get();
    (0..5).for_each(|_| step());
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in five steps");
}

#[test]
#[cfg(target_os = "linux")]
fn gradients_that_a_worker_makes_and_the_main_thread_drops_do_not_pile_up() {
    alone("gradients_that_a_worker_makes_and_the_main_thread_drops_do_not_pile_up", || {
        // 64 x 256 and 256 x 64 weights: 128 KiB of gradients at each step, 256 MiB if all stayed.
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (x, y) = (Tensor::randn([4, 64], &mut rng), Tensor::randn([4, 64], &mut rng));
        let net = Net::new([64, 256, 64]);
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::scope(|scope| {
            scope.spawn(|| {
                let sender = sender;
                for _ in 0..2000 {
                    sender.send(net.gradients(&x, &y)).expect("a receiver");
                }
            });
            let mut early = 0;
            for (step, gradients) in receiver.iter().enumerate() {
                assert!(gradients.is_finite());
                drop(gradients);
                if step == 100 {
                    early = resident();
                }
            }
            let late = resident();
            assert!(late <= early + TOLERANCE, "from {early} to {late} bytes");
        });
    });
}

/// One array of the size of the whole for each slice of it would make the memory grow with the square.
#[test]
fn recorded_derivatives_of_slices_take_linear_memory() {
    type Recorded = for<'t> fn(Var<'t>, Var<'t>) -> Var<'t>;
    let derivatives: [(&str, Recorded); 4] = [
        ("grad", |x, loss| grad(loss, &[x])[0]),
        ("grad of grad", |x, loss| grad(grad(loss, &[x])[0].square().sum(), &[x])[0]),
        ("jvp", |x, loss| jvp(loss, &[x], &[x])),
        ("hvp", |x, loss| hvp(loss, &[x], &[x])[0]),
    ];
    for (name, derivative) in derivatives {
        let bytes = [100, 400].map(|n| {
            let tape = Tape::new();
            let x = tape.variable(&Tensor::ones([n, 64]));
            let rows =
                (0..n).map(|i| if i % 2 == 0 { x.narrow(0, i, 1) } else { x.index_select(0, [i]) });
            let rows = rows.map(|row| row.sin()).collect::<Vec<_>>();
            let all = Var::concat(&rows, 0);
            let before = LIVE.get();
            derivative(x, (all * all.square()).sum());
            LIVE.get() - before
        });
        let growth = bytes[1] as f64 / bytes[0] as f64;
        assert!(growth < 6.0, "{name}: {bytes:?}"); // 4, and what lists have in reserve; 16 if each slice made an array
    }
}
