"""The ONNX file of a bundle answers as the bundle does."""

import json

import numpy as np
import pytest
import torch

from fishnet import ImageClassifier
from fishnet.errors import BadInput
from fishnet.models.bundle import read_bundle, write_bundle
from tests.support.models import with_drawn_heads

pytestmark = pytest.mark.slow


def drawn_model(**changed) -> ImageClassifier:
    torch.manual_seed(1)
    settings = {"classes": ["perch", "鲤", "eel"], "backbone": "resnet18", "image_size": 64} | changed
    model = with_drawn_heads(ImageClassifier(**settings)).eval()
    model.temperature.fill_(1.7)
    return model


def test_it_answers_as_the_bundle_does(tmp_path):
    import onnxruntime

    write_bundle(drawn_model(), tmp_path / "fish", about={}, onnx=True)
    bundle = read_bundle(tmp_path / "fish")
    session = onnxruntime.InferenceSession(str(tmp_path / "fish" / "model.onnx"), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        photos = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8)
        logits, probabilities = session.run(None, {"photos": photos.float().numpy() / 255})
        with torch.inference_mode():
            expected = bundle.model(photos)
        assert np.abs(logits - expected.numpy()).max() < 1e-4
        assert np.abs(probabilities - bundle.model.probabilities(expected).numpy()).max() < 1e-5
    known = session.get_modelmeta().custom_metadata_map
    assert json.loads(known["classes"]) == bundle.model.classes
    assert json.loads(known["preprocessing"])["size"] == 64


def test_a_changed_graph_is_refused(tmp_path):
    write_bundle(drawn_model(), tmp_path / "fish", about={}, onnx=True)
    with open(tmp_path / "fish" / "model.onnx", "ab") as file:
        file.write(b"\0")
    with pytest.raises(BadInput, match=r"model\.onnx is not what was written"):
        read_bundle(tmp_path / "fish")


def test_steps_that_no_graph_holds_are_named_and_nothing_is_left(tmp_path):
    with pytest.raises(BadInput, match="autocontrast"):
        write_bundle(drawn_model(preprocess=["autocontrast"]), tmp_path / "fish", about={}, onnx=True)
    assert not list(tmp_path.iterdir())
