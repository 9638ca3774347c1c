"""The recurrent recogniser agrees with its equations written out, and does what its flags and its arguments say."""

from __future__ import annotations

import copy
import io
import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuit.networks import (
    PUBLISHED_RECOGNISER,
    RecogniserSettings,
    RecurrentRecogniser,
    count_parameters,
)

FLAGS = ["".join(flags) for flags in itertools.product("01", repeat=4)]
SMALL = RecogniserSettings(input_size=17, channels=(3, 4), kernel=3, pools=(2, 2), hidden=6, classes=5)
PUBLISHED_LIVE = replace(PUBLISHED_RECOGNISER, compat=False)


@pytest.fixture(scope="module")
def reference(import_script):
    """The equations written out, which lie outside the package."""
    return import_script("benchmarks", "recogniser_reference").reference


def scenes(chosen, batch=3, seed=0, dtype=torch.float32):
    """Random images."""
    size = chosen.input_size
    return torch.rand(batch, 1, size, size, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def lively(network, seed=0):
    """The network with random connections strong enough that some gains are below -1 and some pixels are cut off."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for connection in network.settings.connections():
            module = network.get_submodule(connection.name)
            scale = 0.3 * module.weight[0].numel() ** -0.5
            module.weight.copy_(scale * torch.randn(module.weight.shape, generator=rng))
            module.bias.copy_(torch.randn(module.bias.shape, generator=rng))
        # So that no probability is cut off, where it has no gradient.
        network.fc2.weight *= 0.1
    return network


def compare(network, reference, images, tolerance):
    """Assert that output, activations and flows are those of the reference, and return both outputs."""
    chosen = network.settings
    expected = reference(dict(network.named_parameters()), images, chosen.flags, chosen.pools, chosen.time_steps)
    found = network.run(images)
    close = {"atol": tolerance, "rtol": tolerance}
    torch.testing.assert_close(found.log_probabilities, expected.log_probabilities, **close)
    assert torch.equal(network(images), found.log_probabilities)
    for number, layer in enumerate(chosen.layers):
        for step in range(1, chosen.time_steps + 1):
            torch.testing.assert_close(found.activations[layer][step], expected.layers[step - 1][number], **close)
            kinds = network.modulations(layer) if step > 1 else ()
            own = found.flows.get(layer, {}).get(step, {})
            assert tuple(own) == kinds
            for kind in kinds:
                theirs = (expected.biases if kind == "bias" else expected.gains)[step - 1][number]
                torch.testing.assert_close(own[kind], theirs, **close)
    return found.log_probabilities, expected.log_probabilities


@pytest.mark.parametrize("compat", [True, False], ids=["compat", "live"])
@pytest.mark.parametrize("flags", FLAGS)
def test_every_flag_setting_agrees_with_the_equations_in_output_flows_and_gradients(flags, compat, reference):
    network = lively(RecurrentRecogniser(replace(SMALL, flags=flags, compat=compat), seed=1))
    compare(network, reference, scenes(SMALL), 1e-5)
    network.double()
    found, expected = compare(network, reference, scenes(SMALL, dtype=torch.float64), 1e-12)
    assert expected.min() > -20
    names, weights = zip(*network.named_parameters(), strict=True)
    own, theirs = (torch.autograd.grad(out[:, 1].sum(), weights, allow_unused=True) for out in (found, expected))
    for name, one, other in zip(names, own, theirs, strict=True):
        # What has no effect has no gradient here, and one of zero in the reference.
        other = torch.zeros(()) if other is None else other
        assert (one is None) == (not other.any()), name
        torch.testing.assert_close(torch.zeros_like(other) if one is None else one, other, msg=name)


@pytest.mark.parametrize("flags", ["0111", "1011"])
def test_the_published_network_agrees_with_the_equations(flags, reference):
    network = RecurrentRecogniser(replace(PUBLISHED_RECOGNISER, flags=flags))
    with torch.no_grad():
        compare(network, reference, scenes(PUBLISHED_RECOGNISER, batch=2), 1e-5)


@settings(max_examples=15)
@given(
    channels=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    kernel=st.sampled_from([1, 3, 5]),
    pool=st.integers(1, 3),
    hidden=st.integers(1, 4),
    steps=st.integers(1, 4),
    more=st.integers(0, 6),
    flags=st.sampled_from(FLAGS),
    seed=st.integers(0, 100),
)
def test_any_depth_width_and_number_of_steps_agrees(
    channels, kernel, pool, hidden, steps, more, flags, seed, reference
):
    least = 1
    for _ in channels:
        least = least * pool + kernel - 1
    chosen = RecogniserSettings(
        flags=flags,
        input_size=least + more,
        channels=tuple(channels),
        kernel=kernel,
        pools=(pool,) * len(channels),
        hidden=hidden,
        classes=2,
        time_steps=steps,
    )
    network = lively(RecurrentRecogniser(chosen, seed=seed), seed).double()
    compare(network, reference, scenes(chosen, batch=2, seed=seed, dtype=torch.float64), 1e-10)


def test_gradients_reach_images_as_in_the_equations(reference):
    network = lively(RecurrentRecogniser(replace(SMALL, flags="1111"))).double()
    images = scenes(SMALL, dtype=torch.float64).requires_grad_()
    expected = reference(dict(network.named_parameters()), images, "1111", SMALL.pools).log_probabilities
    own, theirs = (torch.autograd.grad(out[:, 2].sum(), images)[0] for out in (network(images), expected))
    assert theirs.abs().max() > 0
    torch.testing.assert_close(own, theirs)
    # The case is a hard one: gains below -1, negative activity, and pixels cut off at both ends.
    run = network.run(images)
    assert all(run.flows[layer][3]["gain"].min() < -1 for layer in SMALL.layers)
    assert run.activations["fc"][3].min() < 0
    assert {0, 1} <= set(run.activations["input"][2].flatten().tolist())


def test_gradients_can_be_differentiated_as_in_the_equations(reference):
    network = lively(RecurrentRecogniser(replace(SMALL, flags="1111"))).double()
    images, weights = scenes(SMALL, dtype=torch.float64), dict(network.named_parameters())
    expected = reference(weights, images, "1111", SMALL.pools).log_probabilities

    def of_a_penalty(out):
        first = torch.autograd.grad(out[:, 1].sum(), list(weights.values()), create_graph=True)
        return torch.autograd.grad(sum(gradient.square().sum() for gradient in first), list(weights.values()))

    for name, own, theirs in zip(weights, of_a_penalty(network(images)), of_a_penalty(expected), strict=True):
        assert theirs.any()
        torch.testing.assert_close(own, theirs, msg=name)


def test_weights_that_are_held_get_no_gradient_and_the_others_the_same():
    network, images = RecurrentRecogniser(replace(SMALL, flags="1111")), scenes(SMALL)
    (natural,) = torch.autograd.grad(network(images)[:, 1].sum(), network.fc1c1g.bias)
    for weights in network.parameters():
        weights.requires_grad_(weights is network.fc1c1g.bias)
    network(images)[:, 1].sum().backward()
    torch.testing.assert_close(network.fc1c1g.bias.grad, natural)
    assert [name for name, weights in network.named_parameters() if weights.grad is not None] == ["fc1c1g.bias"]


def test_images_of_a_batch_do_not_depend_on_each_other_and_a_batch_may_be_empty():
    network, images = RecurrentRecogniser(SMALL), scenes(SMALL)
    torch.testing.assert_close(network(images[1:2]), network(images)[1:2])
    network(images[:0]).sum().backward()
    assert not any(weights.grad.any() for weights in network.parameters())


def test_copies_do_the_same_and_so_does_training_mode():
    network, images = RecurrentRecogniser(replace(SMALL, flags="1111")), scenes(SMALL)
    expected = network(images)
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    for other in (copy.deepcopy(network), torch.load(file, weights_only=False), network.eval()):
        assert torch.equal(other(images), expected)


@pytest.mark.parametrize(
    ("flags", "compat", "parameters"),
    [
        *((flags, True, 25_146_088) for flags in ("0111", "0000")),
        *((flags, False, 12_662_894) for flags in ("0111", "1011")),
    ],
)
def test_the_published_network_has_the_published_number_of_parameters(flags, compat, parameters):
    with torch.device("meta"):
        network = RecurrentRecogniser(replace(PUBLISHED_RECOGNISER, flags=flags, compat=compat))
    assert count_parameters(network) == parameters
    rows = network.connections()
    assert sum(row["parameters"] for row in rows if row["modulation"] == "gain") in (0, 12_483_194)
    assert parameters - sum(row["parameters"] for row in rows) == 179_700


def test_connections_are_listed_with_their_numbers_of_parameters():
    with torch.device("meta"):
        rows = RecurrentRecogniser(PUBLISHED_RECOGNISER).connections()
    live = [row for row in rows if row["live"]]
    assert len(rows) == 2 * len(live) == 18
    assert [row["pathway"] for row in live].count("lateral") == 3
    assert [row["pathway"] for row in live].count("top-down") == 6
    assert {row["modulation"] for row in live} == {"gain"}
    largest = {row["name"]: row["parameters"] for row in live if row["parameters"] > 1e6}
    assert largest == {"fc1c1g": 9_510_912, "fc1c2g": 1_618_176, "fc1xg": 1_290_000}


@pytest.mark.parametrize("flags", ["0000", "1100", "0011"])
@pytest.mark.parametrize("compat", [True, False])
def test_without_modulation_the_last_layer_is_the_same_at_every_step(flags, compat):
    run = RecurrentRecogniser(replace(SMALL, flags=flags, compat=compat)).run(scenes(SMALL))
    for layer in SMALL.layers:
        first, *others = run.activations[layer].values()
        assert len(others) == 3
        assert all(torch.equal(first, other) for other in others)
    assert not run.flows


def test_with_modulation_it_is_not():
    run = RecurrentRecogniser(SMALL).run(scenes(SMALL))
    assert not torch.equal(run.activations["fc"][1], run.activations["fc"][2])


@pytest.mark.parametrize(
    ("flags", "modulated"),
    [("0110", ("conv1", "conv2", "fc")), ("0101", ("input", "conv1", "conv2")), ("0111", SMALL.layers)],
)
def test_lateral_flags_reach_all_but_the_image_and_top_down_flags_all_but_the_last_layer(flags, modulated):
    run = RecurrentRecogniser(replace(SMALL, flags=flags)).run(scenes(SMALL))
    assert tuple(run.flows) == modulated
    assert all(list(steps) == [2, 3, 4] for steps in run.flows.values())
    image = run.activations["input"]
    assert torch.equal(image[1], image[2]) == ("input" not in modulated)


@pytest.mark.parametrize("flags", ["0111", "1011", "1111", "1110", "1101"])
def test_replacing_flows_by_the_networks_own_changes_no_bit(flags):
    network, images = RecurrentRecogniser(replace(SMALL, flags=flags)), scenes(SMALL)
    natural = network.run(images)
    places = {(layer, step): flows for layer, steps in natural.flows.items() for step, flows in steps.items()}
    assert len(places) >= 9
    for replacement in (*({place: flows} for place, flows in places.items()), places):
        again = network.run(images, replace=replacement)
        assert torch.equal(again.log_probabilities, natural.log_probabilities)


def test_a_replacement_acts_on_its_layer_at_its_step_and_on_what_follows():
    network, images = lively(RecurrentRecogniser(replace(SMALL, flags="1111"))), scenes(SMALL)
    natural = network.run(images)
    gain = natural.flows["conv2"][3]["gain"] + 1
    found = network.run(images, replace={("conv2", 3): {"gain": gain}})
    assert found.flows["conv2"][3]["gain"] is gain
    assert torch.equal(found.flows["conv2"][3]["bias"], natural.flows["conv2"][3]["bias"])
    changed = {
        (layer, step)
        for layer, steps in natural.activations.items()
        for step, activation in steps.items()
        if not torch.equal(activation, found.activations[layer][step])
    }
    assert {("conv2", 3), ("fc", 3), ("input", 4), ("conv1", 4), ("conv2", 4), ("fc", 4)} == changed
    # Twice what is left after rectification, where the gain is one more.
    own, before = (run.activations["conv2"][3] for run in (found, natural))
    assert not torch.equal(own, before)
    # By the equations: the flow of zeros leaves the drive as it is.
    silent = network.run(images, replace={("fc", 2): {"gain": torch.zeros(3, 6), "bias": torch.zeros(3, 6)}})
    drive = network.fc1(silent.activations["conv2"][2].flatten(1))
    torch.testing.assert_close(silent.activations["fc"][2], torch.relu(drive))


@pytest.mark.parametrize(
    ("place", "flows", "match"),
    [
        (("conv3", 2), {}, r"`replace` has the layer 'conv3'; this network has input, conv1, conv2, fc"),
        (("conv1", 1), {}, r"`replace` has step 1 for 'conv1'; flows come from the step before.*2 to 4 only"),
        (("conv1", 0), {}, r"`replace` has step 0"),
        (("conv1", 5), {}, r"`replace` has step 5"),
        (("conv1", 2.5), {}, r"`replace` has step 2.5"),
        (("conv1", 2), {"bias": torch.zeros(())}, r"`replace` has 'bias' for 'conv1', but under the flags 0110 gain"),
        (("input", 2), {"gain": torch.zeros(())}, r"`replace` has 'gain' for 'input'.* 0110 nothing modulates it"),
        (("fc", 2), {"gain": torch.zeros(4, 6)}, r"gain of shape \(4, 6\) for 'fc' at step 2; expected \(3, 6\)"),
        (("conv2", 2), {"gain": torch.zeros(3, 4, 2, 2)}, r"expected \(3, 4, 5, 5\)"),
    ],
)
def test_flows_that_cannot_be_replaced_are_refused(place, flows, match):
    network = RecurrentRecogniser(replace(SMALL, flags="0110"))
    with pytest.raises(ValueError, match=match):
        network.run(scenes(SMALL), replace={place: flows})


def test_only_what_is_asked_for_is_recorded_and_no_graph_without_gradients():
    network, images = RecurrentRecogniser(SMALL), scenes(SMALL)
    with torch.no_grad():
        everything = network.run(images)
        assert network.run(images, record=()).activations == {}
        assert network.run(images, record=("flows",)).activations == {}
        assert network.run(images, record=["activations"]).flows == {}
    kept = [everything.log_probabilities]
    kept += [value for steps in everything.activations.values() for value in steps.values()]
    kept += [flow for steps in everything.flows.values() for flows in steps.values() for flow in flows.values()]
    assert len(kept) == 1 + 16 + 12
    assert all(value.grad_fn is None and not value.requires_grad for value in kept)
    assert network.run(images).flows["fc"][2]["gain"].grad_fn is not None


@pytest.mark.parametrize(
    ("replacement", "match"),
    [
        ({"conv1": {}}, r"has a dict for 'conv1'; it must map a layer and a step to flows .* {\('conv1', 2\)"),
        ({("conv1", 2): torch.zeros(3)}, r"has a Tensor for \('conv1', 2\); it must map"),
        ({("fc", 2): {"gain": 0.5}}, "has a gain of type float for 'fc' at step 2; it must be a tensor"),
        (
            {("fc", 2): {"gain": torch.zeros(3, 6, dtype=torch.float64)}},
            r"has a gain of torch.float64 for 'fc' at step 2, and the network is of torch.float32",
        ),
    ],
)
def test_replacements_of_another_type_are_refused(replacement, match):
    with pytest.raises(TypeError, match=f"`replace` {match}"):
        RecurrentRecogniser(SMALL).run(scenes(SMALL), replace=replacement)


@pytest.mark.parametrize("record", [("activity",), "flows"])
def test_an_unknown_record_is_refused(record):
    with pytest.raises(ValueError, match=r"`record` has .* collection of activations, flows"):
        RecurrentRecogniser(SMALL).run(scenes(SMALL), record=record)


@pytest.mark.parametrize("call", [RecurrentRecogniser.forward, RecurrentRecogniser.run])
@pytest.mark.parametrize(
    ("images", "match"),
    [
        (torch.zeros(2, 1, 16, 17), r"`images` has the shape \(2, 1, 16, 17\); expected .*\(batch, 1, 17, 17\)"),
        (torch.zeros(2, 3, 17, 17), r"`images` has the shape"),
        (torch.zeros(17, 17), r"`images` has the shape"),
        (torch.full((1, 1, 17, 17), 255.0), "`images` holds values from 255 to 255; they must be from 0 to 1"),
        (torch.full((1, 1, 17, 17), float("nan")), "`images` holds values from nan to nan"),
    ],
)
def test_images_of_another_size_or_range_are_refused(call, images, match):
    with pytest.raises(ValueError, match=match):
        call(RecurrentRecogniser(SMALL), images)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_images_of_another_dtype_are_refused(dtype):
    with pytest.raises(TypeError, match=rf"`images` is of {dtype} and the network of torch.float32"):
        RecurrentRecogniser(SMALL)(torch.ones(2, 1, 17, 17, dtype=dtype))


def test_images_that_are_no_tensor_and_settings_of_another_class_are_refused():
    with pytest.raises(TypeError, match="`images` is a ndarray; it must be a torch tensor"):
        RecurrentRecogniser(SMALL)(scenes(SMALL).numpy())
    with pytest.raises(TypeError, match="`settings` is '0111'; it must be RecogniserSettings"):
        RecurrentRecogniser("0111")


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"classes": 1}, ValueError, "`classes` is 1; it must be at least 2"),
        ({"time_steps": 0}, ValueError, "`time_steps` is 0; it must be at least 1"),
        ({"flags": "bglt"}, ValueError, "`flags` is 'bglt'"),
    ],
)
def test_settings_of_no_network_are_refused(changes, error, match):
    with pytest.raises(error, match=match):
        replace(SMALL, **changes)


def test_log_probabilities_are_those_of_a_distribution_and_bounded():
    network = RecurrentRecogniser(SMALL)
    found = network(scenes(SMALL))
    torch.testing.assert_close(found.exp().sum(1), torch.ones(3))
    with torch.no_grad():
        network.fc2.bias[0] = 1e4
    assert float(network(scenes(SMALL))[:, 1:].detach().max()) == pytest.approx(-23.02585)
    # Half precision has no number as small as the bound.
    with torch.autocast("cpu", torch.float16):
        found = network(scenes(SMALL))
    assert found.dtype == torch.float32
    assert float(found.detach().min()) == pytest.approx(-23.02585)


def test_weights_follow_from_the_seed_and_live_ones_do_not_depend_on_the_others():
    state = torch.get_rng_state()
    network, again, other = (RecurrentRecogniser(SMALL, seed=seed) for seed in (3, 3, 4))
    whole = RecurrentRecogniser(replace(SMALL, compat=True), seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    for name, weights in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], weights)
        assert torch.equal(whole.state_dict()[name], weights)
        if name.endswith("weight"):
            assert not torch.equal(other.state_dict()[name], weights)
    with pytest.raises(ValueError, match="`seed` is -1"):
        RecurrentRecogniser(SMALL, seed=-1)


def test_a_network_learns_to_tell_two_scenes_apart():
    network, images = RecurrentRecogniser(replace(SMALL, flags="1111")), scenes(SMALL, batch=4)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    labels = torch.tensor([0, 1, 0, 1])
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.nll_loss(network(images), labels).backward()
        optimizer.step()
    assert network(images).argmax(1).tolist() == labels.tolist()
