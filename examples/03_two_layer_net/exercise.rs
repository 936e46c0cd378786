//! An exercise with published results: one update of a two-layer net by gradient descent.

use wengert::f64::prelude::*;

/// `sigmoid(relu(x W1 + b1) W2 + b2)`, with matrices `[inputs, outputs]`.
pub struct Net {
    pub w1: Param,
    pub b1: Param,
    pub w2: Param,
    pub b2: Param,
}

params! { Net { w1, b1, w2, b2 } }

impl Module<f64> for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let hidden = (x.matmul(&self.w1) + &self.b1).relu();
        (hidden.matmul(&self.w2) + &self.b2).sigmoid()
    }
}

/// Updates every parameter: `W := W - eta * gradient / n_examples`.
pub fn update(grads: &Gradients, eta: f64, params: &mut impl Params<f64>, n_examples: usize) {
    params.for_each_param_mut(&mut |name, w| {
        let gradient = grads.get(w).unwrap_or_else(|| panic!("{name} has no gradient"));
        let step = gradient * (eta / n_examples as f64);
        w.set(w.value() - step);
    });
}

/// Returns the net before the update: standard normal draws of NumPy with seed 0, and zero biases.
pub fn net() -> Net {
    let w1 = tensor![
        [1.764052345967664, 0.4001572083672233, 0.9787379841057392],
        [2.240893199201458, 1.8675579901499675, -0.977277879876411]
    ];
    let w2 = tensor![
        [0.9500884175255894, -0.1513572082976979],
        [-0.10321885179355784, 0.41059850193837233],
        [0.144043571160878, 1.454273506962975]
    ];
    let (b1, b2) = (Tensor::zeros([3]), Tensor::zeros([2]));
    Net { w1: Param::new(w1), b1: Param::new(b1), w2: Param::new(w2), b2: Param::new(b2) }
}

/// Returns the two training examples and their targets.
pub fn batch() -> (Tensor, Tensor) {
    (tensor![[0.1, -0.2], [-0.1, 0.2]], tensor![[0.0, 1.0], [1.0, 0.0]])
}

/// Returns the net after one update with eta = 0.01.
pub fn updated() -> Net {
    let (mut net, (x, y)) = (net(), batch());
    let (_, grads) = gradients(|tape| net.forward(tape.constant(&x)).half_sse(&y));
    update(&grads, 0.01, &mut net, 2);
    net
}

/// Returns W1, b1, W2 and b2 after the update as published, with eight or nine digits.
pub fn expected() -> [Tensor; 4] {
    [
        tensor![[1.76399035, 0.4001897, 0.97879742], [2.2410172, 1.86749301, -0.97739675]],
        tensor![0.00061999, -0.0003249, 0.00059436],
        tensor![[0.95023747, -0.15153479], [-0.10303594, 0.41038059], [0.14385645, 1.45441192]],
        tensor![-8.94551854e-05, -1.81529826e-04],
    ]
}
