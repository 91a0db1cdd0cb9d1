"""Shares, classes and quadrants, and five regional figures of the published tables, reckoned by hand."""

import numpy as np
import pandas as pd
import pytest

from fishnet.fisheries.reading import read
from fishnet.fisheries.status import (
    below_bmsy,
    biomass_class,
    changes,
    class_counts,
    classified,
    latest,
    quadrant,
    sustainable,
    sustainable_of_stocks,
)

# Cells of the published tables, copied by hand: FAO via Our World in Data (CC BY 4.0), and RAM Legacy by region
# (Hilborn et al. 2020, CC BY 4.0).
FAO = """Entity,Code,Year,Biologically sustainable,Overexploited
Mediterranean and Black Sea (FAO),,2021,37.5,62.5
Mediterranean and Black Sea (FAO),,2004,65.85,34.15
Northeast Atlantic (FAO),,2004,63.64,36.36
Northeast Atlantic (FAO),,2021,79.4,20.6
Southeast Pacific (FAO),,2004,56.52,43.48
Southeast Pacific (FAO),,2021,33.3,66.7
World,OWID_WRL,1974,90,10
World,OWID_WRL,2021,62.33,37.67
Albania,ALB,2018,14.29,85.71
"""
RAM = """Entity,Year,biomass_mean_region,catch_mean_region,fishing_pressure_mean_region
Japan,1975,0.685754147236449,1.10112910818355,1.23882215548883
Japan,2016,0.687910857473091,0.608988716561721,1.1233870967742
US Alaska,1975,0.734582308767365,0.827346304430999,0.781292956588145
US Alaska,2014,1.78985163491976,0.848093217589889,0.328515395963009
"""


@pytest.fixture
def fao(tmp_path):
    (tmp_path / "fao.csv").write_text(FAO)
    return read(tmp_path / "fao.csv").frame


def test_five_regional_figures_by_hand(fao, tmp_path):
    ends = changes(sustainable(fao)).set_index("entity")
    by_hand = {
        "World": 62.33 - 90,  # over 47 years
        "Mediterranean and Black Sea (FAO)": 37.5 - 65.85,
        "Northeast Atlantic (FAO)": 79.4 - 63.64,
        "Southeast Pacific (FAO)": 33.3 - 56.52,
    }
    for region, change in by_hand.items():
        assert ends.loc[region, "change"] == pytest.approx(change)
    assert ends.index[1] == "Southeast Pacific (FAO)"  # after Albania, the lowest last share
    (tmp_path / "ram.csv").write_text(RAM)
    now = latest(classified(read(tmp_path / "ram.csv").frame), "b_bmsy", "u_umsy").set_index("entity")
    assert now.loc["Japan", ["year", "biomass_class", "quadrant"]].tolist() == [
        2016,
        "overfished",
        "overfished and overfishing",
    ]
    assert now.loc["US Alaska", ["year", "biomass_class", "quadrant"]].tolist() == [2014, "above Bmsy", "healthy"]


def test_countries_regions_and_the_world(fao):
    kinds = fao.drop_duplicates("entity").set_index("entity")["kind"]
    assert kinds["Albania"] == "country"
    assert kinds["World"] == kinds["Northeast Atlantic (FAO)"] == "region"


def test_where_only_the_overfished_are_told_the_rest_is_sustainable():
    frame = pd.DataFrame({"kind": "region", "entity": "x", "year": [2000], "overfished": [30.0]})
    assert sustainable(frame)["sustainable"].tolist() == [70]


def test_classes_and_quadrants_at_their_ends():
    ratios = pd.Series([0.0, 0.199, 0.2, 0.799, 0.8, 1.199, 1.2, np.nan])
    assert biomass_class(ratios).tolist() == [
        "collapsed",
        "collapsed",
        "overfished",
        "overfished",
        "at the level of Bmsy",
        "at the level of Bmsy",
        "above Bmsy",
        None,
    ]
    b, u = pd.Series([1.0, 1.0, 0.9, 0.9, 1.0]), pd.Series([1.0, 1.1, 1.0, 1.1, np.nan])
    said = ["healthy", "overfishing begins", "recovering", "overfished and overfishing", None]
    assert quadrant(b, u).tolist() == said


@pytest.fixture
def stocks():
    """Ten stocks in two seas for two years; four of the Cold Sea's five are below Bmsy in the second."""
    rows = [
        ("stock", f"s{number}", 2000 + year, 0.7 if year and number < 4 else 1.5, "Cold" if number < 5 else "Warm")
        for number in range(10)
        for year in range(2)
    ]
    return pd.DataFrame(rows, columns=["kind", "entity", "year", "b_bmsy", "region"])


def test_shares_are_counted_over_stocks(stocks):
    below = below_bmsy(stocks).set_index("year")
    assert below["share"].tolist() == [0, 0.4]
    assert 0 == below.loc[2000, "low"] < below.loc[2000, "high"] < 0.35
    assert below.loc[2001, "low"] < 0.4 < below.loc[2001, "high"]
    shares = sustainable_of_stocks(stocks).set_index(["entity", "year"])["sustainable"]
    assert shares["Cold", 2001] == 20 and shares["Warm", 2001] == 100 and shares["all stocks", 2001] == 60
    counts = class_counts(classified(stocks)).set_index("year")
    assert counts.loc[2001, ["overfished", "above Bmsy"]].tolist() == [4, 6]


def test_the_interval_of_a_share_agrees_with_the_published_example():
    """Newcombe 1998, table I: Wilson's interval of 81 in 263 is 0.2553 to 0.3662."""
    ratios = [0.5] * 81 + [1.5] * (263 - 81)
    (row,) = below_bmsy(pd.DataFrame({"kind": "stock", "year": 2000, "b_bmsy": ratios})).itertuples()
    assert (round(row.low, 4), round(row.high, 4)) == (0.2553, 0.3662)


def test_a_region_without_a_name_is_none(stocks):
    stocks.loc[stocks["region"] == "Cold", "region"] = ""
    assert set(sustainable_of_stocks(stocks)["entity"]) == {"all stocks", "Warm"}
