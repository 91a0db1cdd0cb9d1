"""Points for random and TPE searches, asked of Optuna.

Nothing is kept in Optuna: what was asked stands in the study's journal, and each question replays it. So a study that
was killed goes on with the same points, two parents share one sequence, and a question has one answer.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .protocol import Search
from .settings import Choice, Range, Settings, Space, size

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

ATTEMPTS = 300
ASKED_OF_TPE = 5  # what it proposes again and again is known; a random point teaches more


def ask(
    search: Search, space: Space, *, place: str, history: Sequence[tuple[Settings, float | None]], largest: bool
) -> Settings | None:
    """The next point, different from all before; None when the space holds no more.

    `history`: each point asked before, with its score, or None while it has none. `place` tells searches apart, such
    as those around two candidates.
    """
    if len(history) >= min(search.trials, size(space)):
        return None
    asked = [point for point, _ in history]
    for attempt in range(ATTEMPTS):
        seed = _seed(search.seed, place, len(history), attempt)
        guided = search.kind == "tpe" and attempt < ASKED_OF_TPE
        study = _study(search, space, history if guided else [], largest, seed, guided)
        point = _point(study.ask(_distributions(space)).params, space)
        if point not in asked:
            return point
    return None


def _seed(*parts: Any) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "big")


def _study(
    search: Search,
    space: Space,
    history: Sequence[tuple[Settings, float | None]],
    largest: bool,
    seed: int,
    guided: bool,
) -> Study:
    optuna = _quiet_optuna()
    sampler = optuna.samplers.RandomSampler(seed=seed)
    if guided:
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(3, min(10, search.trials // 3)))
    study = optuna.create_study(sampler=sampler, direction="maximize" if largest else "minimize")
    for point, score in history:
        if score is not None:
            params, distributions = _params(point, space), _distributions(space)
            study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=score))
    return study


def _quiet_optuna():
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for key, domain in space.items():
        if isinstance(domain, Choice):
            found[key] = CategoricalDistribution(list(range(len(domain.values))))  # lists cannot be categories
        elif isinstance(domain, Range) and domain.whole:
            found[key] = IntDistribution(int(domain.low), int(domain.high), log=domain.log)
        elif isinstance(domain, Range):
            found[key] = FloatDistribution(domain.low, domain.high, log=domain.log)
    return found


def _point(params: dict[str, Any], space: Space) -> Settings:
    point: Settings = {}
    for key, domain in space.items():
        value = params[key]
        if isinstance(domain, Choice):
            point[key] = domain.values[value]
        elif isinstance(domain, Range) and not domain.whole:
            point[key] = _short(value, domain)
        else:
            point[key] = int(value)
    return point


def _short(value: float, domain: Range) -> float:
    """Four digits say enough, but rounding must not lead out of the range."""
    return min(max(float(f"{value:.4g}"), domain.low), domain.high)


def _params(point: Settings, space: Space) -> dict[str, Any]:
    return {
        key: domain.values.index(point[key]) if isinstance(domain, Choice) else point[key]
        for key, domain in space.items()
    }


def worst_epoch(own: dict[int, float], others: Sequence[dict[int, float]], *, largest: bool) -> int | None:
    """The epoch at which this training has fallen behind the median of the others; None while it is worth going on."""
    optuna = _quiet_optuna()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
    study = optuna.create_study(pruner=pruner, direction="maximize" if largest else "minimize")
    for curve in others:
        last = curve[max(curve)]
        study.add_trial(optuna.trial.create_trial(value=last, intermediate_values=curve))
    trial = study.ask()
    for epoch in sorted(own):
        trial.report(own[epoch], epoch)
        if trial.should_prune():
            return epoch
    return None
