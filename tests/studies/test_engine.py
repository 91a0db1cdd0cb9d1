"""Stages that run, choose and hand on; real processes, whose work is a line of Python."""

import json
import threading

import pytest

from fishnet.errors import WorkFailed

GRID = {"search": {"space": {"x": [0.1, 0.3, 0.2]}}}


def test_a_stage_hands_its_best_to_the_next(study):
    engine = study(
        first={**GRID, "top": 2},
        second={"search": {"space": {"y": [1, 2]}}, "test": True, "seeds": 2},
    )
    chosen = engine.run()
    assert [kept["name"] for kept in chosen["first"]["kept"]] == ["x0.3", "x0.2"]
    assert [one.trial.name for one in engine.states[1].scored] == ["x0.3-y1", "x0.3-y2", "x0.2-y1", "x0.2-y2"]
    assert chosen["second"]["kept"][0]["trainings"] == 2
    assert chosen["second"]["kept"][0]["val/accuracy"] == pytest.approx(0.3005)
    assert chosen["second"]["ties"] == ["x0.3-y2"]
    assert study.selected() == chosen


def test_a_grid_of_six_points_runs_six(study):
    engine = study(only={"search": {"space": {"x": [0.1, 0.2, 0.3], "y": [1, 2]}}})
    engine.run()
    assert len(study.starts()) == 6
    assert len(engine.states[0].scored) == 6


def test_the_same_command_repeats_nothing(study):
    study(only=GRID).run()
    before = study.selected()
    study(only=GRID).run()
    assert len(study.starts()) == 3
    assert study.selected() == before


def test_two_parents_share_the_work(study):
    stages = {"only": {"set": {"sleep": 0.3}, "search": {"space": {"x": [0.1, 0.2, 0.3, 0.4, 0.5]}}}}
    engines = [study(jobs=1, **stages) for _ in range(2)]
    threads = [threading.Thread(target=engine.run) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert study.starts() == ["0.1", "0.2", "0.3", "0.4", "0.5"]
    assert [len(engine.states[0].scored) for engine in engines] == [5, 5]


def test_equal_configurations_of_two_stages_are_one_training(study):
    engine = study(first=GRID, second={"from": "first", "search": {"space": {"x": [0.3, 0.4]}}})
    engine.run()
    assert study.starts() == ["0.1", "0.2", "0.3", "0.4"]


def test_folds_choose_inside_and_the_majority_wins(study):
    engine = study(
        inside={**GRID, "folds": 3, "keep": "folds"},
        around={"search": {"space": {"x": {"times": [0.5, 1]}}}, "folds": 3, "keep": "vote"},
        last={"folds": 3, "test": True},
    )
    chosen = engine.run()
    assert [kept["fold"] for kept in chosen["inside"]["kept"]] == [0, 1, 2]
    assert chosen["around"]["kept"] == [{"name": "voted", "settings": {"x": 0.3}}]
    assert len(chosen["around"]["winners"]) == 3
    assert chosen["last"]["kept"][0]["trainings"] == 3


def test_random_and_tpe_never_ask_a_point_twice_and_go_on_after_an_end(study):
    search = {"kind": "tpe", "trials": 6, "space": {"x": [0.1, 0.2, 0.3], "y": [1, 2, 3]}}
    first = study(jobs=1, only={"search": search})
    first.run()
    points = [json.dumps(one.trial.point) for one in first.states[0].scored]
    assert len(set(points)) == 6
    second = study(jobs=1, only={"search": {**search, "trials": 8}})
    second.run()
    assert [json.dumps(one.trial.point) for one in second.states[0].scored][:6] == points
    assert len(study.starts()) == 8


def test_a_space_that_is_smaller_than_the_search_ends_it(study):
    engine = study(only={"search": {"kind": "random", "trials": 9, "space": {"x": [0.1, 0.2]}}})
    engine.run()
    assert study.starts() == ["0.1", "0.2"]


def test_fewer_finished_than_are_to_be_kept(study):
    stages = {"only": {"search": {"points": {"a": {"x": 1}, "b": {"x": 2, "do": "1/0"}}}, "top": 2}}
    with pytest.raises(WorkFailed, match=r"top=2.*1 trial finished.*retry=true"):
        study(**stages).run()


def test_an_edit_runs_the_edited_stage_and_later_ones_again(study):
    first, second = {**GRID, "top": 1}, {"search": {"space": {"y": [1, 2]}}}
    study(first=first, second=second).run()
    assert len(study.starts()) == 5
    engine = study(first=first, second={"search": {"space": {"y": [2, 3]}}})
    (sentence,) = engine.journal.changed(study(first=first, second=second).protocol, [], []) or ["nothing yet"]
    assert sentence == "nothing yet"
    (sentence,) = engine.journal.changed(engine.protocol, [], [])
    assert "stage second was edited (search.space.y)" in sentence and "earlier stages stay" in sentence
    engine.run()
    assert len(study.starts()) == 6


def test_a_training_that_ended_without_a_score_is_run_anew_on_request(study):
    stages = {"only": {"search": {"points": {"a": {"x": "nan"}, "b": {"x": 0.5}}}}}
    study(**stages).run()
    assert study.starts() == ["0.5", "nan"]
    study(**stages).run()
    assert len(study.starts()) == 2
    engine = study(**stages, retry=True)
    engine.run()
    assert study.starts() == ["0.5", "nan", "nan"]


def test_one_configuration_said_in_two_ways_is_trained_and_counted_once(study):
    engine = study(only={"folds": 2, "search": {"points": {"whole": {"x": 1}, "dotted": {"x": 1.0}}}})
    engine.run()
    (one,) = engine.states[0].scored
    assert len(one.trial.cells) == 2 and len(study.starts()) == 2


def test_a_replay_finds_what_was_run_and_starts_nothing(study):
    stages = {"first": GRID, "second": {"search": {"kind": "random", "trials": 2, "space": {"y": [1, 2, 3]}}}}
    study(**stages).run()
    again = study(**stages)
    assert again.replay()
    assert [len(state.scored) for state in again.states] == [3, 2]
    assert len(study.starts()) == 5


FOUR_EPOCHS = """
from pathlib import Path
def told(value):
    lines = [{"kind": "metrics", "time": 0, "step": n, "values": {"val/accuracy": value}} for n in range(4)]
    lines.append({"kind": "tags", "values": {"fishnet.best_epoch": "3"}})
    (run / "offline" / "journal.jsonl").write_text("".join(json.dumps(line) + chr(10) for line in lines))
"""


def test_a_training_that_stays_behind_the_others_is_ended_and_told(study):
    points = {name: {"x": name, "do": f"{FOUR_EPOCHS}told(0.8); os._exit(0)"} for name in "abc"}
    points["late"] = {"x": "late", "do": f"{FOUR_EPOCHS}told(0.1); time.sleep(90)"}
    engine = study(jobs=1, only={"search": {"points": points, "prune": True}})
    engine.run()
    late = study.results()["late"]
    assert late["status"] == "pruned" and "behind the median of 3 others at epoch" in late["cause"]
    assert [one.state for one in engine.states[0].scored] == ["finished"] * 3 + ["pruned"]
    assert engine.verdict() is None


def test_a_search_inside_folds_measures_a_point_that_two_folds_ask(study):
    """Two points in all: each fold's winner asks both, and each is one trial with a training in each fold."""
    engine = study(
        inside={"search": {"space": {"x": [0.1, 0.3]}}, "folds": 2, "keep": "folds"},
        again={"search": {"kind": "random", "trials": 2, "space": {"y": [1, 2]}}, "folds": 2, "keep": "vote"},
    )
    chosen = engine.run()
    scored = engine.states[1].scored
    assert sorted(len(one.results) for one in scored) == [2, 2]
    assert {one.trial.name for one in scored} <= {"f0+f1-y1", "f0+f1-y2"}
    assert [winner["fold"] for winner in chosen["again"]["winners"]] == [0, 1]
    assert engine.states[1].planned == 2
    replayed = study(inside={"search": {"space": {"x": [0.1, 0.3]}}, "folds": 2, "keep": "folds"})
    assert replayed.replay()


def test_trials_have_names_of_their_own_and_the_chosen_one_is_marked_alone(study):
    from fishnet.studies.selection import chosen_digests

    engine = study(only={"search": {"space": {"x": [0.0010001, 0.0010003, 0.0010002, 0.5]}}})
    engine.run()
    names = [one.trial.name for one in engine.states[0].scored]
    assert len(set(names)) == 4 and "x0.5" in names
    assert len(chosen_digests(engine.states[0].choice)) == 1
    listed = study(only={"search": {"points": {"y": {"x": 0.2}, "z": {"x": 0.2}}}})
    listed.run()
    assert [one.trial.name for one in listed.states[0].scored] == ["y = z"]


NO_SCORE = (
    "json.dumps = lambda line, real=json.dumps: real({**line, 'values': {}} if line['kind'] == 'metrics' else line)"
)


def test_a_score_that_is_no_number_fails_its_trial_alone(study):
    engine = study(only={"search": {"points": {"a": {"x": 1, "do": NO_SCORE}, "b": {"x": 0.2}}}})
    assert engine.run()["only"]["kept"][0]["name"] == "b"
    assert [one.state for one in engine.states[0].scored] == ["failed", "finished"]
    assert "its val/accuracy is no number" in engine.states[0].scored[0].deaths[0][1]["cause"]
    assert "1 of 2 trials failed" in str(engine.verdict())


def test_what_was_chosen_before_a_run_that_failed_is_not_told_as_chosen(study):
    study(only=GRID).run()
    with pytest.raises(WorkFailed):
        study(only={"search": {"points": {"a": {"x": 1, "do": "1/0"}}}}).run()
    assert study.selected() == {}


def test_lines_that_were_torn_are_asked_again(study):
    stages = {"only": {"search": {"kind": "random", "trials": 4, "space": {"x": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}}}}
    study(**stages).run()
    before, starts = study.selected(), study.starts()
    (asked,) = study.folder.glob("asked/*.jsonl")
    lines = asked.read_text().splitlines()
    asked.write_text("\n".join([lines[0], lines[1][:20], "{}", *lines[2:]]))
    engine = study(**stages)
    engine.run()
    assert study.selected() == before and study.starts() == starts
    (study.folder / "study.json").write_text("{}")
    assert engine.journal.changed(engine.protocol, [], []) == []


def test_photos_that_changed_between_two_stages_are_told(study, caplog):
    told = (
        "import atexit; atexit.register(lambda: open(run / 'offline' / 'journal.jsonl', 'a').write({line!r} + chr(10)))"
    )
    line = {"kind": "tags", "values": {"fishnet.data_digest": "DIGEST"}}
    first, last = (told.format(line=json.dumps(line).replace("DIGEST", digest)) for digest in ("before", "after"))
    engine = study(
        first={"search": {"points": {"a": {"x": 0.1, "do": first}}}},
        last={"search": {"points": {"b": {"x": 0.3, "do": last}}}},
    )
    with caplog.at_level("WARNING", "fishnet"):
        engine.run()
    assert caplog.text.count("different photos") == 1 and "stage last" in caplog.text


def test_a_study_that_cannot_make_its_folder_says_so(study, tmp_path):
    from fishnet.errors import BadInput

    study.folder = tmp_path / "file" / "study"
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="no folder can be made"):
        study(only=GRID).run()
