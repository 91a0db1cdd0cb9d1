"""What a spreadsheet would run is text in our tables, and comes back as it was."""

import csv
import io

import pandas as pd
import pytest

from fishnet.cells import defused, defused_row, defused_table, restored, restored_table

HOSTILE = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\r=1", "'=1", "''@a", "-", "=", "-1e", "--1"]
HARMLESS = ["", "perch", "'quoted'", "-1.5", "+3e-7", "1", "a=b", "'", "it's"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_formula_is_defused_and_comes_back(text):
    written = defused(text)
    assert written == "'" + text and restored(written) == text


@pytest.mark.parametrize("value", [*HARMLESS, -1.5, None, True])
def test_words_and_numbers_stay_as_they_are(value):
    assert defused(value) is value and restored(value) is value


def test_a_table_comes_back_from_its_file_with_its_headers_and_rows():
    texts = [text for text in (*HOSTILE, *HARMLESS) if "\r" not in text]  # pandas leaves those without quotes
    table = pd.DataFrame({"=class": texts, "value": range(len(texts))}, index=pd.Index(texts, name="true"))
    file = io.StringIO(defused_table(table).to_csv())
    read = restored_table(pd.read_csv(file, index_col="true", dtype={"'=class": str}, keep_default_na=False))
    pd.testing.assert_frame_equal(read, table)
    assert table["=class"].tolist() == texts  # what was given is not changed


def test_rows_for_a_writer():
    text = io.StringIO()
    csv.writer(text).writerow(defused_row(["=a", -1, "b"]))
    assert text.getvalue() == "'=a,-1,b\r\n"
