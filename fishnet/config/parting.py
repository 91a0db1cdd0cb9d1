"""`parts=8 executor=…`: a verb that takes `part=i/n`, run as n commands at a time, anywhere."""

import json
import shutil
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from fishnet.environment import shared_cores, usable_cores
from fishnet.errors import BadInput
from fishnet.files import write_whole
from fishnet.jobs.executors import executor_named
from fishnet.jobs.parts import Part, run_parts
from fishnet.text import counted

from .composing import config_dir
from .quoting import quote

OWN = ("parts", "executor", "executor_args", "overwrite")
SUBMITTED = "submitted"  # in the folder of the parts: what an executor keeps, before the first of them is begun
COMMANDS = "commands.json"  # in the folder of the parts: what each of them was started with


def check_executor_args(config: DictConfig) -> None:
    """Refuse what is no mapping."""
    if not isinstance(config.executor_args, DictConfig):
        raise BadInput(f"executor_args={config.executor_args}: these are settings in braces, as {{gpus: [0, 1]}}.")


def check_parting(config: DictConfig) -> None:
    """Refuse keys that contradict `parts`, and those that mean nothing without it."""
    check_executor_args(config)
    if config.parts is None:
        if config.executor != "local" or config.executor_args:
            raise BadInput("executor= and executor_args= are of several commands: say how many, as parts=8.")
    elif config.part is not None:
        raise BadInput(f"parts={config.parts} runs all parts, and part={config.part} is one of them: leave one out.")


def check_many(config: DictConfig, photos: int) -> None:
    """Refuse more parts than there are photos."""
    if config.parts > photos:
        raise BadInput(f"parts={config.parts}: images={config.images} holds {counted(photos, 'photo')}: take fewer.")


def parts_folder(out: Path) -> Path:
    """What the parts of `out` leave beside it until they are joined: their lines, and tables of their own."""
    return out.with_name(f"{out.name}.parts")


def typed_keys() -> list[str]:
    """The keys at the top that were typed on the command line."""
    return [_key(text) for text in HydraConfig.get().overrides.task]


def make_parts(verb: str, config: DictConfig, out: Path, photos: str, *, own_out: str | None = None) -> None:
    """Run the command that was typed as `config.parts` commands, and wait for them.

    Args:
        verb: which takes `part=i/n`, and goes on where it was ended.
        config: of the whole.
        out: what the whole will write; the parts' lines are kept beside it.
        photos: a digest of the photos; parts that were begun with others are not gone on with.
        own_out: the name of a file in `parts_folder` that the parts write in the place of `out`; parts that are there
            are not made again.
    """
    folder, many = parts_folder(out), config.parts
    typed = [text for text in HydraConfig.get().overrides.task if _key(text) not in OWN]
    model = Path(config.checkpoint).stat()
    about = {"typed": sorted(typed), "parts": many, "model": [model.st_size, model.st_mtime_ns], "photos": photos}
    _check_begun(folder, about, overwrite=config.overwrite)
    settings = OmegaConf.to_container(config.executor_args)
    executor = executor_named(
        config.executor, home=Path.cwd(), logs=folder / SUBMITTED, limit=None, settings=settings  # type: ignore[arg-type]
    )  # fmt: skip
    _begin(folder, about)
    arguments = [text for text in typed if own_out is None or _key(text) != "out"]
    arguments += [f"overwrite={config.overwrite}"] if own_out is None else [f"out={quote(str(folder / own_out))}"]
    local = config.executor == "local"
    at_once = min(many, len(config.executor_args.get("gpus", ())) or usable_cores()) if local else many
    shared = [f"{key}={value}" for key, value in shared_cores(at_once).items()] if local else []
    command = ["env", *shared, sys.executable, "-m", f"fishnet.commands.{verb}", *config_dir(), *arguments]
    numbers = [number for number in range(1, many + 1) if own_out is None or not _made(folder, own_out, number, many)]
    parts = [Part(f"{n}/{many}", [*command, f"part={n}/{many}"], folder / f"{n}-of-{many}.log") for n in numbers]
    run_parts(executor, parts, at_once, f"{verb}ing")


def parts_are_joined(out: Path) -> None:
    """Take away what the parts have left."""
    shutil.rmtree(parts_folder(out), ignore_errors=True)


def _check_begun(folder: Path, about: dict, *, overwrite: bool) -> None:
    """Refuse a folder that is not of parts, and parts of another command unless they may be replaced."""
    if not folder.is_dir() or {path.name for path in folder.iterdir()} <= {SUBMITTED} or _is_of(folder, about):
        return
    if not (folder / COMMANDS).is_file():
        raise BadInput(f"{folder} is in the way of the parts: choose another out=, or move it.")
    if not overwrite:
        raise BadInput(
            f"{folder} holds parts of another command, or of photos that were changed since: say overwrite=true to "
            "begin anew, or choose another out=."
        )


def _begin(folder: Path, about: dict) -> None:
    """The folder of the parts; that of another command is emptied."""
    if not _is_of(folder, about):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_whole(folder / COMMANDS, json.dumps(about))


def _is_of(folder: Path, about: dict) -> bool:
    known = folder / COMMANDS
    return known.is_file() and known.read_text(errors="replace") == json.dumps(about)


def _made(folder: Path, name: str, number: int, many: int) -> bool:
    """Whether this part is whole: it takes its name at its end."""
    from fishnet.data.observations import Part as Numbered
    from fishnet.models.answer_parts import part_file

    return part_file(folder / name, Numbered(number, many)).exists()


def _key(override: str) -> str:
    return override.lstrip("+~").split("=")[0].split(".")[0]
