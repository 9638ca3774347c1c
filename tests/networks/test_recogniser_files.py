"""Files of recurrent recognisers keep what they hold, and files that do not fit are refused."""

from __future__ import annotations

import io
from dataclasses import replace
from http.client import IncompleteRead
from urllib.error import URLError

import pytest
import torch

from neurocircuit.files import sha256_of_file
from neurocircuit.networks import (
    PUBLISHED_RECOGNISER,
    RecogniserSettings,
    RecurrentRecogniser,
    WeightsError,
    convert_recogniser,
    fetch_pretrained,
    load_published,
    load_recogniser,
    pretrained_recogniser,
    recogniser_files,
    save_published,
    save_recogniser,
)
from neurocircuit.training.checkpoints import write_weights

SMALL = RecogniserSettings(input_size=17, channels=(3, 4), kernel=3, pools=(2, 2), hidden=6, classes=5, compat=True)
NAME = "rnn_bglt_0111_t_4_num_1.pth"
#: The names that the published files have.
CONNECTIONS = ("c1x", "c2x", "fc1x", "c1c1", "c2c1", "fc1c1", "c2c2", "fc1c2", "fc1fc1")
MODULES = ("conv1", "conv2", "fc1", "fc2", *(f"{name}{kind}" for name in CONNECTIONS for kind in "bg"))


def images():
    return torch.rand(2, 1, 17, 17, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def published(tmp_path):
    """A small network, and its file in the published layout, written by torch alone."""
    network = RecurrentRecogniser(SMALL, seed=2)
    path = tmp_path / NAME
    state = {
        f"{name}.{part}": getattr(network.get_submodule(name), part) for name in MODULES for part in ("weight", "bias")
    }
    torch.save({name: weights.detach().clone() for name, weights in state.items()}, path)
    return network, path


def test_the_published_layout_has_the_published_names_and_sizes():
    with torch.device("meta"):
        state = RecurrentRecogniser(PUBLISHED_RECOGNISER).state_dict()
    assert set(state) == {f"{name}.{part}" for name in MODULES for part in ("weight", "bias")}
    assert state["c2c1g.weight"].shape == (16, 8, 16, 16)
    assert state["fc1xb.weight"].shape == (10_000, 128)
    assert state["fc1.weight"].shape == (128, 1296)
    assert state["fc2.weight"].shape == (20, 512)
    # Weights of four bytes, and some thousand bytes for the names.
    assert (
        4 * sum(weights.numel() for weights in state.values()) == 100_584_352 < pretrained_recogniser.PRETRAINED_BYTES
    )


@pytest.mark.parametrize("compat", [True, False])
def test_a_published_file_gives_the_network_that_was_saved(published, compat):
    network, path = published
    found = load_published(path, SMALL, compat=compat)
    assert found.settings == replace(SMALL, compat=compat)
    assert not found.training
    assert torch.equal(found(images()), network(images()))
    assert {name for name, _ in found.named_children()} == {
        name for name in MODULES if compat or not name.endswith("b")
    }


def test_a_network_is_written_in_the_published_layout_and_read_back(tmp_path):
    live = RecurrentRecogniser(replace(SMALL, flags="1010", compat=False), seed=5)
    path = tmp_path / "rnn_bglt_1010_t_4_num_7.pth"
    with pytest.raises(ValueError, match=r"`network` has live connections only.*convert_recogniser"):
        save_published(live, path)
    save_published(convert_recogniser(live, compat=True), path)
    assert set(torch.load(path, weights_only=True)) == {
        f"{name}.{part}" for name in MODULES for part in ("weight", "bias")
    }
    found = load_published(path, replace(SMALL, flags="1010"), compat=False)
    for name, weights in live.state_dict().items():
        assert torch.equal(found.state_dict()[name], weights)


def test_the_name_says_the_flags_and_the_number_of_steps(published, tmp_path, monkeypatch):
    _, path = published
    monkeypatch.setattr(recogniser_files, "PUBLISHED_RECOGNISER", replace(SMALL, flags="1111", time_steps=2))
    assert load_published(path).settings == replace(SMALL, flags="0111", time_steps=4)
    other = path.rename(tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"does not say flags and steps as rnn_bglt_1111_t_2_num_1.pth"):
        load_published(other)
    assert load_published(other, SMALL).settings == SMALL


@pytest.mark.parametrize("changes", [{"flags": "1011"}, {"time_steps": 3}])
def test_settings_that_the_name_denies_are_refused(published, changes):
    _, path = published
    with pytest.raises(ValueError, match=r"by its name has the flags 0111 and 4 steps; the settings have"):
        load_published(path, replace(SMALL, **changes))
    with pytest.raises(ValueError, match="by its name has the flags 0111"):
        save_published(RecurrentRecogniser(replace(SMALL, **changes)), path)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"hidden": 7}, r"wrong shape: .*fc1\.weight is \(6, 16\), expected \(7, 16\)"),
        ({"channels": (3, 5)}, r"conv2\.weight is \(4, 3, 3, 3\), expected \(5, 3, 3, 3\)"),
        ({"channels": (3, 4, 2), "pools": (2, 1, 1)}, r"missing: .*conv3\.weight"),
        ({"channels": (3,), "pools": (2,)}, r"unexpected: .*c2c1b\.bias"),
    ],
)
def test_a_file_of_another_configuration_is_refused_with_names_and_shapes(published, changes, match):
    with pytest.raises(WeightsError, match=match):
        load_published(published[1], replace(SMALL, **changes))


def test_a_damaged_or_missing_file_is_refused(published, tmp_path):
    network, path = published
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(WeightsError, match="not a whole file of weights"):
        load_published(path, SMALL)
    with pytest.raises(FileNotFoundError, match=r"There is no file of weights .*fetch_pretrained"):
        load_published(tmp_path / "rnn_bglt_0111_t_4_num_2.pth", SMALL)
    save_published(network, path)
    whole = path.read_bytes()
    place = whole.index(network.fc1.weight.detach().numpy().tobytes())
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(WeightsError, match=r"is damaged: the check sum of its part \S+ is wrong"):
        load_published(path, SMALL)
    torch.save({1: torch.ones(2)}, path)
    with pytest.raises(WeightsError, match="unexpected: 1"):
        load_published(path, SMALL)
    torch.save({"fc1.weight": [1.0]}, path)
    with pytest.raises(WeightsError, match=r"not tensors: fc1\.weight"):
        load_published(path, SMALL)


def test_weights_that_are_not_numbers_are_refused(published):
    network, path = published
    with torch.no_grad():
        network.fc2.bias[0] = float("nan")
    save_published(network, path)
    with pytest.raises(WeightsError, match=r"not finite: fc2\.bias"):
        load_published(path, SMALL)


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_own_files_keep_settings_and_weights(tmp_path, compat, dtype):
    network = RecurrentRecogniser(replace(SMALL, flags="1101", compat=compat), seed=3).to(dtype)
    save_recogniser(network, tmp_path / "a.safetensors")
    found = load_recogniser(tmp_path / "a.safetensors")
    assert found.settings == network.settings
    assert not found.training
    for name, weights in network.state_dict().items():
        assert found.state_dict()[name].dtype == dtype
        assert torch.equal(found.state_dict()[name], weights)


def test_other_files_are_not_taken_for_a_recogniser(tmp_path):
    path = tmp_path / "other.safetensors"
    write_weights({"weight": torch.zeros(2)}, path, {})
    with pytest.raises(ValueError, match=r"has no settings of a recurrent recogniser.*load_published"):
        load_recogniser(path)
    network = RecurrentRecogniser(SMALL)
    for settings in (None, {"hidden": 6, "future": 1}):
        write_weights(dict(network.state_dict()), path, {"recogniser": settings})
        with pytest.raises(ValueError, match=r"has settings of no recurrent recogniser: .*release that wrote it"):
            load_recogniser(path)
    write_weights(dict(network.state_dict()) | {"fc2.bias": torch.zeros(9)}, path, {"recogniser": {"hidden": 6}})
    with pytest.raises(ValueError, match=r"weights in .* are of another model"):
        load_recogniser(path)


def test_both_forms_do_the_same():
    live = RecurrentRecogniser(replace(SMALL, compat=False), seed=1)
    whole = convert_recogniser(live, compat=True, seed=8)
    assert whole.settings.compat
    assert torch.equal(whole(images()), live(images()))
    again = convert_recogniser(whole, compat=False)
    assert torch.equal(again(images()), live(images()))
    assert set(again.state_dict()) == set(live.state_dict()) < set(whole.state_dict())
    other = convert_recogniser(live, compat=True, seed=9)
    assert not torch.equal(other.c1c1b.weight, whole.c1c1b.weight)


def test_the_other_form_is_where_the_given_one_is():
    network = RecurrentRecogniser(SMALL).to("meta", torch.float64).eval()
    found = convert_recogniser(network, compat=False)
    assert {(weights.device.type, weights.dtype) for weights in found.parameters()} == {("meta", torch.float64)}
    assert not found.training


CONTENT = b"the published weights"


class Network:
    """Stands in for the network's edge: answers with bytes and counts the questions."""

    def __init__(self, content=CONTENT):
        self.content, self.asked = content, []

    def __call__(self, url, timeout):
        assert timeout > 0
        self.asked.append(url)
        if isinstance(self.content, Exception):
            raise self.content
        return io.BytesIO(self.content)


@pytest.fixture
def network(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(pretrained_recogniser, "PRETRAINED_BYTES", len(CONTENT))
    edge = Network()
    monkeypatch.setattr(pretrained_recogniser, "urlopen", edge)
    return edge


def test_published_weights_are_downloaded_once_into_the_cache(network, tmp_path):
    path = fetch_pretrained("0111")
    assert path == tmp_path / "neurocircuit" / "recogniser" / NAME
    assert path.read_bytes() == CONTENT
    assert path.with_name(f"{NAME}.sha256").read_text().strip() == sha256_of_file(path)
    assert fetch_pretrained("0111") == path
    assert network.asked == ["https://osf.io/download/wxmkv/"]
    assert fetch_pretrained("1011", tmp_path).name == "rnn_bglt_1011_t_4_num_1.pth"
    assert network.asked[1:] == ["https://osf.io/download/98tgk/"]


def test_a_file_that_changed_since_is_refused(network):
    path = fetch_pretrained("0111")
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(ValueError, match=r"another file: its SHA-256 is \w+, expected \w+ .*Delete it.* '.*\.sha256'"):
        fetch_pretrained("0111")
    path.write_bytes(CONTENT[1:])
    with pytest.raises(ValueError, match=rf"it has {len(CONTENT) - 1} bytes"):
        fetch_pretrained("0111")


def test_a_file_put_there_by_hand_is_taken_if_its_size_is_right(network, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    assert fetch_pretrained("0111", tmp_path, download=False) == tmp_path / NAME
    assert (tmp_path / f"{NAME}.sha256").is_file()
    assert not network.asked


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            URLError("no network"),
            "could not be downloaded from https://osf.io/download/wxmkv/: .*no network.*Check the network, or put the",
        ),
        (IncompleteRead(b""), "could not be downloaded from .*: IncompleteRead"),
        (CONTENT[:-1], rf"it sent {len(CONTENT) - 1} bytes, expected {len(CONTENT)}"),
    ],
)
def test_what_does_not_arrive_whole_leaves_nothing(network, tmp_path, content, match):
    network.content = content
    with pytest.raises(OSError, match=match):
        fetch_pretrained("0111", tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_two_networks_are_published_and_nothing_is_fetched_unasked(network, tmp_path):
    with pytest.raises(ValueError, match="`flags` is '1111'; weights are published for 0111 and 1011 only"):
        fetch_pretrained("1111")
    with pytest.raises(FileNotFoundError, match=r"There is no file .* and `download` is False"):
        fetch_pretrained("0111", tmp_path, download=False)
    assert not network.asked
