"""What the network is shown can be looked at."""

import numpy as np
from PIL import Image

from fishnet import ImageClassifier, ImageFolderData
from fishnet.callbacks.views import FRAME, Views, framed
from fishnet.data.views import PlainPreprocessing
from tests.support.trainers import quiet_trainer


def sheet_of(shapes, tmp_path, steps: list[str], augment: str) -> tuple[int, int] | None:
    data = ImageFolderData(root=str(shapes), image_size=32, batch_size=8, augment=augment)
    model = ImageClassifier(classes=data.classes, backbone="cnn", preprocess=steps, image_size=32)
    trainer = quiet_trainer(
        tmp_path,
        max_epochs=1,
        limit_train_batches=1,
        limit_val_batches=0,
        callbacks=[Views(photos=2)],
    )
    trainer.fit(model, datamodule=data)
    picture = tmp_path / "views" / "photos.jpg"
    if not picture.exists():
        return None
    with Image.open(picture) as image:
        return image.size


def test_each_step_and_three_training_views_have_a_column(shapes, tmp_path):
    narrow = sheet_of(shapes, tmp_path / "a", ["equalize"], "none")
    wide = sheet_of(shapes, tmp_path / "b", ["autocontrast", "equalize", "whiten"], "mirror")
    assert narrow is not None and wide is not None
    column = (narrow[0] - 6) // 3
    assert wide == (6 + 8 * column, narrow[1])


def test_the_frame_shows_what_is_cut_off(tmp_path):
    Image.new("RGB", (200, 50), "blue").save(tmp_path / "long.png")
    cropped, padded = (
        framed(tmp_path / "long.png", PlainPreprocessing(100, crop=1.0, fit=fit)).permute(1, 2, 0).numpy()
        for fit in ("crop", "pad")
    )
    rows, columns = np.nonzero((cropped == FRAME).all(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (
        37,
        61,
        38,
        61,
    )  # the middle quarter of the length
    rows, columns = np.nonzero((padded == FRAME).all(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 99, 0, 99)
