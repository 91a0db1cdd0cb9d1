"""The figures of an embedding on points whose truth is known."""

import numpy as np
import pytest

from fishnet.embed.feasibility import feasibility, matched_clusters
from fishnet.embed.neighbours import nearest, vote_shares


def clouds(classes: int, groups: int, shots: int, *, apart: float, between: float, seed: int = 0):
    """Points around a centre a class, groups around their own places, shots of a group nearly the same."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, 20)) * apart
    labels = np.repeat(np.arange(classes), groups * shots)
    places = centres[np.repeat(np.arange(classes), groups)] + between * rng.normal(size=(classes * groups, 20))
    values = np.repeat(places, shots, axis=0) + 0.01 * rng.normal(size=(len(labels), 20))
    return values.astype(np.float32), labels, np.repeat(np.arange(classes * groups), shots)


def test_neighbours_are_the_nearest_by_angle_and_never_of_the_same_group():
    values, _, groups = clouds(3, 5, 4, apart=3, between=1)
    positions, cosines = nearest(values, groups, 6)
    centred = values - values.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    alike = unit @ unit.T
    alike[groups[:, None] == groups] = -9
    assert np.array_equal(positions, np.argsort(-alike, axis=1, kind="stable")[:, :6])
    assert (groups[positions] != groups[:, None]).all()
    assert np.allclose(cosines, np.take_along_axis(alike, positions, 1), atol=1e-6)


def test_a_photo_with_too_few_neighbours_has_none_in_their_place():
    values = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    positions, _ = nearest(values, np.array([0, 0, 0, 1]), 3)
    assert (positions[:3, 0] == 3).all() and (positions[:3, 1:] == -1).all() and (positions[3] >= 0).all()
    assert vote_shares(positions, np.array([0, 1, 0, 1]), 2)[0].tolist() == [0, 1]


def test_shots_of_one_animal_promise_what_new_animals_do_not_keep():
    values, labels, groups = clouds(4, 12, 5, apart=0, between=1)  # the classes are the same
    found = feasibility(values, labels, groups, seed=0).figures
    assert found["knn_ungrouped"].value > 0.75  # four of the five nearest are the group's
    assert found["knn"].value < 0.45 and found["linear"].value < 0.45
    assert found["knn"].low < found["knn"].value < found["knn"].high
    assert abs(found["ari"].value) < 0.1 and found["silhouette"].value < 0.05


def test_classes_that_lie_apart_are_found_without_labels():
    values, labels, groups = clouds(4, 12, 3, apart=5, between=0.5)
    found = feasibility(values, labels, groups, seed=0)
    assert found.figures["ari"].value == pytest.approx(1) and found.figures["matched"].value == 1
    assert found.figures["knn"].value == 1 and found.figures["linear"].value == 1
    assert np.array_equal(found.clusters, np.diag(np.full(4, 36)))
    assert found.overlapping(np.full(4, 12), list("abcd")).empty


def test_clusters_are_matched_so_that_most_photos_lie_on_the_diagonal():
    labels = np.array([0, 0, 0, 1, 1, 2, 2])
    clusters = np.array([2, 2, 0, 2, 0, 1, 1])
    assert matched_clusters(labels, clusters, 3).tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 2]]


def test_a_photo_of_each_class_is_measured_as_far_as_it_can_be():
    values = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    figures = feasibility(values, np.arange(5), np.arange(5), seed=0).figures
    assert figures["knn"].value == 0 and np.isnan(figures["silhouette"].value)
