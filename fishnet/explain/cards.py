"""The photos of a finished run of maps that are worth looking at, each with its maps."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from fishnet.measure.predictions import margins
from fishnet.models.classifier import ImageClassifier

from .contact import Card, ClassMap, side_by_side
from .maps import FolderMaps, batch_maps
from .overlay import Caption, captioned, instructive_rows, labelled, save, sheet, with_legend

NAME = 150  # bytes of a photo's name that a picture has

Views = Callable[[list[int]], np.ndarray]  # rows → what the model is shown of them, N × side × side × 3 bytes


def cards_of(
    model: ImageClassifier, results: FolderMaps, views: Views, most: int, method: str, *, root: Path
) -> list[Card]:
    """The surest wrong answers and the surest right ones; a wrong answer has the map of the true class, too.

    Args:
        model: whose answers they are.
        results: maps of all photos; a `label` in their table is -1 where nobody knows what is right.
        views: of the same photos.
        most: cards.
        method: of the maps of true classes, as in `batch_maps`.
        root: the folder to which photos are named.
    """
    table = results.table
    labels = table["label"].to_numpy(int) if "label" in table else np.full(len(table), -1)
    true = table["class"].where(labels >= 0, table["explained"]) if "label" in table else table["explained"]
    rows = instructive_rows(table.assign(true=true), margins(results.logits), most)
    if not rows:
        return []
    photos = views(rows)
    answers = results.logits[rows].argmax(axis=1)
    maps = results.maps[rows] if results.maps.ndim == 3 else results.maps[rows, answers]
    known = np.where(labels[rows] >= 0, labels[rows], answers)
    wrong = np.flatnonzero(known != answers)
    others = dict(zip(wrong.tolist(), _maps_of(model, photos[wrong], known[wrong], method), strict=True))
    probabilities = model.probabilities(torch.from_numpy(np.array(results.logits[rows]))).numpy()
    cards = []
    for number, (row, answer, label) in enumerate(zip(rows, answers, known, strict=True)):
        shown = [(answer, maps[number])] + ([(label, others[number])] if number in others else [])
        each = [
            ClassMap(model.classes[k], float(probabilities[number, k]), values.astype(np.float32))
            for k, values in shown
        ]
        name = model.classes[label] if labels[row] >= 0 else None
        cards.append(Card(named(table["path"][row], root), photos[number], name, each, model.names))
    return cards


def named(path: str, root: Path) -> str:
    """A photo as people name it: below the folder that was typed, where it lies there."""
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def _maps_of(model: ImageClassifier, photos: np.ndarray, labels: np.ndarray, method: str) -> np.ndarray:
    if not len(photos):
        return np.empty(0)
    images = torch.from_numpy(np.ascontiguousarray(photos)).permute(0, 3, 1, 2).to(model.device)
    return batch_maps(model, images, targets=torch.from_numpy(labels).to(model.device), method=method)[0].numpy()


def save_cards(cards: Sequence[Card], folder: Path) -> None:
    """A JPEG a card: the photo, then under the map of the answer, then of the true class where that is another."""
    if cards:
        folder.mkdir(parents=True, exist_ok=True)
    for number, card in enumerate(cards):
        plain, *mapped = side_by_side(card)
        answer, short = card.maps[0], card.called.short
        caption = Caption(short(card.true or answer.name), short(answer.name), answer.probability)
        tiles = [captioned(mapped[0], caption)]
        lines = zip(mapped[1:], card.maps[1:], strict=True)
        tiles += [labelled(picture, f"what speaks for {each.words(short(each.name))}") for picture, each in lines]
        row = with_legend(in_a_row([labelled(plain, "the photo"), *tiles]))
        save(row, folder / f"{number:03d}_{cut(Path(card.path).stem)}.jpg")


def cut(name: str) -> str:
    """The beginning of a name, so long that a file may have it and a little more: systems count bytes, not signs."""
    return os.fsencode(name[:60])[:NAME].decode(errors="ignore")


def in_a_row(tiles: Sequence[Image.Image]) -> Image.Image:
    """Tiles side by side, on white where some are lower than others."""
    height = max(tile.height for tile in tiles)
    padded = [ImageOps.pad(tile, (tile.width, height), color="white", centering=(0, 0)) for tile in tiles]
    return sheet(padded, columns=len(padded))
