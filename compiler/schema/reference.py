"""`docs/reference.md`: every field that egressc reads, from the models."""

import json
import typing
from collections.abc import Iterator
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from compiler.inputs import cases, egress, kubernetes
from compiler.inputs.base import Metadata
from compiler.inputs.constraints import OrText
from compiler.schema.models import about, bare, written_name

_HEAD: Final = """# Reference of inputs

Made from the models in `compiler/inputs/` by `make schemas`; do not edit. `[]` is an entry of a list. A field of our
own kinds that is not listed is an error; of other kinds only the listed fields are read. `null` means absent.
"""
_OWN: Final = (
    ("EgressGateway", "`network.deckhouse.io/v1alpha1`", egress.EgressGateway),
    ("EgressGatewayPolicy", "`network.deckhouse.io/v1alpha1`", egress.EgressGatewayPolicy),
    ("EgressCompilerConfig", "`egressc.io/v1alpha1`", egress.CompilerConfig),
    ("Cases", "a file of `egressc test`", cases.CasesInput),
)
_SNAPSHOT: Final = (
    kubernetes.Node,
    kubernetes.Pod,
    kubernetes.Namespace,
    kubernetes.VirtualMachine,
    kubernetes.NodeNetworkState,
    kubernetes.ServiceCIDR,
    kubernetes.ModuleConfig,
)


_WORDS: Final = {str: "text", int: "whole number", bool: "true or false"}


def reference() -> str:
    """Returns the text of the page."""
    parts = [_HEAD]
    parts += [f"\n## {kind}\n\n{about(model)} ({where})\n\n{_table(model)}" for kind, where, model in _OWN]
    parts.append("\n## The snapshot of the cluster\n")
    parts += [f"\n### {model.__name__}\n\n{about(model)}\n\n{_table(model)}" for model in _SNAPSHOT]
    parts.append(f"\n## metadata\n\nOf every object.\n\n{_table(Metadata)}")
    return "".join(parts)


def _table(model: type[BaseModel]) -> str:
    rows = "".join(
        f"| `{path}` | {_kind(field)} | {_default(field)} | {field.description} |\n"
        for path, field in _fields(model, "")
    )
    return f"| field | type | default | meaning |\n|---|---|---|---|\n{rows}"


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        path = prefix + written_name(name, field)
        yield path, field
        kind = bare(field.annotation)
        if typing.get_origin(kind) is list:
            kind, path = bare(typing.get_args(kind)[0]), f"{path}[]"
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Metadata:
            yield from _fields(kind, f"{path}.")


def _kind(field: FieldInfo) -> str:
    short = "text or " if any(isinstance(item, OrText) for item in field.metadata) else ""
    return short + _type(field.annotation)


def _type(kind: Any) -> str:  # noqa: ANN401  # a type hint
    kind = bare(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "mapping of text to text"
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    return _WORDS.get(kind, "mapping")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value in (None, "") or isinstance(value, BaseModel) else f"`{json.dumps(value)}`"
