"""2,000 photos from a server whose answers are faults, one in ten: what is lost, doubled, cut or no photo at all?"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from experiments.replica import FAULTS, Replica, World, running

from .processes import ALL, broken, collected, manifest, not_kept, tree


def proof(scale: float) -> Iterator[tuple]:
    world = World(observations=max(10, round(334 * scale)))
    ids = [number for taxon in world.species for number in world.photo_ids(taxon[0])]
    world.twins = {ids[9 * k + 1]: ids[9 * k] for k in range(len(ids) // 100)}
    world.flagged = set(ids[4 :: len(ids) // 12])
    world.gone = set(ids[6 :: len(ids) // 8])
    with tempfile.TemporaryDirectory() as folder, running(Replica(world, share=0.1, api_share=0.05)) as replica:
        homes = [Path(folder) / name for name in ("one", "two")]
        for home in homes:
            collected(home, *ALL, *replica.settings())
        injected, asked = dict(replica.injected), sum(path.startswith("/photos/") for _, path in replica.log)
        yield from judged(world, ids, homes, injected, asked, full=scale >= 1)


def without_a_name(world: World, rows: list[dict]) -> list[tuple[int, int]]:
    """Pairs of equal bytes whose kept photo does not name the observers of both, as the world knows them."""
    observer = {photo[0]: f"observer_{one['user']}" for one in world.found for photo in one["photos"]}
    told = {int(row["photo_id"]): row for row in rows}
    wrong = []
    for pair in world.twins.items():
        kept = [told[one] for one in pair if one in told]
        names = {observer[one] for one in pair}
        if not kept or any(not _names(row, names) for row in kept):
            wrong.append(pair)
    return wrong


def _names(row: dict, names: set[str]) -> bool:
    return {*row["observer"].split(" | ")} == names and all(f"(c) {name}," in row["attribution"] for name in names)


def judged(
    world: World, ids: list[int], homes: list[Path], injected: dict, asked: int, *, full: bool
) -> Iterator[tuple]:
    files, rows, refused = tree(homes[0]), manifest(homes[0]), not_kept(homes[0])
    kept = {int(row["photo_id"]) for row in rows}
    expected = set(ids) - set(world.twins) - set(world.twins.values()) - world.flagged - world.gone
    pairs = [{one, other} & kept for one, other in world.twins.items()]
    wrong = [row for row in rows if files.get(row["path"]) != row["sha256"]]
    share = sum(injected.values()) / asked
    kinds = len(injected)
    yield "photos offered", len(ids), "2,000 or so", not full or len(ids) >= 1900
    yield (
        "kinds of faults, share of the answers",
        f"{kinds} of {len(FAULTS)}, {share:.1%}",
        ">= 20",
        kinds >= 20 or not full,
    )
    yield "lost", len(expected - kept), 0, expected <= kept
    yield (
        "pairs of equal bytes kept once",
        f"{sum(len(p) == 1 for p in pairs)} of {len(pairs)}",
        "all",
        all(len(p) == 1 for p in pairs),
    )
    yield "the same bytes twice", len(files) - len(set(files.values())), 0, len(files) == len(set(files.values()))
    yield "cut or no photos", len(broken(homes[0])), 0, not broken(homes[0])
    yield (
        "files that the manifest does not know or knows otherwise",
        len(set(files) ^ {r["path"] for r in rows}) + len(wrong),
        0,
        not wrong and set(files) == {r["path"] for r in rows},
    )
    unexplained = set(ids) - kept - {int(row["photo_id"]) for row in refused if row["reason"]}
    yield "photos that are neither there nor explained", len(unexplained), 0, not unexplained
    unnamed = without_a_name(world, rows)
    yield "attributions of both kept", not unnamed, True, not unnamed
    same = manifest(homes[0]) == manifest(homes[1]) and tree(homes[0]) == tree(homes[1])
    yield "two runs with one seed, the same but for fetched_at", same, True, same
