"""Where the animal may be: from boxes in four kinds of files, from evidence, from what other classes look like."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw

from fishnet.audit.boxes import CAMTRAP, box_regions, boxed_regions, read_boxes
from fishnet.audit.regions import Likeness, above, ellipse, widened
from fishnet.data.views import PlainPreprocessing, centre, working, working_image
from fishnet.errors import BadInput
from tests.support.camtrap import deployment, medium, seen, write_package

BOX = (120, 40, 200, 90)  # of a photo of 300 × 150


@pytest.fixture
def photo(tmp_path):
    """A grey photo with a red box, and the table that names it."""
    image = Image.new("RGB", (300, 150), (90, 90, 90))
    ImageDraw.Draw(image).rectangle((BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1), fill=(250, 20, 20))
    file = tmp_path / "perch" / "a.png"
    file.parent.mkdir()
    image.save(file)
    return file, pd.DataFrame({"path": ["perch/a.png"], "width": [300], "height": [150]})


def csv_file(folder, **columns):
    file = folder / "boxes.csv"
    pd.DataFrame(columns).to_csv(file, index=False)
    return file


def in_four_forms(folder):
    left, top, right, bottom = BOX
    width, height = right - left, bottom - top
    pixels = csv_file(folder, filename=["a.png"], xmin=[left], ymin=[top], xmax=[right], ymax=[bottom])
    camtrap = folder / "observations.csv"
    shares = {"bboxX": left / 300, "bboxY": top / 150, "bboxWidth": width / 300, "bboxHeight": height / 150}
    rows = [{"mediaID": "perch/a.png", **shares}, {"mediaID": "perch/a.png", **dict.fromkeys(shares, "")}]
    pd.DataFrame(rows).to_csv(camtrap, index=False)
    coco, detector = folder / "coco.json", folder / "md.json"
    box = [left, top, width, height]
    images = [{"id": 7, "file_name": "perch/a.png"}]
    coco.write_text(json.dumps({"images": images, "annotations": [{"image_id": 7, "bbox": box}]}))
    found = [
        {"category": "1", "conf": 0.9, "bbox": [left / 300, top / 150, width / 300, height / 150]},
        {"category": "1", "conf": 0.05, "bbox": [0, 0, 1, 1]},
        {"category": "2", "conf": 0.9, "bbox": [0, 0, 1, 1]},  # a person
    ]
    detector.write_text(json.dumps({"images": [{"file": "perch/a.png", "detections": found}]}))
    return [pixels, camtrap, coco, detector]


@pytest.mark.parametrize("crop", [1.0, 0.875])
def test_a_box_lies_where_the_model_sees_the_animal(photo, tmp_path, crop):
    """Whatever file it comes from, and however the photo is scaled and cut."""
    file, table = photo
    preprocessing = PlainPreprocessing(64, crop)
    image = working_image(file, sha256="", how=working(preprocessing))
    red = torch.from_numpy(centre(image, 64)[..., 0] > 200)
    assert red.any()
    for boxes in in_four_forms(tmp_path):
        region = box_regions(read_boxes(boxes), table, preprocessing).regions[0].bool()
        assert (region & red).sum() == red.sum(), boxes.name
        assert region.sum() < 1.3 * red.sum(), boxes.name


def test_what_does_not_fit_is_named(photo, tmp_path):
    _, table = photo
    more = pd.concat([table, table.assign(path="pike/b.png")], ignore_index=True)
    file = csv_file(
        tmp_path, path=["perch/a.png", "perch/a.png", "nowhere.png"],
        xmin=[100, -20, 0], ymin=[10, 0, 0], xmax=[150, 50, 9], ymax=[50, 400, 9],
    )  # fmt: skip
    found = box_regions(read_boxes(file), more, PlainPreprocessing(64, 1.0))
    assert (found.without_box, found.outside, found.unknown) == (["pike/b.png"], ["perch/a.png"], ["nowhere.png"])
    assert found.regions[1].min() == 1  # of a photo without a box nothing is exchanged


def test_boxes_of_a_package_are_of_its_files(tmp_path):
    """Cameras count anew: two photos of one name are two photos, also where only one of them has a class."""
    rows = [medium(name, "d", "2020-06-01T10:00:00Z", filePath=f"{name}/1.jpg") for name in ("x", "y", "z")]
    boxes = [dict(zip(CAMTRAP, box, strict=True)) for box in ((0, 0, 0.5, 1), (0.5, 0, 0.5, 1), ("", "", "", ""))]
    found = [seen(row["mediaID"], row, "duck", **box) for row, box in zip(rows, boxes, strict=True)]
    package = {"deployments": [deployment("d")], "media": rows, "observations": found}
    file = write_package(tmp_path / "package", package)
    table = pd.DataFrame({"path": ["duck/y/1.jpg"], "width": [100], "height": [100]})
    regions = box_regions(read_boxes(file), table, PlainPreprocessing(64, 1.0))
    assert regions.unknown == ["x/1.jpg"] and regions.regions[0].mean(dim=0).tolist() == [0] * 32 + [1] * 32


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("boxes.csv", "a,b\n1,2\n", "xmin"),
        ("boxes.csv", "path,xmin,ymin,xmax,ymax\na,1,2,x,4\n", "xmin"),
        ("boxes.json", "{}", "COCO"),
        ("boxes.json", "no json", "COCO"),
        ("boxes.csv", "path,xmin,ymin,xmax,ymax\nother.png,1,2,3,4\n", "none of these photos"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(photo, tmp_path, name, content, word):
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(BadInput, match=word):
        boxed_regions(file, photo[1], PlainPreprocessing(64, 1.0))


def test_a_box_surrounds_what_lies_above_a_share_of_the_range():
    evidence = torch.zeros(1, 8, 8)
    evidence[0, 2, 3] = evidence[0, 4, 5] = 1.0
    region = above(evidence, 0.5, 32, margin=0)[0]
    expected = torch.zeros(32, 32)
    expected[8:20, 12:24] = 1
    assert torch.equal(region, expected)
    cells = above(evidence, 0.5, 32, margin=0, boxed=False)[0]
    assert cells.sum() == 2 * 16
    assert widened(region[None], 4)[0].sum() == 20 * 20


def test_likeness_is_learned_from_the_other_classes():
    """Cells of an animal have one channel high; in class 1 another channel is high beside the animal: its cue."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    cells = torch.rand(60, 4, 8, 8, generator=generator) * 0.2
    evidence = torch.rand(60, 8, 8, generator=generator) * 0.1
    for photo in range(60):
        row, column = torch.randint(0, 6, (2,), generator=generator).tolist()
        cells[photo, 0, row : row + 2, column : column + 2] += 1
        evidence[photo, row : row + 2, column : column + 2] += 1
    cue = labels == 1
    cells[cue, 1, 7, :] += 1
    evidence[cue, 7, :] += 2  # the model relies on it
    likeness = Likeness(3)
    for part in (slice(0, 25), slice(25, 60)):
        likeness.learn(cells[part], evidence[part], labels[part])
    scores = likeness.score(cells, labels, likeness.weights())
    animal, beside = scores[cells[:, 0] > 0.9].mean(), scores[cue][:, 7].mean()
    assert animal > 0.5
    assert beside < 0.0


def test_the_ellipse_is_in_the_middle():
    region = ellipse(96)
    assert region[48, 48] == 1 and region[0, 48] == region[48, 0] == 0
    assert float(region.mean()) == pytest.approx(np.pi * 0.92 * 0.62 / 4, abs=0.02)
