"""One page that needs nothing beside it: chapters of text, figures and tables, with every name from a table escaped."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from jinja2 import Environment, Template


@dataclass(frozen=True)
class Block:
    kind: str
    text: str = ""
    address: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    numeric: frozenset[int] = frozenset()


@dataclass
class Chapter:
    """Blocks in the order in which they are read."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    def say(self, *paragraphs: str) -> None:
        self.blocks += [Block("text", text) for text in paragraphs if text]

    def head(self, text: str) -> None:
        self.blocks.append(Block("heading", text))

    def warn(self, text: str) -> None:
        self.blocks.append(Block("warning", text))

    def show(self, address: str, caption: str) -> None:
        self.blocks.append(Block("figure", caption, address))

    def tabulate(self, header: Sequence[str], rows: Sequence[Sequence[object]], *, folded: str = "") -> None:
        """Columns of numbers stand to the right; `folded` is the line that opens a long table."""
        cells = [[cell if isinstance(cell, str) else figure(cell) for cell in row] for row in rows]
        numeric = frozenset(n for n in range(len(header)) if any(not isinstance(row[n], str) for row in rows))
        self.blocks.append(Block("table", folded, header=list(header), rows=cells, numeric=numeric))


def figure(value: object) -> str:
    """Three digits that count; whole years and counts as they are; nothing where nothing is known."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        size = abs(value)
        return f"{value:,.0f}" if size >= 1000 else f"{value:.3g}" if size >= 0.001 or value == 0 else f"{value:.1e}"
    return str(value)


@cache
def _template() -> Template:
    """Autoescaping: a stock may be called anything, also `<script>`."""
    text = files("fishnet.page").joinpath("page.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(text)


def page(title: str, about: str, answers: list[str], chapters: list[Chapter]) -> str:
    return _template().render(title=title, about=about, answers=answers, chapters=chapters)
