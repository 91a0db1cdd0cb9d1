"""Points on a plane: what is near stays near, what cannot be done is said."""

import logging

import numpy as np
import pytest

from fishnet.embed.page import FRAME, framed
from fishnet.embed.plane import check_methods, planes
from fishnet.errors import BadInput
from tests.embed.test_feasibility import clouds


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_classes_that_lie_apart_lie_apart_on_the_plane_and_again_alike(method):
    values, labels, _ = clouds(2, 20, 1, apart=5, between=0.5)
    place = planes(values, [method], perplexity=10, seed=0).places[method]
    assert place.shape == (40, 2)
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (labels[distance.argmin(axis=1)] == labels).all()
    assert np.array_equal(place, planes(values, [method], perplexity=10, seed=0).places[method])


def test_a_perplexity_above_the_number_of_photos_is_lowered_and_said(caplog):
    values = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    with caplog.at_level(logging.WARNING, "fishnet"):
        laid = planes(values, ["tsne"], perplexity=30, seed=0)
    assert "perplexity=30 is too large for 7 photos: 2 is taken" in caplog.text
    assert laid.titles["tsne"] == "t-SNE (perplexity 2)" and np.isfinite(laid.places["tsne"]).all()


def test_photos_that_are_all_the_same_have_a_plane_too():
    laid = planes(np.ones((6, 5), np.float32), ["pca", "tsne"], perplexity=2, seed=0)
    assert all(np.isfinite(place).all() for place in laid.places.values())


def test_methods_are_checked_before_photos_are_read():
    with pytest.raises(BadInput, match="did you mean tsne"):
        check_methods(["tnse"])
    with pytest.raises(BadInput, match="choose from pca, tsne, umap"):
        check_methods([])


def test_a_frame_keeps_shapes_and_the_upper_side():
    frame = np.array(framed(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 1.0]]))).reshape(-1, 2)
    assert frame.min() >= 0 and frame.max() == FRAME
    assert (frame[1, 0] - frame[0, 0]) == 4 * (frame[1, 1] - frame[2, 1])  # the highest point is the uppermost one


@pytest.mark.slow
def test_umap_lays_the_same_points_out_again_alike():
    values, labels, _ = clouds(2, 20, 1, apart=5, between=0.5)
    place = planes(values, ["umap"], perplexity=10, seed=0).places["umap"]
    distance = np.linalg.norm(place[:, None] - place[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (labels[distance.argmin(axis=1)] == labels).all()
    assert np.array_equal(place, planes(values, ["umap"], perplexity=10, seed=0).places["umap"])
