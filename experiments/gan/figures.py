"""The figures of a judgement beside what was asked of them, as CSV: `python -m experiments.gan.figures judged.json`."""

import csv
import json
import sys
from pathlib import Path


def rows(found: dict) -> list[tuple[str, float, str, str]]:
    """Figure, value, limit, and whether it is kept."""
    limit = 2 * max(0.0, found["kid_between_halves"]) + 0.05
    asked = [
        ("generated photos that the classifier accepts", found["generated"]["accepted"], ">=", 0.6),
        ("held-out real photos that it accepts", found["held_out"]["accepted"], "", None),
        ("noise that it accepts", found["noise"]["accepted"], "<=", 0.1),
        ("KID, generated and held-out", found["kid"], "<=", limit),
        ("KID, halves of held-out, mean", found["kid_between_halves"], "", None),
        ("KID, halves of held-out, 95 %", found["kid_between_halves_high"], "", None),
        ("FID, generated and held-out", found["fid"], "", None),
        ("FID, halves of held-out, mean", found["fid_between_halves"], "", None),
        ("generated photos nearer to a training photo than the limit", found["nearer_than_limit"], "<=", 0.1),
        ("the limit: distance of 5 % of held-out photos", found["near_limit"], "", None),
    ]
    return [(name, round(value, 4), f"{sign} {bound:.4g}" if bound is not None else "", kept(value, sign, bound))
            for name, value, sign, bound in asked]  # fmt: skip


def kept(value: float, sign: str, bound: float | None) -> str:
    if bound is None:
        return ""
    return "yes" if (value >= bound if sign == ">=" else value <= bound) else "no"


def main() -> None:
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    table = csv.writer(sys.stdout)
    table.writerow(["figure", "value", "asked", "kept"])
    table.writerows(rows(found))


if __name__ == "__main__":
    main()
