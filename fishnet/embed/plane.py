"""Vectors → places on a plane: PCA, and t-SNE or UMAP on its first components."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from fishnet.errors import BadInput
from fishnet.text import nearest as nearest_name

log = logging.getLogger("fishnet")

COMPONENTS = 50  # that t-SNE and UMAP see, as van der Maaten and Hinton (2008) do
METHODS = ("pca", "tsne", "umap")


@dataclass(frozen=True, eq=False)
class Planes:
    """Places of the same points by each method, (points, 2), and what is said of a method beside its name."""

    places: dict[str, np.ndarray]
    titles: dict[str, str]


def check_methods(methods: Sequence[str]) -> None:
    """Refuse what is no method, or cannot be had here, before any photo is read."""
    if not methods:
        raise BadInput(f"methods=[]: choose from {', '.join(METHODS)}.")
    if unknown := [name for name in methods if name not in METHODS]:
        raise BadInput(f"methods=[{','.join(methods)}]: {nearest_name(str(unknown[0]), list(METHODS))}")
    if "umap" in methods and find_spec("umap") is None:
        raise BadInput("methods: umap needs umap-learn: pip install 'fishnet-vision[umap]'.")


def planes(values: np.ndarray, methods: Sequence[str], *, perplexity: float, seed: int) -> Planes:
    """The points by each of the methods.

    Args:
        values: (points, numbers), at least three points.
        methods: some of `METHODS` (`check_methods`).
        perplexity: how many neighbours a point of t-SNE has; UMAP takes half of it for its own number.
        seed: what t-SNE and UMAP begin with.
    """
    components, explained = principal_components(values, seed)
    places, titles = {}, {}
    for name in methods:
        if name == "pca":
            places[name] = components[:, :2]
            titles[name] = f"PCA ({explained[:2].sum():.0%} of the variance)"
        elif name == "tsne":
            fitting = fitting_perplexity(perplexity, len(values))
            places[name] = _tsne(components, fitting, seed)
            titles[name] = f"t-SNE (perplexity {fitting:g})"
        else:
            places[name] = _umap(components, perplexity, seed)
            titles[name] = "UMAP"
    return Planes(places, titles)


def principal_components(values: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """At least two columns, at most `COMPONENTS`, and each one's share of the variance."""
    count = min(COMPONENTS, len(values) - 1, values.shape[1])
    fitted = PCA(count, random_state=seed)
    with np.errstate(invalid="ignore"):  # 0 / 0 where all photos are the same
        columns = fitted.fit_transform(values)
    shares = np.nan_to_num(fitted.explained_variance_ratio_)
    return np.pad(columns, ((0, 0), (0, max(0, 2 - count)))), shares


def fitting_perplexity(wanted: float, points: int) -> float:
    """The wanted perplexity, or the largest for so many points: a third of the others."""
    most = max(1.0, (points - 1) / 3)
    if wanted > most:
        log.warning("perplexity=%g is too large for %d photos: %g is taken.", wanted, points, round(most, 1))
    return min(wanted, round(most, 1))


def _tsne(components: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    start = components[:, :2] / max(components[:, 0].std(), 1e-12) * 1e-4
    return TSNE(perplexity=perplexity, init=start, learning_rate="auto", random_state=seed).fit_transform(components)


def _umap(components: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    from umap import UMAP

    neighbours = int(np.clip(perplexity / 2, 2, len(components) - 1))
    return UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(components)
