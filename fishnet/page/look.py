"""The house's colours and fonts, and matplotlib's settings for figures that use them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, cast

from matplotlib import font_manager, rc_context

from fishnet.fonts import font_files

INK, SOFT, GRID = "#22303c", "#8a97a3", "#e8edf2"
BLUE, RED, GREEN, YELLOW, ORANGE = "#2b6cb0", "#c53030", "#2f855a", "#ecc94b", "#ed8936"

# Figures of a page are small, and stand without a frame; an SVG comes out alike each time.
OF_PAGES = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "fishnet"}


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
