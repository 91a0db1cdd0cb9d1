"""fishnet stock: tables of catch and biomass → a page on how the fish are, with fits, futures and their uncertainty

In out/: page.html (needs nothing beside it), and each of its tables as a CSV.

Examples
  fishnet stock                                             a made table, whose r and K are known
  fishnet stock tables=tables out=north_sea
  fishnet stock tables=catches.csv columns='TL=catch, SSB=biomass'
  fishnet stock tables=tables stock='North Sea cod' catch=40000 horizon=20
"""

import hashlib
import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from omegaconf import DictConfig, OmegaConf

from fishnet.config.compose import job_folder
from fishnet.config.entry import start
from fishnet.config.validate import check_writable, validate
from fishnet.environment import TYPED_COMMAND
from fishnet.errors import BadInput
from fishnet.ranges import AtLeast, FreeText, Within
from fishnet.runs.folders import run_folder
from fishnet.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from fishnet.fisheries.choosing import Chosen
    from fishnet.fisheries.findings import Findings
    from fishnet.tracking.session import RunSession

log = logging.getLogger("fishnet")

POSITION = 90  # in the list of `fishnet --help`


class Keys:
    """Types and ranges of the keys at the top."""

    tables: FreeText | None
    columns: FreeText | None
    out: FreeText | None
    name: FreeText | None
    stock: FreeText | None
    fits: Annotated[int, Within(0, 200)]
    curve: Literal["both", "schaefer", "fox"]
    resamples: Annotated[int, Within(50, 5000)]
    horizon: Annotated[int, Within(1, 100, "years")]
    catch: Annotated[float, AtLeast(0)] | None
    fishing: Annotated[float, Within(0, 20, "times Fmsy")]
    learn: bool
    seed: Annotated[int, AtLeast(0)]


MADE = "a made table"


def stock(config: DictConfig) -> dict[str, float]:
    """Everything is read and chosen before a folder is made; the work follows; the page comes last."""
    validate(config, "stock")
    if config.out is not None:
        if Path(config.out).expanduser().is_file():
            raise BadInput(f"out={config.out} is a file: give the name of a folder.")
        check_writable("out", config.out)
    from fishnet.fisheries.findings import figures
    from fishnet.tracking.store import check_store

    found, made = read_tables(config)
    chosen = _chosen(config, found)
    check_store(config.tracking.uri, home=Path.cwd())
    tell(found)
    name = "stock-" + (MADE.replace(" ", "-") if made is not None else Path(str(config.tables).split(",")[0]).stem)
    with run_folder(config.out, name=str(config.name or name), job=job_folder()) as folder:
        with tracked(config, folder, name=str(config.name or name)) as run:
            run.log_params(_parameters(config))
            run.log_input(
                name=name, digest=_digest(found), source=str(config.tables or MADE), context="stock",
                profile={"tables": len(found.sheets), "rows": sum(len(sheet.frame) for sheet in found.sheets)},
            )  # fmt: skip
            work(config, found, chosen)
            write(found, folder, made)
            run.log_metrics(told := figures(found))
            run.log_artifacts(folder / "config", "config")
            run.log_artifacts(folder / "tables", "tables")
            run.log_artifacts(folder / "page.html")
        last_words(found, folder, run.run_id)
    return told


# ---- before anything is written


def read_tables(config: DictConfig) -> tuple["Findings", "pd.DataFrame | None"]:
    """The tables that were given, or the made one, which is read as any other."""
    from fishnet.fisheries.findings import Findings, read_all, status_of

    if config.tables is not None:
        sheets, refused = read_all(str(config.tables), config.columns)
        return Findings(sheets, refused, status_of([sheet.frame for sheet in sheets])), None
    from fishnet.fisheries.reading import read_frame
    from fishnet.fisheries.sample import sample

    made, truth = sample()
    sheet = read_frame(Path("sample.csv"), made, config.columns)
    return Findings([sheet], [], status_of([sheet.frame]), truth=truth), made


def _chosen(config: DictConfig, found: "Findings") -> "list[Chosen]":
    from fishnet.fisheries.choosing import candidates, picked

    return picked(candidates(found.frames), config.stock, config.fits)


def tell(found: "Findings") -> None:
    """What each column was taken for; a table of twenty alike columns in as many lines."""
    for sentence in found.refused:
        log.warning("left out: %s", sentence)
    for sheet in found.sheets:
        print(f"{sheet.name}: {counted(len(sheet.frame), 'row')}", flush=True)
        width = max(len(header) for header, _ in sheet.taken)
        for header, meaning in sheet.taken:
            print(f"  {header:{min(width, 40)}s}  {meaning}")
        for note in sheet.notes:
            print(f"  {note}")


# ---- the work


def work(config: DictConfig, found: "Findings", chosen: "list[Chosen]") -> None:
    from rich.progress import track

    from fishnet.fisheries.dynamics import dynamics

    for one in track(chosen, description="fitting", transient=True, disable=not chosen):
        settings = {key: config[key] for key in ("curve", "resamples", "horizon", "catch", "fishing", "seed")}
        found.dynamics.append(dynamics(one, **settings))
    if config.learn:
        _learn(config, found)


def _learn(config: DictConfig, found: "Findings") -> None:
    import pandas as pd
    from rich.progress import Progress

    from fishnet.fisheries.features import stock_years
    from fishnet.fisheries.predicting import folds, learn, reason_not_to

    parts = [stock_years(frame) for frame in found.frames if {"catch", "b_bmsy"} <= set(frame)]
    table = max(parts, key=len) if parts else pd.DataFrame()
    if reason := reason_not_to(table):
        found.not_learnt = reason
        return
    with Progress(transient=True) as bar:
        task = bar.add_task("learning", total=len(list(folds(table, config.seed))))
        found.learnt = learn(table, seed=config.seed, advance=lambda: bar.advance(task))


# ---- what comes out


def write(found: "Findings", folder: Path, made: "pd.DataFrame | None") -> None:
    """Every table of the page as a CSV, then the page: where there is a page, all of it is there."""
    from fishnet.files import replacing
    from fishnet.fisheries.chapters import answers, chapters
    from fishnet.fisheries.findings import tables_of
    from fishnet.page.page import render_page

    (folder / "tables").mkdir()
    for name, table in {**tables_of(found), **({"sample": made} if made is not None else {})}.items():
        if table is not None and len(table):
            with replacing(folder / "tables" / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False, float_format="%.6g")
    names = ", ".join(sheet.name for sheet in found.sheets)
    about = f"Made by fishnet stock from {names}."
    if made is not None:
        about = "Made by fishnet stock from stocks that it has made itself, so that the truth is known. No real fish."
    text = render_page("What the tables say about the fish", about, chapters(found), answers=answers(found))
    with replacing(folder / "page.html") as temporary:
        temporary.write_text(text, encoding="utf-8")


def last_words(found: "Findings", folder: Path, run_id: str) -> None:
    from fishnet.fisheries.chapters import answers

    for answer in answers(found):
        print(f"  {answer}")
    for one in found.dynamics:
        if one.warnings:
            log.warning("take care with %s: %s", one.chosen.title, "; ".join(one.warnings))
    print(f"{'page':12s}{folder / 'page.html'}")
    print(f"{'tables':12s}{folder / 'tables'}")
    print(f"{'run':12s}{run_id}  ·  fishnet compare  ·  fishnet ui", flush=True)


# ---- the run


@contextmanager
def tracked(config: DictConfig, folder: Path, *, name: str) -> Iterator["RunSession"]:
    """A run like every other; its last word comes whatever happens."""
    from fishnet.errors import Interrupted
    from fishnet.files import replacing
    from fishnet.tracking.names import FOLDER
    from fishnet.tracking.runs import git_commit, tidy
    from fishnet.tracking.session import start_run
    from fishnet.tracking.store import open_store

    store = open_store(config.tracking.uri, home=Path.cwd())
    for sentence in tidy(store, Path.cwd() / "outputs"):
        log.info(sentence)
    text = OmegaConf.to_yaml(config, resolve=True)
    tags = {
        "fishnet.command": "stock",
        FOLDER: str(folder),
        "fishnet.config_digest": hashlib.sha256(text.encode()).hexdigest()[:16],
        "fishnet.git_commit": git_commit(),
    }
    run = start_run(store, experiment=config.tracking.experiment, folder=folder, run_name=name, tags=tags)
    typed = os.environ.get(TYPED_COMMAND, shlex.join(["fishnet", "stock", *sys.argv[1:]]))
    try:
        (folder / "config").mkdir()
        for file, content in (("config.yaml", text), ("command.txt", typed + "\n")):
            with replacing(folder / "config" / file) as temporary:
                temporary.write_text(content, encoding="utf-8")
        yield run
    except BaseException as error:
        run.finish("KILLED" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "FAILED")
        raise
    run.finish("FINISHED")


def _parameters(config: DictConfig) -> dict[str, object]:
    kept = ("stock", "fits", "curve", "resamples", "horizon", "catch", "fishing", "learn", "seed", "columns")
    tables = MADE if config.tables is None else Path(str(config.tables)).name
    return {"tables": tables, **{key: config[key] for key in kept}}


def _digest(found: "Findings") -> str:
    digest = hashlib.sha256()
    for sheet in found.sheets:
        digest.update(sheet.frame.to_csv(index=False).encode())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    start(stock, "stock")
