"""One HTML file that needs nothing beside it: chapters of text, warnings, tables, figures and folded details.

Whatever is added as `str` is escaped, for a class or a stock may be called anything, also `<script>`. Prose with
markup of its own (bold words, code) comes from the macros of a template, see `prose`, which escape their arguments.
"""

import base64
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape


@dataclass(frozen=True)
class Row:
    """A row of a table that is not like the others.

    Args:
        cells: one a column; a single cell spans all of them.
        style: `good` (chosen), `bad` (failed), `doubtful`, or nothing.
    """

    cells: Sequence[object]
    style: str = ""


@dataclass(frozen=True)
class Link:
    """A cell that leads to a chapter of the same page.

    Args:
        text: what is read.
        chapter: one of those that the page is made of, with a title.
    """

    text: str
    chapter: "Chapter"


@dataclass(frozen=True)
class Number:
    """A cell whose number is written in a way of its own, such as with its interval.

    Args:
        text: what is read.
        value: what a sortable table sorts it by; NaN where nothing is known.
    """

    text: str
    value: float


@dataclass(frozen=True)
class Widget:
    """Something to move and click: markup, a script that brings it to life, and what the script reads.

    Args:
        markup: the element and what it holds before the script runs. Its outermost element has the class `widget`.
        script: the body of a function of (element, data). A page runs no other scripts than those of its widgets.
        style: rules for what the markup holds.
        data: anything JSON can hold; names in it are text, and the script must write them as text.
    """

    markup: Markup
    script: str
    style: str = ""
    data: object = None


@dataclass(frozen=True)
class Block:
    """One element of a chapter; which fields count follows from its kind, as page.html shows."""

    kind: str
    text: str = ""
    style: str = ""
    address: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Any] = ()
    row_styles: Sequence[str] = ()
    numeric: frozenset[int] = frozenset()
    blocks: Sequence["Block"] = ()
    widget: Widget | None = None


@dataclass
class Chapter:
    """Blocks in the order in which they are read, under a title; one without a title opens the page."""

    title: str = ""
    blocks: list[Block] = field(default_factory=list)

    def add_text(self, *paragraphs: str, style: str = "") -> None:
        """Paragraphs; empty ones are left out. `style`: `soft` for remarks, `boxed` for what a chapter concludes."""
        self.blocks += [Block("text", in_one_line(text), style) for text in paragraphs if text]

    def add_heading(self, text: str) -> None:
        """A heading below the chapter's own."""
        self.blocks.append(Block("heading", text))

    def add_warning(self, text: str) -> None:
        """What a reader should know before believing the figures; it begins with 'Take care.'"""
        self.blocks.append(Block("warning", in_one_line(text)))

    def add_figure(self, address: str, caption: str, *, beside: bool = False) -> None:
        """A picture with its caption.

        Args:
            address: where the picture is; a data address keeps the page in one file.
            caption: stands below the picture and describes it to those who cannot see it.
            beside: half as wide, beside the figure before or after it.
        """
        self.blocks.append(Block("figure", in_one_line(caption), "beside" if beside else "", address))

    def add_code(self, text: str) -> None:
        """Text in which every space counts."""
        self.blocks.append(Block("code", text))

    def add_widget(self, widget: Widget) -> None:
        """What a reader can move and click; without scripts its markup is seen as it is."""
        self.blocks.append(Block("widget", widget=widget))

    def add_details(self, summary: str, details: "Chapter") -> None:
        """The blocks of `details`, folded away under one line."""
        self.blocks.append(Block("details", summary, blocks=details.blocks))

    def add_table(
        self,
        header: Sequence[str],
        rows: Sequence[Sequence[object] | Row],
        *,
        numeric: Collection[int] | None = None,
        folded: str = "",
        sortable: bool = False,
    ) -> None:
        """A table, one row a sequence of cells; numbers are formatted here.

        Args:
            header: the columns' names.
            rows: a cell a column, or a `Row` where a row has a style or a single cell; a cell may be a `Link` or a
                `Number`.
            numeric: which columns stand to the right; without it, those that hold anything but strings and links.
            folded: the line that opens a long table.
            sortable: by a click on a column's name; each row has a cell a column.
        """
        styled = [row if isinstance(row, Row) else Row(row) for row in rows]
        if numeric is None:
            full = [row.cells for row in styled if len(row.cells) == len(header)]
            numeric = [n for n in range(len(header)) if any(not isinstance(cells[n], str | Link) for cells in full)]
        block = Block(
            "table",
            header=list(header),
            rows=[[_shown(cell) for cell in row.cells] for row in styled],
            row_styles=[row.style for row in styled],
            numeric=frozenset(numeric),
            widget=_sorting([row.cells for row in styled]) if sortable else None,
        )
        self.blocks.append(Block("details", folded, blocks=[block]) if folded else block)


def _shown(cell: object) -> object:
    return cell.text if isinstance(cell, Number) else cell if isinstance(cell, str | Link) else format_number(cell)


def _sorting(rows: Sequence[Sequence[object]]) -> Widget:
    """What sorts a table by the values of its cells; its markup is the table itself."""
    source = files("fishnet.page")
    script, style = (source.joinpath(f"sorting.{kind}").read_text("utf-8") for kind in ("js", "css"))
    return Widget(Markup(), script, style, {"keys": [[_sorted_by(cell) for cell in row] for row in rows]})


def _sorted_by(cell: object) -> str | float | None:
    value = cell.value if isinstance(cell, Number) else cell.text if isinstance(cell, Link) else cell
    if isinstance(value, int | float):
        return float(value) if value == value else None
    return None if value is None else str(value)


def render_page(
    title: str,
    about: str,
    chapters: Sequence[Chapter],
    *,
    answers: Sequence[str] = (),
    reload_seconds: int | None = None,
) -> str:
    """The whole page as HTML.

    Args:
        title: heading, and name of the browser's tab.
        about: one line below it: what made the page, from what.
        chapters: each is linked at the top; those without a title come before the links.
        answers: the page in a few sentences, for those who read no further.
        reload_seconds: how often a browser reads the file again, for a page that is still being written.
    """
    titled = [chapter for chapter in chapters if chapter.title]
    anchors = {id(chapter): f"c{number}" for number, chapter in enumerate(titled, start=1)}
    values = {"title": title, "about": about, "answers": answers, "chapters": chapters}
    widgets = [widget for chapter in chapters for widget in _widgets(chapter.blocks)]
    script = Markup(f"\n{_START}({_functions(widgets)});\n") if widgets else ""
    return read_template("fishnet.page", "page.html", trim=True).render(
        **values,
        reload_seconds=reload_seconds,
        anchor=lambda chapter: anchors[id(chapter)],
        styles=Markup("\n".join(dict.fromkeys(widget.style for widget in widgets if widget.style))),
        script=script,
        script_source=f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'",
        data_of=lambda widget: Markup(json.dumps(widget.data, ensure_ascii=False).replace("<", "\\u003c")),
    )


# Each widget's data stand behind its element, in a block that browsers do not run.
_START = """(functions => {
  document.querySelectorAll(".widget").forEach((element, number) => {
    functions[number](element, JSON.parse(element.nextElementSibling.textContent));
  });
})"""


def _functions(widgets: Sequence[Widget]) -> str:
    """The widgets' scripts as an array of functions; a script that several widgets share stands there once."""
    scripts = list(dict.fromkeys(widget.script for widget in widgets))
    bodies = ",\n".join(f"(element, data) => {{\n{script}\n}}" for script in scripts)
    numbers = ", ".join(str(scripts.index(widget.script)) for widget in widgets)
    return f"(functions => [{numbers}].map(number => functions[number]))([\n{bodies}\n])"


def _widgets(blocks: Sequence[Block]) -> Iterator[Widget]:
    for block in blocks:
        if block.widget:
            yield block.widget
        yield from _widgets(block.blocks)


def prose(package: str, name: str) -> Any:
    """The macros of a template beside the code that calls them; each returns `Markup` with its arguments escaped."""
    return read_template(package, name).module


@cache
def read_template(package: str, name: str, *, trim: bool = False) -> Template:
    """A template of a package, with autoescape; a name that it was not given is an error and not a blank.

    Args:
        package: where it lies.
        name: of the file.
        trim: leaves out the lines that hold nothing but a block's tag. In prose those line ends are the blanks between
            sentences.
    """
    environment = Environment(autoescape=True, trim_blocks=trim, lstrip_blocks=trim, undefined=StrictUndefined)
    environment.filters |= {"number": format_number, "fmt": format, "unbroken": unbroken}
    return environment.from_string(files(package).joinpath(name).read_text(encoding="utf-8"))


def in_one_line(text: str) -> str:
    """The text with single blanks between its words; `Markup` stays `Markup`."""
    return Markup(" ").join(text.split()) if isinstance(text, Markup) else " ".join(text.split())


_NUMBER = r"[−+-]?\d(?:[\d.,]*\d)?(?: ?%)?"
_TOGETHER = re.compile(rf"\(?{_NUMBER}(?: (?:–|±|to) {_NUMBER})+\)?|\d[\d.,]* %")


def unbroken(text: object) -> object:
    """A sentence or a cell whose numbers stay on one line: 73 %, 0.2 – 0.4, 0.7 ± 0.1. Other cells as they are."""
    if not isinstance(text, str):
        return text
    return Markup(_TOGETHER.sub(r'<span class="whole">\g<0></span>', str(escape(text))))


def format_number(value: object) -> str:
    """Three digits that count; whole years and counts as they are; a dash where nothing is known."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        size = abs(value)
        return f"{value:,.0f}" if size >= 1000 else f"{value:.3g}" if size >= 0.001 or value == 0 else f"{value:.1e}"
    return str(value)
