"""Which tables are read, and what becomes of several that tell of the same stocks."""

import pytest

from fishnet.errors import BadInput
from fishnet.stock.findings import read_all


def test_a_comma_at_the_end_makes_no_named_file_optional(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text("stockid,year,catch\ncod,2000,1\n")
    (tmp_path / "bad.csv").write_text("stockid,year,catch\ncod,2000,lots\n")
    with pytest.raises(BadInput, match="is no number"):
        read_all("good.csv,bad.csv,", None)
    assert len(read_all("good.csv,", None)[0]) == 1
