"""Points for random and TPE searches, drawn by Optuna.

Nothing is kept in Optuna: the points stand in the study's journal, and each draw replays them. So a study that was
killed goes on with the same points, two processes share one sequence, and the same history always gives the same point.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from .protocol import Search
from .settings import Choice, Range, Settings, Space, size

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

ATTEMPTS = 300
GUIDED_ATTEMPTS = 5  # what TPE proposes again and again is known; a random point teaches more


def ask(
    search: Search, space: Space, *, origin: str, history: Sequence[tuple[Settings, float | None]], maximise: bool
) -> Settings | None:
    """The next point, different from all before; None when the space holds no more. `origin` keeps searches apart, such
    as those around two candidates; `history` has each earlier point with its score, or None while it has none."""
    if len(history) >= min(search.trials, size(space)):
        return None
    optuna = _quiet_optuna()
    distributions = _distributions(space)
    known = [point for point, _ in history]
    for attempt in range(ATTEMPTS):
        text = f"{search.seed}/{origin}/{len(history)}/{attempt}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        guided = search.kind == "tpe" and attempt < GUIDED_ATTEMPTS
        sampler = optuna.samplers.RandomSampler(seed=seed)
        if guided:
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(3, min(10, search.trials // 3)))
        study = optuna.create_study(sampler=sampler, direction="maximize" if maximise else "minimize")
        for point, score in history if guided else ():
            if score is not None:
                choices = {key: domain.values for key, domain in space.items() if isinstance(domain, Choice)}
                params = point | {key: values.index(point[key]) for key, values in choices.items()}
                study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=score))
        drawn = study.ask(distributions).params
        point = {key: drawn[key] for key in space}
        for key, domain in space.items():
            if isinstance(domain, Choice):
                point[key] = domain.values[drawn[key]]
            elif isinstance(domain, Range) and not domain.whole:  # four digits are enough, but must stay in the range
                point[key] = min(max(float(f"{drawn[key]:.4g}"), domain.low), domain.high)
        if point not in known:
            return point
    return None


def _quiet_optuna() -> ModuleType:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    distributions: dict[str, BaseDistribution] = {}
    for key, domain in space.items():
        if isinstance(domain, Choice):
            distributions[key] = CategoricalDistribution(list(range(len(domain.values))))  # lists are no categories
        elif isinstance(domain, Range) and domain.whole:
            distributions[key] = IntDistribution(int(domain.low), int(domain.high), log=domain.log)
        elif isinstance(domain, Range):
            distributions[key] = FloatDistribution(domain.low, domain.high, log=domain.log)
    return distributions


def worst_epoch(own: dict[int, float], others: Sequence[dict[int, float]], *, maximise: bool) -> int | None:
    """The epoch at which this training has fallen behind the median of the others; None while it is worth going on."""
    optuna = _quiet_optuna()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
    study = optuna.create_study(pruner=pruner, direction="maximize" if maximise else "minimize")
    for curve in others:
        study.add_trial(optuna.trial.create_trial(value=curve[max(curve)], intermediate_values=curve))
    trial = study.ask()
    for epoch in sorted(own):
        trial.report(own[epoch], epoch)
        if trial.should_prune():
            return epoch
    return None
