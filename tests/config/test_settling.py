"""What is left open is settled by the other settings and by the photos."""

import logging
from types import SimpleNamespace

import pandas as pd
import pytest

from fishnet import ImageClassifier
from fishnet.config.compose import compose
from fishnet.config.settling import FIXED_VIEWS, WHOLE, settle, settle_fit, warn_of_frozen

OWN = ["data=folder", "data.root=lake"]


@pytest.mark.parametrize(
    ("overrides", "pretrained", "views"),
    [
        ([*OWN], True, 0),
        ([*OWN, "model.backbone=cnn"], False, 0),
        ([*OWN, "model.pretrained=false"], False, 0),
        ([*OWN, "model.pretrained=/weights.pth", "model.freeze=backbone"], "/weights.pth", FIXED_VIEWS),
        ([*OWN, "model.freeze=backbone", "data.augment=none"], True, 0),
        ([*OWN, "model.freeze=backbone", "data.views=0"], True, 0),
        ([*OWN, "model.freeze=backbone", "data.views=2"], True, 2),
        (["data=reef"], False, 0),
        (["data=reef", "model.pretrained=true"], True, 0),
    ],
)
def test_own_photos_begin_with_published_weights_and_frozen_ones_with_fixed_views(overrides, pretrained, views):
    config = compose("train", overrides)
    settle(config)
    assert (config.model.pretrained, config.data.views) == (pretrained, views)


@pytest.mark.parametrize(
    ("overrides", "long", "fit"),
    [
        ([*OWN], 5, WHOLE),
        ([*OWN], 4, "crop"),
        ([*OWN, "model.fit=crop"], 10, "crop"),
        ([*OWN, "model.fit=pad"], 0, "pad"),
        ([*OWN, "model.preprocess=[crop]"], 10, "crop"),
        (["data=reef"], 10, "crop"),
    ],
)
def test_long_photos_are_shown_whole(overrides, long, fit, caplog):
    config = compose("train", overrides)
    settle(config)
    asked = config.model.fit
    model = ImageClassifier(classes=["a", "b"], backbone="cnn", image_size=32, fit=asked)
    sizes = [(400, 299)] * long + [(400, 300)] * (10 - long)
    table = pd.DataFrame(sizes, columns=["width", "height"])
    with caplog.at_level(logging.INFO, "fishnet"):
        settle_fit(config, SimpleNamespace(table=table), model)  # type: ignore[arg-type]
    assert config.model.fit == model.preprocessing.fit == model.hparams["fit"] == fit
    assert bool(caplog.records) == (asked == "auto" and fit == WHOLE)


def test_frozen_noise_is_warned_of(caplog):
    for overrides, warned in ((["model.pretrained=false"], True), ([], False)):
        config = compose("train", [*OWN, "model.freeze=backbone", *overrides])
        settle(config)
        caplog.clear()
        warn_of_frozen(config)
        assert ("as they were drawn" in caplog.text) == warned
