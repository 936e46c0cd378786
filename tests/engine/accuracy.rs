//! The relative errors of functions and losses over all magnitudes, against 80 digits of `tests/interop/sweep.py`. The
//! table of `docs/accuracy.md` bounds them; with `WENGERT_TABLE=1` and `--nocapture` the test prints the measured ones.

use std::collections::BTreeMap;

use wengert::core::{self, Float};
use wengert::{BinaryOp, Loss, Op, ReduceOps, Reduction, Tape, UnaryOp, Value, ops};

const PAGE: &str = include_str!("../../docs/accuracy.md");
const FIXTURE: &str = include_str!("../fixtures/sweep.txt");

/// Rows of numbers: the arguments, the exact value, the exact derivatives.
type Rows = Vec<Vec<f64>>;

/// The rows of each function in the fixture.
fn fixture() -> BTreeMap<&'static str, Rows> {
    let functions = FIXTURE.split("# ").skip(1).map(|function| {
        let (name, rows) = function.split_once('\n').expect("rows");
        let number = |x: &str| x.parse().expect("a number");
        (name, rows.lines().map(|row| row.split(' ').map(number).collect()).collect())
    });
    functions.collect()
}

/// The largest relative error among the numbers whose exact value is normal in this precision.
fn worst<F: Float>(found: &[F], exact: impl Iterator<Item = f64>) -> f64 {
    let (least, most) = match F::NAME {
        "f32" => (f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX)),
        _ => (f64::MIN_POSITIVE, f64::MAX),
    };
    let pairs = found.iter().zip(exact).filter(|(_, exact)| (least..=most).contains(&exact.abs()));
    let error = |(found, exact): (&F, f64)| ((found.to_f64() - exact) / exact).abs();
    // NaN counts as the largest.
    pairs.map(error).fold(0.0, |worst, error| if error <= worst { worst } else { error })
}

/// The errors of a value and of its derivatives by each argument, which are the first columns of `rows`.
fn errors<F: Float, const N: usize>(
    rows: &Rows,
    f: impl for<'t> Fn([core::Var<'t, F>; N]) -> core::Var<'t, F>,
) -> Vec<f64> {
    let column = |k: usize| core::Tensor::from_fn([rows.len()], |i| F::of(rows[i][k]));
    let tape = Tape::new();
    let x: [_; N] = std::array::from_fn(|k| tape.variable(&column(k)));
    let y = f(x);
    let gradients = y.sum().backward();
    let mut errors = vec![worst(y.value().as_slice(), rows.iter().map(|row| row[N]))];
    for (k, x) in x.into_iter().enumerate() {
        let gradient = gradients.wrt(x).expect("a gradient").clone();
        errors.push(worst(gradient.as_slice(), rows.iter().map(|row| row[N + 1 + k])));
    }
    errors
}

/// The errors of all functions by name: value and derivatives in `f32`, then in `f64`.
struct Measured {
    fixture: BTreeMap<&'static str, Rows>,
    errors: BTreeMap<String, Vec<f64>>,
}

impl Measured {
    fn measure<const N: usize>(&mut self, op: impl Op<N>) {
        let name = format!("{op:?}").split(' ').next().expect("a name").to_owned();
        let Some(rows) = self.fixture.remove(&*name) else { return };
        let single = errors::<f32, N>(&rows, |x| Value::apply(op.clone(), x.each_ref()));
        let double = errors::<f64, N>(&rows, |x| Value::apply(op.clone(), x.each_ref()));
        self.errors.insert(name, [single, double].concat());
    }
}

impl ops::Visitor for Measured {
    fn unary<E: UnaryOp>(&mut self, op: E, _: (f64, f64), _: &[f64]) {
        self.measure(op);
    }
    fn binary<B: BinaryOp>(&mut self, op: B, _: [(f64, f64); 2], _: bool) {
        self.measure(op);
    }
}

/// The loss of each element.
fn loss<'t, F: Float>(name: &str, x: core::Var<'t, F>) -> core::Var<'t, F> {
    use Reduction::None;
    let of = |x: f64| x;
    match name {
        "mse" => x.mse_with(of(0.0), None),
        "huber" => x.huber_with(of(0.0), None),
        "bce 0" => x.bce_with(of(0.0), None),
        "bce 1" => x.bce_with(of(1.0), None),
        "bce_with_logits 0" => x.bce_with_logits_with(of(0.0), None),
        "bce_with_logits 1" => x.bce_with_logits_with(of(1.0), None),
        "bce_with_logits 0.25" => x.bce_with_logits_with(of(0.25), None),
        "gaussian_nll of 1" => centre(x, 1.0).gaussian_nll_with(of(0.0), x, None),
        "gaussian_nll of 1e15" => centre(x, 1e15).gaussian_nll_with(of(0.0), x, None),
        _ => panic!("no loss {name}"),
    }
}

fn centre<'t, F: Float>(x: core::Var<'t, F>, at: f64) -> core::Var<'t, F> {
    x.constant_like(x.shape(), at)
}

#[test]
fn errors_are_within_the_table() {
    let mut measured = Measured { fixture: fixture(), errors: BTreeMap::new() };
    ops::visit_unary(&mut measured);
    ops::visit_binary(&mut measured);
    // What is left is no operation.
    for (name, rows) in &measured.fixture {
        let single = errors::<f32, 1>(rows, |[x]| loss(name, x));
        let double = errors::<f64, 1>(rows, |[x]| loss(name, x));
        measured.errors.insert((*name).to_owned(), [single, double].concat());
    }
    if std::env::var_os("WENGERT_TABLE").is_some() {
        for (name, errors) in &measured.errors {
            let cells = errors.iter().map(|error| format!("{error:.0e} | ")).collect::<String>();
            println!("| {name} | {}", cells.trim_end());
        }
    }
    let (page, _) =
        PAGE.split_once("## Every number of single precision").expect("a table of another kind");
    let lines = page.lines().filter(|line| line.starts_with("| ")).filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let name = cells.next()?;
        let bounds = cells.map(str::parse).collect::<Result<Vec<f64>, _>>().ok()?;
        Some((name, bounds))
    });
    let bounds = lines.collect::<BTreeMap<_, _>>();
    for (name, errors) in &measured.errors {
        let bounds = bounds.get(&**name).unwrap_or_else(|| panic!("no line for {name}"));
        assert_eq!(bounds.len(), errors.len(), "{name}");
        let within = errors.iter().zip(bounds).all(|(error, bound)| error <= bound);
        assert!(within, "{name}: measured {errors:?}, documented {bounds:?}");
    }
    assert_eq!(bounds.len(), measured.errors.len());
}
