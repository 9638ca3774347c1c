"""The hGRU cell computes its published equations, forwards and backwards, in every variant."""

import copy
import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_hgru import batchnorm, convolve, paper

from neurocircuit.cells import FORMS, HGRUCell, HGRUState
from neurocircuit.cells.hgru_equations import COEFFICIENTS, LESIONS
from neurocircuit.circuits import default_excitation, default_inhibition, mely_circuit, two_pool_circuit
from neurocircuit.connectivity import Annulus, Box, circulant_gaussian

TRAINED = ("paper", "batchnorm")


def make_cell(*arguments, seed=0, **options):
    """A float64 cell none of whose weights or statistics are at their starting values."""
    torch.manual_seed(seed)
    cell = HGRUCell(*arguments, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for name, buffer in cell.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))
    return cell


def weights_of(cell):
    """The cell's own leaves, by the names of the published equations."""
    weights = {name: getattr(cell, name) for name in COEFFICIENTS}
    weights |= {"U1": cell.gain_gate.weight, "b1": cell.gain_gate.bias}
    weights |= {"U2": cell.mix_gate.weight, "b2": cell.mix_gate.bias}

    def kernel(lateral):
        return 0.5 * (lateral.weight + lateral.weight.permute(1, 0, 2, 3)) if lateral.symmetric else lateral.weight

    if cell.variant == "paper":
        return weights | {"W": kernel(cell.inhibition), "eta": cell.time_gains}
    norms = [(norm.weight, norm.bias, norm.running_mean, norm.running_var) for norm in cell.norms]
    return weights | {"W_I": kernel(cell.inhibition), "W_E": kernel(cell.excitation), "bn": norms}


def reference_states(cell, drive, h2, steps):
    boundary, weights = cell.inhibition.boundary, weights_of(cell)
    if cell.variant == "paper":
        return list(paper(drive, h2, steps, weights, boundary))
    return list(batchnorm(drive, h2, steps, weights, cell.training, boundary))


def states_and_gradients(states, leaves):
    """Every state, and the gradients of a sum over all of them with weights that differ from one to the next."""
    flat = [field for state in states for field in state]
    loss = sum((field * torch.linspace(-1, 2, field.numel()).view_as(field)).mean() for field in flat)
    return flat + list(torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True))


def assert_close(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= tolerance * max(1, other.abs().max())


def assert_follows_the_equations(cell, drive, tolerance):
    leaves = [drive.requires_grad_(), *cell.parameters()]
    h2 = torch.zeros_like(drive)
    expected = states_and_gradients(reference_states(cell, drive, h2, cell.steps), leaves)
    assert_close(states_and_gradients(list(cell.unroll(drive)), leaves), expected, tolerance)


@settings(max_examples=40)
@given(
    variant=st.sampled_from(TRAINED),
    shape=st.tuples(st.integers(1, 3), st.integers(4, 8), st.integers(4, 8)),
    channels=st.integers(1, 4),
    kernel=st.sampled_from((1, 3, 5, 7)),
    steps=st.integers(1, 4),
    boundary=st.sampled_from(("zero", "reflect", "periodic")),
    method=st.sampled_from(("direct", "fft", "auto")),
    symmetric=st.booleans(),
    lesion=st.sampled_from((None, "additive", "multiplicative")),
    training=st.booleans(),
)
def test_every_step_and_gradient_is_that_of_the_published_equations(
    variant, shape, channels, kernel, steps, boundary, method, symmetric, lesion, training
):
    options = {"boundary": boundary, "method": method, "symmetric": symmetric, "lesion": lesion}
    cell = make_cell(channels, kernel, steps, variant=variant, **options).train(training)
    drive = torch.randn(shape[0], channels, *shape[1:], dtype=torch.float64)
    assert_follows_the_equations(cell, drive, 1e-10)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("variant", TRAINED)
def test_float32_agrees_with_the_published_equations_in_float32(variant, training):
    cell = make_cell(5, 7, 8, variant=variant).float().train(training)
    assert_follows_the_equations(cell, torch.rand(2, 5, 12, 13), 1e-5)


@pytest.mark.parametrize("variant", TRAINED)
def test_one_step_at_a_time_is_the_same_as_unrolling(variant):
    cell = make_cell(3, 5, 3, variant=variant).eval()
    drive = torch.rand(2, 3, 6, 7, dtype=torch.float64)
    state = None
    for step, expected in enumerate(cell.unroll(drive)):
        state = cell(drive, state, step)
        assert_close(state, expected, 1e-14)


@pytest.mark.parametrize("variant", TRAINED)
def test_fewer_steps_are_the_first_of_all_steps(variant):
    cell = make_cell(2, 3, 4, variant=variant).eval()
    drive = torch.rand(1, 2, 5, 5, dtype=torch.float64)
    whole = list(cell.unroll(drive))
    assert_close([f for s in cell.unroll(drive, steps=2) for f in s], [f for s in whole[:2] for f in s], 0)


@pytest.mark.parametrize("variant", TRAINED)
@pytest.mark.parametrize("lesion", LESIONS)
def test_a_lesion_is_its_coefficients_held_at_zero(variant, lesion):
    intact, lesioned = make_cell(3, 3, 3, variant=variant), make_cell(3, 3, 3, variant=variant, lesion=lesion)
    lesioned.load_state_dict({k: v for k, v in intact.state_dict().items() if k not in LESIONS[lesion]}, strict=True)
    drive = torch.rand(2, 3, 6, 6, dtype=torch.float64)
    *_, before = intact.unroll(drive)
    with torch.no_grad():
        for name in LESIONS[lesion]:
            getattr(intact, name).zero_()
    *_, expected = intact.unroll(drive)
    *_, found = lesioned.unroll(drive)
    assert_close(found, expected, 1e-14)
    assert (before.h2 - expected.h2).abs().max() > 1e-3
    assert not set(LESIONS[lesion]) & {name for name, _ in lesioned.named_parameters()}


def test_lesions_are_those_of_the_official_scripts():
    assert dict(LESIONS) == {"additive": ("mu", "kappa"), "multiplicative": ("alpha", "omega")}


@pytest.mark.parametrize("variant", TRAINED)
def test_a_symmetric_kernel_stays_exactly_symmetric_under_adam(variant):
    cell = make_cell(4, 3, 2, variant=variant, symmetric=True)
    optimiser, drive = torch.optim.Adam(cell.parameters(), lr=0.01), torch.rand(2, 4, 6, 6, dtype=torch.float64)
    before = cell.inhibition.kernel().detach().clone()
    for _ in range(5):
        optimiser.zero_grad()
        *_, last = cell.unroll(drive)
        last.h2.square().sum().backward()
        optimiser.step()
    for lateral in (cell.inhibition, cell.excitation):
        kernel = lateral.kernel()
        assert torch.equal(kernel, kernel.transpose(0, 1))
    assert (cell.inhibition.kernel() - before).abs().max() > 1e-3


def test_the_paper_shares_one_symmetric_kernel_and_the_batch_norm_form_has_two_free_ones():
    one, two = HGRUCell(3, 5, variant="paper"), HGRUCell(3, 5)
    assert one.excitation is one.inhibition
    assert one.inhibition.symmetric
    assert two.excitation is not two.inhibition
    assert not two.inhibition.symmetric
    assert not torch.equal(two.inhibition.weight, two.excitation.weight)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("variant", TRAINED)
def test_recomputing_changes_no_value_gradient_or_statistic(variant, method, training):
    plain = make_cell(3, 5, 4, variant=variant, method=method).train(training)
    again = copy.deepcopy(plain)
    again.recompute = True
    drive = torch.rand(2, 3, 7, 6, dtype=torch.float64)
    found = []
    for cell in (plain, again):
        own = drive.clone().requires_grad_()
        states = list(cell.unroll(own))
        sum(state.h2.square().sum() + state.h1.sum() for state in states).backward()
        found.append([*(f for s in states for f in s), own.grad, *(p.grad for p in cell.parameters()), *cell.buffers()])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("variant", TRAINED)
def test_transforming_the_kernel_changes_nothing(variant):
    direct = make_cell(4, 7, 4, variant=variant, method="direct")
    fourier = copy.deepcopy(direct)
    fourier.inhibition.method = fourier.excitation.method = "fft"
    drive = torch.rand(2, 4, 10, 9, dtype=torch.float64)
    found, expected = (
        states_and_gradients(list(cell.unroll(drive)), [*cell.parameters()]) for cell in (fourier, direct)
    )
    assert_close(found, expected, 1e-11)


# ---- the circuit's own recurrence


PARAMETERS = {"alpha": 0.4, "mu": 0.3, "gamma": 0.7, "epsilon": 0.9, "sigma": 0.9, "drive_gain": 1.7}


def recurrence(drive, steps, inhibition, excitation, shunt, update, gate, boundary):
    """Equation 2 of the hGRU paper, and its three variations."""
    p, h1, h2 = PARAMETERS, torch.zeros_like(drive), torch.zeros_like(drive)
    for _ in range(steps):
        shunted = h1 if shunt == "h1" else h2
        c1 = convolve(h2, inhibition, boundary)
        new = torch.relu(p["drive_gain"] * drive - (p["alpha"] * shunted + p["mu"]) * c1) / p["epsilon"] ** 2
        c2 = convolve(new if update == "staggered" else h1, excitation, boundary)
        h1, h2 = new, (1 - gate) * h2 + gate * torch.relu(p["gamma"] * c2) / p["sigma"] ** 2
        yield h1, h2


@pytest.mark.parametrize("boundary", ["zero", "reflect", "periodic"])
@pytest.mark.parametrize("update", ["simultaneous", "staggered"])
@pytest.mark.parametrize("shunt", ["h1", "h2"])
@pytest.mark.parametrize("gate", [1.0, 0.25])
def test_the_cell_of_a_circuit_is_the_circuits_recurrence(shunt, update, gate, boundary):
    kernels = Annulus(1, 5, boundary), Box(3, boundary)
    circuit = two_pool_circuit(*kernels, **PARAMETERS)
    cell = HGRUCell.from_circuit(circuit, channels=3, shunt=shunt, update=update, mix_gate=gate)
    drive = torch.rand(2, 3, 8, 7, dtype=torch.float64)
    inhibition, excitation = (torch.from_numpy(kernel.as_kernel(3)) for kernel in kernels)
    expected = list(recurrence(drive, 10, inhibition, excitation, shunt, update, gate, boundary))
    for found, wanted in zip(cell.unroll(drive, steps=10), expected, strict=True):
        assert_close(found, wanted, 1e-12)
    assert expected[-1][1].abs().max() > 0.01


def test_the_cell_of_a_circuit_keeps_kernels_that_mix_channels():
    kernels = default_inhibition(5), circulant_gaussian(5, 0.15)
    cell = HGRUCell.from_circuit(two_pool_circuit(*kernels), channels=5)
    for lateral, kernel in zip((cell.inhibition, cell.excitation), kernels, strict=True):
        assert torch.equal(lateral.kernel(), torch.from_numpy(kernel.as_kernel(5)))


def test_a_circuit_whose_leaks_are_equal_but_not_its_epsilon_and_sigma_is_divided_by_each():
    kernels = Box(3), Box(3)
    circuit = two_pool_circuit(*kernels, epsilon=1.0, sigma=0.5, tau=0.25 * two_pool_circuit(*kernels).parameters.eta)
    cell = HGRUCell.from_circuit(circuit, channels=1)
    p = circuit.parameters.as_floats()
    assert cell.gamma.item() == pytest.approx(p["gamma"] / 0.25)
    assert cell.alpha.item() == pytest.approx(p["alpha"])


@pytest.mark.parametrize(
    ("circuit", "message"),
    [
        (lambda: mely_circuit(4), "two-pool reduction"),
        (lambda: two_pool_circuit(Box(3), Box(3)).lesioned("C1"), "lesioned pool"),
        (lambda: two_pool_circuit(Box(3), Box(3), sigma=0.3), "must be equal and positive"),
        (lambda: two_pool_circuit(Box(3), Box(3), epsilon=0, sigma=0), "must be equal and positive"),
    ],
)
def test_a_circuit_without_a_gated_form_is_refused(circuit, message):
    with pytest.raises(ValueError, match=message):
        HGRUCell.from_circuit(circuit(), channels=4)


@pytest.mark.parametrize("gate", [0.0, -0.1, 1.1, math.nan])
def test_a_constant_gate_outside_its_range_is_refused(gate):
    circuit = two_pool_circuit(default_inhibition(2), default_excitation(2))
    with pytest.raises(ValueError, match="`mix_gate`"):
        HGRUCell.from_circuit(circuit, channels=2, mix_gate=gate)


@pytest.mark.parametrize(("name", "value"), [("shunt", "h3"), ("update", "both"), ("channels", 0), ("method", "fast")])
def test_an_option_that_the_cell_of_a_circuit_does_not_have_is_refused(name, value):
    options = {"channels": 2, name: value}
    with pytest.raises(ValueError, match=f"`{name}` is {value!r}"):
        HGRUCell.from_circuit(two_pool_circuit(Box(3), Box(3)), **options)


# ---- what the cell starts from


def test_the_default_start_is_zero_and_runs_repeat():
    cell = make_cell(3, 3, 2).eval()
    drive = torch.rand(2, 3, 5, 5, dtype=torch.float64)
    assert not any(field.any() for field in cell.initial(drive))
    first, second = (list(cell.unroll(drive))[-1].h2 for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("batch", [1, 64])
def test_the_random_start_has_xaviers_deviation_for_any_batch(batch):
    cell = HGRUCell(4, 3, 2, initial_state="xavier")
    start = cell.initial(torch.zeros(batch, 4, 40, 40)).h2
    # Xavier's normal rule: 2 / (fan in + fan out), both being channels times pixels.
    assert start.std().item() == pytest.approx(math.sqrt(2 / (2 * 4 * 40 * 40)), rel=0.05)
    assert not torch.equal(start, cell.initial(torch.zeros(batch, 4, 40, 40)).h2)


def test_the_learned_start_is_one_value_per_channel_that_gets_a_gradient():
    cell = make_cell(3, 3, 2, initial_state="learned")
    drive = torch.rand(2, 3, 5, 5, dtype=torch.float64)
    start = cell.initial(drive).h2
    assert torch.equal(start, cell.start.expand(2, 3, 5, 5))
    *_, last = cell.unroll(drive)
    last.h2.sum().backward()
    assert cell.start.grad.abs().min() > 0


def test_given_states_are_the_first_ones():
    cell = make_cell(2, 3, 2, variant="paper")
    drive, state = torch.rand(1, 2, 5, 5, dtype=torch.float64), torch.rand(1, 2, 5, 5, dtype=torch.float64)
    expected = reference_states(cell, drive, state, 2)
    assert_close([*cell.unroll(drive, HGRUState(torch.zeros_like(drive), state))][-1], expected[-1], 1e-12)


@pytest.mark.parametrize("variant", TRAINED)
@pytest.mark.parametrize(("rule", "sign"), [("official", -1), ("paper", 1)])
def test_chronos_biases_have_the_logarithm_the_range_and_the_sign(variant, rule, sign):
    cell = HGRUCell(500, 1, 8, variant=variant, gain_bias=rule)
    log_time = -cell.mix_gate.bias.detach()
    assert torch.equal(cell.gain_gate.bias.detach(), sign * log_time)
    assert log_time.min() >= 0
    assert log_time.max() <= math.log(7) + 1e-6
    # Uniform between 1 and T - 1 = 7: the mean is 4.
    assert log_time.exp().mean().item() == pytest.approx(4, rel=0.07)


@pytest.mark.parametrize("steps", [1, 2])
def test_chronos_biases_of_the_shortest_cells_are_zero(steps):
    cell = HGRUCell(3, 1, steps, variant="paper")
    assert not cell.gain_gate.bias.any()


def test_norm_bias_starts_the_mixing_gate_where_chronos_meant_it():
    torch.manual_seed(0)
    plain, moved = HGRUCell(4, 3, 3), HGRUCell(4, 3, 3, norm_bias=True)
    for step in range(3):
        assert torch.equal(moved.norms[4 * step + 2].bias, moved.mix_gate.bias)
        assert not any(moved.norms[4 * step + place].bias.any() for place in (0, 1, 3))
    drive = torch.rand(2, 4, 20, 20)
    started = [cell.mixing(drive, 0).mean((0, 2, 3)) for cell in (plain, moved)]
    assert (started[0] - 0.5).abs().max() < 0.01
    torch.testing.assert_close(started[1], torch.sigmoid(moved.mix_gate.bias), atol=0.01, rtol=0)


def test_batch_norm_cancels_the_biases_of_the_gates_in_training():
    cell = make_cell(3, 3, 4)
    drive = torch.rand(2, 3, 6, 6, dtype=torch.float64)
    *_, before = cell.unroll(drive)
    with torch.no_grad():
        cell.gain_gate.bias.add_(5)
        cell.mix_gate.bias.sub_(3)
    *_, after = cell.unroll(drive)
    assert_close(after, before, 1e-10)


def test_without_batch_norm_the_biases_of_the_gates_matter():
    cell = make_cell(3, 3, 4, variant="paper")
    drive = torch.rand(2, 3, 6, 6, dtype=torch.float64)
    *_, before = cell.unroll(drive)
    with torch.no_grad():
        cell.mix_gate.bias.sub_(3)
    *_, after = cell.unroll(drive)
    assert (after.h2 - before.h2).abs().max() > 1e-3


def test_coefficients_start_at_their_published_values():
    constants = {"alpha": 0.1, "gamma": 1.0, "kappa": 0.5, "omega": 0.5, "mu": 1.0}
    batchnorm_form, paper_form = HGRUCell(200, 1, 2), HGRUCell(200, 1, 2, variant="paper")
    bound = math.sqrt(6 / 201)
    for name, value in constants.items():
        assert torch.equal(getattr(batchnorm_form, name), torch.full((200, 1, 1), value))
        values = getattr(paper_form, name)
        assert 0.9 * bound < values.abs().max() <= bound
    # The published 25 channels give the reference's .48.
    assert math.sqrt(6 / 26) == pytest.approx(0.48, abs=5e-4)
    assert torch.equal(paper_form.time_gains, torch.ones(2))


def test_batch_norms_are_four_per_step_with_the_notebooks_settings():
    cell = HGRUCell(6, 3, 5)
    assert len(cell.norms) == 20
    for norm in cell.norms:
        assert (norm.num_features, norm.eps, norm.momentum) == (6, 1e-3, 0.1)
        assert torch.equal(norm.weight, torch.full((6,), 0.1))


def test_running_statistics_are_those_of_the_step_they_belong_to():
    cell = make_cell(2, 3, 2)
    drive = torch.rand(2, 2, 6, 6, dtype=torch.float64)
    before = [norm.running_mean.clone() for norm in cell.norms]
    first, _ = [state.h1 for state in cell.unroll(drive)]
    pooled = convolve(first, cell.excitation.weight)
    expected = 0.9 * before[3] + 0.1 * pooled.mean((0, 2, 3))
    assert_close([cell.norms[3].running_mean], [expected], 1e-12)
    assert all(norm.num_batches_tracked == 1 for norm in cell.norms)


def test_the_circuit_form_takes_any_number_of_steps():
    cell = HGRUCell.from_circuit(two_pool_circuit(Box(3), Box(3)), channels=2)
    assert len(list(cell.unroll(torch.rand(1, 2, 5, 5, dtype=torch.float64), steps=30))) == 30


# ---- what is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(HGRUCell, 3, 4), r"`kernel_size` is 4; it must be an odd"),
        (partial(HGRUCell, 3, 0), r"`kernel_size` is 0"),
        (partial(HGRUCell, 3, 3.0), r"`kernel_size` is 3.0"),
        (partial(HGRUCell, 0), r"`channels` is 0"),
        (partial(HGRUCell, 2.0), r"`channels` is 2.0"),
        (partial(HGRUCell, 3, 3, 0), r"`steps` is 0"),
        (partial(HGRUCell, 3, 3, True), r"`steps` is True"),
        (partial(HGRUCell, 3, 3, variant="lstm"), r"`variant` is 'lstm'; it must be one of paper, batchnorm\.$"),
        (partial(HGRUCell, 3, 3, variant="circuit"), r"`variant` is 'circuit'; .* Use HGRUCell\.from_circuit"),
        (partial(HGRUCell, 3, 3, shunt="h3"), r"`shunt` is 'h3'"),
        (partial(HGRUCell, 3, 3, update="both"), r"`update` is 'both'"),
        (partial(HGRUCell, 3, 3, initial_state="noise"), r"`initial_state` is 'noise'"),
        (partial(HGRUCell, 3, 3, gain_bias="plus"), r"`gain_bias` is 'plus'"),
        (partial(HGRUCell, 3, 3, boundary="wrap"), r"`boundary` is 'wrap'"),
        (partial(HGRUCell, 3, 3, method="fast"), r"`method` is 'fast'"),
        (partial(HGRUCell, 3, 3, lesion="all"), r"`lesion` is 'all'; it must be None or one of"),
        (partial(HGRUCell, 3, 3, variant="paper", norm_bias=True), r"`norm_bias` is True"),
    ],
)
def test_a_wrong_argument_is_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (3, 8, 8), (1, 1, 3, 8, 8)])
def test_a_drive_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"`drive` has the shape .* needs \(batch, 3, y, x\)"):
        HGRUCell(3, 3, 2).unroll(torch.zeros(shape))


def test_a_kernel_that_reaches_beyond_the_field_is_refused():
    with pytest.raises(ValueError, match=r"`kernel_size` is 15, .* at most 13"):
        HGRUCell(3, 15, 2).unroll(torch.zeros(1, 3, 7, 20))


@pytest.mark.parametrize("variant", TRAINED)
@pytest.mark.parametrize("steps", [0, 4])
def test_more_steps_than_the_cell_has_are_refused_at_the_call(variant, steps):
    held = "time gains" if FORMS[variant].time_gains else "batch norms"
    with pytest.raises(ValueError, match=rf"`steps` is {steps}; this cell has {held} for 3 time steps"):
        HGRUCell(2, 3, 3, variant=variant).unroll(torch.zeros(1, 2, 5, 5), steps=steps)
