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
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from omegaconf import DictConfig

from fishnet.cells import defused_table
from fishnet.config.compose import job_folder
from fishnet.config.entry import start
from fishnet.config.validate import check_writable, validate
from fishnet.errors import BadInput
from fishnet.progress import for_terminal, with_progress, working
from fishnet.ranges import AtLeast, FreeText, Within
from fishnet.runs.folders import run_folder
from fishnet.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from fishnet.fisheries.dynamics import Candidate
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


MADE = "a made table"  # its name among the parameters of a run


def stock(config: DictConfig) -> dict[str, float]:
    """Reads the tables and chooses the stocks, then makes the run's folder, estimates, and writes the page last."""
    validate(config, "stock")
    if config.out is not None:
        if Path(config.out).expanduser().is_file():
            raise BadInput(f"out={config.out} is a file: give the name of a folder.")
        check_writable("out", config.out)
    from fishnet.fisheries.dynamics import candidates, select
    from fishnet.fisheries.findings import run_metrics
    from fishnet.tracking.store import check_store

    findings, made = read_tables(config)
    chosen = select(candidates(findings.frames), config.stock, config.fits)
    check_store(config.tracking.uri, home=Path.cwd())
    print_columns(findings)
    name = "stock-" + (MADE.replace(" ", "-") if made is not None else Path(str(config.tables).split(",")[0]).stem)
    with run_folder(config.out, name=str(config.name or name), job=job_folder()) as folder:
        with tracked(config, folder, name=str(config.name or name)) as run:
            run.log_params(_parameters(config))
            run.log_input(
                name=name, digest=_digest(findings), source=str(config.tables or MADE), context="stock",
                profile={"tables": len(findings.sheets), "rows": sum(len(sheet.frame) for sheet in findings.sheets)},
            )  # fmt: skip
            estimate(config, findings, chosen)
            write(findings, folder, made)
            run.log_metrics(metrics := run_metrics(findings))
            run.log_artifacts(folder / "config", "config")
            run.log_artifacts(folder / "tables", "tables")
            run.log_artifacts(folder / "page.html")
        print_results(findings, folder, run.run_id)
    return metrics


# ---- before anything is written


def read_tables(config: DictConfig) -> tuple["Findings", "pd.DataFrame | None"]:
    """The tables that were given, or a simulated one, which is read as any other and returned beside."""
    from fishnet.fisheries.findings import Findings, read_all, status_of

    if config.tables is not None:
        sheets, refused = read_all(str(config.tables), config.columns)
        return Findings(sheets, refused, status_of([sheet.frame for sheet in sheets])), None
    from fishnet.fisheries.reading import read_frame
    from fishnet.fisheries.simulating import sample

    made, truth = sample()
    sheet = read_frame(Path("sample.csv"), made, config.columns)
    return Findings([sheet], [], status_of([sheet.frame]), truth=truth), made


def print_columns(findings: "Findings") -> None:
    """What each column was taken for, a line a column."""
    for sentence in findings.refused:
        log.warning("left out: %s", sentence)
    for sheet in findings.sheets:
        print(f"{sheet.name}: {counted(len(sheet.frame), 'row')}", flush=True)
        width = max(len(header) for header, _ in sheet.taken)
        for header, meaning in sheet.taken:
            print(f"  {header:{min(width, 40)}s}  {meaning}")
        for note in sheet.notes:
            print(for_terminal(f"  {note}", sys.stdout, indent=2))


# ---- the work


def estimate(config: DictConfig, findings: "Findings", chosen: "list[Candidate]") -> None:
    """Adds the dynamics of the chosen stocks, and what models learn from catches."""
    from fishnet.fisheries.dynamics import dynamics

    for candidate in with_progress(chosen, len(chosen), "fitting"):
        settings = {key: config[key] for key in ("curve", "resamples", "horizon", "catch", "fishing", "seed")}
        findings.dynamics.append(dynamics(candidate, **settings))
    if config.learn:
        _learn(config, findings)


def _learn(config: DictConfig, findings: "Findings") -> None:
    import pandas as pd

    from fishnet.fisheries.predicting import folds, learn, reason_not_to, stock_years

    parts = [stock_years(frame) for frame in findings.frames if {"catch", "b_bmsy"} <= set(frame)]
    table = max(parts, key=len) if parts else pd.DataFrame()
    if reason := reason_not_to(table):
        findings.not_learnt = reason
        return
    with working("learning", len(list(folds(table, config.seed)))) as work:
        findings.learnt = learn(table, seed=config.seed, advance=work.advance)


# ---- what comes out


def write(findings: "Findings", folder: Path, made: "pd.DataFrame | None") -> None:
    """Every table of the page as a CSV, then the page: where there is a page, all of it is there."""
    from fishnet.files import replacing, write_whole
    from fishnet.fisheries.chapters import answers, chapters
    from fishnet.fisheries.findings import tables_of
    from fishnet.page.page import render_page

    (folder / "tables").mkdir()
    for name, table in {**tables_of(findings), **({"sample": made} if made is not None else {})}.items():
        if table is not None and len(table):
            with replacing(folder / "tables" / f"{name}.csv") as temporary:
                defused_table(table).to_csv(temporary, index=False, float_format="%.6g")
    names = ", ".join(sheet.name for sheet in findings.sheets)
    about = f"Made by fishnet stock from {names}."
    if made is not None:
        about = "Made by fishnet stock from stocks that it has made itself, so that the truth is known. No real fish."
    text = render_page("What the tables say about the fish", about, chapters(findings), answers=answers(findings))
    write_whole(folder / "page.html", text)


def print_results(findings: "Findings", folder: Path, run_id: str) -> None:
    """The answers, the warnings, and where the page and its tables are."""
    from fishnet.fisheries.chapters import answers

    for answer in answers(findings):
        print(for_terminal(f"  {answer}", sys.stdout, indent=2))
    for each in findings.dynamics:
        if each.warnings:
            log.warning("take care with %s: %s", each.stock.title, "; ".join(each.warnings))
    print(f"{'page':12s}{folder / 'page.html'}")
    print(f"{'tables':12s}{folder / 'tables'}")
    print(f"{'run':12s}{run_id}  ·  fishnet compare  ·  fishnet ui", flush=True)


# ---- the run


@contextmanager
def tracked(config: DictConfig, folder: Path, *, name: str) -> Iterator["RunSession"]:
    """A tracked run with its records; it gets a final status whatever happens."""
    from fishnet.runs.records import run_tags, write_config
    from fishnet.tracking.session import open_run, start_run
    from fishnet.tracking.store import open_store

    store = open_store(config.tracking.uri, home=Path.cwd())
    tags, experiment = run_tags(config, folder, "stock"), config.tracking.experiment
    start = partial(start_run, store, experiment=experiment, folder=folder, run_name=name, tags=tags)
    with open_run(start, outputs=Path.cwd() / "outputs") as run:
        write_config(config, folder, "stock", resolve=True)
        yield run


def _parameters(config: DictConfig) -> dict[str, object]:
    kept = ("stock", "fits", "curve", "resamples", "horizon", "catch", "fishing", "learn", "seed", "columns")
    tables = MADE if config.tables is None else Path(str(config.tables)).name
    return {"tables": tables, **{key: config[key] for key in kept}}


def _digest(findings: "Findings") -> str:
    digest = hashlib.sha256()
    for sheet in findings.sheets:
        digest.update(sheet.frame.to_csv(index=False).encode())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    start(stock, "stock")
