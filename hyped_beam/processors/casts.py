"""`cast`: the same value in another type, or an error (null, if not strict) where it does not fit."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import pyarrow as pa
from pydantic import BeforeValidator, Field, PlainSerializer
from typing_extensions import Self

from hyped_beam.errors import DefinitionTypeError
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.registry import method
from hyped_beam.processors import conversions
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature
from hyped_beam.types.patterns import AnyColumn
from hyped_beam.types.vectors import unwrapped

_PYTHON_TYPES: dict[Any, str] = {
    int: "int64",
    float: "float64",
    str: "string",
    bool: "bool",
    bytes: "binary",
    datetime.datetime: "timestamp[us]",
    datetime.date: "date32",
    datetime.time: "time64[us]",
    datetime.timedelta: "duration[us]",
}
_NAMES = {kind.__name__: dtype for kind, dtype in _PYTHON_TYPES.items()}


def _feature(given: Any) -> Feature:
    """Whatever names a type, as a feature.

    Raises:
        ValueError: It names none.
        DefinitionError: It is text that names none.
    """
    if isinstance(given, pa.DataType):
        return features.from_arrow(given)
    if given in (decimal.Decimal, list, dict):
        msg = f'{given.__name__} says too little: write "decimal128(18, 2)", or a datasets feature'
        raise ValueError(msg)
    if isinstance(given, type) and given in _PYTHON_TYPES:
        return features.value(_PYTHON_TYPES[given])
    if isinstance(given, str):
        return features.of_dtype(_NAMES.get(given, given))
    try:
        if isinstance(given, (Mapping, list, tuple)):
            given = _of_parts(given)
        features.to_arrow(given)
    except (TypeError, ValueError, AttributeError, KeyError, NotImplementedError):
        msg = 'give a dtype like "int64", a datasets feature, or a Python type like int'
        raise ValueError(msg) from None
    return given


def _of_parts(given: Any) -> Feature:
    """A struct or list as `datasets` has them, also where it is as it was saved."""
    if isinstance(given, Mapping) and not isinstance(given.get("_type", {}), str):
        return {str(name): _feature(part) for name, part in given.items()}
    if isinstance(given, Mapping):
        return features.from_json(given)
    (element,) = given
    return features.list_of(_feature(element))


FeatureField: TypeAlias = Annotated[Any, BeforeValidator(_feature), PlainSerializer(features.to_json)]
"""A feature as an option of a node; also given as a dtype or a Python type."""

_NUMBERS = {Family.BOOLEAN, Family.INTEGER, Family.FLOAT, Family.DECIMAL, Family.STRING}
_TARGETS: dict[Family, set[Family]] = {
    Family.BOOLEAN: _NUMBERS,
    Family.INTEGER: {*_NUMBERS, Family.TIMESTAMP, Family.DATE, Family.TIME, Family.DURATION},
    Family.FLOAT: _NUMBERS,
    Family.DECIMAL: _NUMBERS,
    Family.STRING: {*_NUMBERS, Family.BINARY, Family.TIMESTAMP, Family.DATE},
    Family.BINARY: {Family.BINARY, Family.STRING},
    Family.TIMESTAMP: {Family.TIMESTAMP, Family.DATE, Family.TIME, Family.INTEGER, Family.STRING},
    Family.DATE: {Family.DATE, Family.TIMESTAMP, Family.INTEGER, Family.STRING},
    Family.TIME: {Family.TIME, Family.INTEGER, Family.STRING},
    Family.DURATION: {Family.DURATION, Family.INTEGER},
}


@method("cast")
class Cast(Processor):
    """Each value in another type; one that does not fit is an error, or null with `strict=False`.

    A number does not fit where it would overflow or lose its fraction (round it first); integers may be
    rounded to floats. Text is read in the form in which numbers, booleans ("true", "false", "1", "0") and
    times (ISO 8601) are written, without white space; floats are written as Python does. A `ClassLabel` is
    its number to other types, but its name to text, from text, and to another `ClassLabel`; -1, no label,
    has no name. Times are counted in their unit; an instant with a time zone is cast to the date and the
    text that it has there. Lists and structs are cast inside.

    Attributes:
        to: The type: a dtype ("int64"), a `datasets` feature, or a Python type (int, float, str, bool, ...).
        strict: Whether a value that does not fit is an error; else it becomes null.
        source: The feature of the input, which `call` fills in.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"x": ["1", "b", None]})
        >>> evaluate(flow_of(table.schema).x.cast(int, strict=False), table).to_pylist()
        [1, None, None]
    """

    to: FeatureField
    strict: bool = True
    source: FeatureField | None = Field(default=None, repr=False, exclude=True)

    def specialise(self, value: Feature) -> Self:
        """The same cast for an input of a certain feature, which says what label numbers mean."""
        return self.model_copy(update={"source": value})

    def output(self, value: Feature) -> Feature:
        problem = _problem(value, self.to)
        if problem is not None:
            message, hint = problem
            raise DefinitionTypeError(message, hint=hint)
        return self.to

    def process(self, value: AnyColumn) -> AnyColumn:
        return unwrapped(conversions.convert(value, self.source, self.to, strict=self.strict))

    def describe(self) -> str:
        return features.describe(self.to) + ("" if self.strict else ", strict=False")


def _problem(source: Feature, target: Feature) -> tuple[str, str | None] | None:
    """Why no value of one feature can be cast to another, with a hint; None where it can."""
    given, wanted = features.family(source), features.family(target)
    message = f"{features.shortened(source, 80)} cannot be cast to {features.shortened(target, 80)}"
    if features.same(source, target) or given is Family.NULL:
        return None
    if Family.OTHER in (given, wanted):
        return _stored(source, target, message)
    if given is Family.LIST and wanted is Family.LIST:
        return _problem(features.element(source), features.element(target))
    if given is Family.STRUCT and wanted is Family.STRUCT:
        return _struct_problem(source, target, message)
    if features.is_class_label(target) and wanted not in _TARGETS.get(given, ()):
        return message, "a ClassLabel is made from text and integers"
    if features.is_class_label(target) and given in (Family.FLOAT, Family.BOOLEAN, Family.DECIMAL):
        return message, 'a ClassLabel is made from text and integers: write .cast("int64") first'
    if wanted in _TARGETS.get(given, ()):
        return None
    return message, _way_round(given, wanted)


def _stored(source: Feature, target: Feature, message: str) -> tuple[str, str | None] | None:
    """An array, image or the like can be cast to and from what it is stored as."""
    kinds = [features.to_arrow(feature) for feature in (source, target)]
    kinds = [kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind for kind in kinds]
    if kinds[0].equals(kinds[1]):
        return None
    if all(pa.types.is_nested(kind) for kind in kinds):
        return _problem(features.from_arrow(kinds[0]), features.from_arrow(kinds[1]))
    return message, f"it is stored as {kinds[0]}"


def _struct_problem(source: Feature, target: Feature, message: str) -> tuple[str, str | None] | None:
    given, wanted = features.fields(source), features.fields(target)
    if set(given) != set(wanted):
        unshared = ", ".join(sorted(set(given) ^ set(wanted)))
        return message, f"both need the same fields; only one has: {unshared}"
    return next((found for name in wanted if (found := _problem(given[name], wanted[name]))), None)


def _way_round(given: Family, wanted: Family) -> str | None:
    if Family.LIST in (given, wanted):
        return "write ref[i] for one element, ref.join(...) for one text, or use a processor"
    if Family.STRUCT in (given, wanted):
        return "cast one of its fields"
    if given is Family.DURATION or (given is Family.TIME and wanted is not Family.DURATION):
        return 'it can be cast to "int64", counted in its unit'
    if wanted in (Family.TIMESTAMP, Family.DATE, Family.TIME, Family.DURATION):
        return 'it can be cast to "int64" first, counted in the unit of the target'
    return None
