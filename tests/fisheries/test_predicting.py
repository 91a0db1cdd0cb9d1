"""Learning from catches: nothing of the tested stock or of later years may be seen, and nothing found in noise."""

import numpy as np
import pandas as pd
import pytest

from fishnet.fisheries import predicting
from fishnet.fisheries.predicting import (
    HISTORY,
    auc,
    calibration_error,
    folds,
    learn,
    reason_not_to,
    stock_years,
)


@pytest.fixture(scope="module")
def table():
    """Sixty stocks; those whose catches fall are below Bmsy, mostly."""
    chance = np.random.default_rng(1)
    rows = []
    for number in range(60):
        falls = number % 2
        years = np.arange(1970, 2011)
        catch = 100 * np.exp(np.where(years > 1985, -0.06 * falls * (years - 1985), 0) + chance.normal(0, 0.2, 41))
        ratio = np.where((years > 1985) & bool(falls), 0.6, 1.5) * np.exp(chance.normal(0, 0.2, 41))
        rows.append(
            pd.DataFrame({"kind": "stock", "entity": f"s{number}", "year": years, "catch": catch, "b_bmsy": ratio})
        )
    return stock_years(pd.concat(rows, ignore_index=True))


@pytest.fixture
def quick(monkeypatch):
    for name, value in {"RESAMPLES": 60, "FOLDS": 3, "CUTS": 2, "REPEATS": 2}.items():
        monkeypatch.setattr(predicting, name, value)


def test_features_know_nothing_of_later_years(table):
    frame = pd.DataFrame(
        {"kind": "stock", "entity": "x", "year": range(1990, 2010), "catch": np.arange(20.0), "b_bmsy": 1.1}
    )
    whole = stock_years(frame).set_index("year")
    cut = stock_years(frame[frame["year"] <= 2000]).set_index("year")
    names = list(HISTORY.values())
    pd.testing.assert_frame_equal(whole.loc[:2000, names], cut[names])
    assert whole.loc[2009, "catch_to_peak"] == pytest.approx(18 / 19)
    assert not {"b_bmsy", "entity", "year", "below"} & set(predicting.PREDICTORS)


def test_folds_share_no_stock_and_look_forward(table):
    found = list(folds(table))
    assert len(found) == 20
    for fold in found:
        train, test = table.iloc[fold.train], table.iloc[fold.test]
        assert not set(train["entity"]) & set(test["entity"])
        assert train["year"].max() <= fold.cut < test["year"].min()
        assert not test["entity"].duplicated().any()


@pytest.mark.slow
def test_a_real_pattern_is_found_and_told_with_its_doubt(table, quick):
    steps = []
    learnt = learn(table, advance=lambda: steps.append(1))
    assert len(steps) == learnt.folds == 6
    found = learnt.metric("boosting", "auc")
    assert 0.85 < found.low <= found.value <= found.high
    assert learnt.metric("ignorance", "auc").value == pytest.approx(0.5, abs=0.1)
    assert learnt.metric("boosting", "brier").value < learnt.metric("ignorance", "brier").value
    assert set(learnt.importances["feature"]) == {*HISTORY, "species category", "resilience"}
    assert learnt.importances["drop"].iloc[0] > 0.02
    assert (learnt.reliability[learnt.reliability["model"] == "boosting"]["stocks"].sum()) == len(learnt.answers)


@pytest.mark.slow
def test_nothing_is_found_in_noise(table, quick):
    kinds = dict(zip(table["entity"].unique(), np.random.default_rng(0).integers(0, 2, 60), strict=True))
    shuffled = table.assign(below=table["entity"].map(kinds))
    found = learn(shuffled).metric("boosting", "auc")
    assert found.low < 0.55 and found.value < 0.65


def test_what_teaches_nothing_is_said(table):
    assert "no stock has both" in reason_not_to(pd.DataFrame())
    few = table[table["entity"].isin([f"s{n}" for n in range(9)])]
    assert "9 stocks" in reason_not_to(few)
    assert "one side" in reason_not_to(table.assign(below=1))
    assert reason_not_to(table) is None


def test_figures_agree_with_sklearn():
    from sklearn.metrics import roc_auc_score

    chance = np.random.default_rng(0)
    below, said = chance.integers(0, 2, 200), chance.random(200).round(1)
    assert auc(below, said) == pytest.approx(roc_auc_score(below, said))
    assert np.isnan(auc(np.ones(3), said[:3]))
    assert calibration_error(np.array([1, 0, 1, 0]), np.full(4, 0.5)) == 0
    assert calibration_error(np.array([1, 1]), np.full(2, 0.25)) == 0.75
