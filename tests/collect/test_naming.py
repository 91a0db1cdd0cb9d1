"""Class folders from whatever people and tables call a class."""

import random
import unicodedata
from pathlib import Path

from fishnet.collect.photo import (
    Taxon,
    class_folder,
    class_folders,
    is_placeholder,
    photo_id_of,
    sized,
    taxon_from_name,
)

WORDS = [
    "Perca",
    "fluviatilis",
    "..",
    "/",
    "\\",
    "CON",
    "nul",
    "\x00",
    "é",
    "e\u0301",
    "魚",
    "🐟",
    "${oc.env:HOME}",
    "'",
    '"',
    "\n",
    " ",
    ".",
    "~",
    "A" * 300,
]


def names(count: int) -> list[str]:
    rng = random.Random(0)
    chosen: set[str] = set()
    while len(chosen) < count:
        parts = [
            rng.choice(WORDS) if rng.random() < 0.7 else chr(rng.randrange(1, 0xD7FF)) for _ in range(rng.randint(1, 6))
        ]
        chosen.add("".join(parts))
    return sorted(chosen)


def test_twenty_thousand_names_stay_below_the_root_and_one_to_one(tmp_path):
    taxa = [taxon_from_name(name) for name in names(20_000)]
    folders = class_folders(taxa)
    assert len(folders) == len({unicodedata.normalize("NFC", taxon.name) for taxon in taxa})
    assert len({folder.lower() for folder in folders}) == len(folders)
    for folder in folders:
        assert folder.isascii() and len(folder) < 100
        assert Path(tmp_path, folder).resolve().parent == tmp_path.resolve()
    assert all(folders[class_folder(taxon)].name == taxon.name for taxon in taxa)


def test_a_taxon_is_told_by_its_number():
    assert class_folder(Taxon("47162", "Perca fluviatilis")) == "47162-perca-fluviatilis"
    assert class_folder(Taxon("../..", "x")).count("/") == 0


def test_an_address_names_its_photo():
    assert photo_id_of("https://static.inaturalist.org/photos/92152429/square.jpg?1598551272") == "92152429"
    assert photo_id_of("https://a.org/x.jpg") != photo_id_of("https://a.org/y.jpg")


def test_only_the_size_word_of_an_address_changes():
    assert sized("https://h/photos/1/square.jpeg?15", "medium") == "https://h/photos/1/medium.jpeg?15"
    assert sized("https://h/photos/1/square.?15", "large") == "https://h/photos/1/large.?15"
    assert sized("https://h/photos/1/square.JPG", "original") == "https://h/photos/1/original.JPG"
    assert sized("https://h/other/square.jpg", "large") == "https://h/other/square.jpg"


def test_notices_are_known_by_their_address():
    assert is_placeholder("https://h/assets/copyright-infringement-medium.png?1")
    assert is_placeholder("https://h/assets/artificially-generated-content-square.png")
    assert not is_placeholder("https://h/photos/1/medium.png")
