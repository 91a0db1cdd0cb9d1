"""From the shell's prompt to an answer, beside `import torch`, which the usual script begins with."""

import subprocess
import sys
from collections.abc import Iterator

from fishnet.__main__ import VERBS

from .pairing import Case, Options


def cases(options: Options) -> Iterator[Case]:
    torch = [sys.executable, "-c", "import torch"]
    yield Case(
        "fishnet --help", lambda: run("--help"), lambda: subprocess.run(torch, check=True), nothing_heavy, 0.15,
        inverse=True,
    )  # fmt: skip
    for verb in VERBS:
        yield Case(
            f"fishnet {verb} --help", lambda verb=verb: run(verb, "--help"),
            lambda: subprocess.run(torch, check=True), nothing_heavy, 1.0, inverse=True, most_rounds=7,
        )  # fmt: skip


def run(*arguments: str) -> list[str]:
    """The modules of torch, Lightning and MLflow that the command has imported, as Python's own log tells."""
    command = [sys.executable, "-X", "importtime", "-m", "fishnet", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    return sorted(loaded & {"torch", "pytorch_lightning", "lightning", "mlflow"})


def nothing_heavy(ours: object, _) -> tuple[bool, str]:
    return ours == [], "neither torch nor Lightning is imported" if ours == [] else f"imported {ours}"
