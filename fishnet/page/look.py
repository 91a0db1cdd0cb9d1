"""How every picture and page of fishnet looks: the same ink, letters that this machine can draw, no global state."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, cast

from matplotlib import font_manager, rc_context

from fishnet.fonts import font_files

INK, SOFT, BLUE, RED = "#22303c", "#8a97a3", "#2b6cb0", "#c53030"


def look(more: Mapping[str, Any] | None = None) -> AbstractContextManager[None]:
    """matplotlib's settings while one picture is drawn; `more` are others of its rcParams."""
    settings: dict[str, Any] = {
        "font.family": _families(),
        "text.parse_math": False,
        "axes.edgecolor": SOFT,
        **{f"{part}color": INK for part in ("text.", "axes.label", "xtick.", "ytick.")},
    }
    return rc_context(cast(Any, {**settings, **(more or {})}))


def page_look(more: Mapping[str, Any] | None = None) -> AbstractContextManager[None]:
    """The same for the pictures of a page: SVG that comes out alike each time, without a frame."""
    plain = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "fishnet"}
    return look({**plain, **(more or {})})


@cache
def _families() -> list[str]:
    for file in font_files():
        font_manager.fontManager.addfont(str(file))
    return [font_manager.FontProperties(fname=str(file)).get_name() for file in font_files()]
