import pytest

from fishnet.collect.licences import OPEN, licence_code, wanted_licences
from fishnet.errors import BadInput


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("cc-by-nc", "cc-by-nc"),
        ("CC-BY-NC-SA", "cc-by-nc-sa"),
        ("CC_BY_NC_4_0", "cc-by-nc"),
        ("CC BY 4.0", "cc-by"),
        ("http://creativecommons.org/licenses/by-nc/4.0/legalcode", "cc-by-nc"),
        ("https://creativecommons.org/licenses/by-nc-nd/4.0/", "cc-by-nc-nd"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "cc0"),
        ("CC0_1_0", "cc0"),
        ("PD", "pd"),
        ("GFDL", "gfdl"),
        ("© all rights reserved", "all-rights-reserved"),
        (None, "all-rights-reserved"),
        ("", "unknown"),
        ("by appointment only", "unknown"),
        ("free", "unknown"),
    ],
)
def test_however_it_is_written(said, code):
    assert licence_code(said) == code


def test_open_leaves_out_reserved_unknown_and_no_derivatives():
    assert wanted_licences("open") == frozenset(OPEN)
    assert not {"all-rights-reserved", "unknown", "cc-by-nd", "cc-by-nc-nd"} & set(OPEN)
    assert {"all-rights-reserved", "unknown"} <= wanted_licences("any")
    with pytest.raises(BadInput, match="cc-by"):
        wanted_licences(["cc-bye"])
