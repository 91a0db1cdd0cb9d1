"""Figures in the house's colours and fonts: opened here, drawn by their owners, saved to a file or into a page.

A figure belongs to nobody (no pyplot, no global state), so that threads and tests may draw at the same time.
"""

import base64
import mimetypes
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, cast

from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from fishnet.files import replacing
from fishnet.fonts import font_files

INK, SOFT, GRID = "#22303c", "#8a97a3", "#e8edf2"
BLUE, RED, GREEN, YELLOW, ORANGE = "#2b6cb0", "#c53030", "#2f855a", "#ecc94b", "#ed8936"

# Figures of a page are small, and stand without a frame; an SVG comes out alike each time.
OF_PAGES = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "fishnet"}


class PageFigure(Figure):
    """A figure that has a data address once it is finished; pages show it from there and need no file beside them."""

    address = ""


@contextmanager
def open_figure(width: float, height: float, path: Path | None = None) -> Iterator[PageFigure]:
    """A figure in the house's look, saved when the block ends; nothing is saved when the block raises.

    Args:
        width: in inches.
        height: in inches.
        path: the PNG to write, whole or not at all. Without it the figure is for a page: it becomes an SVG, and its
            `address` is set.
    """
    with look({} if path else OF_PAGES):
        figure = PageFigure(figsize=(width, height), layout="constrained", facecolor="white")
        if path:
            FigureCanvasAgg(figure)
            yield figure
            with replacing(path) as temporary:
                figure.savefig(temporary, format="png", dpi=120, bbox_inches="tight", pad_inches=0.15)
        else:
            FigureCanvasSVG(figure)
            yield figure
            svg = BytesIO()
            figure.savefig(svg, format="svg", metadata={"Date": None})
            figure.address = data_address(svg.getvalue(), "image/svg+xml")


def data_address(data: bytes, media_type: str) -> str:
    """An address that holds the data itself."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def picture_address(path: Path) -> str:
    """The data address of a picture that lies on disk."""
    return data_address(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream")


def hide_spines(axes: Axes, *sides: str) -> None:
    """Hide the given sides of the frame, or all of it."""
    for side in sides or ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(False)


def look(more: Mapping[str, Any] | None = None) -> AbstractContextManager[None]:
    """matplotlib's settings while one figure is drawn, without touching global state.

    Args:
        more: further rcParams, which win over the house's.
    """
    settings: dict[str, Any] = {
        "font.family": font_families(),
        "text.parse_math": False,
        "axes.edgecolor": SOFT,
        **{f"{part}color": INK for part in ("text.", "axes.label", "xtick.", "ytick.")},
    }
    return rc_context(cast(Any, {**settings, **(more or {})}))


@cache
def font_families() -> list[str]:
    """The families of `fishnet.fonts`, registered with matplotlib: class names come in every script."""
    for file in font_files():
        font_manager.fontManager.addfont(str(file))
    return [font_manager.FontProperties(fname=str(file)).get_name() for file in font_files()]
