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
        ("CC BY-NonCommercial 4.0", "cc-by-nc"),
        ("CC BY Non-Commercial No-Derivatives", "cc-by-nc-nd"),
        ("Creative Commons BY NonCommercial-NoDerivs", "cc-by-nc-nd"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International (CC BY-NC-SA 4.0)", "cc-by-nc-sa"),
        ("Attribution-NonCommercial (CC BY)", "cc-by-nc"),
        ("CC-BY, ND", "cc-by-nd"),
        ("CC BY+NC", "cc-by-nc"),
        ("CC BY.NC", "cc-by-nc"),
        ("CC BY/NC/ND", "cc-by-nc-nd"),
        ("CC BY‑NC‑ND 4.0", "cc-by-nc-nd"),  # hyphens that do not break
        ("CC BY-NC–ND", "cc-by-nc-nd"),
        ("CC BY—NC", "cc-by-nc"),
        ("CC BY 4.0 (not for commercial use)", "unknown"),
        ("CC BY, no AI training", "unknown"),
        ("CC BY-SA-ND", "unknown"),
        ("CC BY 3.0 DE", "cc-by"),
        ("CC BY-SA 2.5 Generic", "cc-by-sa"),
        ("https://creativecommons.org/licenses/by-sa/3.0/de/deed.de", "cc-by-sa"),
        ("CC BY 3.0 IGO", "cc-by"),
        ("CC BY-SA 3.0 Unported", "cc-by-sa"),
        ("Creative Commons Attribution 4.0 International Public License", "cc-by"),
        ("some rights reserved (CC-BY-NC)", "cc-by-nc"),
        ("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "cc0"),
        ("http://creativecommons.org/publicdomain/mark/1.0/", "pd"),
        ("released into the public domain by its author", "pd"),
        ("not in the public domain", "unknown"),
        ("public domain, but not for commercial use", "unknown"),
        ("GFDL 1.2 only", "gfdl"),
        ("CC BY " + "4 " * 5000 + "!?", "unknown"),  # in no time
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
