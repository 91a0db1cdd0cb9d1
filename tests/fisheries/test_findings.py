"""Which tables are read, and what becomes of several that tell of the same stocks."""

import pytest

from fishnet.errors import BadInput
from fishnet.fisheries.findings import read_all, status_of


def test_a_comma_at_the_end_makes_no_named_file_optional(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text("stockid,year,catch\ncod,2000,1\n")
    (tmp_path / "bad.csv").write_text("stockid,year,catch\ncod,2000,lots\n")
    with pytest.raises(BadInput, match="is no number"):
        read_all("good.csv,bad.csv,", None)
    assert len(read_all("good.csv,", None)[0]) == 1


ONE = "stockid,year,BdivBmsy,UdivUmsy\n" + "".join(f"s{n},{year},0.5,2\n" for n in range(6) for year in (2000, 2001))


def test_a_stock_in_two_tables_counts_once_and_it_is_said(tmp_path):
    (tmp_path / "a.csv").write_text(ONE)
    (tmp_path / "b.csv").write_text(ONE.replace("s1,2001,0.5", "s1,2001,1.5") + "s9,2001,1.5,0.5\n")
    sheets, _ = read_all(str(tmp_path), None)
    status = status_of([sheet.frame for sheet in sheets])
    assert status.below.set_index("year")["stocks"].to_dict() == {2000: 6, 2001: 7}
    assert status.below.set_index("year")["below"].to_dict() == {2000: 6, 2001: 6}
    assert len(status.now) == 7 and status.counts.set_index("year").loc[2001].sum() == 7
    assert status.shares.set_index(["entity", "year"])["stocks"].to_dict() == {
        ("all stocks", 2000): 6,
        ("all stocks", 2001): 7,
    }
    assert sheets[0].notes == []
    assert sheets[1].notes == [
        "12 values of B/Bmsy told by a table before this one, too; 1 of them otherwise: the first table counts",
        "12 values of F/Fmsy (or U/Umsy) told by a table before this one, too",
    ]


def test_biomass_in_one_table_and_pressure_in_another_are_one_stock(tmp_path):
    (tmp_path / "a.csv").write_text("stockid,year,BdivBmsy\ncod,2000,0.5\n")
    (tmp_path / "b.csv").write_text("stockid,year,BdivBmsy,UdivUmsy\ncod,2000,0.6,2\n")
    now = status_of([sheet.frame for sheet in read_all(str(tmp_path), None)[0]]).now
    assert now[["b_bmsy", "u_umsy"]].to_numpy().tolist() == [[0.5, 2]]


def test_shares_of_a_region_in_two_tables_count_once(tmp_path):
    text = "Entity,Code,Year,Share of stocks within sustainable levels\nWorld,OWID_WRL,2000,66\nNorway,NOR,2000,50\n"
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.csv").write_text(text.replace("Code,", "").replace("OWID_WRL,", "").replace("NOR,2000,50", "2000,9"))
    sheets, _ = read_all(str(tmp_path), None)
    assert status_of([sheet.frame for sheet in sheets]).shares["sustainable"].tolist() == [50, 66]
    assert "1 of them otherwise: the first table counts" in sheets[1].notes[0]
