"""What the machinery costs: the wall-clock of a study against that of its training processes, one at a time."""

import json
import statistics
import subprocess
import sys
import time

from .kills import HERE, arguments


def main() -> None:
    options = arguments(__doc__).parse_args()
    conf = options.home / "conf" / "study"
    conf.mkdir(parents=True, exist_ok=True)
    (conf / "kills.yaml").write_text((HERE / "kills.yaml").read_text())
    command = [sys.executable, "-m", "fishnet", "study", "study=kills", "--config-dir", "conf", "trainer=smoke"]
    begin = time.monotonic()
    subprocess.run([*command, "jobs=1"], cwd=options.home, check=True)
    whole = time.monotonic() - begin
    results = [json.loads(path.read_text()) for path in options.home.glob("outputs/study_kills/trials/*/result.json")]
    inside = sum(result["seconds"] for result in results)
    begin = time.monotonic()
    subprocess.run([*command, "jobs=1"], cwd=options.home, check=True)
    again = time.monotonic() - begin
    row = (
        f"{len(results)},{whole:.1f},{inside:.1f},{statistics.median(r['seconds'] for r in results):.1f},"
        f"{again:.1f},{(whole - inside) / len(results):.2f},{(whole - inside - again) / len(results):.2f}"
    )
    head = (
        "trainings,study_s,trainings_s,median_training_s,start_and_end_s,beyond_s_each,beyond_less_start_and_end_s_each"
    )
    print(head, row, sep="\n")
    if options.csv:
        options.csv.write_text(f"{head}\n{row}\n")


if __name__ == "__main__":
    main()
