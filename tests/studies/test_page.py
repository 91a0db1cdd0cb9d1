"""The page tells what was chosen and what may be believed, whole in one file."""

import base64
import csv
import re
import subprocess
import sys

from fishnet.studies import page as pages
from fishnet.studies.page import LivingPage
from fishnet.studies.pictures import short_names
from fishnet.studies.scoring import judged
from fishnet.studies.selection import ranked

FOLDS = {
    "first": {"search": {"points": {"good": {"x": 0.9}, "bad": {"x": 0.2}, "dies": {"x": 1, "do": "os._exit(3)"}}}},
    "last": {"search": {"space": {"y": [1, 2]}}, "test": True},
}


def drawings(text: str) -> list[str]:
    """The SVGs of a page."""
    return [base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text)]


def words_of(page: LivingPage) -> str:
    """The page without the tags that keep numbers on one line."""
    return " ".join(re.sub(r'<span class="whole">(.*?)</span>', r"\1", page.path.read_text()).split())


def test_it_tells_choice_cause_and_ties_without_asking_a_network(study):
    engine = study(first={**FOLDS["first"], "folds": 2}, last={**FOLDS["last"], "folds": 2})
    engine.run()
    page = LivingPage(engine.protocol, engine.journal, ["data.photos=12"])
    run = engine.journal.run_of(engine.states[1].scored[0].trial.cells[0])
    (run / "gradcam").mkdir()
    (run / "gradcam" / "perch.jpg").write_bytes(b"a picture")
    (run / "report").mkdir()
    (run / "report" / "classification_report.txt").write_text("perch <1>")
    page.write(engine.states)
    text = page.path.read_text()
    asked = re.findall(r"""(?:src|href)=["']([^"']*)""", text)
    assert asked and all(one.startswith(("#", "data:")) for one in asked)
    assert "Chosen: <b>good</b>" in text and "Ties, broken by the order of the protocol: y2" in text
    assert "exited (fold 0, seed 0)" in text and "status 3" in text
    assert "0.905 ± 0.007 (2)" in words_of(page)
    assert "perch &lt;1&gt;" in text and "data:image/jpeg;base64," in text
    assert len(drawings(text)) >= 2
    assert "refresh" not in text
    rows = list(csv.DictReader((page.path.parent / "results.csv").open()))
    assert [(row["trial"], row["chosen"], row["state"]) for row in rows[:3]] == [
        ("good", "yes", "finished"),
        ("bad", "", "finished"),
        ("dies", "", "failed"),
    ]
    assert (rows[0]["mean"], rows[0]["trainings"]) == ("0.905", "2") and "status 3" in rows[2]["cause"]


def test_a_study_that_only_supervises_loads_no_torch():
    rooms = ("commands.study", "studies.engine", "studies.page", "studies.mlflow_mirror", "studies.table")
    code = f"import sys, {', '.join(f'fishnet.{room}' for room in rooms)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_it_follows_a_study_that_runs(study):
    engine = study(first=FOLDS["first"], last=FOLDS["last"])
    page = LivingPage(engine.protocol, engine.journal, [])
    told = []

    def look(states):
        before = page.path.read_text() if page.path.exists() else ""
        page(states)
        after = page.path.read_text() if page.path.exists() else ""
        if after != before:
            told.append(after)

    engine.watch([look])
    engine.run()
    (after_the_first_stage,) = told
    assert "refresh" in after_the_first_stage and "not decided yet: last" in after_the_first_stage
    assert re.search(r"about \d+ (s|min|h)\b.* more", after_the_first_stage)
    assert "This stage has not begun" in after_the_first_stage


def test_what_is_not_known_is_never_called_behind(study):
    """One training each and no word about single photos."""
    engine = study(only={"search": {"space": {"x": [0.1, 0.4]}}, "test": True})
    engine.run()
    page = LivingPage(engine.protocol, engine.journal, [])
    page.write(engine.states)
    text = page.path.read_text()
    assert "Of all others the difference from the best is not known" in text
    assert "more than chance explains" not in text and "same photos" not in text


def test_what_cannot_be_told_apart_says_what_would_have_shown(study):
    """Sixty photos in one split, four of which only the best has right."""
    engine = study(only={"search": {"space": {"x": [0.1, 0.2]}}})
    engine.run()
    for number, entry in enumerate(engine.states[0].scored):
        report = engine.journal.run_of(entry.trial.cells[0]) / "report"
        report.mkdir()
        rows = [f"{n},{'ab'[n % 2]},{'ab'[(n + (n < 4 - 4 * number)) % 2]},{n}" for n in range(60)]
        (report / "validation.csv").write_text("\n".join(["path,class,predicted,group", *rows]))
    best, *others = ranked(engine.states[0].stage, engine.states[0].scored)
    verdict = judged(best, others, engine.journal, "val/accuracy")
    page = LivingPage(engine.protocol, engine.journal, [])
    page.write(engine.states)
    text = words_of(page)
    assert "Choosing among these is chance" not in text
    (found,) = verdict.values()
    assert found.word == "alike" and 0.1 < found.detectable < 0.3
    assert (
        f"A true difference of {found.detectable:.2g} or more would have been shown with a probability of 80 %" in text
    )


def test_too_few_folds_say_that_they_could_have_shown_nothing(study):
    points = {name: {"x": 0.5, "y": number} for number, name in enumerate("abcdefgh")}
    engine = study(only={"folds": 2, "search": {"points": points}})
    engine.run()
    for number, entry in enumerate(engine.states[0].scored):
        for fold, result in enumerate(entry.results.values()):
            result["figures"]["val/accuracy"] = 0.9 - 0.01 * number * (fold + 1)
    page = LivingPage(engine.protocol, engine.journal, [])
    page.write(engine.states)
    text = words_of(page)
    assert "So few photos or folds could have shown no difference at all among so many arms." in text


def test_no_difference_in_any_fold_is_no_interval_of_no_width(study):
    engine = study(
        only={"folds": 2, "search": {"points": {"one": {"x": 0.9, "y": 1}, "same": {"x": 0.9, "y": 2}}}, "test": True}
    )
    engine.run()
    page = LivingPage(engine.protocol, engine.journal, [])
    page.write(engine.states)
    text = page.path.read_text()
    assert "0 in every fold" in text and "0.000 [0.000" not in text
    assert "<b>1 of 1</b> cannot be told from the best" in text


def test_a_stage_that_cannot_be_shown_says_why_and_the_others_stand(study, monkeypatch):
    engine = study(first=FOLDS["first"], last=FOLDS["last"])
    engine.run()
    real = pages.stage_chapter

    def stage_chapter(title, state, journal):
        if title.startswith("1"):
            raise ValueError("No columns to parse <here>")
        return real(title, state, journal)

    monkeypatch.setattr(pages, "stage_chapter", stage_chapter)
    page = LivingPage(engine.protocol, engine.journal, [])
    page.write(engine.states)
    text = page.path.read_text()
    assert "This stage cannot be shown" in text and "No columns to parse &lt;here&gt;" in text
    assert "Chosen: <b>y1</b>" in text


def test_a_later_stage_shows_what_its_candidates_were_chosen_with(study):
    engine = study(first={"search": {"space": {"x": [0.1, 0.3]}}, "top": 2}, last={"search": {"space": {"y": [1, 2]}}})
    engine.run()
    page = LivingPage(engine.protocol, engine.journal, [])
    page.write(engine.states)
    axes = "".join(drawings(page.path.read_text().partition('id="c2"')[2]))
    assert "<!-- x -->" in axes and "<!-- y -->" in axes


def test_long_names_stay_apart():
    names = [f"filters64-64-128-dense32-dropout0.2-adam-lr0.0{n}" for n in (1, 2)]
    short = short_names(names, 20)
    assert len(set(short)) == 2 and all(len(one) <= 20 for one in short)
    assert short_names([f"{'a' * 30}{n}{'b' * 30}" for n in (1, 2)], 20)[0] == f"{'a' * 30}1{'b' * 30}"
