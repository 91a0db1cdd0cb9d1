"""The page of what a classifier makes of a GAN's photos: shares, histograms, what both look at, the nearest photos."""

import io

import numpy as np
from PIL import Image
from torch import Tensor

from fishnet.explain.gradcam import NothingToExplain, class_maps
from fishnet.explain.overlay import labelled, overlay, sheet, with_legend
from fishnet.models.classifier import ImageClassifier
from fishnet.page.figures import BLUE, GREEN, ORANGE, data_address, open_figure
from fishnet.page.page import Chapter, render_page

from .gan_judging import KINDS, NEAR, Judged, as_seen

DRAWN = 32  # generated photos at the top
SHOWN = 8  # photos of a kind whose maps are drawn
PAIRS = 8  # samples beside their nearest training photo
TILE = 128  # pixels a side
COLOURS = dict(zip(KINDS, (BLUE, GREEN, ORANGE), strict=True))


def judged_page(judged: Judged, judge: ImageClassifier, *, about: str) -> str:
    """The whole page as HTML.

    Args:
        judged: what was measured.
        judge: the classifier that judged.
        about: the checkpoints, in one line.
    """
    chapters = [drawn(judged), acceptance(judged), distances(judged), maps(judged, judge), nearest(judged)]
    return render_page(f"Generated photos of {judged.class_name}", about, chapters, answers=sentences(judged))


def sentences(judged: Judged) -> list[str]:
    """The page in a few sentences."""
    shares = [f"{judged.accepted(kind):.0%} of the {name}" for kind, name in
              zip(KINDS, ("generated photos", "held-out real photos", "pure noise"), strict=True)]  # fmt: skip
    return [
        f"The classifier takes for {judged.class_name}: {shares[0]}, {shares[1]} and {shares[2]}.",
        f"KID to held-out photos is {judged.kid:z.3f}; between two halves of the held-out ones it is "
        f"{judged.halves.kid:z.3f}.",
        f"{judged.near_share:.0%} of the generated photos lie nearer to a training photo than all but {NEAR:.0%} of "
        "the held-out ones do; far more than that would mean copies.",
    ]


def drawn(judged: Judged) -> Chapter:
    """The first of the generated photos; whether they show the animal is for a person to say."""
    chapter = Chapter("The photos")
    tiles = [_large(photo) for photo in _arrays(judged.kinds["generated"].photos[:DRAWN])]
    chapter.add_figure(_address(sheet(tiles, columns=8)), f"The first {len(tiles)} generated photos.")
    chapter.add_text(
        "Look at them first: a classifier knows its classes apart and nothing else, and may take a mere smear for the "
        "class that it resembles most."
    )
    return chapter


def acceptance(judged: Judged) -> Chapter:
    """A row a kind, and the histograms of the class's probability."""
    chapter = Chapter("What the classifier answers")
    rows = []
    for kind in KINDS:
        others = {name: count for name, count in judged.answers(kind).items() if count and name != judged.class_name}
        ranked = sorted(others.items(), key=lambda item: -item[1])[:3]
        rows.append([
            kind, len(judged.kinds[kind].photos), f"{judged.accepted(kind):.0%}",
            f"{np.median(judged.confidence(kind)):.2f}", ", ".join(f"{name} {count}" for name, count in ranked),
        ])  # fmt: skip
    header = ["photos", "how many", f"taken for {judged.class_name}", "median probability", "other answers"]
    chapter.add_table(header, rows, numeric={1, 2, 3})
    if judged.judge_knows:
        chapter.add_warning(
            f"The classifier was trained on {judged.judge_knows} of the {len(judged.kinds['held out'].photos)} "
            "held-out photos: their share is higher than that of photos new to it."
        )
    with open_figure(7, 2.4) as figure:
        axes = figure.subplots(1, len(KINDS), sharey=True)
        for axis, kind in zip(axes, KINDS, strict=True):
            weights = np.full(len(judged.confidence(kind)), 1 / len(judged.confidence(kind)))
            axis.hist(judged.confidence(kind), bins=20, range=(0, 1), weights=weights, color=COLOURS[kind])
            axis.set(title=kind, xlabel=f"probability of {judged.class_name}")
        axes[0].set_ylabel("share of photos")
    chapter.add_figure(figure.address, "How sure the classifier is of the class, for each kind of photo.")
    return chapter


def distances(judged: Judged) -> Chapter:
    """KID and FID beside what two halves of the real photos differ by."""
    chapter = Chapter("How far from real photos")
    chapter.add_text(
        f"Distances are taken on {judged.feature_name}. They compare with each other, and with no figure that was "
        "taken on other features. KID is unbiased; FID is larger for fewer photos, and halves have fewer."
    )
    chapter.add_table(
        ["between", "KID", "FID"],
        [
            ["generated and held-out photos", judged.kid, judged.fid],
            ["two random halves of the held-out photos, mean", judged.halves.kid, judged.halves.fid],
            ["the same, exceeded by one halving in twenty", judged.halves.kid_high, None],
        ],
    )
    return chapter


def maps(judged: Judged, judge: ImageClassifier) -> Chapter:
    """Grad-CAM of the class on held-out and on generated photos."""
    chapter = Chapter("What the classifier looks at")
    try:
        for kind in ("held out", "generated"):
            photos = as_seen(judged.kinds[kind].photos[:SHOWN], judge.preprocessing)
            heat = class_maps(judge, photos, [judged.label] * len(photos)).numpy()
            probability = judged.confidence(kind)
            tiles = [
                labelled(overlay(photo, values), f"{probability[number]:.0%}")
                for number, (photo, values) in enumerate(zip(_arrays(photos), heat, strict=True))
            ]
            caption = f"{kind.capitalize()}: what speaks for {judged.class_name}, in red, and its probability."
            chapter.add_figure(_address(with_legend(sheet(tiles, columns=4))), caption)
    except NothingToExplain as error:
        chapter.add_text(str(error))
    return chapter


def nearest(judged: Judged) -> Chapter:
    """The samples that lie nearest to a training photo, each beside that photo."""
    chapter = Chapter("Are they copies?")
    chapter.add_text(
        "Each generated photo is held against every training photo, mirrored and shifted by up to an eighth of the "
        "side as well, and its nearest one is found by colours. Held-out photos are held against them in the same way."
    )
    with open_figure(5.5, 2.4) as figure:
        axis = figure.subplots()
        both = (judged.held_out_distances, judged.distances)
        top = float(max(values.max() for values in both))
        for values, kind in zip(both, ("held out", "generated"), strict=True):
            axis.hist(values, bins=30, range=(0, top), density=True, alpha=0.6, color=COLOURS[kind], label=kind)
        axis.axvline(judged.near_limit, linestyle="--", linewidth=1, color="gray")
        axis.set(xlabel="distance to the nearest training photo", ylabel="density")
        axis.legend(frameon=False)
    chapter.add_figure(figure.address, f"Dashed: {NEAR:.0%} of the held-out photos lie to its left.")
    order = np.argsort(judged.distances, kind="stable")[:PAIRS]
    photos, training = _arrays(judged.kinds["generated"].photos[order]), _arrays(judged.training[judged.nearest[order]])
    tiles = []
    for position, photo, near in zip(order, photos, training, strict=True):
        tiles += [labelled(_large(photo), f"{judged.distances[position]:.3f}"), labelled(_large(near), "training")]
    chapter.add_figure(
        _address(sheet(tiles, columns=8)),
        "The generated photos with the nearest training photos, each pair side by side.",
    )
    return chapter


def _arrays(photos: Tensor) -> list[np.ndarray]:
    return [np.ascontiguousarray(photo.permute(1, 2, 0).cpu().numpy()) for photo in photos]


def _large(photo: np.ndarray) -> Image.Image:
    return Image.fromarray(photo).resize((TILE, TILE), Image.Resampling.BICUBIC)


def _address(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, format="JPEG", quality=88)
    return data_address(content.getvalue(), "image/jpeg")
