//! Every layer, loss and optimizer in a program: ten steps that are recorded once have the bits of ten recordings.

use rand::{SeedableRng, rngs::ChaCha8Rng};

macro_rules! in_precision {
    ($name:ident, $($prelude:ident)::+) => {
        mod $name {
            use super::*;
            use wengert::$($prelude)::+::*;

            /// Trains a model and a clone of it, one by recording each step and one with a program, and compares all
            /// that a step computes. The last step of three has a smaller batch.
            fn trains<M: Params<$name> + Module<$name> + Clone>(
                what: &str,
                net: M,
                recipe: &str,
                input: &[usize],
                loss: impl for<'t> Fn(Var<'t>, Var<'t>, Indices) -> Var<'t>,
            ) {
                let mut nets = [net.clone(), net];
                let mut optimizers = [0, 1].map(|_| Optimizer::from_toml(recipe).unwrap());
                let mut step = Program::<M, (Tensor, Tensor, Indices)>::new(|net, _, (x, y, labels)| {
                    loss(net.forward(x), y, labels)
                });
                for run in 0..10usize {
                    let rng = &mut ChaCha8Rng::seed_from_u64(run as u64);
                    let mut shape = input.to_vec();
                    shape[0] -= usize::from(run % 3 == 2);
                    let x = Tensor::randn(&*shape, rng);
                    let output = evaluate(|tape| nets[0].forward(tape.constant(&x))).shape();
                    let y = Tensor::uniform(output, 0.1, 0.9, rng);
                    let (rows, classes) = output.split_at(output.rank() - 1);
                    let label = |i| (i * 7 + run * 3) % classes[0];
                    let count = rows.iter().product::<usize>();
                    let labels = Indices::from_vec((0..count).map(label).collect(), rows);
                    let key = run as u64;
                    let [plain, repeated] = &mut nets;
                    let (value, grads) = seeded(key).gradients(|tape| {
                        loss(plain.forward(tape.constant(&x)), tape.constant(&y), labels.clone())
                    });
                    let (again, same) = step.seeded(key).gradients(repeated, (&x, &y, &labels));
                    assert_eq!(value.to_bits(), again.to_bits(), "{what}: the loss of run {run}");
                    assert_eq!(grads.updates().len(), same.updates().len(), "{what}");
                    optimizers[0].step(plain, &grads);
                    optimizers[1].step(repeated, same);
                    let numbers = |net: &M| {
                        let mut numbers = Vec::new();
                        net.visit(wengert::Path::ROOT, &mut |_, leaf| {
                            numbers.extend(leaf.value().as_slice().iter().map(|x| x.to_bits()));
                        });
                        numbers
                    };
                    assert!(numbers(plain) == numbers(repeated), "{what}: the model after run {run}");
                    let plain = evaluate(|tape| plain.forward(tape.constant(&x)));
                    let mut again = Program::<M, Tensor>::new(|net, _, x| net.forward(x));
                    for _ in 0..3 {
                        assert!(again.evaluate(repeated, &x) == plain, "{what}: evaluation {run}");
                    }
                }
            }

            fn learns<M: Params<$name> + Module<$name> + Clone>(what: &str, net: M, input: &[usize]) {
                trains(what, net, "kind = 'adam'\nlr = 0.01", input, |x, y, _| x.mse(y));
            }

            #[test]
            fn layers() {
                let rng = &mut ChaCha8Rng::seed_from_u64(0);
                learns("Linear", Linear::new(3, 4, rng), &[5, 3]);
                learns("Linear of sequences", Linear::new(3, 4, rng).without_bias(), &[5, 2, 3]);
                let options = ConvOptions::new().padding(1).stride(2);
                learns("Conv1d", Conv1d::new(4, 6, 3, options.groups(2), rng), &[3, 4, 9]);
                learns("Conv2d", Conv2d::new(2, 3, 3, options, rng), &[3, 2, 6, 5]);
                let transposed = options.output_padding(1);
                learns("ConvTranspose1d", ConvTranspose1d::new(4, 6, 3, transposed, rng), &[3, 4, 5]);
                learns("ConvTranspose2d", ConvTranspose2d::new(2, 3, 3, transposed, rng), &[3, 2, 3, 4]);
                learns("BatchNorm1d", BatchNorm1d::new(3), &[5, 3]);
                learns("BatchNorm2d", BatchNorm2d::new(2).momentum(None), &[4, 2, 3, 3]);
                learns("LayerNorm", LayerNorm::new([4]), &[5, 4]);
                learns("RmsNorm", RmsNorm::new([4]), &[5, 4]);
                learns("GroupNorm", GroupNorm::new(2, 4), &[5, 4, 3]);
                learns("PRelu", PRelu::new(3), &[5, 3]);
                let head = |rng: &mut _| Linear::new(4, 2, rng);
                let with = |rng: &mut _| Sequential::new().then(Linear::new(3, 4, rng));
                learns("Dropout", with(rng).then(Dropout::new(0.5)).then(head(rng)), &[5, 3]);
                let conv = Conv2d::new(2, 3, 3, ConvOptions::new(), rng);
                learns("Dropout2d", Sequential::new().then(conv.clone()).then(Dropout2d::new(0.5)), &[3, 2, 6, 5]);
                let pools = Sequential::new().then(conv).then(MaxPool2d::new(2)).then(AvgPool2d::new(2));
                learns("pooling", pools.then(Upsample::new(2)).then(Flatten::new()), &[3, 2, 10, 8]);
                let conv = Conv2d::new(2, 3, 3, ConvOptions::new(), rng);
                let ceil = Pooling::new(2).dilation(2).ceil_mode(true);
                let pools = Sequential::new().then(conv).then(MaxPool2d::new(ceil)).then(AvgPool2d::new(ceil));
                let linear = Upsample::new(2).mode(UpsampleMode::Linear { align_corners: false });
                learns("pooling in ceil mode", pools.then(linear).then(Flatten::new()), &[3, 2, 10, 8]);
                learns("a residual", Sequential::new().then(Residual::new(Linear::new(3, 3, rng))), &[5, 3]);
                learns("a frozen mode", Sequential::new().then(Linear::new(3, 3, rng)).then(EvalMode::new(BatchNorm1d::new(3))), &[5, 3]);
                learns("TransformerBlock", TransformerBlock::new(8, 2, 12, rng).causal().dropout(0.1), &[3, 4, 8]);
                let positions = Sequential::new().then(Linear::new(3, 4, rng)).then(SinusoidalPositions::new(9, 4));
                learns("SinusoidalPositions", positions, &[2, 5, 3]);
            }

            #[test]
            fn recurrent_layers() {
                let rng = &mut ChaCha8Rng::seed_from_u64(0);
                learns("Rnn", Rnn::new(3, 4, rng), &[2, 5, 3]);
                learns("Lstm", Lstm::builder(3, 4).num_layers(2).dropout(0.3).build(rng), &[2, 5, 3]);
                learns("Gru", Gru::builder(3, 4).bidirectional().build(rng), &[2, 5, 3]);
            }

            #[test]
            fn tokens() {
                let rng = &mut ChaCha8Rng::seed_from_u64(0);
                let mut weight = Embedding::new(7, 4, rng).padding_idx(0);
                let mut step = Program::<Embedding, Indices>::new(|embedding, tape, tokens| {
                    embedding.forward(tape, tokens).square().sum()
                });
                for run in 0..8 {
                    let tokens = Indices::from([run % 7, 0, 3, (run * 5) % 7]);
                    let (loss, grads) = gradients(|tape| weight.forward(tape, &tokens).square().sum());
                    let (again, same) = step.gradients(&weight, &tokens);
                    assert_eq!((loss, grads.get(&weight.weight)), (again, same.get(&weight.weight)));
                    Optimizer::from_toml("kind = 'sgd'\nlr = 0.1").unwrap().step(&mut weight, &grads);
                }
            }

            #[test]
            fn losses() {
                let rng = &mut ChaCha8Rng::seed_from_u64(0);
                let net = Linear::new(3, 4, rng);
                let of = |what: &str, loss: &dyn for<'t> Fn(Var<'t>, Var<'t>, Indices) -> Var<'t>| {
                    trains(what, net.clone(), "kind = 'sgd'\nlr = 0.05", &[5, 3], loss);
                };
                of("mse", &|x, y, _| x.mse(y));
                of("half_sse", &|x, y, _| x.half_sse(y));
                of("l1", &|x, y, _| x.l1(y));
                of("huber", &|x, y, _| x.huber(y));
                of("smooth_l1", &|x, y, _| x.smooth_l1(y));
                of("gaussian_nll", &|x, y, _| x.gaussian_nll(y, y.square()));
                of("poisson_nll", &|x, y, _| x.poisson_nll(y));
                of("cross_entropy", &|x, _, labels| x.cross_entropy(labels));
                of("cross_entropy of probabilities", &|x, y, _| x.cross_entropy(y));
                of("cross_entropy with settings", &|x, _, labels| {
                    let settings = CrossEntropy::new().ignore_index(3).label_smoothing(0.1);
                    x.cross_entropy_with(labels, settings.weight(&tensor![1.0, 0.5, 2.0, 1.0]))
                });
                of("nll", &|x, _, labels| x.log_softmax().nll_with(labels, Nll::new().ignore_index(1)));
                of("multi_margin", &|x, _, labels| {
                    x.multi_margin_with(labels, MultiMargin::new().weight(&tensor![1.0, 0.5, 2.0, 1.0]))
                });
                of("bce", &|x, y, _| x.sigmoid().bce(y));
                of("bce_with_logits", &|x, y, _| x.bce_with_logits(y));
                of("kl_div", &|x, y, _| x.log_softmax().kl_div(y));
                of("hinge", &|x, y, _| x.hinge(y - 0.5));
                of("hinge_embedding", &|x, y, _| x.hinge_embedding(y - 0.5));
                of("margin_ranking", &|x, y, _| x.margin_ranking(y, 1.0));
                of("cosine_embedding", &|x, y, _| x.cosine_embedding(y, 1.0));
                of("triplet_margin", &|x, y, _| x.triplet_margin(y, y.square()));
            }

            #[test]
            fn optimizers() {
                let rng = &mut ChaCha8Rng::seed_from_u64(0);
                let net = Sequential::new().then(Linear::new(3, 4, rng)).then(Linear::new(4, 2, rng));
                let registry = wengert::optim::Registry::default();
                for kind in registry.rules() {
                    let mut recipe = format!("kind = '{kind}'\nlr = 0.01\nclip_norm = 1.0");
                    if kind == "muon" {
                        recipe += "\n[[groups]]\nparams = '*.bias'\nkind = 'sgd'";
                    }
                    if Optimizer::from_toml(&recipe).is_ok() {
                        trains(kind, net.clone(), &recipe, &[5, 3], |x, y, _| x.mse(y));
                    }
                }
            }
        }
    };
}

in_precision!(f32, prelude);
in_precision!(f64, f64::prelude);
