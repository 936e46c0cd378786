class Lion(Rule):
    def update(self, p, g, state, t, lr, betas, weight_decay=0.0, **_):
        m = state.setdefault("exp_avg", torch.zeros_like(p))
        u = torch.sign(betas[0] * m + (1 - betas[0]) * g)
        p.sub_(lr * (u + weight_decay * p))
        m.mul_(betas[1]).add_((1 - betas[1]) * g)
