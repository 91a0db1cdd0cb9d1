"""Figures in the house's look: opened here, drawn by their owners, saved to a file or into the page that shows them.

A figure belongs to nobody (no pyplot, no global state), so that threads and tests may draw at the same time.
"""

import base64
import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from fishnet.files import replacing

from .look import OF_PAGES, look


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
