class ScheduleFreeAdamW(Rule):
    def update(self, p, g, state, t, lr, betas, eps, weight_decay, r, weight_lr_power, **_):
        z = state.setdefault("z", p.clone())
        v = state.setdefault("exp_avg_sq", torch.zeros_like(p))
        v.mul_(betas[1]).add_((1 - betas[1]) * g * g)
        d = g / ((v / (1 - betas[1] ** t)).sqrt() + eps) + weight_decay * p
        w = t**r * lr**weight_lr_power
        state["weight_sum"] = state.get("weight_sum", 0.0) + w
        c = w / state["weight_sum"] if state["weight_sum"] > 0 else 0.0
        p.lerp_(z, c).add_(d, alpha=lr * (betas[0] * (1 - c) - 1))
        z.sub_(lr * d)

    @torch.no_grad()
    def evaluated(self, p, betas):
        z = self.state[p]["z"]
        return z + (p - z) / betas[0]
