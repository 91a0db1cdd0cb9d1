"""Words in sentences: one thing is not called several."""

import pytest

from fishnet.text import counted, reasons_in_lines


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (1, ("photo",), "1 photo"),
        (0, ("photo",), "0 photos"),
        (2, ("class",), "2 classes"),
        (3, ("box",), "3 boxes"),
        (30, ("epoch",), "30 epochs"),
        (2, ("batch",), "2 batches"),
        (1, ("photo lies", "photos lie"), "1 photo lies"),
        (4, ("photo lies", "photos lie"), "4 photos lie"),
    ],
)
def test_one_is_not_called_several(count, words, text):
    assert counted(count, *words) == text


def test_a_reason_is_said_once_with_its_count():
    refused = [("a.jpg", "cut short"), ("b.jpg", "too large"), *((f"{n}.jpg", "cut short") for n in range(3))]
    assert reasons_in_lines(refused) == ["4 photos: cut short (a.jpg, 0.jpg, 1.jpg and 1 more)", "b.jpg: too large"]
    assert reasons_in_lines(refused, most=1)[-1] == "and 1 photo for other reasons"
    assert reasons_in_lines([]) == []
