"""Tables as publishers write them, each with the same few numbers; and what is refused, in one sentence."""

from pathlib import Path

import pandas as pd
import pytest

from fishnet.errors import BadInput
from fishnet.fisheries.columns import meaning_of
from fishnet.fisheries.reading import read


def table(tmp_path: Path, text: str | bytes, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


ROWS = "cod,2000,10\ncod,2001,\ncod,2002,30\n"


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("stockid,year,catch", "catch"),
        ("stockid,tsyear,TCbest", "catch"),
        ("Stock,Year,Total catch (tonnes)", "catch"),
        ("stockid,year,landings (t)", "catch"),
        ("Entity,Year,Capture fisheries (tonnes)", "catch"),
        ("Entity,Year,Aquaculture production (metric tons)", "aquaculture"),
        ("stockid,year,TBbest", "biomass"),
        ("stockid,year,SSB", "biomass"),
        ("stockid,year,CPUE", "index"),
        ("stockid,year,BdivBmsypref", "b_bmsy"),
        ("stockid,year,B/Bmsy", "b_bmsy"),
        ("stockid,year,bbmsy_ram", "b_bmsy"),
        ("stockid,year,UdivUmsypref", "u_umsy"),
        ("stockid,year,F/Fmsy", "u_umsy"),
        ("stockid,year,ERdivERmsy", "u_umsy"),
        ("Entity,Year,Biologically sustainable", "sustainable"),
        ("Entity,Year,Share of fish stocks within biologically sustainable levels", "sustainable"),
        ("Entity,Year,Overexploited", "overfished"),
    ],
)
def test_one_variable_has_many_headers(tmp_path, header, what):
    sheet = read(table(tmp_path, f"{header}\n{ROWS}"))
    assert sheet.frame["year"].tolist() == [2000, 2002]  # the blank one says nothing
    assert sheet.frame[what].tolist() == [10, 30]
    assert [name for name, _ in sheet.taken] == header.split(",")
    assert sheet.notes == ["1 row without any value left out"]


def test_regions_and_taxa_in_one_column_are_told_apart_and_ranges_kept(tmp_path):
    text = (
        "Entity,Year,biomass_mean_region,biomass_q25_region,fishing_pressure_mean_region,biomass_mean_taxa,"
        "fishing_pressure_mean_taxa\nJapan,2000,0.5,0.4,1.2,,\nGadids,2000,,,,1.5,0.8\nNowhere,2000,,,,,\n"
    )
    sheet = read(table(tmp_path, text))
    rows = sheet.frame.set_index("entity")
    assert rows["kind"].to_dict() == {"Japan": "region", "Gadids": "taxon"}
    assert rows.loc["Japan", ["b_bmsy", "b_bmsy_low", "u_umsy"]].tolist() == [0.5, 0.4, 1.2]
    assert rows.loc["Gadids", "b_bmsy"] == 1.5
    assert "beside a fishing pressure" in dict(sheet.taken)["biomass_mean_region"]


def test_years_as_columns_flags_and_other_signs(tmp_path):
    """FAO's download: a title above, brackets round years, letters behind estimates, dots for nothing."""
    text = (
        "FAO capture\n\nCountry (Name),ASFIS species (Name),Unit,[1950],[1951],[1952]\n"
        'Norway,Cod,Tonnes - live weight,"1,200 F",...,1 300\nPeru,Anchoveta,Tonnes - live weight,5,6,7\n'
    )
    sheet = read(table(tmp_path, text))
    found = sheet.frame.set_index(["entity", "year"])["catch"]
    assert found["Norway · Cod"].to_dict() == {1950: 1200, 1952: 1300}
    assert found["Peru · Anchoveta"].sum() == 18


def test_variables_below_each_other(tmp_path):
    text = "stockid,tsid,tsyear,tsvalue\nCOD,TC-MT,2000,10\nCOD,TB-MT,2000,50\nCOD,R-E00,2000,7\nCOD,TC-MT,2001,11\n"
    sheet = read(table(tmp_path, text))
    assert sheet.frame["catch"].tolist() == [10, 11]
    assert sheet.frame["biomass"].iloc[0] == 50


@pytest.mark.parametrize("written", ["semicolon", "tab", "bom", "latin", "utf16"])
def test_separators_and_encodings(tmp_path, written):
    text = "stockid,year,catch\nÉglefin,2000,1.5\nÉglefin,2001,2\n"
    data = {
        "semicolon": text.replace(",", ";").replace("1.5", "1,5").encode(),
        "tab": text.replace(",", "\t").encode(),
        "bom": text.encode("utf-8-sig"),
        "latin": text.encode("cp1252"),
        "utf16": text.encode("utf-16"),
    }[written]
    frame = read(table(tmp_path, data)).frame
    assert frame["entity"].unique().tolist() == ["Églefin"]
    assert frame["catch"].tolist() == [1.5, 2]


def test_units_and_shares_are_brought_to_one(tmp_path):
    assert read(table(tmp_path, "Entity,Year,Catch (thousand tonnes)\nx,2000,2\n")).frame["catch"].item() == 2000
    shares = read(table(tmp_path, "Entity,Year,Biologically sustainable\nx,2000,0.6\nx,2001,0.5\n"))
    assert shares.frame["sustainable"].tolist() == [60, 50]


def test_of_two_columns_the_best_and_the_user_is_always_right(tmp_path):
    path = table(tmp_path, "stockid,year,SSB,TBbest,odd\nx,2000,1,2,3\n")
    assert read(path).frame["biomass"].item() == 2
    assert read(path, "SSB=biomass").frame["biomass"].item() == 1
    sheet = read(path, "odd=catch, TBbest=nothing, SSB=nothing")
    assert sheet.variables == ["catch"]
    assert dict(sheet.taken)["odd"] == "catch (as you said)"


HEADER_ONLY = b"Entity,Code,Year"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEADER_ONLY, "a header (Entity, Code, Year) and no rows"),
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"<!DOCTYPE html><html><body>Entity,Year,catch</body></html>", "a web page"),
        (b"\xef\xbb\xbf\n  <html lang='en'>", "a web page"),
        (b"PK\x03\x04rest", "a spreadsheet"),
        (b'{"error": "gone"}', "JSON"),
        (b"\x00\x01\x02", "no text"),
        (b"x" * 200_000, "is no table"),
        (b"stockid,year,catch\ncod,2000,1\ncod,2001,2\ncod,2000,3\n", "has the year 2000 twice (rows 2 and 4)"),
        (b"stockid,year,biomass\ncod,2000,5\ncod,2001,-5\n", "row 3: biomass = '-5' is negative"),
        (b"stockid,year,catch\ncod,2000,lots\n", "row 2: catch = 'lots' is no number"),
        (b"stockid,year,catch\ncod,2000,inf\n", "is no finite number"),
        (b"stockid,year,catch\ncod,20000,1\n", "is no year"),
        (b"Entity,Year,Biologically sustainable\nx,2000,140\n", "more than 100 %"),
        (b"sepal,petal,species\n1,2,setosa\n", "a table of something else"),
        (b"Entity,Year,GDP per capita\nx,2000,5\n", "no column holds catches"),
        (b"stockid,year,catch\ncod,2000,\n", "all of its cells are blank"),
        (b"stockid,year,catch\ncod,2000,1,9,9,9\n", "no whole table"),
        (b'stockid,year,catch\n"cod,2000,1\n', "no whole table"),
        (b"Country,1950,1951,1952\nNorway,1,2,3\n", "nothing says what its yearly columns measure"),
        (b"stockid,tsid,tsyear,tsvalue\nC,TC-MT,2000,1\nC,TC-MT,2000,2\n", "is there twice"),
    ],
)
def test_what_cannot_be_right_is_one_sentence(tmp_path, text, reason):
    with pytest.raises(BadInput) as refused:
        read(table(tmp_path, text, "odd.csv"))
    said = str(refused.value)
    assert reason in said
    assert "odd.csv" in said and "\n" not in said and said.endswith(".")


@pytest.mark.parametrize("columns", ["catch", "=catch", "odd=fish", "nowhere=catch"])
def test_corrections_that_correct_nothing(tmp_path, columns):
    with pytest.raises(BadInput, match="columns"):
        read(table(tmp_path, "stockid,year,odd\nx,2000,1\n"), columns)


def test_a_list_of_species_is_its_own_kind(tmp_path):
    sheet = read(table(tmp_path, "scientificname,spp_category\nGadus morhua,Cods\nGadus morhua,Cods\n"))
    pd.testing.assert_frame_equal(sheet.frame, pd.DataFrame({"species": ["Gadus morhua"], "category": ["Cods"]}))


def test_one_name_with_and_without_blanks_is_two_columns(tmp_path):
    sheet = read(table(tmp_path, "stockid,year,catch, catch\nx,2000,1,2\n"))
    assert sheet.frame["catch"].item() == 1
    assert dict(sheet.taken)["catch.1"] == "left alone"


def test_a_column_of_blanks_tells_nothing(tmp_path):
    sheet = read(table(tmp_path, "stockid,year,BdivBmsy,UdivUmsy\nx,2000,,1\nx,2001,,2\n"))
    assert sheet.variables == ["u_umsy"] and "b_bmsy" not in sheet.frame


@pytest.mark.parametrize(
    "text",
    [
        "year;catch\n1980;100,0\n1981;105,5\n",
        "Catches of cod, herring, sprat, plaice, 2000 to 2010\nyear;catch\n1980;100\n1981;105,5\n",
        "name\tyear\tcatch\nCod, Atlantic, North, East\t1980\t100\nCod, Atlantic, North, East\t1981\t105.5\n",
    ],
)
def test_the_sign_between_cells_is_the_one_that_gives_known_columns(tmp_path, text):
    assert read(table(tmp_path, text)).frame["catch"].tolist() == [100, 105.5]


def test_of_region_and_country_a_row_is_about_the_country(tmp_path):
    path = table(tmp_path, "Region,Country,Year,Catch\nNorth,A,2000,5\nNorth,B,2000,6\n")
    assert read(path).frame["entity"].tolist() == ["A", "B"]
    with pytest.raises(BadInput, match="North has the year 2000 twice"):
        read(path, "Region=entity")


def test_rows_without_a_region_are_told(tmp_path):
    path = table(tmp_path, "stockid,region,year,catch\nA,,2000,5\nB, ,2000,6\nC,Cold,2000,6\n")
    assert read(path).notes == ["2 rows without a region, counted in none"]


@pytest.mark.parametrize(
    ("header", "factor"),
    [
        ("Catch (1000 tonnes)", 1e3),
        ("Catch ('000 t)", 1e3),
        ("Catch (thousand t)", 1e3),
        ("Catch, thousands of tonnes", 1e3),
        ("Catch (10^3 t)", 1e3),
        ("Catch (10³ t)", 1e3),
        ("SSB (kt)", 1e3),
        ("Catch (million t)", 1e6),
        ("Catch (t)", 1),
        ("Catch (kt per year)", 1e3),
        ("Catch, thousand t/yr", 1e3),
        ("Landings (kg)", 1e-3),
        ("Landings (million lb)", 453.59237),
    ],
)
def test_units_in_a_header_are_brought_to_tonnes(header, factor):
    assert meaning_of(header).factor == pytest.approx(factor)


def test_a_column_of_units_counts_too(tmp_path):
    rows = "Country,Year,Unit,Catch\nA,2000,{},5\nA,2001,{},6\n"
    thousand = read(table(tmp_path, rows.format("Thousand tonnes", "Thousand tonnes")))
    assert thousand.frame["catch"].tolist() == [5000, 6000]
    assert dict(thousand.taken)["Catch"] == "catch, times 1,000"
    assert read(table(tmp_path, rows.format("t", "Tonnes - live weight"))).frame["catch"].tolist() == [5, 6]
    for units in (("Thousand tonnes", "t"), ("Thousand tonnes", "boxes")):
        with pytest.raises(BadInput, match="has several units"):
            read(table(tmp_path, rows.format(*units)))
    with pytest.raises(BadInput, match="header's"):
        read(table(tmp_path, rows.replace("Catch", "Catch (kt)").format("t", "t")))


def test_variables_below_each_other_have_their_own_units(tmp_path):
    text = "Area,Element,Year,Unit,Value\nA,Catch,2000,1000 t,5\nA,CPUE,2000,kg/h,6\n"
    frame = read(table(tmp_path, text)).frame
    assert (frame["catch"].item(), frame["index"].item()) == (5000, 6)


@pytest.mark.parametrize(
    "header",
    ["Landings value (USD)", "Catch quota", "Catch per capita", "Catch flag", "catch_type", "Survey name", "Catch (%)"],
)
def test_what_only_begins_like_a_variable_is_left_alone(header):
    assert meaning_of(header) is None


@pytest.mark.parametrize("header", ["Catch per unit effort", "Landings per unit of effort (kg/h)", "CPUE mean"])
def test_catch_per_effort_is_an_index_and_no_catch(header):
    assert meaning_of(header).variable == "index"


def test_an_index_that_numbers_the_rows_is_no_survey(tmp_path):
    text = "index,stockid,year,catch\n0,x,2000,5\n1,x,2001,6\n"
    assert read(table(tmp_path, text)).variables == ["catch"]
    assert read(table(tmp_path, text.replace("\n1,", "\n9,"))).variables == ["catch", "index"]
    assert read(table(tmp_path, text), "index=index").variables == ["catch", "index"]


def test_an_index_of_something_else_in_a_files_name_says_nothing(tmp_path):
    text = "Country,1990,1991,1992\nNorway,1,2,3\n"
    with pytest.raises(BadInput, match="nothing says what"):
        read(table(tmp_path, text, "human-development-index.csv"))
    assert read(table(tmp_path, text, "north-sea-survey-index.csv")).variables == ["index"]


@pytest.mark.parametrize(
    ("sign", "cells", "numbers", "note"),
    [
        (",", ('"0,850"', '"1,120"'), [0.85, 1.12], "before decimals (0,850)"),
        (",", ('"1,200 F"', '"12,345,678"'), [1200, 12345678], None),
        (",", ('"1,200"', "13.5"), [1200, 13.5], None),
        (",", ('"1,200"', "13"), [1200, 13], "between thousands: 1,200 is 1200"),
        ("\t", ("0,850", "1,120"), [0.85, 1.12], "before decimals (0,850)"),
        ("\t", ("12,5", "1,120"), [12.5, 1.12], "before decimals (12,5)"),
        (";", ("1,234", "12,345"), [1.234, 12.345], "before decimals: 1,234 is 1.234"),
        (";", ("1.234,5", "1.234"), [1234.5, 1234], None),
        (";", ("1.234", "2.345"), [1.234, 2.345], "a point was taken to stand before decimals: 1.234"),
    ],
)
def test_a_comma_is_told_by_all_numbers_together_or_said(tmp_path, sign, cells, numbers, note):
    lines = ["year,catch".replace(",", sign), *(f"{2000 + n}{sign}{cell}" for n, cell in enumerate(cells))]
    sheet = read(table(tmp_path, "\n".join(lines)))
    assert sheet.frame["catch"].tolist() == numbers
    assert len(sheet.notes) == (note is not None) and (note or "") in " ".join(sheet.notes)


@pytest.mark.parametrize("cells", [("1,234", "12,345"), ("12,5", "1,234,567"), ("12,5", "12.5")])
def test_commas_that_cannot_be_told_are_refused(tmp_path, cells):
    with pytest.raises(BadInput, match="write a point before decimals"):
        read(table(tmp_path, f"year\tcatch\n2000\t{cells[0]}\n2001\t{cells[1]}\n"))


WIDE = "Country,Unit,1980,1981,1982\nA,t,1,2,3\nB,t,1,2,{}\nC,t,4,5,6\n"
STACKED = "Area,Element,Year,Value\nB,CPUE,1981,4\nB,Catch,1981,{}\nA,CPUE,1980,3\nA,Catch,1980,5\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (WIDE.format(-3), "row 3: 1982 = '-3' is negative"),
        ("FAO capture\n\n" + WIDE.format("lots"), "row 5: 1982 = 'lots' is no number"),
        (WIDE.format(3) + "A,t,7,8,9\n", "A has the year 1980 twice (rows 2 and 5)"),
        (STACKED.format(-4), "row 3: Value = '-4' is negative, and catch cannot be"),
        ("A title\n\nstockid,year,catch\nx,2000,1\n\nx,2001,-1\n", "row 6: catch = '-1' is negative"),
        ("A title\n\nstockid,year,catch\nx,2000,1\n\nx,2000,2\n", "twice (rows 4 and 6)"),
    ],
)
def test_a_sentence_names_the_row_of_the_file(tmp_path, text, reason):
    with pytest.raises(BadInput) as refused:
        read(table(tmp_path, text))
    assert reason in str(refused.value)


def test_years_as_columns_with_letters_behind_numbers_are_read_in_every_row(tmp_path):
    frame = read(table(tmp_path, WIDE.replace("5,6", "5 F,1 006 E").format("3 F"))).frame
    assert frame.set_index(["entity", "year"])["catch"]["C"].tolist() == [4, 5, 1006]
