"""Files of weights come back as they were, or say why not."""

import pytest
import torch
from tiny_training import classifier, same_bits, weights

from neurocircuit.training import load_weights, save_weights


def test_weights_and_metadata_survive_their_file(tmp_path):
    model, other = classifier(norm=True), classifier(norm=True, seed=1)
    metadata = {"step": 3, "description": {"name": "Mély", "sizes": [1, 2]}}
    save_weights(model, tmp_path / "new" / "w.safetensors", metadata)
    assert load_weights(other, tmp_path / "new" / "w.safetensors") == metadata
    assert same_bits(weights(model), weights(other))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["w.safetensors"]


def test_tensors_that_share_memory_can_be_saved(tmp_path):
    tied, other = (torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)) for _ in range(2))
    tied[1].weight = tied[0].weight
    save_weights(tied, tmp_path / "w.safetensors", {})
    load_weights(other, tmp_path / "w.safetensors")
    assert torch.equal(other[1].weight, tied[0].weight)


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file of weights '.*w.safetensors'"):
        load_weights(classifier(), tmp_path / "w.safetensors")
    save_weights(classifier(), tmp_path / "w.safetensors", {})
    content = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(content[:-10])
    with pytest.raises(ValueError, match=r"w.safetensors' is damaged or no safetensors file"):
        load_weights(classifier(), tmp_path / "w.safetensors")


def test_weights_of_another_model_say_what_does_not_fit(tmp_path):
    save_weights(classifier(norm=True), tmp_path / "w.safetensors", {})
    model = classifier()
    before = weights(model)
    with pytest.raises(ValueError, match=r"are of another model: the model's 4.weight is not in the file"):
        load_weights(model, tmp_path / "w.safetensors")
    assert same_bits(weights(model), before)
