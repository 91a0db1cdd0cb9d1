"""Real `fishnet collect` processes against a replica, and what they have left on disk."""

import csv
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from fishnet.headers import RefusedImage
from fishnet.images import load_image

TAXA = "taxa=47162,47163,47164"
ALL = ["per_observation=all", "licences=any", "quality=any", "limit=null"]


def started(home: Path, *settings: str, name: str = "lake", taxa: str = TAXA) -> subprocess.Popen:
    home.mkdir(parents=True, exist_ok=True)
    house = str(Path(__file__).parents[2])
    environment = {**os.environ, "XDG_CACHE_HOME": str(home / "cache"), "PYTHONPATH": house, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fishnet", "collect", f"name={name}", taxa, *settings]
    return subprocess.Popen(
        command, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def collected(home: Path, *settings: str, **how: str) -> str:
    process = started(home, *settings, **how)
    out, err = process.communicate(timeout=3600)
    if process.returncode:
        raise SystemExit(f"fishnet collect ended with {process.returncode}:\n{err[-3000:]}")
    return out


def tree(home: Path, name: str = "lake") -> dict[str, str]:
    """Path → digest of all that lies in the class folders."""
    root = home / "data" / name
    files = (path for path in root.rglob("*") if path.is_file() and path.parent != root)
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def manifest(home: Path, name: str = "lake") -> list[dict[str, str]]:
    """Without the one column that may differ between two runs."""
    with open(home / "data" / name / "manifest.csv", newline="", encoding="utf-8") as file:
        return [{key: value for key, value in row.items() if key != "fetched_at"} for row in csv.DictReader(file)]


def not_kept(home: Path, name: str = "lake") -> list[dict[str, str]]:
    with open(home / "data" / f".{name}.fishnet" / "not_kept.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def broken(home: Path, name: str = "lake") -> list[str]:
    """Files in class folders that are no whole photos."""
    found = []
    for place in tree(home, name):
        try:
            load_image(home / "data" / name / place)
        except RefusedImage:
            found.append(place)
    return found
