"""Custom resources: a CustomResourceDefinition becomes served kinds with compiled schema validation.

Types, bounds, patterns and enums are checked by jsonschema against the structural schema, compiled once per version;
pruning and defaulting are `schema`'s walk. CEL rules (`x-kubernetes-validations`) are stored and published, but NOT
evaluated here, and neither are conversion webhooks: versions of one resource must share one schema.
Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions"; the wording of
violations is that of k8s.io/kube-openapi pkg/validation.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import jsonschema
from jsonschema import Draft4Validator, FormatChecker

from gateway_sandbox.apiserver.cells import custom_columns
from gateway_sandbox.apiserver.kinds import Json, Kind, ScalePaths
from gateway_sandbox.apiserver.schema import Node, compile_schema
from gateway_sandbox.apiserver.statuses import Cause, invalid_value, not_supported, required

_INT32, _INT64 = 2**31, 2**63
_RULES = {
    "type": "must be of type {bound}: {type_name}",
    "minimum": "should be greater than{or_equal} {bound}",
    "maximum": "should be less than{or_equal} {bound}",
    "pattern": "should match '{bound}'",
    "minLength": "should be at least {bound} chars long",
    "format": "must be of type {bound}: {value}",
    "minProperties": "should have at least {bound} properties",
    "maxProperties": "should have at most {bound} properties",
    "anyOf": "must validate at least one schema (anyOf)",
    "oneOf": "must validate one and only one schema (oneOf)",
    "allOf": "must validate all the schemas (allOf)",
}


def served_kinds(crd: Json, metadata_node: Node) -> list[Kind]:
    """The kinds of all served versions of a CRD."""
    return [_kind(crd["spec"], version, metadata_node) for version in crd["spec"]["versions"] if version["served"]]


def _kind(spec: Json, version: Json, metadata_node: Node) -> Kind:
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    node = compile_schema({"type": "object"} | schema)
    text = compile_schema({"type": "string"})
    node.fields |= {"apiVersion": text, "kind": text, "metadata": metadata_node}
    node.required = []
    subresources = version.get("subresources") or {}
    scale = subresources.get("scale")
    names = spec["names"]
    check = _Check(schema)
    return Kind(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        namespaced=spec["scope"] == "Namespaced",
        node=node,
        schema=schema,
        singular=names["singular"],
        list_kind=names["listKind"],
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(name for name in ("status", "scale") if subresources.get(name) is not None),
        columns=custom_columns(version.get("additionalPrinterColumns") or ()),
        scale=_scale_paths(scale) if scale else None,
        is_custom=True,
        counts_generation=True,
        needs_version_on_put=True,
        faults=check.faults,
        storage=(spec["group"], names["plural"]),
    )


def _scale_paths(scale: Json) -> ScalePaths:
    paths = (scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath", ""))
    return ScalePaths(*(path.removeprefix(".") for path in paths))


def schema_faults(crd: Json) -> list[Cause]:
    """What is wrong with the schemas of a CRD."""
    causes = []
    for index, version in enumerate(crd["spec"]["versions"]):
        where = f"spec.versions[{index}].schema.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if not schema:
            causes.append(required(where, "schemas are required"))
            continue
        try:
            Draft4Validator.check_schema(_plain(schema))
        except jsonschema.SchemaError as problem:
            causes.append(Cause(where, "FieldValueInvalid", f"Invalid value: {problem.message}"))
    return causes


class _Check:
    """A compiled schema and the translation of its errors into field causes."""

    def __init__(self, schema: Json) -> None:
        self._validator = Draft4Validator(_plain(schema), format_checker=_FORMATS)

    def faults(self, obj: Json) -> list[Cause]:
        """Every violation, in the order of the fields."""
        own = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "metadata")}
        causes = [cause for error in self._validator.iter_errors(own) for cause in _causes(error)]
        return sorted(causes, key=lambda cause: cause.field)


def _is_timestamp(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


_FORMATS = FormatChecker(())
_FORMATS.checks("int32")(lambda value: not isinstance(value, int) or -_INT32 <= value < _INT32)
_FORMATS.checks("int64")(lambda value: not isinstance(value, int) or -_INT64 <= value < _INT64)
_FORMATS.checks("date-time")(_is_timestamp)


def _plain(schema: Any) -> Any:
    """The schema in plain JSON schema terms: int-or-string and nullable written out."""
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain_member(name, value) for name, value in schema.items() if not name.startswith("x-")}
    plain.pop("default", None)
    if schema.get("x-kubernetes-int-or-string"):
        plain["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in plain:
        types = plain["type"] if isinstance(plain["type"], list) else [plain["type"]]
        plain["type"] = [*types, "null"]
    return plain


def _plain_member(name: str, value: Any) -> Any:
    if name in ("properties", "patternProperties", "definitions"):
        return {key: _plain(sub) for key, sub in value.items()}
    if name in ("allOf", "anyOf", "oneOf"):
        return [_plain(sub) for sub in value]
    return _plain(value) if name in ("items", "additionalProperties", "not") else value


def _causes(error: jsonschema.ValidationError) -> Iterable[Cause]:
    path = _dotted(error.absolute_path)
    value: Any = error.instance
    bound: Any = error.validator_value
    match error.validator:
        case "required":
            missing = [name for name in bound if name not in value]
            return [required(f"{path}.{name}".lstrip(".")) for name in missing if error.message.startswith(repr(name))]
        case "enum":
            return [not_supported(path, value, bound)]
        case "maxLength":
            return [Cause(path, "FieldValueTooLong", f"Too long: may not be more than {bound} bytes")]
        case "maxItems":
            return [Cause(path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {bound} items")]
        case "minItems":
            return [invalid_value(path, len(value), f"{path} in body should have at least {bound} items")]
    return [invalid_value(path, _shown(value, str(error.validator)), f"{path} in body {_rule(error)}")]


def _rule(error: jsonschema.ValidationError) -> str:
    """What the value should have been."""
    schema: Any = error.schema
    bound: Any = error.validator_value
    is_open = schema.get({"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}.get(str(error.validator), ""))
    template = _RULES.get(str(error.validator), error.message.replace("{", "{{").replace("}", "}}"))
    return template.format(
        bound=",".join(bound) if isinstance(bound, list) and error.validator == "type" else bound,
        or_equal="" if is_open else " or equal to",
        type_name=json.dumps(_type_name(error.instance)),
        value=json.dumps(error.instance) if error.validator == "format" else "",
    )


def _shown(value: Any, validator: str) -> Any:
    return _type_name(value) if validator == "type" else value


def _type_name(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _dotted(path: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
