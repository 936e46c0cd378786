class Muon(Rule):
    """torch.optim.Muon without its rounding to bf16."""

    def update(self, p, g, state, t, lr, momentum, nesterov, ns_coefficients, eps, ns_steps, adjust_lr_fn, weight_decay, **_):
        b = state.setdefault("momentum_buffer", torch.zeros_like(p))
        b.lerp_(g, 1 - momentum)
        x = g.lerp(b, momentum) if nesterov else b
        tall = x.size(0) > x.size(1)
        x = x.T if tall else x
        x = x / x.norm().clamp(min=eps)
        k, l, m = ns_coefficients
        for _ in range(ns_steps):
            gram = x @ x.T
            x = k * x + (l * gram + m * gram @ gram) @ x
        x = x.T if tall else x
        rows, columns = p.shape
        scale = {
            "original": max(1, rows / columns) ** 0.5,
            "match_rms_adamw": 0.2 * max(rows, columns) ** 0.5,
            "spectral_unclamped": (rows / columns) ** 0.5,
        }[adjust_lr_fn]
        p.sub_(lr * (scale * x + weight_decay * p))
