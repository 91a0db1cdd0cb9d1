"""What the experiments on accuracy are asked about: a set of photos, its name in the tables, and the weights."""

import argparse
from pathlib import Path


def photo_set_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all of them have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="of the set, in the table")
    parser.add_argument("--root", type=Path, required=True, help="class folders of photos")
    parser.add_argument("--weights", type=Path, required=True, help="of the backbone")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--group", default="auto", help="data.group")
    parser.add_argument("--per-class", type=int, default=0, help="learn from so many photos of a class; else from all")
    return parser


def padding(backbone: str) -> dict[str, str]:
    """A network's arguments that go with the weights at hand, which were trained by TensorFlow."""
    return {"pad_type": "same"} if backbone == "mobilenetv2_100" else {}
