"""Recipes of the comparison of competing hidden units with backpropagation, by set of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from neurocircuit.checks import check_whole
from neurocircuit.plasticity.rank_rule import RankRule
from neurocircuit.training import TrainingConfig

if TYPE_CHECKING:
    from neurocircuit.plasticity.preprocessing import Centre

__all__ = [
    "HIDDEN_UNIT_RECIPES",
    "PUBLISHED_ACCURACY",
    "PUBLISHED_UNITS",
    "SMALL_LAYER",
    "ComparisonRecipe",
    "Passes",
    "comparison_recipe",
]

#: Hidden units of the published networks.
PUBLISHED_UNITS = 2000
#: Accuracies of these on the test set, by images and network: Krotov and Hopfield (2019) as secondary sources quote
#: them. Those of CIFAR-10 are of the original images.
PUBLISHED_ACCURACY: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {"mnist": {"bio": 0.9854, "bp": 0.985}, "cifar10": {"bio": 0.5075, "bp": 0.5525}}
)


@dataclass(frozen=True, kw_only=True)
class Passes:
    """How a model is trained by gradient descent: Adam on the cross-entropy, its rate falling to 0 along a cosine.

    Raises
    ------
    ValueError, TypeError
        If a number is not allowed.
    """

    epochs: int
    """Passes through the training images."""
    batch_size: int = 100
    """Images per step."""
    learning_rate: float = 1e-3
    """Step size before it falls."""
    weight_decay: float = 0.0
    """As Adam has it: added to the gradient."""

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs)
        check_whole("batch_size", self.batch_size)
        # The loop's settings check the other numbers: here, and not when the units have learned for an hour.
        self.config(self.batch_size, seed=0)

    def config(self, samples: int, seed: int, device: str = "cpu") -> TrainingConfig:
        """Return the settings of the training loop, which validates once an epoch.

        Parameters
        ----------
        samples : int
            Number of training images; at least a batch.
        seed : int
            Of the order of the images.
        device : str
            cpu, cuda or cuda:N.

        Raises
        ------
        ValueError
            If there are fewer images than one batch has.
        """
        if samples < self.batch_size:
            raise ValueError(
                f"`batch_size` is {self.batch_size}, but there are {samples} images to train on; give more images."
            )
        epoch = samples // self.batch_size
        return TrainingConfig(
            steps=self.epochs * epoch,
            evaluate_every=epoch,
            checkpoint_every=epoch,
            log_every=epoch,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule="cosine",
            seed=seed,
            device=device,
        )


@dataclass(frozen=True, kw_only=True)
class ComparisonRecipe:
    """Everything that defines a comparison but images and seed."""

    n_hidden: int = PUBLISHED_UNITS
    """Hidden units of all networks that have any."""
    rule: RankRule = field(default_factory=RankRule)
    """The rule by which BIO's hidden units learn."""
    centre: Centre = "mean image"
    """What is subtracted from an image before it is scaled to unit norm; see `CentredUnitNorm`."""
    power: float = 4.5
    """Power n of BIO's activities; the default is that of the paper's best network on MNIST."""
    random_power: float = 1.0
    """Power n of the control with random weights; larger ones make it weaker."""
    read_out: Passes = field(default_factory=lambda: Passes(epochs=30))
    """Training of the read-out of BIO and of random weights."""
    end_to_end: Passes = field(default_factory=lambda: Passes(epochs=20))
    """Training of BP."""
    linear: Passes = field(default_factory=lambda: Passes(epochs=20))
    """Training of the control without hidden layer."""
    validation: float = 0.1
    """Share of the training images that is held out; Krotov and Hopfield's notebook, like most, has a tenth."""

    def with_rule(self, **changes: Any) -> ComparisonRecipe:
        """Return the recipe with some numbers of the rule changed."""
        return replace(self, rule=replace(self.rule, **changes))

    def describe(self, *, given_units: bool = False) -> dict[str, Any]:
        """Return all settings as they can be written as JSON.

        Parameters
        ----------
        given_units : bool
            Whether the hidden units were not trained by the rule but given; then nothing is said of it but the norm,
            by which their currents are computed.
        """
        rule = {"p": self.rule.p} if given_units else asdict(self.rule)
        return {**asdict(self), "rule": rule}


#: Hidden units below which the runner-up unlearns (k = 2, as in the authors' code with 100 units), whatever the recipe
#: of a large layer has.
SMALL_LAYER = 500

# Chosen for about an hour on two slow cores. Krotov and Hopfield's best network on MNIST, as re-implementers quote it,
# has this k and learning rate, but p = 3 and n = 4.5.
_MNIST = ComparisonRecipe(
    rule=RankRule(k=7, learning_rate=4e-2, epochs=100),
    power=3.0,
    read_out=Passes(epochs=15, learning_rate=2e-3),
    end_to_end=Passes(epochs=8),
    linear=Passes(epochs=8),
)

#: Recipes by set of images.
HIDDEN_UNIT_RECIPES: Mapping[str, ComparisonRecipe] = MappingProxyType(
    {
        "mnist": _MNIST,
        # Weaker unlearning, because clothes of one kind look much alike.
        "fashion": _MNIST.with_rule(k=2, delta=0.25, learning_rate=2e-2),
        # Fewer epochs, because an image has four times the pixels.
        "cifar10": replace(_MNIST, end_to_end=Passes(epochs=6)).with_rule(k=2, epochs=30),
        "digits": replace(
            _MNIST,
            n_hidden=100,
            rule=RankRule(epochs=100, batch_size=20),
            read_out=Passes(epochs=20, learning_rate=1e-2),
            end_to_end=Passes(epochs=20, learning_rate=1e-2),
            linear=Passes(epochs=20, learning_rate=1e-2),
        ),
    }
)


def comparison_recipe(name: str, n_hidden: int | None = None) -> ComparisonRecipe:
    """Return the recipe for a set of images.

    Parameters
    ----------
    name : str
        mnist, fashion, cifar10 or digits.
    n_hidden : int, optional
        Number of hidden units in place of the recipe's; below `SMALL_LAYER` the rank k is 2.

    Raises
    ------
    ValueError
        If there is no such recipe.
    """
    if name not in HIDDEN_UNIT_RECIPES:
        raise ValueError(f"`dataset` is {name!r}; it must be one of {', '.join(HIDDEN_UNIT_RECIPES)}.")
    recipe = HIDDEN_UNIT_RECIPES[name]
    if n_hidden is None:
        return recipe
    sized = replace(recipe, n_hidden=n_hidden)
    return sized.with_rule(k=2) if n_hidden < SMALL_LAYER else sized
