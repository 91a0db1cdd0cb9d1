"""What the terminal shows: every trial with its figure or its cause, and how long it may take."""

from rich.console import Console

from fishnet.studies.scoring import StageState
from fishnet.studies.table import Watcher, progress_line, remaining, stage_table, trainings


def shown(*things) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for thing in things:
        console.print(thing)
    return console.export_text()


def test_each_trial_has_a_line_and_the_dead_their_cause(study, caplog):
    points = {"good": {"x": 0.9}, "better": {"x": 0.95}, "dies": {"x": 1, "do": "os._exit(3)"}}
    engine = study(only={"search": {"points": points}})
    with caplog.at_level("INFO", "fishnet"), Watcher(Console(width=160, force_terminal=False)) as watcher:
        engine.watch([watcher])
        engine.run()
    table = shown(stage_table(engine.states[0]))
    assert table.index("●\u00a0better") < table.index("good") < table.index("dies")
    assert "exited" not in table.split("dies")[0] and "failed: it ended with status 3" in table
    assert "only 3/3" in caplog.text and caplog.text.count("dies") == 1


def test_what_is_left_counts_trainings_at_the_pace_so_far(study):
    engine = study(
        first={"folds": 3, "keep": "folds", "search": {"space": {"x": [0.1, 0.2]}}},
        second={"folds": 3, "search": {"space": {"x": {"times": [1, 2, 3]}}}, "keep": "vote"},
        third={"seeds": 2, "search": {"kind": "random", "trials": 4, "space": {"y": {"low": 0.0, "high": 1.0}}}},
    )
    stages = [state.stage for state in engine.states]
    assert [trainings(stage, stages[:number]) for number, stage in enumerate(stages)] == [6, 9, 8]
    assert remaining(engine.states) == (None, None)
    assert "trials done" in progress_line(engine.states).plain


def test_half_a_stage_is_half_the_time(study):
    engine = study(only={"search": {"space": {"x": [0.1, 0.2, 0.3, 0.4]}}})
    engine.run()
    state = engine.states[0]
    for one in state.scored:
        for result in one.results.values():
            result["seconds"] = 10.0
    half = StageState(state.stage, scored=state.scored[:2], planned=4, began=1.0)
    assert remaining([half]) == (20.0, 0.0)
    half.running = {"a": 1.0, "b": 1.0}
    assert remaining([half]).stage == 10.0


def test_titles_are_no_markup_and_lines_are_counted_one_by_one(study, caplog):
    stages = {"only": {"title": "lr [0.1] and [/b]", "search": {"space": {"x": [0.1, 0.2, 0.3]}}}}
    study(**stages).run()
    engine = study(**stages)  # resumed: all three are there at once
    with caplog.at_level("INFO", "fishnet"), Watcher(Console(width=160, force_terminal=False)) as watcher:
        engine.watch([watcher])
        engine.run()
    assert "lr [0.1] and [/b]" in shown(stage_table(engine.states[0]))
    assert [f"only {number}/3" in caplog.text for number in (1, 2, 3)] == [True] * 3
