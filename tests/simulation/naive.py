"""The circuits again, from the published equations alone: numpy loops, no function of the library.

These are the references the library is tested against, so they import nothing of it.
"""

import numpy as np

PUBLISHED = {
    "drive_gain": 4.5,
    "alpha": 1.0,
    "mu": 1.0,
    "beta": 3.0,
    "nu": 0.3,
    "gamma": 1.0,
    "delta": 1.0,
    "zeta": 0.0,
    "epsilon": 0.5,
    "sigma": 0.5,
    "eta": 6.0,
    "tau": 6.0,
}
_MODES = {"zero": "constant", "reflect": "reflect", "periodic": "wrap"}


def shifted(field, half, boundary):
    """Yield (dy, dx, field moved so that the neighbour at that offset lies under every pixel)."""
    height, width = field.shape[-2:]
    margins = [(0, 0)] * (field.ndim - 2) + [(half, half), (half, half)]
    padded = np.pad(field, margins, mode=_MODES[boundary])
    for dy in range(-half, half + 1):
        for dx in range(-half, half + 1):
            yield dy, dx, padded[..., half + dy : half + dy + height, half + dx : half + dx + width]


def square_annulus(field, inner, outer, boundary):
    """Mean over the pixels of the outer square that are not in the inner one."""
    total, inside = np.zeros_like(field), inner // 2
    for dy, dx, neighbour in shifted(field, outer // 2, boundary):
        if max(abs(dy), abs(dx)) > inside:
            total = total + neighbour
    return total / (outer**2 - inner**2)


def gaussian_lags(channels, spread=0.15):
    """Weight of the channel k + lag, for every lag from 0 to K - 1."""
    position = np.linspace(0, 1, channels)
    density = np.exp(-0.5 * ((position - position[channels // 2]) / spread) ** 2)
    return np.roll(density / density.sum(), -(channels // 2))


def mix_channels(field, weights):
    """Sum over channels k + lag around the circle of channels; field [..., channel, y, x]."""
    return sum(weight * np.roll(field, -lag, axis=-3) for lag, weight in enumerate(weights))


def rectified(x):
    return np.where(x > 0, x, 0.0)


def mely_step(i, o, drive, h, sizes=(1, 9, 29), boundary="zero", lesions=(), staggered=False, **changes):
    """One Euler step of the four-pool circuit; fields [..., channel, y, x], h in ms. Returns the new (I, O)."""
    p = {**PUBLISHED, **changes}
    centre, near, far = sizes

    def facilitation(i):
        p_pool = 0.0 if "P" in lesions else square_annulus(i, centre, near, boundary)
        q_pool = 0.0 if "Q" in lesions else mix_channels(i, gaussian_lags(i.shape[-3]))
        return rectified(p["zeta"] * i + p["gamma"] * p_pool + p["delta"] * q_pool)

    u = 0.0 if "U" in lesions else o.mean(axis=-3, keepdims=True)
    t = 0.0 if "T" in lesions else square_annulus(o, near, far, boundary)
    net = p["drive_gain"] * drive - (p["alpha"] * i + p["mu"]) * u - (p["beta"] * i + p["nu"]) * t
    new_i = i + h / p["eta"] * (rectified(net) - p["epsilon"] ** 2 * i)
    new_o = o + h / p["tau"] * (facilitation(new_i if staggered else i) - p["sigma"] ** 2 * o)
    return new_i, new_o


def mely(drive, h, steps, **options):
    """States after 0, 1, ... `steps` steps from I = O = drive: two arrays [time, ...]."""
    states = [(drive, drive)]
    for _ in range(steps):
        states.append(mely_step(*states[-1], drive, h, **options))
    return np.array([s[0] for s in states]), np.array([s[1] for s in states])


def convolve(weights, field, boundary="zero"):
    """Cross-correlation with weights [post, pre, dy, dx]."""
    half = weights.shape[-1] // 2
    total = np.zeros_like(field)
    for dy, dx, neighbour in shifted(field, half, boundary):
        total = total + np.einsum("ab,...byx->...ayx", weights[:, :, dy + half, dx + half], neighbour)
    return total


def two_pools(drive, h, steps, inhibition, excitation, boundary="zero", **changes):
    """States of the two-pool reduction (Linsley et al. 2018, Eq. 1) with dense kernels, as `mely`."""
    p = {**PUBLISHED, **changes}
    states = [(drive, drive)]
    for _ in range(steps):
        h1, h2 = states[-1]
        c1, c2 = convolve(inhibition, h2, boundary), convolve(excitation, h1, boundary)
        net = p["drive_gain"] * drive - (p["alpha"] * h1 + p["mu"]) * c1
        new_h1 = h1 + h / p["eta"] * (rectified(net) - p["epsilon"] ** 2 * h1)
        states.append((new_h1, h2 + h / p["tau"] * (rectified(p["gamma"] * c2) - p["sigma"] ** 2 * h2)))
    return np.array([s[0] for s in states]), np.array([s[1] for s in states])
