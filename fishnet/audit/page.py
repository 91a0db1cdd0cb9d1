"""The audit's page, for a biologist: what each class rests on, the photos that show it, and what it is worth."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from fishnet.data.class_names import ClassNames
from fishnet.explain.additive import is_additive
from fishnet.models.interface import Classifier
from fishnet.page.page import Chapter, Link, Row, prose, render_page
from fishnet.text import counted

from . import pictures
from .folder import FolderAudit
from .kinds import PROPERTIES, Views
from .mending import WORST, Mending
from .nulls import is_silent
from .sections import MANY, Audited, Section
from .significance import smallest_found
from .verdicts import CARRIED_BY, Verdict

SHOWN = 12  # carriers, and photos with their regions
EXAMPLES = 5  # hosts before and after
REASONS = 6  # for no verdict, that are listed
WORDS = ("shortcut", "withheld", "nothing")  # of verdicts, in the order in which they are shown

_prose = functools.partial(prose, "fishnet.audit", "prose.html")

ViewsOf = Callable[[Sequence[int]], Views]


def audit_page(audited: Audited, *, name: str, mended: Sequence[Chapter] = (), sections: Sequence[Section] = ()) -> str:
    """The whole page as HTML.

    Args:
        audited: the model, the folder and what was found.
        name: of the model, as the page calls it.
        mended: the chapter of `mended_chapter`, where mending was tried.
        sections: answers to further questions.
    """
    audit, found = audited.measured, audited.found
    ranked = sorted(found, key=lambda verdict: (WORDS.index(verdict.word), -verdict.share))
    accused = {verdict.name: class_chapter(audited, verdict) for verdict in ranked if verdict.word == "shortcut"}
    chapters = [opening(audit, ranked, accused, audited.called), *accused.values()]
    chapters += [
        *mended,
        *others(ranked, audited.called),
        *(section.chapter for section in sections if section.chapter),
    ]
    chapters.append(evidence_chapter(audited))
    about = _prose().about(audit.judged, len(audit.classes), name, f"{audit.accuracy:.0%}", audit.folds)
    answers = [_prose().answer(named(verdict, audited.called)) for verdict in ranked if verdict.word == "shortcut"]
    unjudged = withheld(ranked, audited.called)
    if len(unjudged) > REASONS:
        answers.append(_prose().unjudged(sum(verdict.word == "withheld" for verdict in found)))
    else:
        answers += unjudged
    return render_page(
        "Does any class rest on something other than the animal?", about, chapters,
        answers=answers or ["No class was found to rest on anything but the animal."],
    )  # fmt: skip


def named(verdict: Verdict, called: ClassNames) -> Verdict:
    """The verdict under the name by which people call its class."""
    return replace(verdict, name=called.full(verdict.name))


def opening(
    audit: FolderAudit, ranked: Sequence[Verdict], accused: Mapping[str, Chapter], called: ClassNames
) -> Chapter:
    """A row a class; of many classes those for which nothing was found are folded.

    Args:
        audit: what was measured.
        ranked: the verdicts, in the order in which they are shown.
        accused: the chapters of classes that have one, to which their rows lead.
        called: what people call the classes.
    """
    chapter, rows, clear = Chapter(), list[Row](), list[Row]()
    for verdict in ranked:
        label = audit.classes.index(verdict.name)
        nothing = "too little to count" if verdict.test.flagged else "nothing found"
        words = {"shortcut": verdict.carried_by, "nothing": nothing, "withheld": "no verdict"}[verdict.word]
        shortcut = verdict.word == "shortcut"
        share = "{:.0%} [{:.0%}, {:.0%}]".format(*verdict.test.share) if shortcut else ""
        name = called.full(verdict.name)
        cells = [
            Link(name, accused[verdict.name]) if verdict.name in accused else name, words, share,
            f"≥ {verdict.reliance:.2f}" if shortcut else "", f"{verdict.test.p:.1g}",
            f"{audit.recalls[label]:.2f}", verdict.test.donors, odds(audit, label),
        ]  # fmt: skip
        folded = verdict.word == "nothing" and len(ranked) > MANY
        (clear if folded else rows).append(Row(cells, "bad" if shortcut else ""))
    header = ["class", "rests on", "share", "reliance", "p", "recall", "photos tried", "would be found"]
    if rows:
        chapter.add_table(header, rows, numeric=[2, 3, 4, 5, 6, 7])
    if clear:
        chapter.add_table(
            header,
            clear,
            numeric=[2, 3, 4, 5, 6, 7],
            folded=f"{counted(len(clear), 'class')} for which nothing was found",
        )
    if accused and len(audit.classes) == 2:
        chapter.add_text(_prose().two_classes(), style="soft")
    chapter.add_text(_prose().basis(), style="soft")
    return chapter


def odds(audit: FolderAudit, label: int) -> str:
    """The smallest factor of the class's odds that would have been found."""
    rise = smallest_found(audit.effects, label) * len(audit.classes) / (len(audit.classes) - 1)
    return f"× {np.exp(rise):.2g}" if rise < 7 else "–"


def class_chapter(audited: Audited, verdict: Verdict) -> Chapter:
    """The verdict, its price, the photos that carry the cue, and hosts before and after."""
    audit, model, views_of = audited.measured, audited.model, audited.views_of
    label, kind = audit.classes.index(verdict.name), verdict.test.kind
    verdict, words = named(verdict, audited.called), phrase(kind)
    chapter = Chapter(verdict.name)
    chapter.add_text(_prose().shortcut(verdict, len(verdict.test.carriers), words), style="boxed")
    chapter.add_text(_prose().price(*verdict.test.effect, verdict.test.share))
    rises = audit.effects.probabilities[audit.effects.kinds.index(kind), verdict.test.carriers, label]
    best = verdict.test.carriers[np.argsort(-rises, kind="stable")[:SHOWN]]
    positions = audit.donors[best].tolist()
    donors = views_of(positions)
    photos = [pictures.as_bytes(image) for image in donors.pixels]
    masks = [mask[0].cpu().numpy() > 0.5 for mask in donors.protected]
    hosts = [row for row in audit.hosts.tolist() if audit.photos["label"].iloc[row] != label][:EXAMPLES]
    shown = pictures.examples(model, Views(donors.pixels[:1], donors.protected[:1]), views_of(hosts), kind, label)
    chapter.add_figure(
        pictures.exchange_sheet(photos[0], masks[0], shown), _prose().exchange_caption(verdict.name, words)
    )
    sheet = pictures.carriers_sheet(photos, masks, np.sort(rises)[::-1][:SHOWN].tolist())
    chapter.add_figure(sheet, _prose().carriers_caption(verdict.name, words))
    kinds = [
        (CARRIED_BY[name], f"{p:.2g}") for name, p in sorted(verdict.test.by_kind.items(), key=lambda item: item[1])
    ]
    chapter.add_table(["what was exchanged", "p"], kinds, numeric=[1], folded="each kind by itself")
    return chapter


def mended_picture(audited: Audited, after: Classifier) -> tuple[Image.Image, str]:
    """What the surroundings of the class that leans most on them are worth, before and after mending; and a caption."""
    audit = audited.measured
    worst = max((v for v in audited.found if v.word == "shortcut"), key=lambda verdict: verdict.share)
    label, kind = audit.classes.index(worst.name), worst.test.kind
    rises = audit.effects.probabilities[audit.effects.kinds.index(kind), worst.test.carriers, label]
    donor = audited.views_of([int(audit.donors[worst.test.carriers[np.argmax(rises)]])])
    hosts = audited.views_of([row for row in audit.hosts.tolist() if audit.photos["label"].iloc[row] != label])
    both = [pictures.examples(model, donor, hosts, kind, label) for model in (audited.model, after)]
    rise = [example.probability_after - example.probability_before for example in both[0]]
    most = np.argsort(-np.array(rise), kind="stable")[:EXAMPLES]
    answers = [[examples[number] for number in most] for examples in both]
    photo, mask = pictures.as_bytes(donor.pixels[0]), donor.protected[0, 0].cpu().numpy() > 0.5
    sheet = pictures.mended_sheet(photo, mask, *answers, name=audited.called.short(worst.name), brought=phrase(kind))
    return sheet, _prose().mended_caption(audited.called.full(worst.name), phrase(kind))


def mended_chapter(mending: Mending, picture: tuple[Image.Image, str] | None, called: ClassNames) -> Chapter:
    """Before and after, in one picture (of `mended_picture`, where something was mended) and one table."""
    chapter = Chapter("Mended" if mending.checkpoint else "Mending")
    chapter.add_text(_prose().mended(mending, str(mending.checkpoint or "")), style="boxed")
    if picture is None:
        return chapter
    chapter.add_figure(pictures.address(picture[0]), picture[1])
    rows = [
        [f"{words} {called.full(row['class'])}".strip(), *(_with_ends(row, when) for when in ("before", "after"))]
        for words, row in ((FIGURES[row["figure"]], row) for row in mending.figures.to_dict("records"))
    ]
    chapter.add_table(["", "before", "after"], rows, numeric=[1, 2])
    if mending.by_twins:
        chapter.add_text(_prose().twins(mending.by_twins), style="soft")
    return chapter


FIGURES = {
    "share": "share of the answer of", "reliance": "reliance of", "accuracy": "accuracy", "f1_macro": "macro-F1",
    WORST: "lowest accuracy of a twins' group, validation photos",
}  # fmt: skip


def _with_ends(row: dict, when: str) -> str:
    ends = f" [{row[f'{when}_low']:.2f}, {row[f'{when}_high']:.2f}]" if math.isfinite(row[f"{when}_low"]) else ""
    return f"{row[when]:.2f}{ends}"


def phrase(kind: str) -> str:
    """What of a donor was given to a host."""
    return {"grid": "the coding", "sharp": "the sharpness"}.get(kind) or (
        "the " + {"colour": "colours", "light": "light"}[kind] if kind in PROPERTIES else {
            "outer": "the surroundings", "ring": "the edge", "corners": "the corners"}[kind]
    )  # fmt: skip


def others(found: Sequence[Verdict], called: ClassNames) -> list[Chapter]:
    """The classes that are not accused; many reasons for no verdict are folded."""
    chapter = Chapter("The other classes")
    if clear := [called.full(verdict.name) for verdict in found if verdict.word == "nothing"]:
        chapter.add_text(_prose().nothing(clear, MANY))
    unjudged = withheld(found, called)
    if len(unjudged) > REASONS:
        inner = Chapter()
        inner.add_text(*unjudged)
        chapter.add_details("Classes without a verdict, and why", inner)
    else:
        chapter.add_text(*unjudged)
    return [chapter] if chapter.blocks else []


def withheld(found: Sequence[Verdict], called: ClassNames) -> list[str]:
    """A sentence for each reason why there is no verdict, with its classes."""
    names: dict[str, list[str]] = {}
    for verdict in found:
        if verdict.word == "withheld":
            names.setdefault(verdict.reason, []).append(called.full(verdict.name))
    return [_prose().withheld(of_reason, reason) for reason, of_reason in names.items()]


def evidence_chapter(audited: Audited) -> Chapter:
    """The regions on a dozen photos, so that a person can object, and the checks."""
    audit, views_of = audited.measured, audited.views_of
    chapter = Chapter("What the verdicts rest on")
    if audit.folds:
        chapter.add_text(_prose().folds(audit.folds, len(audit.hosts)), style="boxed")
    share = f"{float(audit.regions.protected.mean()):.0%}"
    chapter.add_text(_prose().region(audit.regions.how, share, audit.regions.travels))
    rows = np.linspace(0, len(audit.photos) - 1, min(SHOWN, len(audit.photos))).round().astype(int).tolist()
    views = views_of(rows)
    tiles = [
        pictures.tile(
            pictures.as_bytes(image), audited.called.short(audit.photos["class"].iloc[row]), mask[0].cpu().numpy() > 0.5
        )
        for row, image, mask in zip(rows, views.pixels, views.protected, strict=True)
    ]
    chapter.add_figure(pictures.address(pictures.sheet(tiles, columns=6)), "The region of a dozen photos.")
    if not is_additive(audited.model):
        chapter.add_text(_prose().gradients())
    silent, differing = is_silent(audit.nulls)
    chapter.add_text(_prose().nulls(f"{differing:.1%}", len(audit.nulls), silent))
    if audited.control:
        chapter.add_text(_prose().control(audited.control))
    return chapter
