"""The made table is read as any other, and its truth is known."""

from pathlib import Path

import numpy as np
import pytest

from fishnet.errors import BadInput
from fishnet.fisheries.findings import paths_of, read_all, status_of
from fishnet.fisheries.reading import read_frame
from fishnet.fisheries.simulating import sample


def test_every_column_of_it_is_understood():
    made, truth = sample(stocks=4, years=20)
    sheet = read_frame(Path("sample.csv"), made)
    assert all(meaning != "left alone" for _, meaning in sheet.taken)
    assert sheet.variables == ["catch", "index", "b_bmsy", "u_umsy"]
    assert len(sheet.frame) == 80 and set(truth["stockid"]) == set(sheet.frame["entity"])
    assert np.allclose(truth["MSY"], truth["Bmsy"] * truth["Fmsy"])
    shares = status_of([sheet.frame])
    assert shares.from_stocks and shares.shares["entity"].unique().tolist() == ["all stocks"]  # one a sea is too few


def test_a_folder_lists_what_it_cannot_use_and_a_named_file_must_be_right(tmp_path):
    made, _ = sample(stocks=2, years=12)
    made.to_csv(tmp_path / "good.csv", index=False)
    (tmp_path / "empty.csv").write_text("Entity,Code,Year")
    (tmp_path / "notes.txt").write_text("no table")
    sheets, refused = read_all(str(tmp_path), None)
    assert [sheet.name for sheet in sheets] == ["good.csv"]
    assert len(refused) == 1 and "empty.csv" in refused[0]
    with pytest.raises(BadInput, match="no rows"):
        read_all(f"{tmp_path / 'good.csv'},{tmp_path / 'empty.csv'}", None)
    assert len(paths_of(f"{tmp_path / 'good.csv'}, {tmp_path / 'empty.csv'}")) == 2
    with pytest.raises(BadInput, match="does not exist"):
        paths_of(str(tmp_path / "gone.csv"))
    (tmp_path / "good.csv").unlink()
    with pytest.raises(BadInput, match="none of them can be used"):
        read_all(str(tmp_path), None)


def test_categories_are_put_beside_their_species(tmp_path):
    (tmp_path / "a.csv").write_text("stockid,year,catch,scientificname\nx,2000,1,Gadus morhua\ny,2000,1,Mola mola\n")
    (tmp_path / "b.csv").write_text("scientificname,spp_category\nGadus morhua,Cods\n")
    sheets, _ = read_all(str(tmp_path), None)
    assert len(sheets) == 2  # the list of species was read too, and is told
    stocks = next(sheet.frame for sheet in sheets if "kind" in sheet.frame)
    assert stocks["category"].fillna("").tolist() == ["Cods", ""]
