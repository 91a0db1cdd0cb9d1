"""The reef's folder in a parent folder: drawn on first use, once, whole or not at all.

It is drawn into a folder beside its final name and renamed when every byte is on the disk. A file lock makes a second
process wait; a process that died in the middle leaves a hidden folder, which the next process removes.
"""

from pathlib import Path
from typing import Any

from fishnet.errors import BadInput, WorkFailed
from fishnet.files import locked, new_folder
from fishnet.reef.settings import Settings


def reef_folder(parent: str | Path, *, progress: bool = True, **settings: Any) -> Path:
    """`<parent>/reef-<digest>` for these settings (see Settings), drawn if it does not exist yet."""
    chosen = Settings(**settings)
    final = reef_path(parent, chosen)
    if final.is_dir():
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with locked(final.with_name(f".{final.name}.lock")):
            if not final.is_dir():
                _draw(final, chosen, progress)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise BadInput(f"The reef cannot be drawn in {final.parent}: {error.strerror}.") from error
    except OSError as error:
        raise WorkFailed(f"The reef could not be drawn in {final.parent}: {error.strerror}.") from error
    return final


def reef_path(parent: str | Path, settings: Settings) -> Path:
    """Where the reef with these settings is or would be."""
    return Path(parent).absolute() / f"reef-{settings.digest}"


def _draw(final: Path, chosen: Settings, progress: bool) -> None:
    from fishnet.reef.make import draw

    with new_folder(final) as drawing:
        draw(drawing, chosen, progress=progress)
