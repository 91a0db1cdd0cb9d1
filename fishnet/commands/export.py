"""fishnet export: a checkpoint → a bundle of the model to hand over, with nothing in it that runs

The bundle is a folder: weights (safetensors), how to use them (model.json: classes, preprocessing, temperature, a
threshold for each class, the figures of the test, what the model was trained on and under which licences), what tells
photos of none of the classes (where the run's photos are at hand), what an audit has shown, and the digests of it all.
Every verb that takes a checkpoint takes it, too.

Examples
  fishnet export checkpoint=outputs/RUN/checkpoints/best.ckpt out=perch-and-pike
  fishnet predict checkpoint=perch-and-pike images=photos/new
  fishnet export checkpoint=outputs/RUN/checkpoints/best.ckpt out=perch-and-pike register=fish alias=champion
  fishnet predict checkpoint=models:/fish@champion images=photos/new
  fishnet export checkpoint=outputs/RUN/checkpoints/best.ckpt out=perch-and-pike gallery=24   photos for serve's page
  fishnet export checkpoint=best.ckpt out=perch-and-pike onnx=true            a graph, too, for other languages
  (cd perch-and-pike && sha256sum -c SHA256SUMS)                 whole and unchanged? fishnet asks that each time
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from omegaconf import DictConfig

from fishnet.config.checkpoints import bring_checkpoint, require_checkpoint
from fishnet.config.entry import start
from fishnet.config.validate import check_writable, validate
from fishnet.errors import BadInput
from fishnet.ranges import FreeText, Within
from fishnet.text import counted
from fishnet.tracking.registry import register
from fishnet.tracking.store import check_store, open_store

if TYPE_CHECKING:
    from fishnet.models.bundle import Bundle

log = logging.getLogger("fishnet")

POSITION = 62  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    out: FreeText
    register: FreeText | None
    alias: FreeText | None
    onnx: bool
    gallery: Annotated[int, Within(0, 1000)]
    none_of_these: bool


def export(config: DictConfig) -> dict[str, float]:
    """Write the bundle; returns how many files it has."""
    bring_checkpoint(config)
    validate(config, "export")
    require_checkpoint(config)
    if config.alias is not None and config.register is None:
        raise BadInput(f"alias={config.alias} is for a registered model: say register=NAME, too.")
    out = Path(config.out).expanduser().absolute()
    if out.exists():
        raise BadInput(f"out={config.out} exists: give the name of a new folder.")
    check_writable("out", config.out)
    if config.register is not None:
        check_store(config.tracking.uri, home=Path.cwd())
    from fishnet.models.bundle import facts_of, is_bundle, read_bundle, write_bundle
    from fishnet.models.checkpoint import load_model
    from fishnet.runs.facts import audit_of, run_facts, run_of
    from fishnet.runs.familiar import familiarity_of
    from fishnet.runs.gallery import gallery_of

    checkpoint = Path(config.checkpoint).expanduser().absolute()
    model = load_model(checkpoint)
    run = run_of(checkpoint)
    if run is None and config.gallery:
        raise BadInput(f"gallery={config.gallery}: the checkpoint lies in no run's folder, which knows its test.")
    if is_bundle(checkpoint):
        facts, audit, gallery = facts_of(read_bundle(checkpoint))
        model.familiarity = model.familiarity if config.none_of_these else None
    elif run is None:
        log.warning("The checkpoint lies in no run's folder: the bundle has no figures, thresholds or licences.")
        facts, audit, gallery = {}, None, None
    else:
        facts, audit = run_facts(run), audit_of(run)
        model.familiarity = familiarity_of(run, model) if config.none_of_these else None
        gallery = gallery_of(run, config.gallery) if config.gallery else None
    write_bundle(model, out, about=facts, audit=audit, gallery=gallery, onnx=config.onnx)
    bundle = read_bundle(out)  # as whoever gets it
    print_bundle(bundle, out)
    if config.register is not None:
        store = open_store(config.tracking.uri, home=Path.cwd())
        names = {"experiment": config.tracking.experiment, "name": config.register, "alias": config.alias}
        version = register(out, model.classes, store, none_of_these=model.familiarity is not None, **names)
        print(f"{'registered':12s}models:/{config.register}/{version}{f' (@{config.alias})' if config.alias else ''}")
    return {"files": float(len((out / "SHA256SUMS").read_text().splitlines()))}


def print_bundle(bundle: "Bundle", out: Path) -> None:
    """What was written, a line each."""
    about = bundle.about
    figures = about.get("metrics", {}).get("figures", {})
    thresholds = about.get("thresholds", {})
    without = [name for name, value in thresholds.items() if value is None]
    print(f"{'bundle':12s}{out}")
    if "f1_macro" in figures:
        found = figures["f1_macro"]
        ends = "" if found["low"] is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
        print(f"{'macro-F1':12s}{found['value']:.3f}{ends} on test photos")
    if thresholds:
        text = f"{len(thresholds) - len(without)} of {counted(len(thresholds), 'class')}"
        print(f"{'thresholds':12s}{text}{': none for ' + ', '.join(without) if without else ''}")
    licences = about.get("data", {}).get("licences")
    if licences:
        print(f"{'licences':12s}{', '.join(f'{name} {count}' for name, count in licences.items())}")
    photos = sum(name.startswith("gallery/") and name.endswith(".jpg") for name in bundle.files)
    parts = {
        "an audit": bundle.audit is not None, "none of these": bundle.model.familiarity is not None,
        "model.onnx": "model.onnx" in bundle.files, f"a gallery of {counted(photos, 'photo')}": photos > 0,
    }  # fmt: skip
    if held := [name for name, there in parts.items() if there]:
        print(f"{'with':12s}{', '.join(held)}")
    print(f"{'use it':12s}fishnet predict checkpoint={out} images=PHOTOS", flush=True)


if __name__ == "__main__":
    start(export, "export")
