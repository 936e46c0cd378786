class Recipe:
    """Makes the steps of the recipe: `recipe = Recipe(model)`, then after each backward pass `recipe.step()`."""

    def __init__(self, model):
        self.steps, self.waiting, self.sums, self.skipped = 0, 0, {}, 0
        self.plans = [dict(plan, names=[], params=[]) for plan in PLANS]
        for name, p in model.named_parameters():
            groups = (i for i, plan in enumerate(PLANS) if any(matches(name, text) for text in plan["names"]))
            plan = self.plans[next(groups, len(PLANS) - 1)]
            plan["names"].append(name)
            plan["params"].append(p)
        for plan in self.plans:
            if plan["rule"] and plan["params"]:
                settings = {key: at(value, 0) for key, value in plan["settings"].items()}
                plan["optimizer"] = plan["rule"](plan["params"], **settings)
                plan["average"] = {}

    def trained(self):
        return [(plan, [p for p in plan["params"] if p.grad is not None]) for plan in self.plans if "optimizer" in plan]

    @torch.no_grad()
    def step(self):
        trained = self.trained()
        if not self.accepts(trained) or not self.is_due(trained):
            return
        t = self.steps
        norm = None
        if any(kind == "clip_norm" for plan, _ in trained for kind, _ in plan["before"]):
            for plan, params in trained:
                if any(kind == "clip_norm" for kind, _ in plan["before"]):
                    self.transform(plan["before"], params, t, until="clip_norm")
            norm = torch.nn.utils.get_total_norm([p.grad for _, params in trained for p in params])
        for plan, params in trained:
            rest = plan["before"]
            clips = [i for i, (kind, _) in enumerate(rest) if kind == "clip_norm"]
            if clips:
                torch.nn.utils.clip_grads_with_norm_(params, at(rest[clips[0]][1], t), norm)
                rest = rest[clips[0] + 1 :]
            self.transform(rest, params, t)
            for group in plan["optimizer"].param_groups:
                group.update({key: at(value, t) for key, value in plan["settings"].items()})
                decay = at(plan["decay"], t)
                if decay:
                    for p in params:
                        p.mul_(1 - group["lr"] * decay)
            plan["optimizer"].step()
            if plan["ema"] is not None:
                decay, average = at(plan["ema"], t), plan["average"]
                for p in params:
                    average[p] = decay * average[p] + (1 - decay) * p if p in average else p.clone()
        self.steps += 1

    def transform(self, transforms, params, t, until=None):
        for kind, value in transforms:
            if kind == until:
                return
            value = at(value, t)
            if kind == "clip_value":
                torch.nn.utils.clip_grad_value_(params, value)
            for p in params:
                if kind == "clip_tensor_norm":
                    p.grad.mul_(min(1.0, value / (p.grad.norm().item() + 1e-6)))
                elif kind == "maximize":
                    p.grad.neg_()
                elif kind == "weight_decay":
                    p.grad.add_(p, alpha=value)

    def accepts(self, trained):
        if UNUSED_PARAMETERS == "error" and any(len(params) < len(plan["params"]) for plan, params in trained):
            raise ValueError("no gradient arrived at a parameter")
        if NON_FINITE == "ignore" or all(p.grad.isfinite().all() for _, params in trained for p in params):
            return True
        if NON_FINITE == "error":
            raise ValueError("a gradient is not finite")
        self.skipped += 1
        return False

    def is_due(self, trained):
        if ACCUMULATE == 1:
            return True
        self.waiting += 1
        for p in (p for _, params in trained for p in params):
            self.sums[p] = self.sums[p] + p.grad if p in self.sums else p.grad.clone()
        if self.waiting < ACCUMULATE:
            return False
        for p, total in self.sums.items():
            p.grad = total / self.waiting
        self.waiting, self.sums = 0, {}
        return True

    def evaluated(self):
        """Returns the values for evaluation, by name."""
        values = {}
        for plan in self.plans:
            for name, p in zip(plan["names"], plan["params"]):
                values[name] = p.detach()
                optimizer = plan.get("optimizer")
                if hasattr(optimizer, "evaluated") and p in optimizer.state:
                    values[name] = optimizer.evaluated(p, at(plan["settings"]["betas"], max(self.steps - 1, 0)))
                if "average" in plan and p in plan["average"]:
                    values[name] = plan["average"][p]
        return values


def at(value, t):
    """Returns a setting at step `t`, counted from 0."""
    if isinstance(value, tuple):
        return tuple(at(element, t) for element in value)
    return value(t) if callable(value) else value


def matches(name, pattern):
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None
