"""The constructor is the schema: its types are read from the source, so that checking a value imports nothing heavy."""

import ast
import importlib.util
from functools import cache
from pathlib import Path

from fishnet import ranges
from fishnet.errors import BadInput
from fishnet.ranges import Range

Schema = dict[str, tuple[ast.expr | None, ast.expr | None]]
NAMES = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text",
    "FreeText": "a text",
    "bool": "true or false",
    "dict": "a mapping {key: value}",
}


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
        for home in [home for base in defined.bases for home in _homes(tree, base)]:
            schema |= constructor(home)
    return schema | _parameters(own) if own is not None else schema


def check(key: str, value: object, annotation: ast.expr | None) -> None:
    """Raise BadInput for a value that is not of the annotated type or lies outside the annotated range."""
    if not fits(value, annotation):
        raise BadInput(f"{key}={value}: this takes {describe(annotation)}.")
    if (broken := range_broken(value, annotation)) is not None:
        raise BadInput(f"{key}={value}: {broken}.")


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
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and hasattr(ranges, node.func.id):
            allowed = getattr(ranges, node.func.id)(*[ast.literal_eval(argument) for argument in node.args])
            if not allowed.holds(value):
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
            return f"a list of {describe(inner)}"
        case ast.Subscript(value=ast.Name(id="dict")):
            return NAMES["dict"]
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *_])):
            return describe(inner)
        case ast.Name(id=name):
            return NAMES.get(name, name)
    return ast.unparse(annotation) if annotation else "anything"


def _homes(tree: ast.Module, base: ast.expr) -> list[str]:
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
