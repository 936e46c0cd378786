def warmup(t, steps, factor, curve):
    rising = curve(0) * (factor + (1 - factor) * t / max(steps, 1))
    return where(t < steps, rising, curve(maximum(t - steps, 0)))


def joined(t, milestones, pieces):
    value = pieces[0](t)
    for start, piece in zip(milestones, pieces[1:]):
        value = where(t >= start, piece(maximum(t - start, 0)), value)
    return value


def half_cosine(start, end, progress):
    return end + (start - end) * (1 + cos(pi * progress)) / 2


def restarts(t, lr, t_0, t_mult, eta_min):
    if t_mult == 1:
        return half_cosine(lr, eta_min, 1.0 * (t % t_0) / t_0)
    start, period = 0, t_0
    for _ in range(40):
        later = t >= start + period
        start, period = where(later, start + period, start), where(later, period * t_mult, period)
    return half_cosine(lr, eta_min, 1.0 * (t - start) / period)


def cycle(t, total, up_share, linear, three_phase, values):
    first, peak, back, last = values
    up, down, end = up_share * total - 1, 2 * up_share * total - 2, total - 1
    phases = [(up, peak), (down, back), (end, last)] if three_phase else [(up, peak), (end, last)]
    value, begin, start = last, 0.0, first
    done = False
    for end, target in phases:
        length = end - begin
        progress = (t - begin) / length if length > 0 else 1.0
        at = start + (target - start) * progress if linear else half_cosine(start, target, progress)
        here = t <= end
        value = where(done, value, where(here, at, value))
        done = where(here, True, done)
        begin, start = end, target
    return value
