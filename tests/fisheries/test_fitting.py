"""The model on stocks whose truth is known; twenty of them are enough to see a blunder, two hundred are the proof."""

import numpy as np
import pandas as pd
import pytest

from fishnet.fisheries import chapters_fits
from fishnet.fisheries.dynamics import candidates, dynamics, select, warnings
from fishnet.fisheries.fitting import Series, _Problem, fit
from fishnet.fisheries.intervals import log_quantities, uncertainty
from fishnet.fisheries.production import CURVES, FOX, SCHAEFER
from fishnet.fisheries.projecting import project
from fishnet.fisheries.simulating import simulate_stock


def made(story="rise and fall", curve=SCHAEFER, seed=3, **more):
    return simulate_stock(curve, story, np.random.default_rng(seed), **more)


@pytest.mark.parametrize("curve", CURVES.values(), ids=lambda curve: curve.name)
def test_curves_keep_their_own_words(curve):
    """MSY is the largest surplus, at Bmsy; taking Fmsy of Bmsy takes MSY."""
    p = np.linspace(0.01, 0.99, 9801)
    surplus = 0.3 * curve.shape(p) * 1000
    assert p[surplus.argmax()] == pytest.approx(curve.bmsy, abs=1e-3)
    assert surplus.max() == pytest.approx(curve.msy(0.3, 1000), rel=1e-5)
    assert curve.fmsy(0.3) * curve.bmsy * 1000 == pytest.approx(curve.msy(0.3, 1000))
    assert np.gradient(curve.shape(p), p)[5:-5] == pytest.approx(curve.slope(p)[5:-5], abs=1e-2)


@pytest.mark.parametrize("curve", CURVES.values(), ids=lambda curve: curve.name)
def test_the_gradient_is_that_of_the_cost(curve):
    one = made(curve=curve)
    problem = _Problem(curve, one.series)
    z = np.concatenate([one.states - 0.1, [np.log(0.3), np.log(9.0), -3.0]])[None, :]
    sizes = np.array([0.1]), np.array([0.2])
    gradient, matrix = problem.normal(z, *sizes)
    for place in (0, 7, 39, 40, 41, 42):
        step = np.zeros_like(z)
        step[0, place] = 1e-5
        slope = (problem.cost(z + step, *sizes) - problem.cost(z - step, *sizes)) / 2e-5
        assert 2 * gradient[0, place] == pytest.approx(slope[0], rel=1e-4, abs=1e-3)
    assert matrix == pytest.approx(matrix.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(matrix[0]).min() > 0


@pytest.mark.parametrize("curve", CURVES.values(), ids=lambda curve: curve.name)
def test_without_noise_the_truth_is_found(curve):
    one = made("boom and bust", curve, process_error=0.01, observation_error=0.01, r=0.4)
    found = fit(curve, one.series)
    assert float(np.exp(found.log_r[0])) == pytest.approx(one.r, rel=0.1)
    assert float(curve.msy(np.exp(found.log_r[0]), np.exp(found.log_k[0]))) == pytest.approx(one.msy, rel=0.05)


def test_units_do_not_matter_and_neither_do_blanks_in_the_index():
    one = made()
    tonnes = fit(SCHAEFER, one.series)
    thousands = fit(SCHAEFER, Series(one.series.catch / 1000, one.series.index * 7))
    assert thousands.log_r == pytest.approx(tonnes.log_r, abs=1e-3)
    assert np.exp(thousands.log_k) * 1000 == pytest.approx(np.exp(tonnes.log_k), rel=1e-3)
    index = one.series.index.copy()
    index[0, ::3] = np.nan
    holes = fit(SCHAEFER, Series(one.series.catch, index))
    assert np.isfinite(holes.states).all()
    assert float(holes.log_k[0]) == pytest.approx(float(tonnes.log_k[0]), abs=0.6)


def test_absolute_biomass_fixes_q():
    found = fit(SCHAEFER, made(absolute=True).series)
    assert float(found.log_q[0]) == pytest.approx(0, abs=1e-3)


def test_intervals_hold_their_value_and_are_the_same_for_the_same_seed():
    found = fit(FOX, made(curve=FOX).series)
    once, again = uncertainty(found, resamples=60, seed=5), uncertainty(found, resamples=60, seed=5)
    assert once == again
    for interval in [*once.intervals.values(), once.process_error, once.observation_error]:
        assert 0 < interval.low < interval.value < interval.high
    assert set(once.intervals) == set(log_quantities(found))


def test_no_contrast_and_too_short_are_said():
    flat = fit(SCHAEFER, made("light and steady").series)
    assert any("no contrast" in said for said in warnings(flat, uncertainty(flat, resamples=60)))
    short = made("slow climb", years=12)
    found = fit(SCHAEFER, short.series)
    assert any("too short" in said for said in warnings(found, uncertainty(found, resamples=60)))
    good = fit(SCHAEFER, made(observation_error=0.1, process_error=0.05, r=0.4).series)
    assert warnings(good, uncertainty(good, resamples=60)) == []


def test_futures_follow_their_rule():
    found = fit(SCHAEFER, made(observation_error=0.1, process_error=0.05, r=0.4).series)
    none, all_of_it = project(found, years=30, catch=0.0), project(found, years=30, fishing=6.0)
    assert none.b_bmsy[1, -1] > 1.6 and none.above[-1] > 0.95 and none.catch.max() == 0
    assert all_of_it.b_bmsy[1, -1] < 0.2 and all_of_it.collapsed[-1] > 0.6
    at_msy = project(found, years=30, fishing=1.0)
    assert 0.6 < at_msy.b_bmsy[1, -1] < 1.3
    spread = at_msy.b_bmsy[2] / at_msy.b_bmsy[0]
    assert (at_msy.b_bmsy[0] < at_msy.b_bmsy[2]).all() and spread.max() < 6
    with pytest.raises(ValueError, match="one of"):
        project(found, years=3)


def frame(one, entity="cod", drop=()):
    years = 1980 + np.arange(len(one.states))
    table = pd.DataFrame(
        {"kind": "stock", "entity": entity, "year": years, "catch": one.series.catch[0], "index": one.series.index[0]}
    )
    return table[~table["year"].isin(drop)]


def test_the_most_telling_stock_comes_first_and_can_be_named():
    flat = frame(made("light and steady"), "flat")
    found = candidates([pd.concat([flat, frame(made(), "cod", drop=[1990])], ignore_index=True)])
    assert [one.entity for one in found] == ["cod", "flat"]
    assert found[0].notes == ["1 year without a catch was filled from what is beside it"]
    assert select(found, "FLAT, cod", 1) == [found[1], found[0]]
    from fishnet.errors import BadInput

    with pytest.raises(BadInput, match="did you mean flat"):
        select(found, "flatt", 1)


def test_both_curves_are_fitted_and_the_likelier_is_drawn():
    (chosen,) = candidates([frame(made(observation_error=0.1))])
    one = dynamics(chosen, resamples=60, horizon=4)
    assert set(one.fits) == {"schaefer", "fox"} and one.best in one.fits
    assert one.evidence_gap is not None and one.evidence_gap >= 0
    assert [future.b_bmsy.shape for future in one.futures] == [(3, 4), (3, 4)]
    assert dynamics(chosen, curve="fox", resamples=60, horizon=1).best == "fox"


@pytest.mark.slow
def test_twenty_simulated_stocks():
    """A share of experiments/fish_stocks: bounds wide enough for twenty, narrow enough for a blunder."""
    from experiments.fish_stocks.__main__ import NO_CONTRAST, error, simulated, summary, width

    table = simulated(20, seed=11, resamples=100)
    told, silent = table[table["story"] != NO_CONTRAST], table[table["story"] == NO_CONTRAST]
    for name in ("r", "k", "msy"):
        assert table[f"{name}_held"].mean() >= 0.7
    assert width(told).median() <= 0.6
    assert error(told).median() <= 0.15
    assert silent["warned"].all()
    assert summary(table).loc["all", "stocks"] == 20


def test_a_closed_fishery_takes_nothing_and_is_sure_of_it():
    one = made()
    catch = one.series.catch.copy()
    catch[:, -1] = 0
    now = uncertainty(fit(SCHAEFER, Series(catch, one.series.index)), resamples=50).intervals["f_fmsy"]
    assert (now.value, now.low, now.high) == (0, 0, 0)
    assert chapters_fits.interval(now) == "0"


def test_catches_are_told_in_tonnes_but_for_groups_whose_catch_is_relative():
    """RAM's regions tell the mean over stocks of each one's catch against its own mean."""
    one = made()
    frame = pd.DataFrame({"year": np.arange(len(one.states)) + 1980, "catch": one.series.catch[0], "entity": "x"})
    frame["b_bmsy"] = np.exp(one.states)
    stock, region = (candidates([frame.assign(kind=kind)])[0] for kind in ("stock", "region"))
    assert (stock.unit, region.unit) == (" tonnes", "")
    future = project(fit(SCHAEFER, region.series), years=2, catch=2.0, unit=region.unit, draws=10)
    assert future.rule == "2 caught every year"
