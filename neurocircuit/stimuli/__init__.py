"""What the circuits see: displays and the population codes of their drive, photographs, sets of labelled images."""

from neurocircuit.stimuli.clutter import SceneBatch, clutter_scenes, render_scenes
from neurocircuit.stimuli.clutter_altered import Alteration, altered_scenes, unjittered
from neurocircuit.stimuli.clutter_draws import SceneDraws, draw_scenes
from neurocircuit.stimuli.clutter_settings import ClutterSettings
from neurocircuit.stimuli.clutter_sources import ObjectSource, embedded_source, published_source
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
    "Alteration",
    "CentreSurround",
    "ClutterSettings",
    "Code",
    "Decoder",
    "Grey",
    "ImageSet",
    "Negatives",
    "ObjectSource",
    "PathfinderBatch",
    "PathfinderFiles",
    "PathfinderReport",
    "PathfinderSettings",
    "SceneBatch",
    "SceneDraws",
    "altered_scenes",
    "centre_surround_display",
    "clutter_scenes",
    "decode",
    "digits_image_set",
    "draw_scenes",
    "embedded_source",
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
    "published_source",
    "random_flip",
    "render_scenes",
    "unjittered",
    "verify_pathfinder",
    "write_pathfinder",
]
