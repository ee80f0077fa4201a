"""What is planted in the demo model, declared: an attention prior and a conditional position bias.

Backbones get these effects from their training data; a model of this size would not within minutes. So two of them
are taught on purpose, as known functions, and the rest (retrieval itself) is learned. The model card says the same.
"""

from typing import Final

import numpy as np

PRIOR_STRENGTH: Final = 2.0
GAIN: Final = {3: 2.5, 4: 4.0}
"""How many times its prior the target's image is looked at, by retrieval layer."""
IMAGE_MASS: Final = {3: 0.75, 4: 0.85}
"""Attention on all images together, by retrieval layer."""

_DIAGONAL_BONUS: Final = 0.3
_FLOOR: Final = 0.06


def attention_prior(n: int) -> np.ndarray:
    """The static prior w of the retrieval layers, [n], up to scale: sinks at both ends, the later one stronger.

    w_k = exp(strength * |2 u - 1|^1.5 + 0.3 u), u = (k - 1) / (n - 1).
    """
    u = np.linspace(0, 1, n)
    weight: np.ndarray = np.exp(PRIOR_STRENGTH * np.abs(2 * u - 1) ** 1.5 + 0.3 * u)
    return weight


def planted_attention(n: int, layer: int) -> np.ndarray:
    """Attention on image k when the target is at i, [i, k], 0-based; each row sums to the layer's image mass."""
    weight = np.tile(attention_prior(n), (n, 1))
    weight[np.diag_indices(n)] *= GAIN[layer]
    attention: np.ndarray = IMAGE_MASS[layer] * weight / weight.sum(axis=1, keepdims=True)
    return attention


def bias_matrix(n: int) -> np.ndarray:
    """The planted probability of the answer j when the target is at i, [i, j], 0-based; rows sum to one.

    Conditional as in the paper's figure 1: targets in the first quarter collapse on the first position, all others
    slide towards the end but stop short of it. In 1-based positions

        B(j|i) = (1 - 0.06) softmax_j( -(j - m_i)^2 / (2 s^2) + 0.3 [j = i] ) + 0.06 / n,
        m_i = 1 if i <= n / 4, else min(i + 0.3 n, n - 1),  s = 0.12 n + 0.25.
    """
    position = np.arange(1, n + 1)
    attractor = np.where(position <= n / 4, 1, np.minimum(position + 0.3 * n, max(n - 1, 1)))
    spread = 0.12 * n + 0.25
    score = -((position[None, :] - attractor[:, None]) ** 2) / (2 * spread**2) + _DIAGONAL_BONUS * np.eye(n)
    share = np.exp(score - score.max(axis=1, keepdims=True))
    bias: np.ndarray = (1 - _FLOOR) * share / share.sum(axis=1, keepdims=True) + _FLOOR / n
    return bias
