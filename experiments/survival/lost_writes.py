"""A folder that stands for a disk which has lost what nobody flushed; works without root, needs a C compiler."""

import shutil
import stat
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path


class Disk:
    """`place` is the disk; processes with `environment` flush to it, and `lose_power` takes the rest away.

    The hardest order that a file system may choose: names, renames and deletions reach the disk at once, the bytes of a
    file only by a flush of that file (fsync, fdatasync). Pages written through a memory map are lost too.
    Flushes of files whose paths have a part named in `ignored` do nothing: the control.
    """

    def __init__(self, home: Path, *, ignored: Collection[str] = ()) -> None:
        self.place, self._kept = home / "disk", home / "kept"
        self.place.mkdir()
        self._kept.mkdir()
        library = home / "lost_writes.so"
        source = Path(__file__).with_suffix(".c")
        subprocess.run(["cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, source], check=True)
        self.environment = {
            "LD_PRELOAD": str(library),
            "LOST_WRITES_DISK": str(self.place.resolve()),
            "LOST_WRITES_KEPT": str(self._kept),
            "LOST_WRITES_CONTROL": ":".join(ignored),
        }

    def lose_power(self) -> None:
        """Give every file the bytes of its last flush, and none where there was no flush; its writers have ended."""
        files = [path for path in self.place.rglob("*") if stat.S_ISREG(path.lstat().st_mode)]
        kept = {path: self._kept / name for path, name in zip(files, _identities(files), strict=True)}
        for path, flushed in kept.items():
            with path.open("r+b") as file:  # in place: it stays the file that it is
                file.truncate(0)
                if flushed.exists():
                    file.write(flushed.read_bytes())
        for flushed in set(self._kept.iterdir()) - set(kept.values()):  # of files that are gone
            flushed.unlink()

    def clear(self) -> None:
        for folder in (self.place, self._kept):
            shutil.rmtree(folder)
            folder.mkdir()


def _identities(files: list[Path]) -> Iterator[str]:
    """Inode and time of birth, as the library names them: an inode alone is given out again."""
    for start in range(0, len(files), 1000):
        asked = ["stat", "--format=%i %.9W", *map(str, files[start : start + 1000])]
        for line in subprocess.run(asked, capture_output=True, check=True, text=True).stdout.splitlines():
            inode, born = line.split()
            yield f"{inode}-{int(born.replace('.', ''))}"
