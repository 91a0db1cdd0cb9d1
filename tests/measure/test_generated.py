"""The Fréchet distance of generated photos, by its formula."""

import numpy as np
import pytest
import torch

from fishnet.measure.generated import fid


def by_formula(real: np.ndarray, generated: np.ndarray) -> float:
    first, second = np.cov(real.T), np.cov(generated.T)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    apart = ((real.mean(axis=0) - generated.mean(axis=0)) ** 2).sum()
    return float(apart + np.trace(first) + np.trace(second) - 2 * roots)


@pytest.mark.parametrize("features", [6, 300])
def test_it_is_that_of_the_formula_also_where_features_are_more_than_photos(features, monkeypatch):
    rooted = []
    real = torch.linalg.eigvals
    monkeypatch.setattr(torch.linalg, "eigvals", lambda matrix: rooted.append(len(matrix)) or real(matrix))
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(20, features)), 0.5 + 2 * rng.normal(size=(25, features))
    assert fid(torch.from_numpy(one), torch.from_numpy(two)) == pytest.approx(by_formula(one, two), rel=1e-4)
    assert rooted and max(rooted) <= 45
