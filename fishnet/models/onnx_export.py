"""A model as ONNX, for programs without Python: the same logits, checked by ONNX Runtime before the file is kept.

In: `photos`, float32, N × 3 × size × size, 0 to 1, cut as the preprocessing says. Out: `logits` and `probabilities`.
Normalisation and temperature are in the graph; classes and preprocessing are in its metadata, as JSON.
"""

import json
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fishnet.errors import BadInput, WorkFailed

from .classifier import ImageClassifier

log = logging.getLogger("fishnet")

TOLERANCE = 1e-4  # of a logit, in shares of the largest, if that is above 1
IN = "photos"


class WithProbabilities(nn.Module):
    """A classifier whose answer is logits and probabilities.

    Args:
        model: in evaluation.
    """

    def __init__(self, model: ImageClassifier) -> None:
        super().__init__()
        self.network, self.mean, self.std = model.network, model.mean, model.std
        self.temperature = model.temperature

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network((photos - self.mean) / self.std)
        return logits, (logits / self.temperature).softmax(dim=-1)


def write_onnx(model: ImageClassifier, file: Path) -> None:
    """Write the file, and say how far a logit of ONNX Runtime differs from torch's at most.

    BadInput says what of the model cannot be in a graph, WorkFailed that the two do not agree.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise BadInput("onnx=true needs further packages: pip install 'fishnet-vision[onnx]'.") from error
    steps = sorted({*model.preprocessing.steps} - {"crop"})
    if steps:
        raise BadInput(f"onnx=true: the model's preprocessing has {', '.join(steps)}, which no ONNX graph can hold.")
    size = model.preprocessing.size
    photos = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    wrapped = WithProbabilities(model).eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        wrapped, (photos,), dynamo=True, verbose=False, input_names=[IN], output_names=["logits", "probabilities"],
        dynamic_shapes={"photos": {0: torch.export.Dim("photos", min=1)}},
    )  # fmt: skip
    assert program is not None
    program.save(file, external_data=False)
    graph = onnx.load(file)
    known = {"classes": model.classes, "preprocessing": model.preprocessing.as_dict()}
    onnx.helper.set_model_props(graph, {key: json.dumps(value, ensure_ascii=False) for key, value in known.items()})
    onnx.save(graph, file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = [value.numpy() for value in wrapped(photos)]
    found = [session.run(["logits"], {IN: photos[:count].numpy()})[0] for count in (3, 1)]
    worst = max(float(np.abs(logits - expected[0][: len(logits)]).max()) for logits in found)
    if worst > TOLERANCE * max(1.0, float(np.abs(expected[0]).max())):
        raise WorkFailed(f"onnx=true: ONNX Runtime's logits differ from torch's by {worst:.2g}; nothing was kept.")
    log.info("%s: logits within %.1g of torch's.", file.name, worst)
