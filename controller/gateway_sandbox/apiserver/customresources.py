"""Custom resources: a CustomResourceDefinition becomes served kinds with compiled schema validation.

Types, bounds, patterns and enums are checked by jsonschema against the structural schema, compiled once per version;
pruning and defaulting are `schema`'s walk. CEL rules (`x-kubernetes-validations`) are stored and published, but NOT
evaluated here, and neither are conversion webhooks: versions of one resource must share one schema.
Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions"; the wording of
violations is that of k8s.io/kube-openapi pkg/validation.
"""

import functools
from datetime import datetime
from typing import Any

import jsonschema
from jsonschema import Draft4Validator, FormatChecker

from gateway_sandbox.apiserver.cells import custom_columns
from gateway_sandbox.apiserver.kinds import Json, Kind, ScalePaths
from gateway_sandbox.apiserver.schema import Node, compile_schema, dotted, json_type
from gateway_sandbox.apiserver.statuses import Cause, invalid_value, not_supported, required

_INT32, _INT64 = 2**31, 2**63
_RULES = {
    "minimum": "should be greater than or equal to {}",
    "maximum": "should be less than or equal to {}",
    "pattern": "should match '{}'",
    "minLength": "should be at least {} chars long",
    "minItems": "should have at least {} items",
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
    names = spec["names"]
    validator = Draft4Validator(_plain(schema), format_checker=_FORMATS)
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
        scale=_scale_paths(subresources["scale"]) if subresources.get("scale") else None,
        is_custom=True,
        counts_generation=True,
        needs_version_on_put=True,
        faults=functools.partial(_value_faults, validator),
    )


def _scale_paths(scale: Json) -> ScalePaths:
    return ScalePaths(scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath", ""))


def schema_faults(crd: Json) -> list[Cause]:
    """What is wrong with the schemas of a CRD."""
    causes: list[Cause] = []
    for index, version in enumerate(crd["spec"]["versions"]):
        where = f"spec.versions[{index}].schema.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if not schema:
            causes.append(required(where, "schemas are required"))
            continue
        try:
            Draft4Validator.check_schema(_plain(schema))
        except jsonschema.SchemaError as problem:
            causes.append(invalid_value(where, "schema", problem.message))
    return causes


def _value_faults(validator: Draft4Validator, obj: Json) -> list[Cause]:
    """Every violation of the schema, in the order of the fields."""
    own = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "metadata")}
    return sorted(map(_cause, validator.iter_errors(own)), key=lambda cause: cause.field)


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
    plain: Json = {}
    for name, value in schema.items():
        if name == "properties":
            plain[name] = {field: _plain(sub) for field, sub in value.items()}
        elif name in ("allOf", "anyOf", "oneOf"):
            plain[name] = [_plain(sub) for sub in value]
        elif name != "default" and not name.startswith("x-"):
            plain[name] = _plain(value)
    if schema.get("x-kubernetes-int-or-string"):
        plain["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in plain:
        types = plain["type"] if isinstance(plain["type"], list) else [plain["type"]]
        plain["type"] = [*types, "null"]
    return plain


def _cause(error: jsonschema.ValidationError) -> Cause:
    """A violation in the words of the real server for the rules that our definitions use."""
    path = dotted(error.absolute_path)
    value: Any = error.instance
    bound: Any = error.validator_value
    match error.validator:
        case "required":
            # jsonschema reports one error per name and says which only in its message: "'size' is a required ...".
            missing = error.message.split("'")[1]
            return required(f"{path}.{missing}".lstrip("."))
        case "enum":
            return not_supported(path, value, bound)
        case "type":
            wanted = bound if isinstance(bound, str) else ",".join(bound)
            found = json_type(value)
            return _wrong_type(path, found, wanted)
        case "format" if isinstance(value, str):
            return _wrong_type(path, value, bound)
        case "maxLength":
            return Cause(path, "FieldValueTooLong", f"Too long: may not be more than {bound} bytes")
        case "maxItems":
            return Cause(path, "FieldValueTooMany", f"Too many: {len(value)}: must have at most {bound} items")
        case "minItems":
            value = len(value)
    rule = _RULES.get(str(error.validator), "").format(bound) or error.message
    return invalid_value(path, value, f"{path} in body {rule}")


def _wrong_type(path: str, found: str, wanted: str) -> Cause:
    text = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return Cause(path, "FieldValueTypeInvalid", text)
