"""What the service answers of logits, held against what `fishnet predict` does with them."""

import numpy as np
import pytest

from fishnet.models.answers import mostly_strange
from fishnet.models.bundle import read_bundle
from fishnet.serve.answering import Answering
from fishnet.serve.batching import Computed


@pytest.fixture(scope="module")
def answering(bundle):
    return Answering(read_bundle(bundle).model, {}, 0.8)


def test_of_equal_classes_the_first_is_answered_as_in_predict(answering):
    equal = Computed(np.array([1.0, 3.0, 3.0, 0.0], np.float32), {})
    together = answering.together([equal, equal], range(4), 4)
    assert [each.name for each in together.classes] == ["grand brochet", "鲤", "perch", "<b>eel</b>"]


@pytest.mark.parametrize(
    ("strange", "expected"),
    [([True, True, False], True), ([True, False], False), ([False], False), ([None, None], None)],
)
def test_several_photos_are_strange_where_most_of_them_are(strange, expected):
    assert mostly_strange(strange) is expected
