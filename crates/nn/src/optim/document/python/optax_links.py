def clip_norm(max_norm):
    """optax.clip_by_global_norm as PyTorch scales: `max_norm / (norm + 1e-6)`, at most 1."""

    def update(updates, state, params=None):
        scale = minimum(1.0, max_norm / (optax.global_norm(updates) + 1e-6))
        return jax.tree.map(lambda g: scale * g, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def clip_tensor_norm(max_norm):
    def update(updates, state, params=None):
        scaled = lambda g: minimum(1.0, max_norm / (jnp.sqrt(jnp.sum(g * g)) + 1e-6)) * g
        return jax.tree.map(scaled, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def ema(decay):
    """Averages the parameters after the step; stands behind the rate."""

    def update(updates, state, params=None):
        count, average = state
        share = where(count == 0, 0.0, decay)
        mean = lambda a, p, u: share * a + (1 - share) * (p + u)
        return updates, (count + 1, jax.tree.map(mean, average, params, updates))

    return optax.GradientTransformation(lambda params: (jnp.zeros([], int), jax.tree.map(jnp.zeros_like, params)), update)
