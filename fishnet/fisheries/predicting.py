"""From catches alone, which stocks lie below Bmsy? Four answers, from ignorance to gradient boosting, asked fairly.

Most of the world's stocks have catches and no assessment, so the question matters; and it is easily answered too well.
Neighbouring years of a stock are near copies, and next year is like this year: a model must therefore be asked about
stocks it has not seen, in years later than all it has seen. The intervals draw stocks again, not rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .features import HISTORY, SPECIES

FOLDS, CUTS, AHEAD, EVERY = (
    5,
    4,
    5,
    3,
)  # groups of stocks, moments in time, years tested behind each, years between rows
FEWEST_STOCKS, FEWEST_OF_A_KIND = 30, 8
RESAMPLES, REPEATS, BINS = 1000, 5, 8
PREDICTORS = [*HISTORY.values(), *SPECIES.values()]


@dataclass(frozen=True)
class Fold:
    train: np.ndarray
    test: np.ndarray
    cut: int
    group: int


@dataclass(frozen=True)
class Learnt:
    """Answers of every model on stocks and years it had not seen, and what follows from them."""

    answers: pd.DataFrame  # entity, year, cut, below, and a probability a model
    figures: pd.DataFrame  # model, figure, value, low, high
    importances: pd.DataFrame  # feature, drop, low, high: of the area under the curve, boosting
    reliability: pd.DataFrame
    folds: int

    def figure(self, model: str, name: str) -> pd.Series:
        return self.figures[(self.figures["model"] == model) & (self.figures["figure"] == name)].iloc[0]


def _columns(numeric: list[str], words: list[str]) -> ColumnTransformer:
    parts: list[tuple] = [("history", StandardScaler(), numeric)]
    if words:
        parts.append(("species", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words))
    return ColumnTransformer(parts)


def models(seed: int) -> dict[str, Pipeline]:
    """From what everybody would guess to what a machine can find."""
    history, words = list(HISTORY.values()), list(SPECIES.values())
    trees = HistGradientBoostingClassifier(
        max_iter=120,
        learning_rate=0.05,
        max_leaf_nodes=8,
        min_samples_leaf=30,
        l2_regularization=1.0,
        random_state=seed,
    )
    return {
        "ignorance": make_pipeline(_columns(["catch_to_peak"], []), DummyClassifier(strategy="prior")),
        "rule of thumb": make_pipeline(_columns(["catch_to_peak"], []), LogisticRegression()),
        "logistic": make_pipeline(_columns(history, words), LogisticRegression(C=0.3, max_iter=2000)),
        "boosting": make_pipeline(_columns(history, words), trees),
    }


def reason_not_to(table: pd.DataFrame) -> str | None:
    """Why nothing can be learnt from this table; None when something can."""
    if table.empty:
        return "no stock has both a catch history and B/Bmsy"
    stocks = table["entity"].nunique()
    if stocks < FEWEST_STOCKS:
        return f"{stocks} stocks have catches and B/Bmsy, and fewer than {FEWEST_STOCKS} teach nothing that would hold"
    kinds = table["below"].value_counts()
    if len(kinds) < 2:
        return "all stocks lie on one side of Bmsy"
    found = list(folds(table))
    if not found:
        return "its years do not reach far enough for a test in later years"
    tested = table.loc[np.concatenate([fold.test for fold in found]), "below"].value_counts()
    if len(tested) < 2 or tested.min() < FEWEST_OF_A_KIND:
        return "too few stocks of one kind lie in the years to be tested"
    return None


def cuts(table: pd.DataFrame) -> list[int]:
    """The last years that training may see: every five years, back from where most stocks end."""
    end = int(table.groupby("entity")["year"].max().median())
    return [end - AHEAD * back for back in range(CUTS, 0, -1)]


def folds(table: pd.DataFrame, seed: int = 0) -> Iterator[Fold]:
    """Every group of stocks is tested in every span of later years, by models of the other groups and earlier years."""
    names = np.array(sorted(table["entity"].unique()))
    order = np.random.default_rng(seed).permutation(len(names))
    group = table["entity"].map(dict(zip(names[order], np.arange(len(names)) % FOLDS, strict=True))).to_numpy()
    year = table["year"].to_numpy()
    for cut in cuts(table):
        later = table[(year > cut) & (year <= cut + AHEAD)]
        asked = later.groupby("entity")["year"].idxmax().to_numpy()
        for number in range(FOLDS):
            train = np.flatnonzero((year <= cut) & ((cut - year) % EVERY == 0) & (group != number))
            test = asked[group[asked] == number]
            if len(test) and len(np.unique(table["below"].to_numpy()[train])) == 2:
                yield Fold(train, test, cut, number)


def learn(table: pd.DataFrame, *, seed: int = 0, advance: Callable[[], None] = lambda: None) -> Learnt:
    """`advance` is called after each fold, for a progress bar."""
    answers, dropped = [], []
    for fold in (found := list(folds(table, seed))):
        part, tested = table.iloc[fold.train], table.iloc[fold.test]
        told = tested[["entity", "year", "below"]].assign(cut=fold.cut)
        for name, model in models(seed).items():
            fitted = (
                _calibrated(model, part, seed) if name == "boosting" else model.fit(part[PREDICTORS], part["below"])
            )
            told[name] = fitted.predict_proba(tested[PREDICTORS])[:, 1]
        answers.append(told)
        if tested["below"].nunique() == 2:
            drop = permutation_importance(
                fitted, tested[PREDICTORS], tested["below"], scoring="roc_auc", n_repeats=REPEATS, random_state=seed
            )
            dropped.append(drop.importances_mean)
        advance()
    table_of_answers = pd.concat(answers, ignore_index=True)
    names = list(models(seed))
    return Learnt(
        answers=table_of_answers,
        figures=figures(table_of_answers, names, seed),
        importances=_importances(np.array(dropped)),
        reliability=reliability(table_of_answers, ["logistic", "boosting"]),
        folds=len(found),
    )


def _calibrated(model: Pipeline, part: pd.DataFrame, seed: int):
    """Trees say extremes too easily: a sigmoid on answers about stocks they had not seen mends that."""
    splits = list(GroupKFold(3).split(part, groups=part["entity"]))
    if any(part["below"].iloc[train].nunique() < 2 for train, _ in splits):
        return model.fit(part[PREDICTORS], part["below"])
    wrapped = CalibratedClassifierCV(model, method="sigmoid", cv=splits, ensemble=False)
    return wrapped.fit(part[PREDICTORS], part["below"])


# ---- figures


def auc(below: np.ndarray, chance: np.ndarray) -> float:
    """The chance that a stock below Bmsy is given a higher probability than one above; ties count half."""
    positive = below == 1
    count = int(positive.sum())
    if count in (0, len(below)):
        return float("nan")
    return float((rankdata(chance)[positive].sum() - count * (count + 1) / 2) / (count * (len(below) - count)))


def _scores(below: np.ndarray, chance: np.ndarray) -> dict[str, float]:
    said = chance >= 0.5
    right = [(said == below)[below == side].mean() if (below == side).any() else np.nan for side in (0, 1)]
    return {
        "auc": auc(below, chance),
        "balanced_accuracy": float(np.mean(right)),
        "brier": float(np.mean((chance - below) ** 2)),
        "calibration_error": calibration_error(below, chance),
    }


def calibration_error(below: np.ndarray, chance: np.ndarray) -> float:
    place = np.minimum((chance * BINS).astype(int), BINS - 1)
    total = np.bincount(place, minlength=BINS)
    gap = np.abs(np.bincount(place, weights=chance - below, minlength=BINS))
    return float(gap.sum() / total.sum())


def figures(answers: pd.DataFrame, names: list[str], seed: int, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Each figure with its 95 % interval over stocks, and how much boosting gains on the rule of thumb."""
    below = answers["below"].to_numpy()
    chances = {name: answers[name].to_numpy() for name in names}
    stock = pd.factorize(answers["entity"])[0]
    rows_of = [np.flatnonzero(stock == number) for number in range(stock.max() + 1)]
    chance = np.random.default_rng(seed)
    draws = [
        np.concatenate([rows_of[k] for k in chance.integers(0, len(rows_of), len(rows_of))]) for _ in range(resamples)
    ]
    point = {name: _scores(below, given) for name, given in chances.items()}
    again = {name: pd.DataFrame([_scores(below[d], given[d]) for d in draws]) for name, given in chances.items()}
    rows = []
    for name in names:
        for figure, value in point[name].items():
            low, high = np.nanquantile(again[name][figure], [0.025, 0.975])
            rows.append((name, figure, value, low, high))
    for other in ("rule of thumb", "logistic"):
        gain = again["boosting"]["auc"] - again[other]["auc"]
        low, high = np.nanquantile(gain, [0.025, 0.975])
        rows.append((f"boosting − {other}", "auc", point["boosting"]["auc"] - point[other]["auc"], low, high))
    return pd.DataFrame(rows, columns=["model", "figure", "value", "low", "high"])


def reliability(answers: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """In bins of what was said: how many, what was said on average, what was true."""
    rows = []
    for name in names:
        place = np.minimum((answers[name] * BINS).astype(int), BINS - 1)
        for number in range(BINS):
            part = answers[place == number]
            if len(part):
                rows.append((name, number, len(part), part[name].mean(), part["below"].mean()))
    return pd.DataFrame(rows, columns=["model", "bin", "stocks", "said", "true"])


def _importances(dropped: np.ndarray) -> pd.DataFrame:
    """Mean over folds of the area lost when a feature is shuffled; ends are its spread over folds (10 % to 90 %)."""
    names = [*HISTORY, *SPECIES]
    if not len(dropped):
        return pd.DataFrame(columns=["feature", "drop", "low", "high"])
    low, high = np.quantile(dropped, [0.1, 0.9], axis=0)
    table = pd.DataFrame({"feature": names, "drop": dropped.mean(axis=0), "low": low, "high": high})
    return table.sort_values("drop", ascending=False, ignore_index=True)
