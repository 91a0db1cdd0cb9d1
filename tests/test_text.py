"""Words in sentences: one thing is not called several."""

import pytest

from fishnet.text import counted


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
