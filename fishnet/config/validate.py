"""One early look at a configuration: wrong types and settings that contradict each other, before torch is imported.

The constructor is the schema: its types and ranges are read from the source, so checking a value imports nothing heavy.
"""

import ast
import importlib.util
import tempfile
from functools import cache
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from fishnet import ranges
from fishnet.data.sources import source_of
from fishnet.errors import BadInput
from fishnet.measure.metrics import GAN_MONITORS, MONITORS
from fishnet.models.optimisation import check_optimizer
from fishnet.models.published import check_obtainable, own_backbones
from fishnet.ranges import Range
from fishnet.text import nearest

from .gan_checks import check_callbacks, check_gan, is_gan
from .quoting import KEYS_ELSEWHERE

SEAMS = ("data", "model", "trainer", "tracking", "range_test")
Schema = dict[str, tuple[ast.expr | None, ast.expr | None]]
OWN_KEYS = ("channels_last", "compile")  # of `trainer`, which Lightning does not know
READ_FILES = ("audit", "check", "embed")  # verbs that look into the files of photos, not at the photos alone
STREAM_DATA = "fishnet.data.stream.StreamData"
TYPE_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text",
    "FreeText": "a text",
    "bool": "true or false",
    "dict": "a mapping {key: value}",
}


def validate(config: DictConfig, verb: str, *, multirun: bool = False) -> None:
    """Raise BadInput with one sentence for the first thing that cannot be right.

    Types and ranges are those of the annotations: of the verb's class Keys for the keys at the top, of constructors for
    what Hydra instantiates.
    """
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    if verb == "evaluate" and config.data.batch_size is None:  # it follows the device, once that is known
        config = cast(DictConfig, OmegaConf.merge(config, {"data": {"batch_size": 1}}))
    if is_gan(config):
        check_gan(config)
    check_callbacks(config)
    schema = constructor(KEYS_ELSEWHERE.get(verb, f"fishnet.commands.{verb}.Keys"))
    for key, (annotation, _) in schema.items():
        if key in config:
            value = config[key]
            check(key, OmegaConf.to_container(value) if OmegaConf.is_config(value) else value, annotation)
    for seam in SEAMS:
        if seam in config:
            _check_types(config, seam)
    if verb in READ_FILES and OmegaConf.select(config, "data._target_") == STREAM_DATA:
        raise BadInput(f"fishnet {verb} reads the photos' files, which a stream has not: give the folder itself.")
    for name in config.get("callbacks") or {}:
        if config.callbacks[name] is not None:
            _check_types(config, f"callbacks.{name}")
    _check_network(config)
    _check_monitors(config)
    _check_user_folders(config)
    _check_last_epoch(config)
    if config.get("tune") is not None:
        _check_tuning(config)
    if "data" in config:
        _check_data(config)
    if "trainer" in config:
        if not 1 <= config.trainer.max_epochs < float("inf"):
            raise BadInput(f"trainer.max_epochs={config.trainer.max_epochs}: this is 1 or more.")
        if multirun and _several(config.trainer):
            raise BadInput(
                "-m runs its jobs in one process, where several devices would start the whole sweep again on each: "
                "run the jobs singly, or sweep with trainer.devices=1."
            )


def _check_types(config: DictConfig, seam: str) -> None:
    node = OmegaConf.select(config, seam)
    if not isinstance(node, DictConfig):
        raise BadInput(f"{seam}={node}: this names a group of settings that does not exist.")
    if "_target_" in node:
        schema = constructor(node["_target_"])
        for key, value in cast(dict[str, object], OmegaConf.to_container(node, resolve=True)).items():
            if schema and key not in {*schema, *OWN_KEYS} and not key.startswith("_"):
                raise BadInput(f"{seam}.{key}: there is no such setting; {nearest(key, [*schema])}")
            check(f"{seam}.{key}", value, schema.get(key, (None, None))[0])


def _check_network(config: DictConfig) -> None:
    """`model.optimizer`, and `model.backbone_args` of our own networks; timm checks its own when it builds them."""
    model = config.get("model")
    if not isinstance(model, DictConfig):
        return
    check_optimizer(model.get("optimizer", "sgd"))
    name, chosen = model.get("backbone"), model.get("backbone_args")
    if name not in own_backbones() or not chosen:
        return
    schema = {k: v for k, v in constructor(own_backbones()[name]).items() if k != "num_classes"}
    for key, value in cast(dict[str, object], OmegaConf.to_container(chosen, resolve=True)).items():
        if key not in schema:
            raise BadInput(f"model.backbone_args.{key}: {name} has no such setting; {nearest(key, [*schema])}")
        check(f"model.backbone_args.{key}", value, schema[key][0])


def _check_user_folders(config: DictConfig, above: str = "") -> None:
    """`~name` in any key that is a path: whether there is such a user."""
    for key, value in cast("dict[str, object]", config).items():
        if isinstance(value, DictConfig):
            _check_user_folders(value, f"{above}{key}.")
        elif isinstance(value, str) and value.startswith("~"):
            try:
                Path(value).expanduser()
            except RuntimeError:
                raise BadInput(f"{above}{key}={value}: there is no user {value[1:].split('/')[0]} here.") from None


def _check_last_epoch(config: DictConfig) -> None:
    """Refuse what would end a training elsewhere than behind the epoch that `callbacks.best.among=last` waits for."""
    if "trainer" not in config or OmegaConf.select(config, "callbacks.best.among") != "last":
        return
    if config.callbacks.get("early_stopping"):
        raise BadInput(
            "callbacks.best.among=last keeps the last epoch, and early stopping would make that another one: say "
            "callbacks.early_stopping=null."
        )
    trainer = config.trainer
    every = trainer.get("check_val_every_n_epoch", 1)
    keys = [key for key in ("max_steps", "max_time") if trainer.get(key) not in (None, -1)]
    keys += [] if every and not trainer.max_epochs % every else ["check_val_every_n_epoch"]
    if keys:
        raise BadInput(
            f"callbacks.best.among=last judges epoch trainer.max_epochs={trainer.max_epochs}, and trainer.{keys[0]}="
            f"{trainer.get(keys[0])} leaves that one out: say trainer.max_epochs alone, or callbacks.best.among=all."
        )


def _check_monitors(config: DictConfig) -> None:
    known = GAN_MONITORS if is_gan(config) else MONITORS
    for key in ("monitor", "callbacks.best.monitor", "callbacks.early_stopping.monitor"):
        monitor = OmegaConf.select(config, key)
        if monitor is not None and monitor not in known:
            raise BadInput(f"{key}={monitor}: validation reports no such metric; {nearest(monitor, known)}")


def _check_tuning(config: DictConfig) -> None:
    if config.range_test.low >= config.range_test.high:
        raise BadInput(
            f"range_test.low={config.range_test.low} is not below range_test.high={config.range_test.high}: "
            "the rates of a range test rise."
        )
    if config.resume is not None:
        raise BadInput("tune=lr takes minutes and starts anew each time: leave resume= out.")
    if _several(config.trainer):
        raise BadInput("tune=lr runs on one device: say trainer.devices=1.")


def _check_data(config: DictConfig) -> None:
    data = config.data
    for key in ("val", "test"):
        if not 0 < data[key] < 1:
            raise BadInput(f"data.{key}={data[key]}: a share of the photos is above 0 and below 1.")
    if data.val + data.test >= 1:
        raise BadInput(f"data.val={data.val} and data.test={data.test} leave nothing to train on.")
    if (data.folds is None) != (data.fold is None):
        raise BadInput("data.folds (how many) and data.fold (which one is the test set) go together.")
    if data.views and data.augment == "none":
        raise BadInput(
            f"data.views={data.views} are fixed random views, and data.augment=none makes none: leave one out."
        )
    if data.folds is not None and not 0 <= data.fold < data.folds:
        raise BadInput(f"data.fold={data.fold}: with data.folds={data.folds} the folds are 0 to {data.folds - 1}.")
    source = source_of(cast("dict", OmegaConf.to_container(data, resolve=True)))
    if source is not None and not config.get("resume"):  # which takes the photos of its run
        source.check()
        if source.users_own:
            check_outside(config.out or "outputs", "data.root", data.root)
    if config.out is not None:
        check_writable("out", config.out)


def check_outside(out: str, key: str, photos: str) -> None:
    """What is made must not lie among the photos, where its pictures would be a class the next time."""
    if Path(out).expanduser().resolve().is_relative_to(Path(photos).expanduser().resolve()):
        raise BadInput(
            f"out={out} lies inside {key}={photos}, where its pictures would become a class: give a folder elsewhere."
        )


def check_writable(key: str, text: str) -> None:
    """Refuse a path whose nearest existing folder takes no new ones: an empty one is made there, and taken away."""
    path = Path(text).expanduser().absolute()
    above = path if path.is_dir() else next(parent for parent in path.parents if parent.exists())
    if not above.is_dir():
        raise BadInput(f"{key}={text}: {above} is a file, not a folder.")
    try:
        with tempfile.TemporaryDirectory(prefix=".fishnet-probe-", dir=above):
            pass
    except OSError as error:  # rights alone do not tell it: of root, and of folders such as /proc
        raise BadInput(f"{key}={text}: nothing can be written in {above} ({error.strerror}).") from error


def check_weights(model: DictConfig) -> None:
    """Whether published weights can be on this machine; not part of `validate`, for it depends on the machine."""
    if model.pretrained is True:
        check_obtainable(model.backbone)


def check_fixed_views(config: DictConfig) -> None:
    """Not part of `validate`: a stage of a study is composed before it is known what will be frozen."""
    if config.data.get("views") and config.model.freeze != "backbone":
        raise BadInput(
            f"data.views={config.data.views} are for a frozen backbone, whose features are computed once: "
            "say model.freeze=backbone, or leave them out."
        )


def check_head(config: DictConfig) -> None:
    """Refuse a fitted classifier layer above a network that has learned nothing, and what a fitted one has not; as
    `check_fixed_views`, not part of `validate`."""
    head, refit = config.model.get("head", "linear"), config.model.get("head_refit", False)
    frozen = config.model.freeze == "backbone"
    if refit and not (head == "logistic" and frozen):
        raise BadInput("model.head_refit=true: only model.head=logistic of a frozen backbone is fitted again.")
    if head == "logistic" and not (frozen or config.model.pretrained):
        raise BadInput(
            "model.head=logistic is fitted on what a network can tell already: say model.pretrained=true, and "
            "model.freeze=backbone where nothing but this layer is to learn."
        )
    if config.model.get("lr_by_error", False) and (head != "logistic" or frozen):
        raise BadInput(
            "model.lr_by_error=true goes by the fitted layer under which all is trained: say model.head=logistic "
            f"without model.freeze=backbone{', or leave experiment=fine_tune out' if frozen else ''}."
        )
    if config.model.get("keep_statistics", False) and not config.model.pretrained:
        raise BadInput(
            "model.keep_statistics=true: a network that begins from nothing has none to keep: leave it out, or say "
            "model.pretrained=true."
        )
    if head == "logistic" and frozen and config.get("tune"):
        raise BadInput("tune=lr: model.head=logistic has no learning rate.")


def _several(trainer: DictConfig) -> bool:
    return trainer.devices not in (1, "1") or trainer.num_nodes > 1 or "ddp" in str(trainer.strategy)


# ---- annotations


@cache
def constructor(target: str) -> Schema:
    """Parameter → (annotation, default) of a class's own and inherited constructors, from its source.

    Of a class without a constructor, its annotated attributes. Empty for a class of the user's own: Python checks it.
    """
    module, _, name = target.rpartition(".")
    source = _source(module)
    tree = ast.parse(source) if source is not None else ast.Module([], [])
    defined = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if defined is None:
        return {}
    schema: Schema = {
        node.target.id: (node.annotation, node.value)
        for node in defined.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    own = next((n for n in defined.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if own is None or own.args.kwarg:
        for home in [home for base in defined.bases for home in _base_targets(tree, base)]:
            schema |= constructor(home)
    return schema | _parameters(own) if own is not None else schema


def check(key: str, value: object, annotation: ast.expr | None) -> None:
    """Raise BadInput for a value that is not of the annotated type or lies outside the annotated range."""
    if not fits(value, annotation):
        single = isinstance(value, (str, int, float)) and fits([value], annotation)  # one, and not a list of one
        raise BadInput(
            f"{key}={value}: this takes {describe(annotation)}{f', as in {key}=[{value}]' if single else ''}."
        )
    if (broken := range_broken(value, annotation)) is not None:
        raise BadInput(f"{key}={value}: {broken.words}.")


def fits(value: object, annotation: ast.expr | None) -> bool:
    """Whether a plain value is of the annotated type; annotations of unknown names accept everything."""
    match annotation:
        case ast.Constant(value=None):
            return value is None
        case ast.BinOp(left=left, right=right):
            return fits(value, left) or fits(value, right)
        case ast.Name(id="float"):
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case ast.Name(id="int"):
            return isinstance(value, int) and not isinstance(value, bool)
        case ast.Name(id=name):
            kinds = {"bool": bool, "str": str, "FreeText": str, "dict": dict, "list": list}
            return isinstance(value, kinds[name]) if name in kinds else True
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return value is None or fits(value, inner)
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=options)):
            return any(fits(value, option) for option in options)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            return value in literals(choices)
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return isinstance(value, list) and all(fits(item, inner) for item in value)
        case ast.Subscript(value=ast.Name(id="dict")):
            return isinstance(value, dict)
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *_])):
            return fits(value, inner)
    return True


def range_broken(value: object, annotation: ast.expr | None) -> Range | None:
    """The range of `Annotated[float, Above(0)]`, alone or `| None`, in which a number does not lie."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    for node in ast.walk(annotation) if annotation else ():
        allowed = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and hasattr(ranges, node.func.id):
            allowed = getattr(ranges, node.func.id)(*[ast.literal_eval(argument) for argument in node.args])
        elif isinstance(node, ast.Name):
            allowed = getattr(ranges, node.id, None)
        if isinstance(allowed, Range) and not allowed.holds(value):
            return allowed
    return None


def literals(node: ast.expr) -> list[object]:
    """The values that a Literal[...] names."""
    elements = node.elts if isinstance(node, ast.Tuple) else [node]
    return [element.value for element in elements if isinstance(element, ast.Constant)]


def describe(annotation: ast.expr | None) -> str:
    """An annotation in plain words."""
    match annotation:
        case ast.Constant(value=None):
            return "null"
        case ast.BinOp(left=left, right=right):
            return f"{describe(left)} or {describe(right)}"
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            return " or ".join(str(choice) for choice in literals(choices))
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return f"{describe(inner)} or null"
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=options)):
            return " or ".join(describe(option) for option in options)
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            word = describe(inner)
            return f"a list of {word.removeprefix('a ')}s" if word.startswith("a ") else f"a list of {word}"
        case ast.Subscript(value=ast.Name(id="dict")):
            return TYPE_WORDS["dict"]
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *_])):
            return describe(inner)
        case ast.Name(id=name):
            return TYPE_WORDS.get(name, name)
    return ast.unparse(annotation) if annotation else "anything"


def _base_targets(tree: ast.Module, base: ast.expr) -> list[str]:
    """Where a base class of fishnet is defined, from the import that brought it."""
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("fishnet"):
            continue
        if isinstance(base, ast.Name) and base.id in [alias.name for alias in node.names]:
            return [f"{node.module}.{base.id}"]
    return []


def _source(module: str) -> str | None:
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)  # finds, but does not import
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]).joinpath(*inner)
    files = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    return files[0].read_text(encoding="utf-8") if files else None


def _parameters(function: ast.FunctionDef) -> Schema:
    named = function.args
    positional = named.args[1:]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(named.defaults)) + list(named.defaults)
    pairs = [*zip(positional, defaults, strict=True), *zip(named.kwonlyargs, named.kw_defaults, strict=True)]
    return {argument.arg: (argument.annotation, default) for argument, default in pairs}
