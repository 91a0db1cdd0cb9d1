r"""Which names of photos are recognised as shots of one subject: `python -m experiments.honest.names [--out names.csv]`

Each row is a way of naming that is in use: by cameras, phones, camera traps, messengers, downloads, programs that cut
videos or make copies, and public data sets. Two class folders are named in that way, and `data.group=auto` is asked for
the groups. Perceptual hashes are drawn: of one subject they differ by about ten bits, as those of frames in a fish pass
do; otherwise they are unrelated. No photo is read.

The table has the columns way, example, expected, result, groups: `grouped` where exactly the subjects are groups,
`alone` where no two photos are joined, `asked` where `fishnet check` asks the user and joins nothing.
"""

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from fishnet.data.naming import naming_of
from fishnet.data.subjects import stated_groups

CLASSES = ("perch", "pike")


@dataclass(frozen=True)
class Shot:
    """Shot `n` of `all` of a subject; subjects `s` count over both classes, `k` within a class, `i` over all photos."""

    label: str
    s: int
    k: int
    n: int
    i: int
    frame: int
    time: datetime
    lots: np.random.Generator

    def at(self, form: str, step: int = 0) -> str:
        """The time of the subject, or that of this shot where shots are `step` seconds apart."""
        return (self.time + timedelta(seconds=step * self.n)).strftime(form)

    def hexes(self, length: int) -> str:
        return self.lots.bytes(length // 2 + 1).hex()[:length]


@dataclass(frozen=True)
class Way:
    """A way of naming: `name` makes the file's name, `subjects` and `shots` say how many there are in each class."""

    title: str
    name: Callable[[Shot], str]
    subjects: int = 12
    shots: int = 4
    expected: str = "grouped"


def alone(title: str, name: Callable[[Shot], str], count: int = 60, expected: str = "alone") -> Way:
    """A way in which every photo has another subject."""
    return Way(title, name, count, 1, expected)


TURNS = ("", "_180deg", "_30degFlipLR", "_flipTB")
BREEDS = ("Abyssinian", "Bengal", "Birman", "Bombay", "Persian", "Ragdoll", "beagle", "boxer", "pug", "samoyed")

GROUPED = (
    Way("fish passes (FishCam)", lambda p: f"{p.at('%Y%m%d_%H%M%S')}_0E4B_00408CF4B573_fish{p.s}_frame{p.frame}.png"),
    Way("ffmpeg, a video a prefix", lambda p: f"clip{p.s:02d}_{p.n + 1:04d}.png", shots=12),
    Way("ffmpeg, a folder a video", lambda p: f"video_{p.s}/frame_{p.n + 1:05d}.jpg", shots=12),
    Way("MegaDetector, a folder a video", lambda p: f"RCNX{p.s:04d}.MP4/frame{p.n * 30:06d}.jpg", shots=6),
    Way("UCF-101", lambda p: f"v_Biking_g{p.s:02d}_c01_frame_{p.n + 1:04d}.jpg"),
    Way("Fish4Knowledge trajectories", lambda p: f"fish_{p.s * 7919:012d}_{p.frame:05d}.png"),
    Way("GTSRB tracks, counted anew in each class", lambda p: f"{p.k:05d}_{p.n:05d}.png", shots=30),
    Way("Stanford Online Products", lambda p: f"{111085122871 + p.s}_{p.n}.JPG"),
    Way("COIL-100 turntable", lambda p: f"obj{p.s}__{p.n * 5}.png", shots=36),
    Way("numbered views", lambda p: f"perch_{p.s:03d}_{p.n + 1}.jpg"),
    Way("numbered views with a word", lambda p: f"specimen{p.s}_view{p.n}.jpg"),
    Way("specimen and batch rename", lambda p: f"specimen {p.s} ({p.n + 1}).jpg"),
    Way("GoPro series", lambda p: f"G{p.s + 1:03d}{p.i:04d}.JPG"),
    Way("Roboflow versions", lambda p: f"IMG_{p.s:04d}_jpg.rf.{p.hexes(32)}.jpg"),
    Way("PlantVillage, turned", lambda p: f"leaf{p.s:04d}___RS_HL {p.s}{TURNS[p.n]}.JPG"),
    Way("copies (Windows)", lambda p: f"IMG_{p.s:04d}{('', ' - Copy', ' - Copy (2)')[p.n]}.JPG", shots=3),
    Way("copies (macOS)", lambda p: f"DSC_{p.s:04d}{('', ' copy', ' copy 2')[p.n]}.JPG", shots=3),
    Way("downloaded again", lambda p: f"{4420 + p.s}{f' ({p.n})' if p.n else ''}.jpg", shots=3),
    Way("edited beside the original", lambda p: f"IMG_{p.s:04d}{('', '-edited')[p.n]}.jpg", shots=2),
    Way("Android burst", lambda p: f"{p.at('%Y%m%d_%H%M%S')}_{p.n + 1:03d}.jpg"),
    Way("Huawei burst", lambda p: f"IMG_{p.at('%Y%m%d_%H%M%S')}_BURST{p.n + 1:03d}{'_COVER' * (p.n == 0)}.jpg"),
    Way("Google burst", lambda p: f"{p.n:05d}IMG_{p.n:05d}_BURST{p.at('%Y%m%d%H%M%S')}123.jpg"),
    Way("Sony burst", lambda p: f"DSC_{p.i:04d}_BURST{p.at('%Y%m%d%H%M%S')}{p.n:03d}.JPG"),
    Way("Pixel, seconds apart", lambda p: f"PXL_{p.at('%Y%m%d_%H%M%S', 2)}123.jpg"),
    Way("Android, seconds apart", lambda p: f"IMG_{p.at('%Y%m%d_%H%M%S', 3)}.jpg"),
    Way("Telegram album", lambda p: f"photo_{p.at('%Y-%m-%d_%H-%M-%S')}{f' ({p.n + 1})' if p.n else ''}.jpg"),
    Way("WhatsApp, sent at once",
        lambda p: f"WhatsApp Image {p.at('%Y-%m-%d at %H.%M.%S')}{f' ({p.n})' if p.n else ''}.jpeg"),
    Way("camtrapR", lambda p: f"StationA__CameraA1__{p.at('%Y-%m-%d__%H-%M-%S')}({p.n + 1}).JPG"),
    Way("Reconyx MapView", lambda p: f"{p.at('%Y-%m-%d %H-%M-%S', 1)} M {p.n + 1}_4.JPG"),
    Way("Renamer (Sanderson)", lambda p: f"Arroyo Seco {p.at('%Y %m %d %H %M %S', 1)}.jpg"),
)  # fmt: skip

ALONE = (
    alone("Kaggle cats and dogs", lambda p: f"{p.label}.{p.k}.jpg", 200),
    alone("Canon", lambda p: f"IMG_{p.i + 1:04d}.JPG", 250),
    alone("Nikon", lambda p: f"DSC_{p.i + 1:04d}.JPG"),
    alone("Panasonic", lambda p: f"P101{p.i:04d}.JPG"),
    alone("Kodak", lambda p: f"100_{p.i:04d}.JPG", 120),
    alone("Reconyx", lambda p: f"RCNX{p.i + 1:04d}.JPG"),
    alone("Bushnell", lambda p: f"0812{p.i + 1:04d}.JPG"),
    alone("GoPro single", lambda p: f"GOPR{p.i + 1:04d}.JPG"),
    alone("Snapshot Serengeti", lambda p: f"S1_B{p.k % 6 + 1:02d}_R1_PICT{p.i:04d}.JPG", 120),
    alone("NACTI", lambda p: f"2010_Unit150_Ivan{p.k % 8:03d}_img{p.i:04d}.jpg", 120),
    alone("zamba competition", lambda p: f"ZJ{p.i * 7:06d}.jpg"),
    alone("Caltech camera traps, UUIDs", lambda p: f"{p.hexes(8)}-23d2-11e8-a6a3-{p.hexes(12)}.jpg", 200),
    alone("hashes", lambda p: f"{p.hexes(40)}.jpg", 200),
    alone("short hashes", lambda p: f"{p.hexes(8)}.jpg", 200),
    alone("Flickr", lambda p: f"{2331423423 + p.i * 7919}_{p.hexes(10)}.jpg", 200),
    alone("iNaturalist photo numbers", lambda p: f"{224466000 + p.i * 977}.jpg", 200),
    alone("Android, minutes apart", lambda p: f"IMG_{p.at('%Y%m%d_%H%M%S')}.jpg", 200),
    alone("screenshots", lambda p: f"Screenshot_{p.at('%Y%m%d-%H%M%S')}.png"),
    alone("WhatsApp on a phone", lambda p: f"IMG-{p.at('%Y%m')}{12 + p.k % 5:02d}-WA{p.i:04d}.jpg", 120),
    alone("Oxford pets, a folder a breed", lambda p: f"{p.label.title()}_{p.k + 1}.jpg", 200),
    alone("Oxford pets, a folder a kind of animal",
          lambda p: f"{BREEDS[p.k % 5 + 5 * (p.label == 'pike')]}_{p.k + 1}.jpg",
          200, "asked"),
    alone("ImageNet, a folder a class", lambda p: f"n0208562{p.label == 'pike':d}_{p.k * 137}.JPEG", 200),
    alone("ImageNet, several classes a folder", lambda p: f"n0208{p.k % 10:04d}_{p.lots.integers(30000)}.JPEG", 300),
    alone("ImageNet validation", lambda p: f"ILSVRC2012_val_{p.i * 13:08d}.JPEG", 200),
    alone("CUB-200", lambda p: f"Black_Footed_Albatross_{p.k + 1:04d}_{796000 + p.i * 7}.jpg"),
    alone("Caltech-101", lambda p: f"image_{p.k + 1:04d}.jpg"),
    alone("Food-101", lambda p: f"{1003501 + p.i * 997}.jpg"),
    alone("batch rename", lambda p: f"{p.label} ({p.k + 1}).jpg", 200),
    alone("frames of a single video", lambda p: f"frame{p.k:05d}.jpg", 200),
    alone("scraper, pages of results", lambda p: f"google_{p.k // 20}_{p.k % 20:03d}.jpg", 200, "asked"),
    alone("plain numbers", lambda p: f"{p.k + 1:05d}.jpg", 200),
)  # fmt: skip
WAYS = GROUPED + ALONE


def table_of(way: Way) -> pd.DataFrame:
    """Two class folders named in this way: path, subject, hash, as an index has them."""
    rows, lots, time = [], np.random.default_rng(0), datetime(2019, 8, 12, 6, 0, 0)
    for number, label in enumerate(CLASSES):
        for k in range(way.subjects):
            subject, frame = number * way.subjects + k, int(lots.integers(3000))
            time += timedelta(seconds=int(lots.integers(60, 1800)))
            look = lots.bytes(8)
            for n in range(way.shots):
                frame += int(lots.integers(1, 6))
                shot = Shot(label, subject, k, n, len(rows), frame, time, lots)
                rows.append((f"{label}/{way.name(shot)}", number, subject, blurred(look, lots)))
    table = pd.DataFrame(rows, columns=["path", "label", "subject", "phash"]).astype({"phash": "uint64"})
    return table.assign(**{"class": [CLASSES[label] for label in table["label"]], "exif_time": "", "exif_camera": ""})


def blurred(look: bytes, lots: np.random.Generator) -> int:
    """A hash about ten bits from that of the subject."""
    bits = np.unpackbits(np.frombuffer(look, np.uint8)) ^ (lots.random(64) < 10 / 64)
    return int.from_bytes(np.packbits(bits).tobytes(), "big") or 1


def result_of(way: Way) -> tuple[str, int]:
    """What became of the photos, and in how many groups."""
    table = table_of(way)
    groups = pd.Series(stated_groups(table, "auto")[0])
    count = groups.nunique()
    if way.shots > 1 and (pd.factorize(table["subject"])[0] == pd.factorize(groups)[0]).all():
        return "grouped", count
    naming = naming_of(table)
    return ("mixed" if count < len(table) else "asked" if naming else "alone"), count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("names.csv"))
    out = parser.parse_args().out
    rows = []
    for way in WAYS:
        result, groups = result_of(way)
        rows.append((way.title, table_of(way)["path"].iloc[1], way.expected, result, groups))
        print(f"{'' if result == way.expected else 'NOT AS EXPECTED '}{way.title}: {result}, {groups} groups")
    with open(out, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("way", "example", "expected", "result", "groups"), *rows])
    wrong = sum(row[2] != row[3] for row in rows)
    print(f"{len(rows) - wrong} of {len(rows)} as expected")


if __name__ == "__main__":
    main()
