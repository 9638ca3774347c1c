"""What the circuits see: displays, the population codes that turn them into a drive, and photographs."""

from neurocircuit.stimuli.displays import CentreSurround, centre_surround_display, patch_display
from neurocircuit.stimuli.oriented_energy import filter_orientations, gabor_pair, oriented_energy
from neurocircuit.stimuli.photographs import SAMPLE, load_photograph
from neurocircuit.stimuli.population import Code, Decoder, decode, encode, preferred_values

__all__ = [
    "SAMPLE",
    "CentreSurround",
    "Code",
    "Decoder",
    "centre_surround_display",
    "decode",
    "encode",
    "filter_orientations",
    "gabor_pair",
    "load_photograph",
    "oriented_energy",
    "patch_display",
    "preferred_values",
]
