"""The page needs nothing beside it and believes no name."""

from fishnet.page.page import Chapter, figure, page


def test_names_from_tables_are_text_and_never_markup():
    chapter = Chapter("<script>alert(1)</script>")
    chapter.say("a & b")
    chapter.warn("<b>")
    chapter.tabulate(["<i>"], [("<img src=x>",), ("y",)])
    chapter.show("data:image/svg+xml;base64,", 'a "quoted" caption')
    text = page("T", "about", ["<u>"], [chapter])
    for markup in ("<script>", "<b>", "<i>", "<img src=x>", "<u>"):
        assert markup not in text
    assert "a &amp; b" in text and "&lt;script&gt;" in text


def test_numbers_as_people_write_them():
    said = [figure(value) for value in (12345.6, 12.345, 0.01234, 0.0, 0.00001, 7, None, float("nan"), 2000)]
    assert said == ["12,346", "12.3", "0.0123", "0", "1.0e-05", "7", "–", "–", "2000"]


def test_columns_of_numbers_stand_to_the_right():
    chapter = Chapter("x")
    chapter.tabulate(["name", "value"], [("a", 1.5), ("b", None)])
    assert chapter.blocks[0].numeric == {1}
    assert chapter.blocks[0].rows[1] == ["b", "–"]
