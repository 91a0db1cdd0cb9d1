"""The audit's page of few and of many classes: what was found stands first, and reasons stand once."""

import re
from dataclasses import replace

from fishnet.audit.page import REASONS, audit_page, opening
from fishnet.audit.questions import sections_of
from fishnet.data.class_names import ClassNames
from fishnet.page.page import Chapter, render_page
from tests.support.edged import many_classes

NAME = re.compile(r"Fish \d\d")


def test_what_was_found_stands_first_and_leads_to_its_chapter(whole):
    page = audit_page(whole, name="edge")
    rows = re.findall(r"<tr[^>]*><td>(.*?)</td>", page.split("</table>")[0])
    assert rows == ['<a href="#c1">class 2</a>', "class 0", "class 1"]
    assert '<h2 id="c1">class 2</h2>' in page and "Nothing was found for class 0, class 1." in page


def test_people_read_the_names_of_the_classes(whole):
    names = {
        f"class {number}": (f"Genus {word}", f"common {word}") for number, word in enumerate(("one", "two", "three"))
    }
    named = replace(whole, folder=replace(whole.folder, label_names=ClassNames(names)))
    page = audit_page(named, name="edge", sections=sections_of(named))
    assert '<h2 id="c1">Genus three, common three</h2>' in page
    assert "Nothing was found for Genus one, common one, Genus two, common two." in page
    read = re.sub(r"<code>.*?</code>|<pre.*?</pre>|data:image/[^\"]*", "", page, flags=re.DOTALL)
    assert not re.search(r"class [012]\b", read)
    assert "Genus" not in "".join(verdict.name for verdict in named.found)  # tables and keys keep the folders


def test_of_forty_classes_the_others_are_folded(whole):
    page = audit_page(many_classes(whole, 40), name="edge")
    seen, folded = page.split("<details><summary>35 classes for which nothing was found</summary>")
    assert NAME.findall(seen.split("<tbody>")[1]) == ["Fish 02", "Fish 20", "Fish 38", "Fish 04", "Fish 22"]
    assert len(NAME.findall(folded.split("</table>")[0])) == 35
    assert "Nothing was found for 35 classes." in page
    assert seen.split("</ul>")[0].count("no verdict") == 1  # one reason, with both of its classes


def test_many_reasons_for_no_verdict_are_folded(whole):
    many = many_classes(whole, 20)
    silent = [
        replace(verdict, word="withheld", reason=f"{number} photos are too few") if number > REASONS else verdict
        for number, verdict in enumerate(many.found)
    ]
    page = audit_page(replace(many, found=silent), name="edge")
    count = sum(verdict.word == "withheld" for verdict in silent)
    assert f"There is no verdict on {count} classes" in page.split("</ul>")[0]
    assert "too few" not in page.split("Classes without a verdict, and why")[0]
    assert page.count("are too few") == count - sum(verdict.word == "withheld" for verdict in many.found[: REASONS + 1])


def test_of_two_classes_the_page_says_that_both_may_be_named_for_one_cue(whole):
    assert "whose it is" not in audit_page(whole, name="edge").lower()
    measured, found = whole.measured, whole.found
    two = replace(measured, classes=measured.classes[1:], tests=measured.tests[1:], recalls=measured.recalls[1:])
    accused = Chapter(found[2].name)
    opened = opening(
        two, [replace(found[1], name=measured.classes[1]), found[2]], {found[2].name: accused}, ClassNames()
    )
    assert "whose it is" in render_page("two", "", [opened, accused]).lower()
