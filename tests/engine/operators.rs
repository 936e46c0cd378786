//! `+ - * /` between all kinds of operands, on either side, in both precisions; and the names of both preludes.

/// The tests of one precision: `$F` is its number type, `$other` that of the other precision.
macro_rules! operators {
    ($precision:ident, $F:ident, $other:ident, $($prelude:tt)+) => {
        mod $precision {
            use $($prelude)+::*;

            /// The value of `f`, and the gradients of its sum with respect to the variable and the parameter.
            fn run(
                f: impl for<'t> Fn(Var<'t>, &Param, &Tensor) -> Var<'t>,
            ) -> (Vec<$F>, Vec<$F>, Option<Vec<$F>>) {
                let (p, c) = (Param::new(tensor![2.0, 4.0]), tensor![8.0, 0.5]);
                let tape = Tape::new();
                let x = tape.variable(&tensor![1.0, -2.0]);
                let y = f(x, &p, &c);
                let gradients = y.sum().backward();
                let by = |g: &Tensor| g.to_vec();
                (
                    y.value().to_vec(),
                    gradients.wrt(x).map(by).expect("a gradient"),
                    gradients.get(&p).map(by),
                )
            }

            #[test]
            fn a_variable_on_the_left() {
                let plain = |y: [$F; 2], g: [$F; 2]| (y.to_vec(), g.to_vec(), None);
                let both = |y: [$F; 2], g: [$F; 2], p: [$F; 2]| {
                    (y.to_vec(), g.to_vec(), Some(p.to_vec()))
                };
                assert_eq!(run(|x, _, _| x + x), plain([2.0, -4.0], [2.0, 2.0]));
                assert_eq!(run(|x, _, _| x - &x), plain([0.0, 0.0], [0.0, 0.0]));
                assert_eq!(run(|x, _, _| &x * x), plain([1.0, 4.0], [2.0, -4.0]));
                assert_eq!(run(|x, _, _| &x / &x), plain([1.0, 1.0], [0.0, 0.0]));
                assert_eq!(run(|x, p, _| x + p), both([3.0, 2.0], [1.0, 1.0], [1.0, 1.0]));
                assert_eq!(run(|x, p, _| x - p), both([-1.0, -6.0], [1.0, 1.0], [-1.0, -1.0]));
                assert_eq!(run(|x, p, _| x * p), both([2.0, -8.0], [2.0, 4.0], [1.0, -2.0]));
                assert_eq!(run(|x, p, _| x / p), both([0.5, -0.5], [0.5, 0.25], [-0.25, 0.125]));
                assert_eq!(run(|x, _, c| x + c), plain([9.0, -1.5], [1.0, 1.0]));
                assert_eq!(run(|x, _, c| x - c), plain([-7.0, -2.5], [1.0, 1.0]));
                assert_eq!(run(|x, _, c| x * c), plain([8.0, -1.0], [8.0, 0.5]));
                assert_eq!(run(|x, _, c| x / c), plain([0.125, -4.0], [0.125, 2.0]));
                assert_eq!(run(|x, _, _| x + 1.5), plain([2.5, -0.5], [1.0, 1.0]));
                assert_eq!(run(|x, _, _| x - 1.5), plain([-0.5, -3.5], [1.0, 1.0]));
                assert_eq!(run(|x, _, _| x * 1.5), plain([1.5, -3.0], [1.5, 1.5]));
                assert_eq!(run(|x, _, _| x / 2.0), plain([0.5, -1.0], [0.5, 0.5]));
                assert_eq!(run(|x, _, _| x * (3.0 as $F)), plain([3.0, -6.0], [3.0, 3.0]));
                assert_eq!(run(|x, _, _| x * (3.0 as $other)), plain([3.0, -6.0], [3.0, 3.0]));
                assert_eq!(run(|x, _, _| x / (4.0 as $other)), plain([0.25, -0.5], [0.25, 0.25]));
                assert_eq!(run(|x, _, _| -x), plain([-1.0, 2.0], [-1.0, -1.0]));
                assert_eq!(run(|x, _, _| -&x), plain([-1.0, 2.0], [-1.0, -1.0]));
            }

            #[test]
            fn a_variable_on_the_right() {
                let plain = |y: [$F; 2], g: [$F; 2]| (y.to_vec(), g.to_vec(), None);
                let both = |y: [$F; 2], g: [$F; 2], p: [$F; 2]| {
                    (y.to_vec(), g.to_vec(), Some(p.to_vec()))
                };
                assert_eq!(run(|x, p, _| p + x), both([3.0, 2.0], [1.0, 1.0], [1.0, 1.0]));
                assert_eq!(run(|x, p, _| p - x), both([1.0, 6.0], [-1.0, -1.0], [1.0, 1.0]));
                assert_eq!(run(|x, p, _| p * x), both([2.0, -8.0], [2.0, 4.0], [1.0, -2.0]));
                assert_eq!(run(|x, p, _| p / x), both([2.0, -2.0], [-2.0, -1.0], [1.0, -0.5]));
                assert_eq!(run(|x, _, c| c + x), plain([9.0, -1.5], [1.0, 1.0]));
                assert_eq!(run(|x, _, c| c - x), plain([7.0, 2.5], [-1.0, -1.0]));
                assert_eq!(run(|x, _, c| c * x), plain([8.0, -1.0], [8.0, 0.5]));
                assert_eq!(run(|x, _, c| c / x), plain([8.0, -0.25], [-8.0, -0.125]));
                assert_eq!(run(|x, _, _| 1.5 + x), plain([2.5, -0.5], [1.0, 1.0]));
                assert_eq!(run(|x, _, _| 1.5 - x), plain([0.5, 3.5], [-1.0, -1.0]));
                assert_eq!(run(|x, _, _| 1.5 * x), plain([1.5, -3.0], [1.5, 1.5]));
                assert_eq!(run(|x, _, _| 2.0 / x), plain([2.0, -1.0], [-2.0, -0.5]));
                assert_eq!(run(|x, _, _| (2.0 * x).square()), plain([4.0, 16.0], [8.0, -16.0]));
            }

            #[test]
            fn tensors_among_themselves() {
                let (a, b) = (tensor![1.0, -2.0], tensor![8.0, 0.5]);
                let c = || tensor![8.0, 0.5];
                let alike = |expected: Tensor, found: &[Tensor]| {
                    assert!(found.iter().all(|y| *y == expected), "{found:?} for {expected:?}");
                };
                alike(tensor![9.0, -1.5], &[&a + &b, &a + c(), a.clone() + &b, a.clone() + c()]);
                alike(tensor![-7.0, -2.5], &[&a - &b, &a - c(), a.clone() - &b, a.clone() - c()]);
                alike(tensor![8.0, -1.0], &[&a * &b, &a * c(), a.clone() * &b, a.clone() * c()]);
                alike(tensor![0.125, -4.0], &[&a / &b, &a / c(), a.clone() / &b, a.clone() / c()]);
                alike(tensor![2.5, -0.5], &[&a + 1.5, 1.5 + &a, 1.5 + a.clone()]);
                alike(tensor![-0.5, -3.5], &[&a - 1.5, a.clone() - 1.5]);
                alike(tensor![0.5, 3.5], &[1.5 - &a, 1.5 - a.clone()]);
                alike(tensor![1.5, -3.0], &[&a * 1.5, 1.5 * &a, a.clone() * 1.5]);
                alike(tensor![0.5, -1.0], &[&a / 2.0, a.clone() / 2.0]);
                alike(tensor![2.0, -1.0], &[2.0 / &a, 2.0 / a.clone()]);
                let p = Param::new(c());
                alike(tensor![9.0, -1.5], &[&a + &p, a.clone() + &p, &p + &a, &p + a.clone()]);
                alike(tensor![8.0, 0.5], &[a.maximum(&p), a.less(&p).where_cond(&p, &a)]);
                alike(tensor![-1.0, 2.0], &[-&a, -a]);
            }

            #[test]
            fn operands_broadcast_and_their_gradients_are_summed_back() {
                let row = Param::new(tensor![[1.0, 2.0, 3.0]]);
                let column = Param::new(tensor![[10.0], [20.0]]);
                let (loss, gradients) = gradients(|tape| (tape.param(&row) * &column + 1.0).sum());
                assert_eq!(loss, 186.0);
                assert_eq!(gradients.get(&row).unwrap(), &tensor![[30.0, 30.0, 30.0]]);
                assert_eq!(gradients.get(&column).unwrap(), &tensor![[6.0], [6.0]]);
            }

            #[test]
            fn a_model_is_written_with_the_prelude_alone() {
                use rand::{SeedableRng, rngs::ChaCha8Rng};
                struct Net {
                    layers: Vec<Linear>,
                    scale: Option<Param>,
                    mean: Buffer,
                    rate: $F,
                }
                params! { Net { layers, scale, mean; rate } }
                impl Module<$F> for Net {
                    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
                        let x = self.layers.iter().fold(x, |x, layer| layer.forward(x).tanh());
                        self.scale.as_ref().map_or(x, |scale| x * scale) * self.rate
                    }
                }
                let mut rng = ChaCha8Rng::seed_from_u64(0);
                let net = Net {
                    layers: vec![Linear::new(2, 3, &mut rng), Linear::new(3, 1, &mut rng)],
                    scale: Some(Tensor::scalar(2.0).into()),
                    mean: Buffer::new(Tensor::zeros([1])),
                    rate: 0.5,
                };
                assert_eq!(net.mean.value().item(), 0.0);
                let names = net.named_params().into_iter().map(|(name, _)| name);
                let names = names.collect::<Vec<_>>().join(" ");
                let layers = "layers.0.weight layers.0.bias layers.1.weight layers.1.bias";
                assert_eq!(names, format!("{layers} scale"));
                assert_eq!(net.param_count(), 6 + 3 + 3 + 1 + 1);
                let boxed: Box<dyn Module<$F>> = Box::new(net);
                let x = Tensor::ones([4, 2]);
                let (_, gradients): ($F, Gradients) =
                    gradients(|tape| boxed.forward(tape.constant(&x)).mse(1.0));
                assert!(gradients.missing(&boxed).is_empty());
                wengert::core::check_model(&boxed, |tape| boxed.forward(tape.constant(&x)).mse(1.0))
                    .unwrap();
            }
        }
    };
}

operators!(single, f32, f64, wengert::prelude);
operators!(double, f64, f32, wengert::f64::prelude);
