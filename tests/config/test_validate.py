import inspect
from typing import get_args

import pytest
from omegaconf import OmegaConf

from fishnet.config.compose import compose
from fishnet.config.validate import constructor, describe, fits

SEAMS = [
    ("data", "data=folder", "fishnet.data.datamodule", "ImageFolderData"),
    ("data", "data=reef", "fishnet.data.reef", "ReefData"),
    ("model", "model=classifier", "fishnet.models.classifier", "ImageClassifier"),
    ("model", "model=gan", "fishnet.models.gan", "ImageGAN"),
]
OF_GAN = ["data.image_size=64", "data.classes=[x]"]  # without which there is no such configuration
OPEN = {("model", "pretrained"), ("model", "fit")}  # settled by the photos; a model alone begins from nothing


@pytest.mark.parametrize(("seam", "choice", "module", "name"), SEAMS)
def test_each_default_in_the_configuration_equals_the_constructors(seam, choice, module, name):
    import importlib

    more = ["data.root=x"] if choice == "data=folder" else OF_GAN if choice == "model=gan" else []
    values = OmegaConf.to_container(compose("train", [choice, *more])[seam], resolve=True)
    parameters = dict(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    if "folder" in parameters:
        from fishnet import ImageFolderData

        parameters = {**inspect.signature(ImageFolderData).parameters, **parameters}
    for key, parameter in parameters.items():
        if (key in ("classes", "folder") and seam == "model") or key == "folder" or (key == "root" and more):
            continue
        assert key in values, f"{seam}.{key} is missing from the configuration"
        default = parameter.default
        if (seam, key) in OPEN:
            continue
        assert values[key] == default or (default is None and values[key] in ({}, None)), key
    assert set(values) - {"_target_", "_partial_"} <= set(parameters)


def test_types_come_from_the_source_without_importing_it():
    import subprocess
    import sys

    code = (
        "import sys; from fishnet.config.validate import constructor;"
        "c = constructor('fishnet.models.classifier.ImageClassifier'); assert 'lr' in c;"
        "c = constructor('pytorch_lightning.trainer.trainer.Trainer'); assert 'max_epochs' in c;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_inherited_parameters_are_known():
    known = constructor("fishnet.data.reef.ReefData")
    assert "species" in known
    assert "batch_size" in known


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("lr", [0.1, 1], ["abc", None, True]),
        ("freeze", ["none", "backbone", 3], ["some", 0.5]),
        ("pretrained", [True, "file.pth"], [3]),
        ("image_size", [None, 224], ["big", 1.5]),
        ("scheduler", ["plateau", "none"], ["plato"]),
        ("backbone_args", [{"a": 1}, None], ["x"]),
    ],
)
def test_values_are_held_against_the_annotation(key, good, bad):
    annotation = constructor("fishnet.models.classifier.ImageClassifier")[key][0]
    assert all(fits(value, annotation) for value in good)
    assert not any(fits(value, annotation) for value in bad)
    assert describe(annotation)


def test_literals_offered_are_those_implemented():
    from fishnet.data.views import AUGMENTATIONS
    from fishnet.models.classifier import ImageClassifier
    from fishnet.models.optimisation import SCHEDULERS

    parameters = inspect.signature(ImageClassifier).parameters
    assert set(get_args(parameters["scheduler"].annotation)) == set(SCHEDULERS)
    from fishnet import ImageFolderData

    assert set(get_args(inspect.signature(ImageFolderData).parameters["augment"].annotation)) == set(AUGMENTATIONS)
