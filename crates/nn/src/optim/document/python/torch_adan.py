class Adan(Rule):
    def update(self, p, g, state, t, lr, betas, eps, weight_decay, no_prox, **_):
        b1, b2, b3 = betas
        d = g - state.get("previous_grad", g)
        m, v, n = (state.setdefault(k, torch.zeros_like(p)) for k in ("exp_avg", "exp_avg_diff", "exp_avg_sq"))
        state["previous_grad"] = g.clone()
        m.mul_(b1).add_((1 - b1) * g)
        v.mul_(b2).add_((1 - b2) * d)
        n.mul_(b3).add_((1 - b3) * (g + b2 * d) ** 2)
        w = (m / (1 - b1**t) + b2 * v / (1 - b2**t)) / ((n / (1 - b3**t)).sqrt() + eps)
        if no_prox:
            p.sub_(lr * (w + weight_decay * p))
        else:
            p.sub_(lr * w).div_(1 + lr * weight_decay)
