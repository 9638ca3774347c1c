"""Which images the rank rule can learn from."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["check_images"]


def check_images(images: Tensor, name: str = "images") -> None:
    """Raise ValueError unless all flat images, (image, input), are finite and have a pattern.

    An image of zeros gives all units the same current. One whose pixels are all equal gives them currents that say
    nothing but the sum of their weights.
    """
    if images.ndim != 2:
        raise ValueError(
            f"`{name}` has the shape {tuple(images.shape)}; it must be (image, input). Flatten each image."
        )
    if images.shape[1] < 2:
        raise ValueError(
            f"`{name}` has images of one pixel (n_features=1), which have no pattern; flatten whole images."
        )
    wrong = ~torch.isfinite(images).all(1)
    if wrong.any():
        raise ValueError(
            f"`{name}` has {int(wrong.sum())} image(s) that are not finite, the first in row {_first(wrong)}; remove "
            "or repair them."
        )
    wrong = images.amax(1) == images.amin(1)
    if wrong.any():
        row = _first(wrong)
        raise ValueError(
            f"`{name}` has {int(wrong.sum())} image(s) whose pixels are all equal, the first in row {row} with the "
            f"value {float(images[row, 0]):g}; they have no pattern. Remove them, or check how they were read."
        )


def _first(wrong: Tensor) -> int:
    return int(wrong.int().argmax())
