"""A table of answers in parts, each written by a command of its own, and the parts joined again.

While a part is answered, its rows are kept in a hidden journal beside it, a line a block of photos, so that a command
that was ended anywhere goes on behind the last whole line. A finished part is a CSV with a line before its header that
says which part it is, of which answers, and the digest of what follows.
"""

import csv
import fcntl
import glob
import hashlib
import io
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from fishnet.cells import defused_row
from fishnet.data.observations import Part
from fishnet.errors import BadInput
from fishnet.files import flush, replacing
from fishnet.text import few_of

log = logging.getLogger("fishnet")
FORMAT = 1
MARK = b'# {"fishnet_part": '
LONGEST_LINE = 64 * 2**20  # bytes of the first line
WORDS = {  # what all parts have in common, and how it is called where they differ
    "model": "another model",
    "classes": "other classes",
    "limits": "other thresholds (sure=)",
    "by": "another by=",
    "batch_size": "another batch_size=",
    "images": "another images=",
    "photos": "other photos in the folder",
    "most_megapixels": "another most_megapixels=",
}
About = dict[str, Any]  # a value for each of WORDS


def part_file(out: Path, part: Part) -> Path:
    """`answers.csv` → `answers.2-of-4.csv`."""
    return out.with_name(f"{out.stem}.{part.number}-of-{part.of}{out.suffix}")


def text_of(rows: Sequence[Sequence]) -> str:
    """Rows as they stand in a CSV."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(map(defused_row, rows))
    return text.getvalue()


# ---- one part


def write_part(
    file: Path, part: Part, about: About, columns: Sequence[str], blocks: range,
    rows_of: Callable[[int, Counter[str]], list[list]],
) -> tuple[Counter[str], int]:  # fmt: skip
    """Write a part; a block that an earlier command has answered is not answered again.

    Args:
        file: which appears when all of it is there.
        part: which of how many.
        about: what this part has in common with the others.
        columns: of the table.
        blocks: numbers of the part's blocks.
        rows_of: the rows of a block, which adds to what is counted.

    Returns:
        What was counted over the whole part, and how many blocks were there already.
    """
    identity = {"fishnet_part": FORMAT, "number": part.number, "of": part.of, **about}
    counts: Counter[str] = Counter()
    with _journal(file) as journal:
        kept = _kept_lines(journal, identity, blocks)
        before = len(kept)
        for block in blocks[before:]:
            counted: Counter[str] = Counter()
            text = text_of(rows_of(block, counted))
            kept.append({"block": block, "text": text, "counts": counted})
            _append(journal, kept[-1])
        for line in kept:
            counts.update(line["counts"])
        header = text_of([columns])
        body = "".join([header, *(line["text"] for line in kept)]).encode()
        digest = hashlib.sha256(body).hexdigest()
        identity |= {"counts": dict(counts), "header": len(header.encode()), "sha256": digest}
        with replacing(file, alone=True) as temporary:
            temporary.write_bytes(json.dumps(identity).join(["# ", "\n"]).encode() + body)
        flush(file.parent)
        os.unlink(journal.name)
    return counts, before


@contextmanager
def _journal(file: Path) -> Iterator[BinaryIO]:
    """The part's hidden journal, which no other process on this machine writes meanwhile."""
    path = file.with_name(f".{file.name}.journal")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = open(path, "ab+")  # noqa: SIM115
    except OSError as error:
        raise BadInput(f"out={file} cannot be written ({error.strerror}).") from error
    with opened as journal:
        try:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"Another process is answering {file.name}: wait for it.") from None
        if not path.exists() or not os.path.samestat(os.fstat(journal.fileno()), os.stat(path)):
            raise BadInput(f"Another process has just answered {file.name}.")
        if file.exists():  # a finished part, which is to be written anew
            journal.truncate(0)
        yield journal


def _kept_lines(journal: BinaryIO, identity: Mapping[str, Any], blocks: range) -> list[dict[str, Any]]:
    """The blocks that were answered for just this table; whatever stands behind them is cut off."""
    journal.seek(0)
    lines: list[dict[str, Any]] = []
    end = 0
    for number, line in enumerate(journal):
        value: Any = None
        with suppress(ValueError):
            value = json.loads(line) if line.endswith(b"\n") else None
        if number == 0 and value != identity:
            log.warning("%s is of other answers: this part is answered from its start.", journal.name)
        if value != identity if number == 0 else not _is_block(value, blocks, len(lines)):
            break
        lines += [value] if number else []
        end += len(line)
    journal.truncate(end)
    journal.seek(end)
    if end == 0:
        _append(journal, identity)
    return lines


def _is_block(value: Any, blocks: range, number: int) -> bool:
    """Whether this is the part's block of this number."""
    return isinstance(value, dict) and number < len(blocks) and value.get("block") == blocks[number]


def _append(journal: BinaryIO, value: Mapping[str, Any]) -> None:
    journal.write(json.dumps(value).encode() + b"\n")
    journal.flush()
    os.fsync(journal.fileno())


# ---- all parts


class Written(NamedTuple):
    """A part on the disk: its file, what it says of itself, and where its table begins."""

    file: Path
    about: dict[str, Any]
    start: int


def join_parts(given: str, out: Path) -> tuple[Counter[str], int]:
    """Write the table that one command would have written; returns what was counted, and the number of parts.

    Args:
        given: a folder that holds the parts, or a pattern of their names.
        out: the file of the joined table.
    """
    parts = _all_parts(_files(given), given)
    counts: Counter[str] = Counter()
    with replacing(out) as temporary, open(temporary, "wb") as file:
        for number, part in enumerate(parts):
            counts.update(part.about["counts"])
            body = part.file.read_bytes()[part.start :]
            if hashlib.sha256(body).hexdigest() != part.about["sha256"]:
                raise BadInput(f"{part.file} is not what was written: it is cut short or was changed.")
            file.write(body if number == 0 else body[part.about["header"] :])
    return counts, len(parts)


def _files(given: str) -> list[Path]:
    """The parts that are meant; in a folder other files are passed over."""
    folder = Path(given).expanduser()
    if folder.is_dir():
        files = [file for file in sorted(folder.iterdir()) if file.is_file() and _first_line(file).startswith(MARK)]
    else:
        files = [Path(name) for name in sorted(glob.glob(str(folder))) if Path(name).is_file()]
    if not files:
        raise BadInput(f"join={given}: there is no part; parts are what `fishnet predict part=i/n out=FILE` writes.")
    return files


def _first_line(file: Path) -> bytes:
    with open(file, "rb") as opened:
        return opened.readline(LONGEST_LINE)


def _read_part(file: Path) -> Written:
    line = _first_line(file)
    try:
        about = json.loads(line.removeprefix(b"# ")) if line.startswith(MARK) and line.endswith(b"\n") else {}
        whole = about["fishnet_part"] == FORMAT and 1 <= about["number"] <= about["of"]
        whole = whole and {*WORDS, "counts", "header", "sha256"} <= {*about}
        numbers = [about["number"], about["of"], about["header"], *about["counts"].values()]
        whole = whole and all(type(number) is int for number in numbers)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise BadInput(f"{file} is no part of a table that `fishnet predict part=i/n` has written.")
    return Written(file, about, len(line))


def _all_parts(files: Sequence[Path], given: str) -> list[Written]:
    """Each part once, in their order."""
    parts = [_read_part(file) for file in files]
    first = parts[0]
    for part in parts:
        if differing := [words for key, words in WORDS.items() if part.about[key] != first.about[key]]:
            names = f"{part.file.name} and {first.file.name}"
            raise BadInput(f"join={given}: {names} do not belong together: {differing[0]}.")
        if part.about["of"] != first.about["of"]:
            raise BadInput(
                f"join={given}: {part.file.name} is one of {part.about['of']} parts, and {first.file.name} one of "
                f"{first.about['of']}."
            )
    by_number = {part.about["number"]: part for part in parts}
    if len(by_number) < len(parts):
        twice = next(part for part in parts if by_number[part.about["number"]] is not part)
        number = twice.about["number"]
        raise BadInput(
            f"join={given}: part {number}/{twice.about['of']} is there twice, {twice.file.name} and "
            f"{by_number[number].file.name}."
        )
    if missing := [str(n) for n in range(1, first.about["of"] + 1) if n not in by_number]:
        raise BadInput(f"join={given}: of {first.about['of']} parts there is no {few_of(missing, 8)}.")
    return [by_number[number] for number in sorted(by_number)]
