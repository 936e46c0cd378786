use wengert_core::rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert_core::{Indices, Tensor, UnaryOps, profile};
use wengert_nn::*;
use wengert_train::{report, sweep};
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &*args[0] {
        "report" => {
            for d in &args[1..] {
                println!("{}", report::write(d).unwrap().display());
            }
        }
        "events" => println!("{:?}", report::tensorboard(&args[1], &args[2]).unwrap()),
        "collect" => {
            let s = sweep::Sweep::load(&args[1]).unwrap();
            let t = sweep::collect(&s, &args[2]).unwrap();
            print!("{t}");
            std::fs::write(&args[3], t.html()).unwrap();
            println!("{}", t.csv());
        }
        "profile" => {
            let rng = &mut ChaCha8Rng::seed_from_u64(0);
            let net = Sequential::<f32>::new()
                .then(Conv2d::new(1, 16, 3, wengert_core::ConvOptions::new().padding(1), rng))
                .then(Relu)
                .then(MaxPool2d::new(2))
                .then(Flatten::new())
                .then(Linear::new(16 * 14 * 14, 64, rng))
                .then(Tanh)
                .then(Linear::new(64, 10, rng));
            let x = Tensor::randn([32, 1, 28, 28], rng);
            let labels: Indices =
                Indices::from_vec((0..32).map(|i| i % 10).collect::<Vec<_>>(), [32]);
            let p = profile(|tape| net.forward(tape.constant(&x)).cross_entropy(&labels))
                .in_model(&net);
            print!("{p}");
            std::fs::write(format!("{}/step.dot", args[1]), p.dot()).unwrap();
            std::fs::write(
                format!("{}/profile.json", args[1]),
                serde_json::to_string(&report::ProfileTable::from(&p)).unwrap(),
            )
            .unwrap();
        }
        _ => panic!(),
    }
}
