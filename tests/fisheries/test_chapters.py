"""Chapters of tables that tell little: what is not told is left out, and nothing stops."""

import pytest

from fishnet.fisheries.chapters import answers, chapters
from fishnet.fisheries.findings import Findings, status_of
from fishnet.fisheries.reading import read


def told(*paths) -> tuple[Findings, dict[str, str]]:
    """What is found in tables, and the text of each chapter by its title."""
    sheets = [read(path) for path in paths]
    found = Findings(sheets, [], status_of([sheet.frame for sheet in sheets]))
    answers(found)
    return found, {one.title: " ".join(block.text for block in one.blocks) for one in chapters(found)}


FARMED = "Entity,Code,Year,Aquaculture production (metric tons)"


@pytest.mark.parametrize(
    ("text", "chapter"),
    [
        (FARMED + "\nWorld,OWID_WRL,1980,100\nNorway,NOR,1980,50\n", None),
        (FARMED + ",Catch (t)\nWorld,OWID_WRL,1980,100,\nNorway,NOR,1980,50,7e6\n", "Norway: the catch was largest"),
        ("stockid,year,BdivBmsy,UdivUmsy\nA,1980,,1\nA,1981,,2\n", None),
    ],
)
def test_what_a_table_does_not_tell_is_left_out(tmp_path, text, chapter):
    (tmp_path / "table.csv").write_text(text)
    _, said = told(tmp_path / "table.csv")
    assert ("Caught and farmed" in said) == (chapter is not None)
    assert chapter is None or said["Caught and farmed"].startswith(chapter)
