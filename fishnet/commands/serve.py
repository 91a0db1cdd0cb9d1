"""fishnet serve: a model on a page and for programs: photos in, classes and the evidence for them out

On this machine alone (127.0.0.1) unless host= says otherwise: then set token_file=, and put a server that speaks HTTPS
in front. Photos are neither stored nor logged.

Examples
  fishnet serve model=perch-and-pike
  fishnet serve model=models:/fish@champion port=8080
  fishnet serve model=perch-and-pike host=0.0.0.0 hosts=[fish.example.org] token_file=token.txt
  curl -F photos=@a.jpg -F photos=@b.jpg 'http://127.0.0.1:8000/predict?top=3&heatmap=perch'
  curl http://127.0.0.1:8000/openapi.json                             what programs can ask for
  curl http://127.0.0.1:8000/metrics                                  for Prometheus
"""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from omegaconf import DictConfig, OmegaConf

from fishnet.config.checkpoints import bring_checkpoint, require_checkpoint
from fishnet.config.entry import start
from fishnet.config.validate import validate
from fishnet.environment import keep_freed_memory
from fishnet.errors import BadInput
from fishnet.ranges import Above, AtLeast, FreeText, PortOrFree, Probability, Within
from fishnet.text import counted

if TYPE_CHECKING:
    from fishnet.models.bundle import Bundle
    from fishnet.serve.service import Settings

log = logging.getLogger("fishnet")

POSITION = 64  # in the list of `fishnet --help`
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHORTEST_TOKEN = 16  # letters
OTHERS = 0o007  # bits of a file's mode: what neither its owner nor its group may do


class Keys:
    """Types and ranges of the keys at the top."""

    checkpoint: FreeText
    host: FreeText
    port: Annotated[int, PortOrFree]
    hosts: list[str]
    token_file: FreeText | None
    sure: Annotated[float, Probability]
    precision: Literal["fp32", "bf16"]
    queue: Annotated[int, AtLeast(1)]
    batch_size: Annotated[int, AtLeast(1)]
    most_megapixels: Annotated[int, Within(1, 178)]
    wait_ms: Annotated[float, AtLeast(0)]
    workers: Annotated[int, AtLeast(1)] | None
    photo_mb: Annotated[float, Above(0)]
    photos: Annotated[int, AtLeast(1)]
    upload_seconds: Annotated[float, Above(0)]
    answer_seconds: Annotated[float, Above(0)]
    full_status: Literal[503, 429]


def serve(config: DictConfig) -> None:
    """Until a signal ends it; what was accepted until then is answered."""
    typed = None if OmegaConf.is_missing(config, "checkpoint") else config.checkpoint
    bring_checkpoint(config)
    validate(config, "serve")
    require_checkpoint(config)
    log.info("Loading %s", typed)
    keep_freed_memory()
    token = read_token(config.token_file)
    if config.host not in LOOPBACK and token is None:
        log.warning(
            "host=%s: whoever reaches this machine may ask; token_file=FILE would ask for a token.", config.host
        )
    from fishnet.serve.app import create_app
    from fishnet.serve.server import bound_socket, serve_app

    bound = bound_socket(config.host, config.port)
    bundle = bundle_of(Path(config.checkpoint).expanduser().absolute())
    app = create_app(bundle, settings_of(config, bundle, token))
    host, port = bound.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def listening() -> None:
        print(f"{'model':12s}{counted(len(bundle.model.classes), 'class')}, {bundle.digest[:12]}")
        print(f"{'page':12s}{address}")
        print(f"{'programs':12s}curl -F photos=@PHOTO.jpg {address}predict")
        print("Ctrl-C ends it.", flush=True)

    answered = serve_app(app, bound, listening=listening)
    over_typed = "\r" if sys.stdout.isatty() else ""  # which shows the ^C
    print(f"{over_typed}Ended; {counted(answered, 'request')} answered.", flush=True)


def bundle_of(path: Path) -> "Bundle":
    """A bundle's folder, or a checkpoint with what its run's folder says of it."""
    import torch

    from fishnet.models.bundle import Bundle, is_bundle, read_bundle
    from fishnet.models.checkpoint import digest_of, load_model
    from fishnet.runs.facts import audit_of, run_facts, run_of

    if is_bundle(path):
        bundle = read_bundle(path)
    else:
        model, run = load_model(path), run_of(path)
        facts = (run_facts(run), audit_of(run)) if run else ({}, None)
        bundle = Bundle(model, *facts, path.parent, digest_of(path))
    bundle.model.to("cuda" if torch.cuda.is_available() else "cpu")
    return bundle


def settings_of(config: DictConfig, bundle: "Bundle", token: str | None) -> "Settings":
    from fishnet.models.arithmetic import MIXED, PLAIN_LAST
    from fishnet.serve.batching import logit_difference
    from fishnet.serve.service import Settings
    from fishnet.serve.uploads import Limits

    arithmetic = MIXED if config.precision == "bf16" else PLAIN_LAST
    return Settings(
        arithmetic=arithmetic, tolerance=logit_difference(bundle.model, arithmetic),
        workers=config.workers or max(1, min(8, (os.cpu_count() or 2))), queue=config.queue,
        batch_size=config.batch_size, wait=config.wait_ms / 1000, patience=config.answer_seconds,
        full_status=config.full_status, sure=config.sure, token=token, hosts=(*LOOPBACK, config.host, *config.hosts),
        limits=Limits(
            round(config.photo_mb * 2**20), min(config.photos, config.queue), seconds=config.upload_seconds
        ),
    )  # fmt: skip


def read_token(file: str | None) -> str | None:
    """The token in a file: on a command line all users of the machine could read it."""
    if file is None:
        return None
    try:
        token = Path(file).expanduser().read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise BadInput(f"token_file={file} cannot be read as a line of letters and digits.") from error
    if Path(file).expanduser().stat().st_mode & OTHERS:
        log.warning("token_file=%s can be read by all users of this machine: chmod 600 would keep it.", file)
    if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise BadInput(f"token_file={file}: a token has {SHORTEST_TOKEN} letters or more and no spaces.")
    return token


if __name__ == "__main__":
    start(serve, "serve")
