"""A model to hand over: a folder of weights, of plain values that say how to use them, and of their digests.

    model.safetensors   the weights, and the digests of the photos that the model has seen
    model.json          the network, its classes and preprocessing, temperature, thresholds, figures, data and licences
    audit.json          what an audit has shown, where there was one
    gallery/            photos that the model was tested on, and gallery.json about them, where they were asked for
    model.onnx          the same network for programs without Python, where it was asked for
    SHA256SUMS          the digest of every file, as sha256sum writes and checks it

Nothing in it is ever run: there is no pickle, and what is not listed is not read. Digests find what was cut short or
changed by accident or by somebody who forgot them; whoever writes all files anew can write any model, so every value is
checked before it is used.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fishnet import __version__
from fishnet.data.class_names import ClassNames
from fishnet.data.seen import SeenPhotos
from fishnet.data.views import FITS
from fishnet.errors import BadInput
from fishnet.files import new_folder, write_whole

from .backbones import single_head
from .checkpoint import digest_of
from .classifier import ImageClassifier
from .familiarity import Familiarity
from .onnx_export import write_onnx
from .preprocessing import STEPS, Preprocessing

WEIGHTS, ABOUT, AUDIT, SUMS, GALLERY = "model.safetensors", "model.json", "audit.json", "SHA256SUMS", "gallery"
ONNX = "model.onnx"
GALLERY_INDEX = "gallery.json"
FORMAT = 1
LARGEST = 64 * 2**20  # bytes of a JSON file
LONGEST_SIDE = 4096  # pixels that a network may ask for
SEEN = "seen."  # before the names of the digests among the tensors
FAMILIARITY = "familiarity."  # before the names of what tells photos of no class
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/-]{1,200})")
_JPEG = b"\xff\xd8\xff"  # how such a file begins
_GALLERY_TEXTS, _GALLERY_OWNER = ("file", "true", "predicted"), ("licence", "attribution", "url")
_OF_MODEL = ("format", "fishnet", "architecture", "class_names", "preprocessing", "seen_group", "mended")
_ARCHITECTURE = ("classes", "backbone", "backbone_args", "dropout", "image_size", "preprocess")


@dataclass(frozen=True)
class Bundle:
    """A model and what is known of it.

    Args:
        model: in evaluation, on the CPU.
        about: what `model.json` says besides the network: `thresholds`, `rejection`, `metrics`, `data`, `trained`.
        audit: of the model, or None.
        folder: of the bundle.
        digest: of SHA256SUMS, and so of all that is in it.
        files: names of those that were found to be what was written; none of a checkpoint.
    """

    model: ImageClassifier
    about: dict[str, Any]
    audit: dict[str, Any] | None
    folder: Path
    digest: str
    files: frozenset[str] = frozenset()


def is_bundle(path: Path) -> bool:
    return path.is_dir() and (path / SUMS).is_file()


def write_bundle(
    model: ImageClassifier, folder: Path, *, about: Mapping[str, Any], audit: Mapping[str, Any] | None = None,
    gallery: Mapping[str, bytes] | None = None, onnx: bool = False,
) -> None:  # fmt: skip
    """Write a bundle into a new folder, which takes its name when all of it is there.

    Args:
        model: with its weights, preprocessing and temperature.
        folder: does not exist yet.
        about: further plain values for model.json.
        audit: plain values for audit.json.
        gallery: files by name.
        onnx: whether to write the network as ONNX, too.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    weights |= _seen_tensors(model.seen)
    familiarity = model.familiarity.state() if model.familiarity else {}
    weights |= {FAMILIARITY + name: value for name, value in familiarity.items()}
    plain = {
        "format": FORMAT, "fishnet": __version__,
        "architecture": {key: model.hparams[key] for key in _ARCHITECTURE}, "class_names": model.names.state(),
        "preprocessing": model.preprocessing.as_dict(), "seen_group": model.seen and model.seen.group,
        "mended": model.mended, **about,
    }  # fmt: skip
    with new_folder(folder) as temporary:
        save_file(weights, temporary / WEIGHTS)
        (temporary / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone, and a bundle is handed over
        write_whole(temporary / ABOUT, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False))
        if audit is not None:
            write_whole(temporary / AUDIT, json.dumps(audit, indent=1, ensure_ascii=False))
        if onnx:
            write_onnx(model, temporary / ONNX)
        for name, content in (gallery or {}).items():
            (temporary / GALLERY).mkdir(exist_ok=True)
            (temporary / GALLERY / name).write_bytes(content)
        files = sorted(file for file in temporary.rglob("*") if file.is_file())
        sums = "".join(f"{digest_of(file)}  {file.relative_to(temporary).as_posix()}\n" for file in files)
        write_whole(temporary / SUMS, sums)


def read_bundle(folder: Path) -> Bundle:
    """The bundle in a folder; BadInput with the reason for one that is not whole, was changed, or makes no sense."""
    folder = folder.expanduser().absolute()
    listed = _verified_files(folder)
    about = _read_json(folder, ABOUT)
    if about.get("format") != FORMAT:
        raise _refused(folder, f"its format is {about.get('format')!r}, and this program reads {FORMAT}")
    architecture, preprocessing = _architecture(folder, about), _preprocessing(folder, about)
    _check_values(folder, about, architecture["classes"])
    model = _model_of(folder, architecture)
    model.preprocessing = preprocessing
    model.mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1)
    model.std = torch.tensor(preprocessing.std).view(1, 3, 1, 1)
    model.seen = _load_weights(folder, model, about.get("seen_group"))
    model.mended = about.get("mended")
    model.names = ClassNames.from_state(about.get("class_names"))
    audit = _audit(folder) if AUDIT in listed else None
    return Bundle(model.eval(), about, audit, folder, digest_of(folder / SUMS), frozenset(listed))


def read_gallery(bundle: Bundle) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Photos that the model was tested on, from the bundle's files; none where it has no gallery or is a checkpoint.

    Returns:
        Of each photo its `file`, its `true` and `predicted` class, the `probability`, and whose it is; and the files
        by name, each of them a JPEG that SHA256SUMS lists.
    """
    folder, listed = bundle.folder, bundle.files
    if f"{GALLERY}/{GALLERY_INDEX}" not in listed:
        return [], {}
    rows = _read_json(folder, f"{GALLERY}/{GALLERY_INDEX}").get("photos")
    if not isinstance(rows, list) or not all(_is_gallery_row(row, listed) for row in rows):
        raise _refused(folder, f"its {GALLERY_INDEX} does not describe the photos of its {GALLERY}")
    keys = (*_GALLERY_TEXTS, "probability", *_GALLERY_OWNER)
    photos = [{key: row[key] for key in keys if key in row} for row in rows]
    files = {photo["file"]: (folder / GALLERY / photo["file"]).read_bytes() for photo in photos}
    if not all(content.startswith(_JPEG) for content in files.values()):
        raise _refused(folder, f"a photo of its {GALLERY} is no JPEG")
    return photos, files


def facts_of(bundle: Bundle) -> tuple[dict[str, Any], dict[str, Any] | None, dict[str, bytes] | None]:
    """What another bundle of the same model takes over: values of model.json, the audit, and files of the gallery."""
    facts = {key: value for key, value in bundle.about.items() if key not in _OF_MODEL}
    photos, files = read_gallery(bundle)
    index = json.dumps({"photos": photos}, indent=1, ensure_ascii=False).encode()
    return facts, bundle.audit, {**files, GALLERY_INDEX: index} if files else None


def _is_gallery_row(row: Any, listed: frozenset[str]) -> bool:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in _GALLERY_TEXTS):
        return False
    share = row.get("probability")
    sound = isinstance(share, float | int) and 0 <= share <= 1
    sound = sound and all(isinstance(row.get(key, ""), str) for key in _GALLERY_OWNER)
    return sound and "/" not in row["file"] and f"{GALLERY}/{row['file']}" in listed


def _refused(folder: Path, reason: str) -> BadInput:
    return BadInput(f"{folder} is no model bundle that can be trusted: {reason}.")


# ---- files


def _verified_files(folder: Path) -> set[str]:
    """Names of the files that SHA256SUMS lists, each of them what was written."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder.")
    try:
        lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        raise _refused(folder, f"{SUMS} is missing or cannot be read") from error
    matches = [_LINE.fullmatch(line) for line in lines]
    names = [match[2] for match in matches if match]
    if len(names) < len(lines) or len(set(names)) < len(names) or any(".." in name.split("/") for name in names):
        raise _refused(folder, f"{SUMS} has lines that fishnet does not write")
    for match in filter(None, matches):
        file = folder / match[2]
        if file.is_symlink() or not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
            raise _refused(folder, f"{match[2]} is missing, or no plain file in the folder")
        if digest_of(file) != match[1]:
            raise _refused(folder, f"{match[2]} is not what was written: it is cut short or was changed")
    for needed in (WEIGHTS, ABOUT):
        if needed not in names:
            raise _refused(folder, f"{SUMS} does not list {needed}")
    return set(names)


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    if file.stat().st_size > LARGEST:
        raise _refused(folder, f"{name} is larger than {LARGEST // 2**20} MB")
    try:
        values = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _refused(folder, f"{name} is no JSON ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise _refused(folder, f"{name} holds no names with values")
    return values


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


# ---- values


def _architecture(folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    values = about.get("architecture")
    if not isinstance(values, dict) or set(values) != set(_ARCHITECTURE):
        raise _refused(folder, f"its architecture is not {', '.join(_ARCHITECTURE)}")
    classes, size, dropout = values["classes"], values["image_size"], values["dropout"]
    if not isinstance(classes, list) or not all(isinstance(name, str) and 0 < len(name) < 300 for name in classes):
        raise _refused(folder, "its classes are no list of names")
    if len(set(classes)) < max(2, len(classes)):
        raise _refused(folder, "its classes are fewer than two, or one is named twice")
    if type(dropout) not in (int, float):
        raise _refused(folder, f"dropout={dropout!r} is no number")
    if size is not None and not (type(size) is int and 0 < size <= LONGEST_SIDE):
        raise _refused(folder, f"image_size={size!r} is no side of a photo")
    return values


def _preprocessing(folder: Path, about: Mapping[str, Any]) -> Preprocessing:
    values = about.get("preprocessing")
    try:
        found = Preprocessing(**values)  # type: ignore[arg-type]
        mean, std = ((float(red), float(green), float(blue)) for red, green, blue in (found.mean, found.std))
        found = replace(found, mean=mean, std=std, steps=tuple(found.steps))
        numbers = (*found.mean, *found.std, found.crop)
        sound = all(math.isfinite(number) for number in numbers) and min(found.std) > 0 and 0 < found.crop <= 1
        sound = sound and type(found.size) is int and 0 < found.size <= LONGEST_SIDE
        sound = sound and found.interpolation in ("bilinear", "bicubic") and found.fit in FITS
        sound = sound and set(found.steps) <= set(STEPS)
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise _refused(folder, "its preprocessing makes no sense")
    return found


def _check_values(folder: Path, about: Mapping[str, Any], classes: list[str]) -> None:
    thresholds = about.get("thresholds", {})
    if not isinstance(thresholds, dict) or not set(thresholds) <= set(classes):
        raise _refused(folder, "its thresholds are not those of its classes")
    if not all(value is None or (isinstance(value, float | int) and 0 <= value <= 1) for value in thresholds.values()):
        raise _refused(folder, "a threshold is no probability")
    called = about.get("class_names", {})
    if not isinstance(called, dict) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) and len(text) < 300 for text in pair)
        for pair in called.values()
    ):
        raise _refused(folder, "what people call its classes is no pair of names a class")


def _audit(folder: Path) -> dict[str, Any]:
    """What an audit has shown: a verdict by class, whose further values are passed on as they are."""
    audit = _read_json(folder, AUDIT)
    verdicts = audit.get("verdicts", [])
    names = ("class", "verdict")
    if not isinstance(verdicts, list) or not all(
        isinstance(each, dict) and all(isinstance(each.get(name), str) for name in names) for each in verdicts
    ):
        raise _refused(folder, f"its {AUDIT} has no verdicts by class")
    return audit


# ---- the network


def _model_of(folder: Path, architecture: dict[str, Any]) -> ImageClassifier:
    """The network without weights; built without memory first, so that an absurd one is refused and not tried."""
    try:
        with torch.device("meta"):
            planned = ImageClassifier(**architecture)
        sizes = {name: tuple(value.shape) for name, value in planned.state_dict().items()}
    except BadInput as error:
        raise _refused(folder, str(error).rstrip(".")) from error
    except Exception as error:  # whatever a network's own code raises for values that it does not expect
        reason = f"no network can be built from its architecture ({type(error).__name__})"
        raise _refused(folder, reason) from error
    held = _tensor_shapes(folder)
    differing = sorted(name for name in {*sizes, *held} if sizes.get(name) != held.get(name))
    if differing:
        raise _refused(folder, f"{WEIGHTS} does not fit the network: {differing[0]}")
    return ImageClassifier(**architecture)


def _tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Of all weights in the file, by name."""
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            names = [name for name in file.keys() if not name.startswith((SEEN, FAMILIARITY))]  # noqa: SIM118
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError) as error:
        raise _refused(folder, f"{WEIGHTS} cannot be read") from error


def _load_weights(folder: Path, model: ImageClassifier, group: str | None) -> SeenPhotos | None:
    """Fill the network, and return what the model has seen."""
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    seen = {name.removeprefix(SEEN): tensors.pop(name) for name in list(tensors) if name.startswith(SEEN)}
    if not all(bool(value.isfinite().all()) for value in tensors.values()):
        raise _refused(folder, f"{WEIGHTS} holds values that are no numbers")
    if not bool(tensors["temperature"] > 0):
        raise _refused(folder, "its temperature is not above zero")
    familiarity = {name: tensors.pop(name) for name in list(tensors) if name.startswith(FAMILIARITY)}
    model.load_state_dict(tensors)
    if familiarity:
        model.familiarity = _familiarity(folder, model, familiarity)
    try:
        return SeenPhotos.from_state({**seen, "group": group}) if seen else None
    except KeyError as error:
        raise _refused(folder, f"{WEIGHTS} lacks the photos of {error}") from error


def _familiarity(folder: Path, model: ImageClassifier, tensors: dict[str, torch.Tensor]) -> Familiarity:
    head, state = single_head(model.network), {name.removeprefix(FAMILIARITY): tensors[name] for name in tensors}
    try:
        return Familiarity.from_state(state, head.in_features if head else 0, len(model.classes))
    except ValueError as error:
        raise _refused(folder, f"what it knows of strange photos cannot be used: {error}") from error


def _seen_tensors(seen: SeenPhotos | None) -> dict[str, torch.Tensor]:
    if seen is None:
        return {}
    return {SEEN + part: torch.from_numpy(digests.copy()) for part, digests in seen.digests.items()}
