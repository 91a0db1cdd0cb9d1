"""What the machinery costs: the wall-clock of a study against that of its training processes, one at a time."""

import json
import statistics
import subprocess
import sys
import time

from .kills import HERE, arguments


def main() -> None:
    asked = arguments(__doc__).parse_args()
    conf = asked.home / "conf" / "study"
    conf.mkdir(parents=True, exist_ok=True)
    (conf / "kills.yaml").write_text((HERE / "kills.yaml").read_text())
    command = [sys.executable, "-m", "fishnet", "study", "study=kills", "--config-dir", "conf", "trainer=smoke"]
    begin = time.monotonic()
    subprocess.run([*command, "jobs=1"], cwd=asked.home, check=True)
    whole = time.monotonic() - begin
    told = [json.loads(path.read_text()) for path in asked.home.glob("outputs/study_kills/trials/*/result.json")]
    inside = sum(result["seconds"] for result in told)
    begin = time.monotonic()
    subprocess.run([*command, "jobs=1"], cwd=asked.home, check=True)
    again = time.monotonic() - begin
    row = (
        f"{len(told)},{whole:.1f},{inside:.1f},{statistics.median(r['seconds'] for r in told):.1f},"
        f"{again:.1f},{(whole - inside) / len(told):.2f},{(whole - inside - again) / len(told):.2f}"
    )
    head = (
        "trainings,study_s,trainings_s,median_training_s,start_and_end_s,beyond_s_each,beyond_less_start_and_end_s_each"
    )
    print(head, row, sep="\n")
    if asked.csv:
        asked.csv.write_text(f"{head}\n{row}\n")


if __name__ == "__main__":
    main()
