"""From catches alone, which stocks lie below Bmsy? Four models, from ignorance to gradient boosting, tested fairly.

Most of the world's stocks have catches and no assessment, so the question matters; and it is easily answered too well.
Neighbouring years of a stock are near copies, and next year is like this year: a model must therefore be tested on
stocks it has not seen, in years later than all it has seen. The intervals draw stocks again, not rows.

A model knows the stock's history of catches, its species category and its resilience: nothing of its biomass, nothing
of later years.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

HISTORY = {
    "catch now / largest so far": "catch_to_peak",
    "catch now / mean so far": "catch_to_mean",
    "years since the largest catch": "years_since_peak",
    "years fished": "years_fished",
    "change over 5 years": "change_5",
    "change over 10 years": "change_10",
    "unrest of the last 10 years": "unrest",
    "share of years above half the peak": "share_high",
}
SPECIES = {"species category": "category", "resilience": "resilience"}
CALIBRATED = ["logistic", "boosting"]  # models whose probabilities are compared with what came true
PREDICTORS = [*HISTORY.values(), *SPECIES.values()]
FEWEST_YEARS = 5

FOLDS, CUTS = 5, 4  # groups of stocks, moments in time
AHEAD, EVERY = 5, 3  # years tested behind each moment, years between rows
FEWEST_STOCKS, FEWEST_OF_A_KIND = 30, 8
RESAMPLES, REPEATS, BINS = 1000, 5, 8


def stock_years(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for every stock and year whose B/Bmsy is known and that has enough of a past."""
    stocks = frame[(frame["kind"] == "stock") & frame["catch"].notna()].sort_values(["entity", "year"])
    parts = [_history(part) for _, part in stocks.groupby("entity", sort=False) if (part["catch"] > 0).any()]
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    table = table[table["b_bmsy"].notna() & (table["years_fished"] >= FEWEST_YEARS)]
    for column in SPECIES.values():
        table[column] = table[column].fillna("unknown").replace("", "unknown") if column in table else "unknown"
    table["below"] = (table["b_bmsy"] < 1).astype(int)
    return table.reset_index(drop=True)


def _history(stock: pd.DataFrame) -> pd.DataFrame:
    """Running statistics of the catches; each uses this year and those before it only."""
    kept = [name for name in ("entity", "year", "b_bmsy", "category", "resilience") if name in stock]
    out, catch = stock[kept].copy(), stock["catch"].astype(float)
    peak = catch.cummax().replace(0, np.nan).fillna(1.0)
    now = catch.rolling(3, min_periods=1).mean()
    little = 0.01 * peak
    order = pd.Series(np.arange(len(catch)), index=catch.index)
    out["catch_to_peak"] = now / peak
    out["catch_to_mean"] = now / catch.expanding().mean().replace(0, np.nan).fillna(1.0)
    out["years_since_peak"] = order - order.where(catch >= peak).ffill().fillna(0)
    out["years_fished"] = order + 1
    for back in (5, 10):
        before = now.shift(back)
        out[f"change_{back}"] = ((now + little) / (before + little)).apply(np.log).fillna(0.0)
    out["unrest"] = catch.rolling(10, min_periods=3).std().fillna(0.0) / peak
    out["share_high"] = (catch > 0.5 * peak).astype(float).expanding().mean()
    return out


@dataclass(frozen=True)
class Fold:
    """Rows to train and to test on: of one group of stocks, in the years behind one moment."""

    train: np.ndarray
    test: np.ndarray
    cut: int
    group: int


def folds(table: pd.DataFrame, seed: int = 0) -> Iterator[Fold]:
    """Every group of stocks is tested in every span of later years, by models of the other groups and earlier years."""
    names = np.array(sorted(table["entity"].unique()))
    order = np.random.default_rng(seed).permutation(len(names))
    group = table["entity"].map(dict(zip(names[order], np.arange(len(names)) % FOLDS, strict=True))).to_numpy()
    year = table["year"].to_numpy()
    end = int(table.groupby("entity")["year"].max().median())  # where most stocks end
    for cut in range(end - AHEAD * CUTS, end, AHEAD):
        later = table[(year > cut) & (year <= cut + AHEAD)]
        last = later.groupby("entity")["year"].idxmax().to_numpy()
        for number in range(FOLDS):
            train = np.flatnonzero((year <= cut) & ((cut - year) % EVERY == 0) & (group != number))
            test = last[group[last] == number]
            if len(test) and len(np.unique(table["below"].to_numpy()[train])) == 2:
                yield Fold(train, test, cut, number)


def reason_not_to(table: pd.DataFrame) -> str | None:
    """Why nothing can be learnt from this table; None when something can."""
    if table.empty:
        return "no stock has both a catch history and B/Bmsy"
    stocks = table["entity"].nunique()
    if stocks < FEWEST_STOCKS:
        return f"{stocks} stocks have catches and B/Bmsy, and fewer than {FEWEST_STOCKS} teach nothing that would hold"
    if table["below"].nunique() < 2:
        return "all stocks lie on one side of Bmsy"
    tests = [fold.test for fold in folds(table)]
    if not tests:
        return "its years do not reach far enough for a test in later years"
    tested = table.loc[np.concatenate(tests), "below"].value_counts()
    if len(tested) < 2 or tested.min() < FEWEST_OF_A_KIND:
        return "too few stocks of one kind lie in the years to be tested"
    return None


def models(seed: int) -> dict[str, Pipeline]:
    """From what everybody would guess to what a machine can find."""

    def columns(numeric: list[str], words: list[str]) -> ColumnTransformer:
        parts: list[tuple] = [("history", StandardScaler(), numeric)]
        if words:
            parts.append(("species", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words))
        return ColumnTransformer(parts)

    history, words = list(HISTORY.values()), list(SPECIES.values())
    size = {"max_iter": 120, "learning_rate": 0.05, "max_leaf_nodes": 8, "min_samples_leaf": 30}
    trees = HistGradientBoostingClassifier(**size, l2_regularization=1.0, random_state=seed)
    return {
        "ignorance": make_pipeline(columns(["catch_to_peak"], []), DummyClassifier(strategy="prior")),
        "rule of thumb": make_pipeline(columns(["catch_to_peak"], []), LogisticRegression()),
        "logistic": make_pipeline(columns(history, words), LogisticRegression(C=0.3, max_iter=2000)),
        "boosting": make_pipeline(columns(history, words), trees),
    }


def _calibrated(model: Pipeline, part: pd.DataFrame) -> ClassifierMixin:
    """Trees give extremes too easily: a sigmoid on predictions for stocks they had not seen mends that."""
    splits = list(GroupKFold(3).split(part, groups=part["entity"]))
    if any(part["below"].iloc[train].nunique() < 2 for train, _ in splits):
        return model.fit(part[PREDICTORS], part["below"])
    wrapped = CalibratedClassifierCV(model, method="sigmoid", cv=splits, ensemble=False)
    return wrapped.fit(part[PREDICTORS], part["below"])


@dataclass(frozen=True)
class LearningResult:
    """Predictions of every model for stocks and years it had not seen, and what follows from them."""

    answers: pd.DataFrame  # entity, year, cut, below, and a column of probabilities a model
    metrics: pd.DataFrame  # model, figure (the metric's name), value, low, high
    importances: pd.DataFrame  # feature, drop, low, high: of the area under the curve, boosting
    reliability: pd.DataFrame  # model, bin, stocks, predicted (mean probability), observed (share that is below)
    folds: int  # how many there were

    def metric(self, model: str, name: str) -> pd.Series:
        """value, low and high of one metric."""
        return self.metrics[(self.metrics["model"] == model) & (self.metrics["figure"] == name)].iloc[0]


def learn(table: pd.DataFrame, *, seed: int = 0, advance: Callable[[], None] = lambda: None) -> LearningResult:
    """Trains and tests every model in every fold; `advance` is called after each fold, for a progress bar."""
    answers, drops = [], []
    all_folds = list(folds(table, seed))
    for fold in all_folds:
        part, tested = table.iloc[fold.train], table.iloc[fold.test]
        of_fold = tested[["entity", "year", "below"]].assign(cut=fold.cut)
        for name, model in models(seed).items():
            fitted = _calibrated(model, part) if name == "boosting" else model.fit(part[PREDICTORS], part["below"])
            of_fold[name] = fitted.predict_proba(tested[PREDICTORS])[:, 1]
        answers.append(of_fold)
        if tested["below"].nunique() == 2:
            options = {"scoring": "roc_auc", "n_repeats": REPEATS, "random_state": seed}
            importance = permutation_importance(fitted, tested[PREDICTORS], tested["below"], **options)
            drops.append(importance.importances_mean)
        advance()
    together = pd.concat(answers, ignore_index=True)
    metrics, calibration = metric_table(together, list(models(seed)), seed), reliability(together, CALIBRATED)
    return LearningResult(together, metrics, _importances(np.array(drops)), calibration, len(all_folds))


def _importances(drops: np.ndarray) -> pd.DataFrame:
    """Mean over folds of the area lost when a feature is shuffled; ends are its spread over folds (10 % to 90 %)."""
    if not len(drops):
        return pd.DataFrame(columns=["feature", "drop", "low", "high"])
    low, high = np.quantile(drops, [0.1, 0.9], axis=0)
    table = pd.DataFrame({"feature": [*HISTORY, *SPECIES], "drop": drops.mean(axis=0), "low": low, "high": high})
    return table.sort_values("drop", ascending=False, ignore_index=True)


# ---- metrics: written out, for sklearn's validate their input at every call, and the bootstrap makes thousands


def auc(below: np.ndarray, probability: np.ndarray) -> float:
    """How often a stock below Bmsy is given a higher probability than one above; ties count half."""
    positive = below == 1
    count = int(positive.sum())
    if count in (0, len(below)):
        return float("nan")
    return float((rankdata(probability)[positive].sum() - count * (count + 1) / 2) / (count * (len(below) - count)))


def calibration_error(below: np.ndarray, probability: np.ndarray) -> float:
    """Mean distance, over bins, of the mean probability from the share that is below, weighted by stocks."""
    number = np.minimum((probability * BINS).astype(int), BINS - 1)
    gap = np.abs(np.bincount(number, weights=probability - below, minlength=BINS))
    return float(gap.sum() / len(below))


def _metrics(below: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    right = (probability >= 0.5) == below
    shares = [right[below == side].mean() if (below == side).any() else np.nan for side in (0, 1)]
    return {
        "auc": auc(below, probability),
        "balanced_accuracy": float(np.mean(shares)),
        "brier": float(np.mean((probability - below) ** 2)),
        "calibration_error": calibration_error(below, probability),
    }


def metric_table(answers: pd.DataFrame, names: list[str], seed: int, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Each metric with its 95 % interval over stocks, and how much boosting gains on simpler models."""
    below = answers["below"].to_numpy()
    probabilities = {name: answers[name].to_numpy() for name in names}
    stock = pd.factorize(answers["entity"])[0]
    rows_of = [np.flatnonzero(stock == number) for number in range(stock.max() + 1)]
    rng, count = np.random.default_rng(seed), len(rows_of)
    draws = [np.concatenate([rows_of[k] for k in rng.integers(0, count, count)]) for _ in range(resamples)]
    point = {name: _metrics(below, given) for name, given in probabilities.items()}
    drawn = {name: pd.DataFrame([_metrics(below[d], p[d]) for d in draws]) for name, p in probabilities.items()}
    entries = [(name, metric, value, drawn[name][metric]) for name in names for metric, value in point[name].items()]
    for other in ("rule of thumb", "logistic"):
        gain = point["boosting"]["auc"] - point[other]["auc"]
        entries.append((f"boosting − {other}", "auc", gain, drawn["boosting"]["auc"] - drawn[other]["auc"]))
    rows = [(*entry, *np.nanquantile(values, [0.025, 0.975])) for *entry, values in entries]
    return pd.DataFrame(rows, columns=["model", "figure", "value", "low", "high"])


def reliability(answers: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """In bins of the probability: how many stocks, the mean probability, the share that is below."""
    tables = []
    for name in names:
        number = (answers[name] * BINS).astype(int).clip(upper=BINS - 1).rename("bin")
        columns = {"stocks": ("below", "size"), "predicted": (name, "mean"), "observed": ("below", "mean")}
        by_bin = answers.groupby(number).agg(**columns)
        tables.append(by_bin.reset_index().assign(model=name))
    return pd.concat(tables, ignore_index=True)[["model", "bin", *columns]]
