"""An equation's text is checked at the door, and becomes Brian2 equations and LaTeX."""

import brian2
import pytest
from brian2 import ms, second, volt

from neurocircuit.circuits.mely import MELY, TWO_POOL, MelyParameters
from neurocircuit.equations import OdeSystem, Symbol, equations_latex, parameter_rows, to_float, unit_name

X = Symbol("x", "state", "X", "a state")
TAU = Symbol("tau", "parameter", r"\tau", "a time constant", unit=second)
DRIVE = Symbol("drive", "input", "L", "the input")


def build(text, *symbols):
    return OdeSystem("little", text, symbols)


def test_a_correct_system_is_accepted():
    system = build("dx/dt = (-x + drive)/tau : 1", X, DRIVE, TAU)
    assert system.states == ("x",)
    assert system.names("input", "parameter") == ("drive", "tau")
    assert system.expressions() == {"x": "(-x + drive)/tau"}


@pytest.mark.parametrize(
    ("text", "symbols", "message"),
    [
        ("dx/dt = -x + drive : 1", (X, DRIVE), r"dx/dt of little has the dimensions 1; it must have s\^-1"),
        ("dx/dt = (-x + tau)/tau : 1", (X, TAU), r"dx/dt of little does not agree in its units.*tau"),
        ("dx/dt = (-x + xi)/tau : 1", (X, TAU), r"dx/dt of little does not agree in its units.*xi"),
        ("dx/dt = exp(tau)*x/tau : 1", (X, TAU), "dx/dt of little does not agree in its units"),
        ("dx/dt = (-x + input)/tau : 1", (X, TAU), "uses `input`, declared neither in `symbols` nor as a function"),
        ("dx/dt = -x/tau : 1", (X, TAU, DRIVE), "declares `drive`, which `text` never uses"),
        ("dx/dt = -x/tau : 1", (X, TAU, TAU), "declares `tau` more than once"),
        (
            "dx/dt = (-x + Gain)/tau : 1",
            (X, TAU, Symbol("Gain", "parameter", "G", "a gain")),
            "names `Gain`; names must be lower case",
        ),
        ("dx/dt = (-x + sinh(x))/tau : 1", (X, TAU), "uses `sinh`, .*Declare the symbol, or add the function"),
        ("dy/dt = -y/tau : 1", (X, TAU), "has equations for `y` but `symbols` declares the states `x`"),
        ("dx/dt = -x/tau : volt", (X, TAU), "`x`.*unit|unit.*`x`"),
    ],
    ids=[
        "missing time",
        "sum of different units",
        "noise without its unit",
        "exp of a time",
        "undeclared",
        "unused",
        "twice",
        "upper case",
        "unknown function",
        "no equation",
        "state declared in another unit than its line",
    ],
)
def test_a_wrong_system_is_refused(text, symbols, message):
    with pytest.raises(ValueError, match=message):
        build(text, *symbols)


def test_the_brian2_equations_declare_every_symbol_with_its_unit_and_role():
    equations = MELY.brian()
    for name in MELY.names("parameter"):
        assert {"shared", "constant"} <= set(equations[name].flags)
    for name in MELY.names("input", "pool"):
        assert equations[name].type == "parameter"
        assert not equations[name].flags
    assert equations["eta"].dim == second.dim
    assert equations["alpha"].dim == (second / second).dim
    assert equations.diff_eq_names == {"h1", "h2"}


def test_the_latex_has_the_symbols_of_the_paper_in_the_order_of_the_text():
    first, second_line = equations_latex(MELY).split("\n")
    in_order = [r"H^{(1)}}{dt}", r"\epsilon^{2}", r"\left[", r"\xi L", r"\alpha H^{(1)}", r"\mu", "U", r"\beta H^{(1)}"]
    in_order += [r"\nu", "T", r"\right]_+", r"\eta"]
    at = [first.find(part) for part in in_order]
    assert -1 not in at, in_order[at.index(-1)]
    assert at == sorted(at)
    in_order = [
        r"H^{(2)}}{dt}",
        r"\sigma^{2}",
        r"\left[",
        r"\zeta H^{(1)}",
        r"\gamma P",
        r"\delta Q",
        r"]_+",
        r"{\tau}",
    ]
    at = [second_line.find(part) for part in in_order]
    assert -1 not in at, in_order[at.index(-1)]
    assert at == sorted(at)


def test_the_latex_of_a_function_has_its_own_form():
    system = build("dx/dt = (-x + exp(-abs(x)) + rectify(drive - x))/tau : 1", X, DRIVE, TAU)
    text = equations_latex(system)
    assert r"e^{- \left|{X}\right|}" in text
    assert r"\left[L - X\right]_+" in text


def test_the_latex_of_the_two_pools_names_both_convolutions():
    text = equations_latex(TWO_POOL)
    assert r"\left(\alpha H^{(1)} + \mu\right) C^{(1)}" in text
    assert r"\gamma C^{(2)}" in text


def test_the_parameter_table_has_a_row_per_parameter_with_value_unit_and_source():
    rows = {row[1]: row for row in parameter_rows(MelyParameters(beta=4.5))}
    assert set(rows) == set(MELY.names("parameter"))
    assert rows["beta"][:4] == (r"\beta", "beta", "4.5", "")
    assert rows["eta"][:4] == (r"\eta", "eta", "6", "ms")
    assert all(row[4] and row[5] for row in rows.values())


def test_times_are_counted_in_ms():
    assert to_float(6 * ms) == pytest.approx(6, rel=1e-15)
    assert to_float(2 / ms) == pytest.approx(2, rel=1e-15)
    assert to_float(0.5) == 0.5
    assert (unit_name(6 * second), unit_name(1 / ms), unit_name(3.0)) == ("ms", "ms^-1", "")


def test_only_powers_of_time_have_a_plain_number():
    with pytest.raises(ValueError, match=r"`gain` has the dimensions .* only dimensionless values and powers of time"):
        to_float(3 * volt, "gain")


def test_brian2_accepts_the_equations_and_their_namespace():
    group = brian2.NeuronGroup(3, MELY.brian(), method="euler", namespace=MELY.namespace(), name="mely_accepts*")
    assert set(MELY.names("parameter", "state", "pool", "input")) <= set(group.variables)
