"""Which photos of a test are handed over: the same each time, of every class, right ones and wrong ones."""

import hashlib

import pandas as pd

from fishnet.runs.gallery import gallery_order


def answered(right: dict[str, int], wrong: dict[str, int]) -> pd.DataFrame:
    answers = [(name, name, place) for name, count in right.items() for place in range(count)]
    answers += [(name, "other", place) for name, count in wrong.items() for place in range(count)]
    rows = [{"class": true, "predicted": answer, "path": f"{true}/{answer}{n}.jpg"} for true, answer, n in answers]
    return pd.DataFrame(rows).assign(sha256=lambda t: [hashlib.sha256(p.encode()).hexdigest() for p in t["path"]])


def test_classes_take_turns_and_a_third_are_mistakes():
    table = answered({"a": 40, "b": 5, "c": 9}, {"a": 1, "b": 20})
    first = gallery_order(table).head(12)
    wrong = first["class"] != first["predicted"]
    assert wrong.tolist() == [False, False, True] * 4
    assert first[~wrong]["class"].tolist() == ["a", "b", "c", "a", "b", "c", "a", "b"]
    assert first[wrong]["class"].tolist() == ["a", "b", "b", "b"]
    again = gallery_order(table.sample(frac=1, random_state=1))
    assert again["path"].tolist() == gallery_order(table)["path"].tolist()
    assert sorted(again["path"]) == sorted(table["path"])


def test_without_mistakes_or_without_right_answers_all_are_of_one_kind():
    assert len(gallery_order(answered({"a": 4, "b": 4}, {}))) == 8
    assert len(gallery_order(answered({}, {"a": 4, "b": 4}))) == 8
