//! Random calls of the tensor API, with ordinary and with extreme arguments, on tensors and on variables of both
//! precisions.
//!
//! A call may return or panic with a message of the library that names the operation, at the line of the call. All else
//! is a defect: a panic at a line of the library, a message of Rust itself (an index out of bounds, an overflow), an
//! abort, a call that takes seconds. `fuzz_targets/calls.rs` draws the bytes with libFuzzer; `tests/engine/random_calls.rs`
//! draws them from a seed.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use wengert::core::ops;
use wengert::{
    BinaryOps, ConvOptions, Float, IndexOps, Indices, LinalgOps, MatmulOps, MovementOps, OrderOps,
    Padding, Pooling, ReduceOps, Shape, Tape, Tensor, UnaryOps, Value, WindowOps, einsum,
};

/// Sizes are small or so large that no machine has the memory: nothing in between fills it.
const HUGE: [usize; 12] = [
    1 << 50,
    1 << 58,
    (1 << 59) + 1,
    1 << 60,
    (1 << 60) - 1,
    1 << 62,
    isize::MAX as usize,
    1 << 63,
    (1 << 63) + 1,
    0xAAAA_AAAA_AAAA_AAAB,
    usize::MAX - 1,
    usize::MAX,
];

/// Arguments read from bytes; zeros after the last.
struct Arguments<'a>(&'a [u8]);

impl Arguments<'_> {
    fn byte(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Mostly 0 to 5, sometimes huge.
    fn size(&mut self) -> usize {
        match self.byte() {
            byte @ ..=229 => usize::from(byte) % 6,
            byte => HUGE[usize::from(byte) % HUGE.len()],
        }
    }

    fn pair(&mut self) -> [usize; 2] {
        [self.size(), self.size()]
    }

    /// Mostly -4 to 4, sometimes extreme.
    fn signed(&mut self) -> isize {
        match self.byte() {
            byte @ ..=229 => isize::from(byte) % 9 - 4,
            byte => [isize::MIN, isize::MIN + 1, isize::MAX, isize::MAX - 1][usize::from(byte) % 4],
        }
    }

    fn axis(&mut self) -> isize {
        match self.byte() {
            byte @ ..=249 => isize::from(byte) % 6 - 3,
            _ => self.signed(),
        }
    }

    fn number(&mut self) -> f64 {
        let extremes =
            [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300, -1e-300, 1e38];
        match self.byte() {
            byte @ ..=199 => f64::from(byte) / 50.0 - 2.0,
            byte => extremes[usize::from(byte) % extremes.len()],
        }
    }

    fn extents(&mut self) -> Vec<usize> {
        let rank = match self.byte() {
            byte @ ..=249 => usize::from(byte) % 5,
            byte => usize::from(byte) % 10,
        };
        (0..rank).map(|_| self.size()).collect()
    }

    /// Some indices, most of them small, of a shape with as many elements.
    fn indices(&mut self) -> Indices {
        let [a, b] = [self.below(4), self.below(4)];
        let shape = if self.flag() { Shape::from([a, b]) } else { Shape::from([a * b]) };
        Indices::from_vec((0..a * b).map(|_| self.size()).collect(), shape)
    }

    fn tensor<F: Float>(&mut self) -> Tensor<F> {
        let extents = self.extents();
        let first = self.number();
        Tensor::from_fn(&extents[..], |i| F::of(first + i as f64))
    }

    fn pooling(&mut self) -> Pooling {
        let window = Pooling::new(self.pair()).padding(self.pair()).count_include_pad(self.flag());
        let window = window.ceil_mode(self.flag());
        let window = if self.flag() { window } else { window.dilation(self.pair()) };
        if self.flag() { window } else { window.stride(self.pair()) }
    }

    fn convolution(&mut self) -> ConvOptions {
        let options = ConvOptions::new().stride(self.pair()).dilation(self.pair());
        let padding = match self.below(3) {
            0 => Padding::Valid,
            1 => Padding::Same,
            _ => Padding::By(self.pair()),
        };
        let groups = if self.below(3) > 0 { 1 } else { self.size() };
        options.padding(padding).groups(groups)
    }
}

/// One call on tensors alone: making, reading, printing.
fn on_tensor<F: Float>(args: &mut Arguments<'_>, x: &Tensor<F>) -> Tensor<F> {
    match args.below(18) {
        0 => args.tensor(),
        1 => Tensor::from_vec(vec![F::ONE; args.below(9)], &args.extents()[..]),
        2 => Tensor::full(&args.extents()[..], F::of(args.number())),
        3 => Tensor::eye(args.size()),
        4 => Tensor::arange(args.size()),
        5 => Tensor::linspace(args.number(), args.number(), args.size()),
        6 => Tensor::one_hot(args.indices(), args.size()),
        7 => Tensor::scalar(x.at(&args.extents())),
        8 => Tensor::scalar(x.item()),
        9 => x.take_rows(&args.extents()),
        10 => x.cast::<f32>().cast(),
        11 => {
            Tensor::scalar(F::of(x.argmax_axis(args.axis(), args.flag()).as_slice().len() as f64))
        }
        12 => {
            Tensor::scalar(F::of(x.argmin_axis(args.axis(), args.flag()).as_slice().len() as f64))
        }
        13 => {
            let text = if args.flag() { format!("{x:?}") } else { format!("{x:.2}") };
            assert!(text.len() < 100_000, "{} characters", text.len());
            x.clone()
        }
        14 => {
            let mut y = x.clone();
            y.as_mut_slice().iter_mut().for_each(|y| *y = F::ONE);
            y
        }
        15 => Tensor::scalar(F::of(f64::from(u8::from(x.is_finite())))),
        16 => {
            x.argmax().as_slice().iter().map(|&i| F::of(i as f64)).next().unwrap_or(F::ZERO).into()
        }
        _ => args.tensor(),
    }
}

/// One call on tensors or variables: `x` and `y` are operands.
fn on_value<V: Value>(args: &mut Arguments<'_>, x: &V, y: &V, z: &V) -> V {
    let first = |parts: Vec<V>| parts.into_iter().next().unwrap_or_else(|| x.clone());
    match args.below(90) {
        0 => x.reshape(&args.extents()[..]),
        1 => x.reshape([args.signed(), args.signed()]),
        2 => x.reshape([-1, args.signed(), args.signed()]),
        3 => x.flatten(),
        4 => x.flatten_axes(args.axis(), args.axis()),
        5 => x.squeeze([args.axis(), args.axis()]),
        6 => x.squeeze(args.axis()),
        7 => x.unsqueeze(args.axis()),
        8 => x.expand(&args.extents()[..]),
        9 => x.permute([args.axis(), args.axis()]),
        10 => x.permute([args.axis(), args.axis(), args.axis()]),
        11 => x.transpose(args.axis(), args.axis()),
        12 => x.narrow(args.axis(), args.size(), args.size()),
        13 => V::concat(&[x.clone(), y.clone(), z.clone()][..args.below(4)], args.axis()),
        14 => V::stack(&[x.clone(), y.clone(), x.clone()][..args.below(4)], args.axis()),
        15 => x.slice(args.axis(), args.signed()..args.signed()),
        16 => x.slice(args.axis(), args.signed()..=args.signed()),
        17 => x.slice(args.axis(), args.signed()..),
        18 => x.slice_step(args.axis(), ..args.signed(), args.size()),
        19 => first(x.split(&args.extents(), args.axis())),
        20 => {
            // An axis of 2^50 empty slices would be cut into as many parts.
            let (count, axis) = (args.size(), args.axis());
            let long = x.shape().iter().any(|&extent| extent > 1000);
            if long { x.clone() } else { first(x.chunk(count, axis)) }
        }
        21 => x.flip([args.axis(), args.axis()]),
        22 => x.roll(args.signed(), args.axis()),
        23 => x.pad(args.axis(), args.size(), args.size(), args.number()),
        24 => x.pad_reflect(args.axis(), args.size(), args.size()),
        25 => x.pad_replicate(args.axis(), args.size(), args.size()),
        26 => x.repeat([args.size(), args.size()]),
        27 => x.repeat([args.size(), args.size(), args.size()]),
        28 => x.tril(args.signed()),
        29 => x.triu(args.signed()),
        30 => x.diag(args.signed()),
        31 => x.clone() + y,
        32 => x.clone() - y,
        33 => x.clone() * y,
        34 => x.clone() / y,
        35 => x.maximum(y),
        36 => x.pow(y),
        37 => x.greater(y).where_cond(y, z),
        38 => x.masked_fill(y, args.number()),
        39 => x.matmul(y),
        40 => x.matmul_transposed(y),
        41 => x.linear(y, z),
        42 => x.dot(y),
        43 => x.outer(y),
        44 => einsum("ij,jk->ik", &[x.clone(), y.clone()]),
        45 => einsum("...i,...i->...", &[x.clone(), y.clone()]),
        46 => einsum("ii->i", std::slice::from_ref(x)),
        47 => einsum("aij,akj,b->bik", &[x.clone(), y.clone(), z.clone()]),
        48 => x.sum_axes([args.axis(), args.axis()], args.flag()),
        49 => x.mean_axes(args.axis(), args.flag()),
        50 => x.max_axes(args.axis(), args.flag()),
        51 => x.min_axes([args.axis(), args.axis()], args.flag()),
        52 => x.prod_axes([args.axis(), args.axis()], args.flag()),
        53 => x.var_axes(args.axis(), args.size(), args.flag()),
        54 => x.std_axes(args.axis(), args.size(), args.flag()),
        55 => x.norm_axes(args.number(), args.axis(), args.flag()),
        56 => x.logsumexp_axes(args.axis(), args.flag()),
        57 => x.softmax_axis(args.axis()),
        58 => x.cumsum(args.axis()) + x.cumprod(args.axis()),
        59 => x.sum() + x.mean() + x.norm(2.0),
        60 => x.pick(args.indices()),
        61 => x.gather(args.axis(), args.indices()),
        62 => x.scatter_add(args.axis(), args.indices(), y),
        63 => x.index_select(args.axis(), args.indices()),
        64 => x.index_add(args.axis(), args.indices(), y),
        65 => x.embedding(args.indices(), Some(args.size())),
        66 => match images(args, x) {
            _ if args.flag() => x.conv1d(y, args.convolution()),
            [x, w, _] => x.squeeze(2).conv1d(w.squeeze(2), args.convolution()),
        },
        67 => match images(args, x) {
            _ if args.flag() => x.conv2d(y, args.convolution()),
            [x, w, _] => x.conv2d(w, args.convolution()),
        },
        68 => match images(args, x) {
            _ if args.flag() => x.conv2d_with_bias(y, z, args.convolution()),
            [x, w, bias] => x.conv2d_with_bias(w, bias, args.convolution()),
        },
        69 => x.max_pool1d(args.pooling()),
        70 => x.max_pool2d(args.pooling()),
        71 => x.avg_pool2d(args.pooling()),
        72 => x.adaptive_max_pool2d(args.pair()),
        73 => x.adaptive_avg_pool2d(args.pair()),
        74 => x.upsample_nearest1d(args.size()),
        75 => x.upsample_nearest2d(args.pair()),
        76 => x.sort(args.axis(), args.flag()) + x.cummax(args.axis()),
        77 => x.topk(args.size(), args.axis(), args.flag()),
        78 => x.sort_by(y, args.axis(), args.flag()),
        79 => x.solve(y),
        80 => x.solve_triangular(y, args.flag()),
        81 => x.inv() + x.cholesky(),
        82 => x.det() * x.slogdet().1,
        83 => x.qr().0.matmul(x.qr().1),
        84 => x.eigh().1 * x.eigvalsh(),
        85 => x.upsample_linear1d(args.size(), args.flag()),
        86 => x.upsample_bilinear2d(args.pair(), args.flag()),
        87 => match images(args, x) {
            [x, w, _] => x.squeeze(2).conv_transpose1d(
                w.squeeze(2).transpose(0, 1),
                args.convolution().output_padding(args.size()),
            ),
        },
        88 => match images(args, x) {
            [x, w, _] => x.conv_transpose2d(
                w.transpose(0, 1),
                args.convolution().output_padding(args.pair()),
            ),
        },
        _ => function(args, x),
    }
}

/// Images, kernels and a bias of one group, which mostly fit each other; they depend on `x`.
fn images<V: Value>(args: &mut Arguments<'_>, x: &V) -> [V; 3] {
    let (n, c, o) = (args.size(), args.size(), args.size());
    let [[h, w], [kh, kw]] = [args.pair(), [1 + args.below(3), 1 + args.below(3)]];
    let of = |extents: &[usize]| x.constant_like(Shape::new(extents), 0.5) * x.sum();
    [of(&[n, c, h, w]), of(&[o, c, kh, kw]), of(&[o])]
}

/// A function of each element, with any constant.
fn function<V: Value>(args: &mut Arguments<'_>, x: &V) -> V {
    match args.below(12) {
        0 => x.powf(args.number()),
        1 => x.powi(i32::from(args.byte()) - 128),
        2 => x.powi(i32::MIN),
        3 => x.clamp(args.number(), args.number()),
        4 => x.ln(),
        5 => x.sqrt(),
        6 => x.tanh(),
        7 => x.gelu(),
        8 => x.clone() * args.number() + args.number(),
        9 => V::apply(ops::NormPow { exponent: args.number() }, [x]),
        10 => x.stop_gradient(),
        _ => x.relu().exp(),
    }
}

/// A panic: its message and where it was.
struct Told {
    message: String,
    file: String,
    line: u32,
}

thread_local! {
    static TOLD: RefCell<Option<Told>> = const { RefCell::new(None) };
    static LISTENING: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs one call; `None` if it was refused.
///
/// # Panics
/// If the call shows a defect.
fn checked<R>(call: impl FnOnce() -> R) -> Option<R> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !LISTENING.with_borrow(|listening| *listening) {
                return usual(info);
            }
            let text = info.payload().downcast_ref::<String>().cloned();
            let text = text.or_else(|| info.payload().downcast_ref().copied().map(str::to_owned));
            let (file, line) = info.location().map_or(("", 0), |at| (at.file(), at.line()));
            let told = Told { message: text.unwrap_or_default(), file: file.to_owned(), line };
            TOLD.set(Some(told));
        }));
    });
    LISTENING.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    LISTENING.set(false);
    if let Ok(result) = outcome {
        return Some(result);
    }
    let Told { message, file, line } = TOLD.take().expect("the hook saw the panic");
    let operation = message.split(':').next().unwrap_or_default();
    let named = operation != message
        && !operation.is_empty()
        && operation.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let refused = named && file.ends_with("calls.rs");
    let memory = message.starts_with("no memory for a tensor of shape");
    assert!(refused || memory, "{file}:{line}: {message}");
    None
}

/// The most elements that a value may have to stay among the operands.
const KEPT: usize = 5000;

/// Runs calls until the arguments end; returns their number.
fn on_tensors<F: Float>(args: &mut Arguments<'_>) -> usize {
    let mut values = vec![Tensor::from_fn([2, 3], |i| F::of(i as f64 - 2.0)); 3];
    let mut calls = 0;
    while !args.0.is_empty() {
        let [x, y, z] = [args.below(3), args.below(3), args.below(3)];
        let alone = args.below(4) == 0;
        let value = checked(|| match alone {
            true => on_tensor(args, &values[x]),
            false => on_value(args, &values[x], &values[y], &values[z]),
        });
        calls += 1;
        if let Some(value) = value.filter(|value| value.numel() <= KEPT) {
            values[z] = value;
        }
    }
    calls
}

/// Runs calls on variables until the arguments end, then differentiates the last value, twice.
fn on_variables<F: Float>(args: &mut Arguments<'_>) -> usize {
    let tape = Tape::new();
    let leaf = tape.variable(&Tensor::from_fn([2, 3], |i| F::of(i as f64 - 2.0)));
    let mut values = [leaf; 3];
    let (mut last, mut calls) = (leaf, 0);
    while !args.0.is_empty() && calls < 12 {
        let [x, y, z] = [args.below(3), args.below(3), args.below(3)];
        let fresh = args.below(6) == 0;
        let value = checked(|| match fresh {
            true => tape.variable(&args.tensor()),
            false => on_value(args, &values[x], &values[y], &values[z]),
        });
        calls += 1;
        if let Some(value) = value.filter(|value| value.shape().numel() <= KEPT) {
            (values[z], last) = (value, value);
        }
    }
    checked(|| {
        let loss = last.sum();
        drop(loss.backward());
        let gradients = wengert::grad(loss + leaf.sum(), &[leaf]);
        drop(gradients[0].square().sum().backward());
    });
    calls + 1
}

/// Runs the calls that these bytes stand for; returns their number.
///
/// # Panics
/// If a call shows a defect.
pub fn calls(bytes: &[u8]) -> usize {
    let mut args = Arguments(bytes);
    match args.below(4) {
        0 => on_tensors::<f32>(&mut args),
        1 => on_tensors::<f64>(&mut args),
        2 => on_variables::<f32>(&mut args),
        _ => on_variables::<f64>(&mut args),
    }
}
