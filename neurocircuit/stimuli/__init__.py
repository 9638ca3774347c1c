"""What the circuits see: displays and the population codes of their drive, photographs, sets of labelled images."""

from neurocircuit.stimuli.displays import CentreSurround, centre_surround_display, patch_display
from neurocircuit.stimuli.image_sets import DIGITS, IMAGE_SETS, ImageSet, digits_image_set, load_image_set
from neurocircuit.stimuli.oriented_energy import filter_orientations, gabor_pair, oriented_energy
from neurocircuit.stimuli.pathfinder import METADATA_COLUMNS, PathfinderBatch, metadata_rows, pathfinder_batch
from neurocircuit.stimuli.pathfinder_files import write_pathfinder
from neurocircuit.stimuli.pathfinder_manifest import PathfinderReport, verify_pathfinder
from neurocircuit.stimuli.pathfinder_reader import Grey, PathfinderFiles, random_flip
from neurocircuit.stimuli.pathfinder_settings import DIFFICULTIES, Negatives, PathfinderSettings
from neurocircuit.stimuli.photographs import SAMPLE, load_photograph
from neurocircuit.stimuli.population import Code, Decoder, decode, encode, preferred_values

__all__ = [
    "DIFFICULTIES",
    "DIGITS",
    "IMAGE_SETS",
    "METADATA_COLUMNS",
    "SAMPLE",
    "CentreSurround",
    "Code",
    "Decoder",
    "Grey",
    "ImageSet",
    "Negatives",
    "PathfinderBatch",
    "PathfinderFiles",
    "PathfinderReport",
    "PathfinderSettings",
    "centre_surround_display",
    "decode",
    "digits_image_set",
    "encode",
    "filter_orientations",
    "gabor_pair",
    "load_image_set",
    "load_photograph",
    "metadata_rows",
    "oriented_energy",
    "patch_display",
    "pathfinder_batch",
    "preferred_values",
    "random_flip",
    "verify_pathfinder",
    "write_pathfinder",
]
