"""Foreign weights are loaded whole or not at all, and then compute what they computed at home."""

import pytest
import torch
from foreign_networks import notebook, notebook_state, sg, sg_state

from neurocircuit.networks import WeightsError, load_notebook, load_sg

LAYOUTS = {
    "notebook": (load_notebook, notebook_state, notebook, "state_dict"),
    "sg": (load_sg, sg_state, sg, "model_state_dict"),
}
SMALL = {"channels": 3, "kernel": 5, "steps": 2}


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return LAYOUTS[request.param]


@pytest.mark.parametrize("sizes", [(25, 15, 8), (4, 5, 3), (5, 9, 1)])
def test_the_loaded_network_computes_what_the_foreign_one_computes(layout, sizes):
    load, make, forward, _ = layout
    state, image = make(*sizes, seed=1), torch.rand(2, 1, 18, 21)
    # The fainter of the two images leaves the hyperbolic tangent unsaturated.
    image[0] *= 0.2
    network = load(state)
    expected = forward(state, image, sizes[2])
    with torch.no_grad():
        torch.testing.assert_close(network(image), expected, atol=1e-5, rtol=1e-5)
    assert (network.cell.channels, network.cell.inhibition.weight.shape[-1], network.cell.steps) == sizes
    assert (expected[0] - expected[1]).abs().max() > 1e-3


def test_agreement_in_float64_is_to_rounding(layout):
    load, make, forward, _ = layout
    state = {k: v.double() if v.is_floating_point() else v for k, v in make(4, 5, 3).items()}
    image = torch.rand(2, 1, 12, 12, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(load(state)(image), forward(state, image, 3), atol=1e-11, rtol=1e-11)


def test_published_layouts_have_the_published_number_of_parameters():
    counts = [
        sum(v.numel() for k, v in make().items() if not k.endswith(("running_mean", "running_var", "tracked")))
        for make in (notebook_state, sg_state)
    ]
    assert counts == [285_637, 143_420]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_files_with_and_without_wrapper_and_prefix_are_read(layout, prefix, wrapped, tmp_path):
    load, make, forward, name = layout
    state = make(**SMALL)
    content = {prefix + key: value for key, value in state.items()}
    torch.save({"epoch": 3, name: content} if wrapped else content, tmp_path / "weights.pt")
    image = torch.rand(1, 1, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "weights.pt")(image), forward(state, image, 2), atol=1e-5, rtol=1e-5)


def test_the_source_is_left_as_it_was(layout):
    load, make, _, _ = layout
    state = make(**SMALL)
    network = load(state)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    for key, value in make(**SMALL).items():
        assert torch.equal(state[key], value)


def test_the_kernels_are_loaded_without_the_symmetry_they_do_not_have():
    state = sg_state(**SMALL)
    cell = load_sg(state).cell
    assert torch.equal(cell.inhibition.kernel(), state["hgru_unit.w_gate"])
    assert cell.excitation is cell.inhibition
    other = notebook_state(**SMALL)
    cell = load_notebook(other).cell
    assert torch.equal(cell.inhibition.kernel(), other["unit1.w_gate_inh"])
    assert torch.equal(cell.excitation.kernel(), other["unit1.w_gate_exc"])


def test_the_random_start_is_an_option_of_the_port_that_has_it():
    state, image = sg_state(**SMALL), torch.rand(1, 1, 9, 9)
    network = load_sg(state, initial_state="xavier")
    with torch.no_grad():
        drive = network.filters(image)
        torch.manual_seed(5)
        start = network.cell.initial(drive).h2
        torch.manual_seed(5)
        torch.testing.assert_close(network(image), sg(state, image, 2, start), atol=1e-5, rtol=1e-5)
    assert start.any()
    with pytest.raises(ValueError, match="`initial_state` is 'learned'"):
        load_sg(state, initial_state="learned")


def test_a_loaded_network_trains(layout):
    load, make, _, _ = layout
    network = load(make(**SMALL)).train()
    network(torch.rand(2, 1, 9, 9)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_everything_that_does_not_fit_is_reported_at_once(layout):
    load, make, _, _ = layout
    state = make(**SMALL)
    dropped, broken, endless, *_ = (key for key in state if key.endswith("bias"))
    del state[dropped]
    state[broken] = torch.zeros(9, 2)
    state[endless] = state[endless] * torch.nan
    state["head.weight"] = torch.zeros(1)
    state["fc.weight"] = torch.ones(2, 2, dtype=torch.int64)
    with pytest.raises(WeightsError) as caught:
        load(state)
    message = str(caught.value)
    assert f"missing: {dropped}\n" in message
    assert "unexpected: head.weight\n" in message
    assert f"wrong shape: {broken} is (9, 2), expected (" in message
    assert f"not finite: {endless}" in message
    assert "not floating point: fc.weight\n" in message


def test_every_single_entry_is_needed(layout):
    load, make, _, _ = layout
    state = make(**SMALL)
    for key in state:
        with pytest.raises(WeightsError, match="missing"):
            load({name: value for name, value in state.items() if name != key})


def test_norms_that_are_not_four_per_step_are_reported():
    state = notebook_state(**SMALL)
    state |= {key.replace("bn.7", "bn.8"): value for key, value in state.items() if "unit1.bn.7" in key}
    with pytest.raises(WeightsError, match=r"missing: unit1\.bn\.10\.bias"):
        load_notebook(state)


def test_only_some_keys_with_the_prefix_do_not_fit(layout):
    load, make, _, _ = layout
    state = make(**SMALL)
    state["module.fc.weight"] = state.pop("fc.weight")
    with pytest.raises(WeightsError, match=r"missing: fc\.weight\nunexpected: module\.fc\.weight"):
        load(state)


def test_the_notebooks_form_without_batch_norm_is_refused():
    state = {key: value for key, value in notebook_state(**SMALL).items() if "unit1.bn" not in key}
    with pytest.raises(WeightsError, match=r"`unit1\.n`.*does not run"):
        load_notebook(state | {"unit1.n": torch.ones(2, 1, 1)})


def test_even_kernels_are_refused(layout):
    load, make, _, _ = layout
    with pytest.raises(WeightsError, match=r"kernels of 4 pixels .* odd"):
        load(make(3, 4, 2))


def test_layouts_are_not_taken_for_one_another():
    with pytest.raises(WeightsError, match="missing"):
        load_sg(notebook_state(**SMALL))
    with pytest.raises(WeightsError, match="missing"):
        load_notebook(sg_state(**SMALL))


def test_files_that_are_not_weights_are_refused(layout, tmp_path):
    load, make, _, name = layout
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.pt")
    whole = tmp_path / "whole.pt"
    torch.save(make(**SMALL), whole)
    short = tmp_path / "short.pt"
    short.write_bytes(whole.read_bytes()[:-400])
    empty = tmp_path / "empty.pt"
    empty.touch()
    text = tmp_path / "text.pt"
    text.write_text("no weights")
    code = tmp_path / "code.pt"
    torch.save({name: load}, code)
    for path in (short, empty, text, code):
        with pytest.raises(WeightsError, match=rf"`source` is .*{path.name}.* not a whole file of weights"):
            load(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 1}, {"a": [1, 2]}])
def test_mappings_without_weights_are_refused(layout, content):
    load, _, _, _ = layout
    with pytest.raises(WeightsError, match="`source` holds"):
        load(content)
