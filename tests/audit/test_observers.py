"""How much of a class hangs on one person: the closed form is what fitting again without that person gives."""

import numpy as np

from fishnet.audit.observers import Head, observer_shares


def folder(seed=0, photos=90, numbers=12):
    rng = np.random.default_rng(seed)
    label, person = rng.integers(3, size=photos), rng.integers(5, size=photos)
    person[: photos // 2] = 0  # more photos than numbers: the other way to leave out
    features = rng.normal(size=(photos, numbers)) + rng.normal(size=(3, numbers))[label]
    return features, label, person


def test_leaving_out_equals_fitting_again():
    features, label, person = folder()
    head = Head.fitted(features, label, 0.1)
    for blocks in (np.arange(len(label)), person, person // 2):
        answers = head.without(blocks)
        for block in np.unique(blocks):
            left = blocks == block
            inputs, targets = head.inputs[~left], head.targets[~left]
            ridge = np.diag([*[0.1] * features.shape[1], 0])
            fitted = np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets)
            assert np.allclose(answers[left], (head.inputs[left] @ fitted) / head.roots[left], atol=1e-8)


def test_it_names_the_person_on_whom_a_class_hangs():
    rng = np.random.default_rng(1)
    label, person = np.repeat([0, 1], 100), np.tile(np.repeat(["Ann", "Bob", "Cid", "Dan"], 25), 2)
    features = rng.normal(size=(200, 20)) + 3 * np.eye(20)[label]
    of_ann = (person == "Ann") & (label == 1)
    features[of_ann] -= 3 * np.eye(20)[1]  # nothing of the animal is in her photos of this class,
    features[of_ann] += 9 * np.eye(20)[5]  # but her camera is
    table = observer_shares(features, np.array(["perch", "pike"])[label], person)
    first = table.iloc[0]
    assert (first["class"], first["observer"], first["photos"], first["share"]) == ("pike", "Ann", 25, 0.25)
    assert first["recall"] > 0.9 and first["recall_without"] < 0.7
    assert np.isclose(first["hangs"], 0.25 * (first["recall"] - first["recall_without"]))
    assert table["hangs"][1:].max() < first["hangs"] / 3
    assert len(table) == 8


def test_the_only_person_of_a_folder_or_of_a_class_and_unknown_persons():
    features, label, _ = folder(2)
    alone = observer_shares(features, label, np.full(len(label), "Ann"))
    assert (alone["recall_without"] == 0).all() and (alone["share"] == 1).all()
    whose = np.where(label == 1, "Ann", "")
    table = observer_shares(features, label, whose)
    assert table[["class", "observer"]].to_numpy().tolist() == [[1, "Ann"]]
    assert table["recall_without"].item() == 0 < table["recall"].item()


def test_photos_of_one_animal_are_left_out_together():
    features, label, person = folder(3)
    twice = lambda values: np.repeat(values, 2, axis=0)  # noqa: E731
    args = twice(features), twice(label), twice(person.astype(str))
    by_photo, by_animal = (
        observer_shares(*args, groups=groups) for groups in (None, np.repeat(np.arange(len(label)), 2))
    )
    mean = lambda table: np.average(table["recall"], weights=table["photos"])  # noqa: E731
    assert mean(by_photo) > mean(by_animal)
