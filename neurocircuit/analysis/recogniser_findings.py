"""What the study of recurrent recognisers finds: what must hold, and the published findings beside ours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise

import torch
import xarray as xr
from torch import Tensor

from neurocircuit.analysis.published_recogniser import published_cells, published_summary
from neurocircuit.analysis.recogniser_recipes import FEEDFORWARD
from neurocircuit.analysis.recogniser_summary import (
    AUXILIARY,
    auxiliary_averages,
    over_networks,
    pool_variables,
)
from neurocircuit.analysis.recogniser_tables import Measured, by_network, importance, leads, variant_name
from neurocircuit.cells.modulated_settings import FULL
from neurocircuit.intervals import accuracy_interval
from neurocircuit.networks import count_parameters
from neurocircuit.networks.recurrent_recogniser import RecurrentRecogniser
from neurocircuit.tables import Row

__all__ = ["ALIKE", "NEGLIGIBLE", "NEUTRALISED", "exact_checks", "findings", "recurrence_checks"]

# Neither threshold is published; both were set before a network of the study had been measured.
#: Importance counts as none where it is below this share of the largest elsewhere in the network.
NEGLIGIBLE = 0.1
#: An accuracy that is above another by less counts as hardly more.
ALIKE = 0.05
#: What the published experiment neutralised: targets were turned upright and given a size between small and large.
#: Where `PerturbationSettings.legacy` is False they are altered, which is another experiment.
NEUTRALISED = ("orientation", "scale")
#: What is perturbed, each x and y together, and categories within and between domains: the auxiliary ones first.
_GROUPS = ("location", "orientation", "scale", "category")
#: The flags whose results are published: gain and bias.
GAIN, BIAS = "0111", "1011"


def recurrence_checks(found: Measured) -> dict[str, bool]:
    """Return the checks that the networks with lateral and top-down connections are above the feedforward ones.

    All answers of a variant's networks are counted together; the two 95 % intervals must be apart. They hold for these
    networks on other scenes; `findings` has the interval that holds for other networks.
    """
    variants = dict.fromkeys(variant for variant, _ in found)
    if FEEDFORWARD not in variants:
        return {}
    checks = {}
    _, most = _pooled_interval(found, FEEDFORWARD)
    for flags in variants:
        if flags.endswith("11"):
            least, _ = _pooled_interval(found, flags)
            what = f"{variant_name(flags)}: accuracy at least {least:.3f}, feedforward at most {most:.3f}"
            checks[what] = least > most
    return checks


def _pooled_interval(found: Measured, flags: str) -> tuple[float, float]:
    answers = by_network(found, flags)
    right = answers["answer"] == answers["category"]
    return accuracy_interval(int(right.sum()), right.size)


def exact_checks(networks: Mapping[str, RecurrentRecogniser], images: Tensor) -> dict[str, bool]:
    """Return the checks that hold whatever was learned.

    Parameters
    ----------
    networks : mapping from flags to RecurrentRecogniser
        One network a variant.
    images : (scene, 1, y, x) tensor
        Scenes to check them with.
    """
    checks = {}
    for flags, network in networks.items():
        name = variant_name(flags)
        with torch.no_grad():
            run = network.run(images)
            if flags == FEEDFORWARD:
                first, *later = run.activations[FULL].values()
                checks[f"{name}: the last layer is the same at every step"] = all(torch.equal(first, s) for s in later)
            own = {(layer, step): flows for layer, steps in run.flows.items() for step, flows in steps.items()}
            kept = [network.run(images, (), {place: flows}) for place, flows in own.items()]
        if own:
            same = all(torch.equal(one.log_probabilities, run.log_probabilities) for one in kept)
            checks[f"{name}: its own flows given back at each of {len(own)} places leave its answers bit-equal"] = same
        count, rows = count_parameters(network), network.connections()
        if FEEDFORWARD in networks:
            rest = count_parameters(networks[FEEDFORWARD])
            added = sum(row["parameters"] for row in rows)
            checks[
                f"{name}: {count} parameters, {rest} of the way up and {added} of {len(rows)} modulating connections"
            ] = count == rest + added
    return checks


def findings(evaluated: Measured, decoded: Mapping[str, xr.Dataset], perturbed: Mapping[str, xr.Dataset]) -> list[Row]:
    """Return the published qualitative findings, one row a finding and variant: the numbers, and whether they agree.

    Whether recurrence beats feedforward is judged by an interval over networks, everything else by means over networks,
    as published.

    Parameters
    ----------
    evaluated : mapping from flags and seed to Dataset
        As `RecogniserStudy.evaluate` measures them.
    decoded, perturbed : mapping from flags to Dataset
        As `neurocircuit.analysis.decode` and `neurocircuit.analysis.perturbation_experiment` return them; may be empty.

    Returns
    -------
    list of rows
        ``finding``, ``variant``, the ``published`` numbers, ``ours``, and whether ours ``replicates`` the finding.
    """
    rows = [*_recurrence(evaluated)]
    for flags, found in decoded.items():
        if flags != FEEDFORWARD:
            rows += [*_information(flags, found)]
    costs = {flags: importance(found).mean("network") for flags, found in perturbed.items()}
    for flags, cost in costs.items():
        rows += [*_use(flags, cost, legacy=bool(perturbed[flags].attrs.get("legacy", False)))]
    if {GAIN, BIAS} <= costs.keys():
        ours, theirs = ([_peaks(values)["location"] for values in pair] for pair in _gain_and_bias(costs))
        rows.append(_row("location matters more to gain than to bias networks", "", theirs, ours, ours[0] > ours[1]))
    return rows


def _row(finding: str, flags: str, published: object, ours: object, replicates: bool) -> Row:
    return {
        "finding": finding,
        "variant": variant_name(flags) if flags else "gain, bias",
        "published": _text(published),
        "ours": _text(ours),
        "replicates": replicates,
    }


def _text(values: object) -> str:
    """Return numbers as text with three decimals; names before them if there are any."""
    if isinstance(values, Mapping):
        return ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    if isinstance(values, list):
        return " ".join(f"{value:.3f}" for value in values)
    return str(values)


def _recurrence(evaluated: Measured) -> Iterator[Row]:
    for flags in dict.fromkeys(variant for variant, _ in evaluated):
        ahead = leads(evaluated, flags)
        if flags == FEEDFORWARD or not ahead.size:
            continue
        lead = over_networks(ahead, "student")
        mean, half = float(lead["mean"]), float(lead["half_width"])
        width = "no interval with one network" if math.isnan(half) else f"95 % interval of {half:.3f} either way"
        ours = f"{mean:+.3f}, {width}"
        yield _row("recurrence beats feedforward", flags, "not released", ours, mean - half > 0)


def _information(flags: str, found: xr.Dataset) -> Iterator[Row]:
    cluttered = found.sel(scenes="cluttered")
    averages = auxiliary_averages(cluttered["activations"]).mean("network")
    cells = [cell for cell in published_cells() if (cell.quantity, cell.flags) == ("auxiliary", flags)]
    time = averages["over_time"].values.tolist()
    published: object = [cell.mean for cell in cells if cell.step] or "not released"
    rises = all(later > earlier for earlier, later in pairwise(time))
    yield _row("information about location, scale and rotation grows at every step", flags, published, time, rises)
    depth = dict(zip(averages["layer"].values.tolist(), averages["over_depth"].values.tolist(), strict=True))
    published = {cell.layer: cell.mean for cell in cells if cell.layer} or "not released"
    *low, before_last, last = depth.values()
    deeper = min(before_last, last) > max(low)
    yield _row("the last two layers have more of it than those below", flags, published, depth, deeper)
    # The networks with one kind are those whose results are published; of others it is the mean over both.
    flows = {name: cluttered[name].isel(step=-1).mean("kind") for name in ("flows", "flows_untrained")}
    ours = {name.replace("_", ", "): _auxiliary_mean(values) for name, values in flows.items()}
    trained, untrained = ours.values()
    what = "at the last step flows have hardly more of it than untrained connections make of the same activity"
    yield _row(what, flags, _published_flows(flags), ours, trained - untrained < ALIKE)


def _auxiliary_mean(values: xr.DataArray) -> float:
    pooled = pool_variables(values) if "row" in values["variable"].values else values
    return float(pooled.sel(variable=list(AUXILIARY)).mean())


def _published_flows(flags: str) -> object:
    if flags != GAIN:
        return "not released"
    kinds = {"flows": "gain", "flows, untrained": "bias"}
    return {
        name: _auxiliary_mean(published_summary("flows", flags, kind=kind)["mean"].isel(step=-1))
        for name, kind in kinds.items()
    }


def _use(flags: str, cost: xr.DataArray, *, legacy: bool) -> Iterator[Row]:
    """Yield the findings on the importance of flows, over perturbation, layer and step."""
    published = _published_cost(flags)
    ours, theirs = _peaks(cost), "not released" if published is None else _text(_peaks(published))
    if published is not None and not legacy:
        theirs += f" ({' and '.join(NEUTRALISED)} neutralised, ours altered)"
    largest = ours["location"] > max(ours["orientation"], ours["scale"])
    yield _row("of location, orientation and scale, location matters most", flags, theirs, ours, largest)
    lateral = _last_and_rest(cost)
    if lateral is not None:
        last, rest = lateral.values()
        other = "not released" if published is None else _last_and_rest(published)
        yield _row(
            "the lateral flow of the last layer does not matter", flags, other, lateral, last < NEGLIGIBLE * rest
        )


def _peaks(cost: xr.DataArray) -> dict[str, float]:
    """Return the largest importance of the auxiliary variables, wherever it is."""
    peak = cost.max(["layer", "step"])
    return {name: float(peak.sel(perturbation=name)) for name in _GROUPS[:3]}


def _last_and_rest(cost: xr.DataArray) -> dict[str, float] | None:
    """Return the largest absolute importance of flows into the last layer and of all others; None if there are none."""
    size = abs(cost.sel(perturbation=list(_GROUPS)))
    last, rest = float(size.sel(layer=FULL).max()), float(size.drop_sel(layer=FULL).max())
    return None if math.isnan(last) else {f"into {FULL}": last, "elsewhere": rest}


def _published_cost(flags: str) -> xr.DataArray | None:
    return published_summary("importance", flags)["mean"] if flags in (GAIN, BIAS) else None


def _gain_and_bias(costs: Mapping[str, xr.DataArray]) -> tuple[list[xr.DataArray], list[xr.DataArray]]:
    """Return our and the published importances, of gain and of bias networks."""
    published = [published_summary("importance", flags)["mean"] for flags in (GAIN, BIAS)]
    return [costs[GAIN], costs[BIAS]], published
