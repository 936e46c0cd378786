//! Random programs of many operations, in which values are reused and broadcast: their derivatives are
//! right if those of the operations are composed correctly. 256 programs for each test; `PROPTEST_CASES`
//! sets another number.

use crate::common::{Outcome, property};
use crate::program::{Program, programs};
use wengert::core::{Param, Program as Repeated, Tape, Var};
use wengert::{
    Check, Float, Gradients, ReduceOps, Tensor, UnaryOps, check_model, grad, gradients, jvp, vjp,
};

fn every_program(check: impl Fn(&Program) -> Outcome) {
    property("a random program", programs(), |program| check(&program));
}

/// The inputs as parameters of precision `F`.
fn params<F: Float>(program: &Program) -> Vec<Param<F>> {
    program.inputs.iter().map(|x| Param::new(x.cast())).collect()
}

/// The loss and its gradients by the inputs.
fn differentiate<F: Float>(program: &Program) -> (F, Vec<Tensor<F>>) {
    let params = params(program);
    let (loss, grads) = gradients(|tape| {
        let inputs = params.iter().map(|param| tape.param(param)).collect::<Vec<_>>();
        program.run(&inputs).sum()
    });
    (loss, params.iter().map(|param| grads.get(param).expect("a gradient").clone()).collect())
}

/// A tensor of numbers without a pattern.
fn irregular(shape: wengert::Shape, key: usize) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| ((i + 1) * (key + 3)) as f64 % 1.618 - 0.7)
}

/// First and second derivatives; the checker compares the recorded sweep and forward mode, too.
#[test]
fn gradients_agree_with_finite_differences() {
    every_program(|program| {
        let checked = Check::new().gradients(|x| program.run(x), &program.inputs);
        checked.map(drop).map_err(|error| error.to_string())
    });
}

#[test]
fn a_program_in_single_precision_replays_in_double() {
    every_program(|program| {
        let params = params::<f32>(program);
        let checked = check_model(&params, |tape| {
            let inputs = params.iter().map(|param| tape.param(param)).collect::<Vec<_>>();
            program.run(&inputs)
        });
        let comparisons = checked.map_err(|error| error.to_string())?.comparisons;
        // Two orders, two directions and three comparisons for each input.
        if comparisons == 12 * params.len() { Ok(()) } else { Err("an input was left out".into()) }
    });
}

/// `<u, J v> = <J^T u, v>`.
#[test]
fn forward_and_reverse_mode_are_each_others_transpose() {
    every_program(|program| {
        let tape = Tape::new();
        let x = program.inputs.iter().map(|x| tape.variable(x)).collect::<Vec<_>>();
        let y = program.run(&x);
        let u = tape.constant(&irregular(y.shape(), 0));
        let tangent = |(i, x): (usize, &wengert::core::Var<'_, f64>)| irregular(x.shape(), i + 1);
        let v = x.iter().enumerate().map(|x| tape.constant(&tangent(x))).collect::<Vec<_>>();
        let terms = (u * jvp(y, &x, &v)).value();
        let forward = terms.as_slice().iter().sum::<f64>();
        let scale = terms.as_slice().iter().map(|term| term.abs()).sum::<f64>();
        let reverse = vjp(y, &x, u).iter().zip(&v).map(|(g, v)| (*g * v).sum().item()).sum::<f64>();
        if (forward - reverse).abs() <= 1e-12 * scale.max(1.0) {
            return Ok(());
        }
        Err(format!("forward {forward:e}, reverse {reverse:e}"))
    });
}

#[test]
fn single_precision_agrees_with_double() {
    every_program(|program| {
        let (single_loss, single) = differentiate::<f32>(program);
        let (double_loss, double) = differentiate::<f64>(program);
        let agree = |single: f32, double: f64, scale: f64| {
            (f64::from(single) - double).abs() <= 1e-5 * scale.max(1.0)
        };
        if !agree(single_loss, double_loss, double_loss.abs()) {
            return Err(format!("loss {single_loss:e} against {double_loss:e}"));
        }
        for (input, (single, double)) in single.iter().zip(&double).enumerate() {
            let (single, double) = (single.as_slice(), double.as_slice());
            let scale = double.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
            if !single.iter().zip(double).all(|(s, d)| agree(*s, *d, scale)) {
                return Err(format!("v{input}: {single:?} against {double:?}"));
            }
        }
        Ok(())
    });
}

/// Programs of the library repeat each of these programs, its gradients and their derivatives on other inputs.
#[test]
fn a_recording_runs_again_with_the_same_bits() {
    fn loss<'t, F: Float>(program: &Program, x: &[Var<'t, F>]) -> Var<'t, F> {
        let y = program.run(x).sum();
        grad(y, x).iter().fold(y, |sum, g| sum + g.square().sum())
    }
    fn repeats<F: Float>(program: &Program) -> Outcome {
        let mut params = params::<F>(program);
        let mut step = Repeated::<Vec<Param<F>>, (), F>::new(|params, tape, ()| {
            loss(program, &params.iter().map(|param| tape.param(param)).collect::<Vec<_>>())
        });
        for run in 1..=7 {
            let (value, grads) = gradients(|tape| {
                loss(program, &params.iter().map(|param| tape.param(param)).collect::<Vec<_>>())
            });
            let (again, repeated) = step.gradients(&params, ());
            let bits = |loss: F, grads: &Gradients<F>| {
                let grads = grads.as_slice().iter().flat_map(|(_, g)| g.as_slice());
                [&loss].into_iter().chain(grads).map(|x| x.to_f64().to_bits()).collect::<Vec<_>>()
            };
            if bits(value, &grads) != bits(again, repeated) {
                return Err(format!("run {run} has other bits"));
            }
            for param in &mut params {
                param.value_mut().as_mut_slice().reverse();
            }
        }
        Ok(())
    }
    every_program(|program| repeats::<f32>(program).and_then(|()| repeats::<f64>(program)));
}

#[test]
fn the_same_program_gives_the_same_bits() {
    fn bits(program: &Program) -> Vec<u32> {
        let (loss, grads) = differentiate::<f32>(program);
        let grads = grads.iter().flat_map(|g| g.as_slice()).map(|g| g.to_bits());
        [loss.to_bits()].into_iter().chain(grads).collect()
    }
    every_program(
        |program| {
            if bits(program) == bits(program) { Ok(()) } else { Err("other bits".into()) }
        },
    );
}
