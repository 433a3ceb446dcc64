"""Functions on refs: structs, which have no methods so that every name can be a field, and choices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hyped_beam.errors import CallSite, DefinitionTypeError, unknown_name
from hyped_beam.nodes.pack import as_ref, null_where, pack
from hyped_beam.nodes.refs import Ref, feature_of
from hyped_beam.processors.casts import Cast
from hyped_beam.processors.conditions import Coalesce, FillNull, IfElse, IsIn, IsNotNull, IsNull
from hyped_beam.processors.hashing import Hash
from hyped_beam.processors.strings.formatting import Format
from hyped_beam.types import features
from hyped_beam.types.features import Family


def collect(value: Any = None, /, **fields: Any) -> Any:
    """Refs and constants as one ref: a struct for a mapping, a list for a list, nested up to 48 deep.

    Args:
        value: A mapping of names, or a list; or nothing, where fields are given.
        **fields: Fields of a struct.

    Raises:
        DefinitionError: There is no ref in it.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import ops
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"a": [1], "b": [2]})
        >>> src = flow_of(table.schema)
        >>> evaluate(ops.collect({"both": [src.a, src.b], "kind": "pair"}), table).to_pylist()
        [{'both': [1, 2], 'kind': 'pair'}]
    """
    if value is None:
        return pack(fields)
    if fields:
        if not isinstance(value, Mapping):
            raise DefinitionTypeError(
                "collect() takes a mapping, a list, or fields by name", site=CallSite.nearest()
            )
        return pack({**value, **fields})
    return pack(value)


def with_columns(struct: Any, /, **columns: Any) -> Any:
    """A struct with more fields, or with some replaced; those that it has keep their places.

    Where the struct is null, as a nested one may be, the result is null, whatever the new fields hold.

    Args:
        struct: A ref to a struct, such as `flow.src_features`, or a mapping of names to refs.
        **columns: Refs or constants by the name of the field.

    Raises:
        DefinitionError: It is no struct.

    Example:
        >>> import pyarrow as pa
        >>> from hyped_beam import ops
        >>> from hyped_beam.testing import evaluate, flow_of
        >>> table = pa.table({"n": [1]})
        >>> src = flow_of(table.schema)
        >>> evaluate(ops.with_columns(src, more=src.n + 1), table).to_pylist()
        [{'n': 1, 'more': 2}]
    """
    ref = as_ref(struct, "with_columns")
    return null_where(ref, pack({**_fields(ref, "with_columns"), **columns}))


def select(struct: Any, /, *names: str) -> Any:
    """A struct with only some of its fields, in the order in which they are named; null where it is null.

    Args:
        struct: A ref to a struct, or a mapping of names to refs.
        *names: Names of its fields.

    Raises:
        DefinitionError: It is no struct, has no such field, or none is named.
    """
    ref = as_ref(struct, "select")
    held = _fields(ref, "select")
    if not names:
        raise DefinitionTypeError("select() needs the name of a field", site=CallSite.nearest())
    return null_where(ref, pack({name: held[name] for name in _known(held, names)}))


def drop(struct: Any, /, *names: str) -> Any:
    """A struct without some of its fields; null where it is null.

    Args:
        struct: A ref to a struct, or a mapping of names to refs.
        *names: Names of its fields.

    Raises:
        DefinitionError: It is no struct, has no such field, or would have none left.
    """
    ref = as_ref(struct, "drop")
    held = _fields(ref, "drop")
    left_out = _known(held, names)
    kept = {name: ref for name, ref in held.items() if name not in left_out}
    if not kept:
        raise DefinitionTypeError("drop() would leave no field", site=CallSite.nearest())
    return null_where(ref, pack(kept))


def rename(struct: Any, names: Mapping[str, str] | None = None, /, **renamed: str) -> Any:
    """A struct some of whose fields have other names; all keep their places. Null where it is null.

    Args:
        struct: A ref to a struct, or a mapping of names to refs.
        names: New names by the old ones, for names that are no Python names.
        **renamed: New names by the old ones.

    Raises:
        DefinitionError: It is no struct, has no such field, or two fields would have one name.
    """
    changes = {**(names or {}), **renamed}
    ref = as_ref(struct, "rename")
    held = _fields(ref, "rename")
    _known(held, tuple(changes))
    made = [changes.get(name, name) for name in held]
    twice = next((name for name, count in Counter(made).items() if count > 1), None)
    if twice is not None:
        raise DefinitionTypeError(f"rename(): two fields would be {twice!r}", site=CallSite.nearest())
    return null_where(ref, pack(dict(zip(made, held.values(), strict=True))))


def feature(ref: Any, /) -> Any:
    """The Hugging Face feature of a ref.

    Args:
        ref: A ref.
    """
    return feature_of(as_ref(ref, "feature"))


def if_else(condition: Any, then: Any, otherwise: Any) -> Any:
    """One value where a condition is true, another where it is false or null.

    Args:
        condition: A boolean ref.
        then: The value where it is true: a ref or a constant.
        otherwise: The value elsewhere.

    Raises:
        DefinitionError: The values have no type in common.
    """
    return IfElse().call(condition=condition, then=then, otherwise=otherwise)


def coalesce(*values: Any) -> Any:
    """The first value of each row that is not null.

    Args:
        *values: Refs and constants.

    Raises:
        DefinitionError: The values have no type in common.
    """
    return Coalesce().call(**{str(number): value for number, value in enumerate(values)})


def is_null(ref: Any, /) -> Any:
    """Whether a value is null, of any type: structs too."""
    return IsNull().call(as_ref(ref, "is_null"))


def is_not_null(ref: Any, /) -> Any:
    """Whether a value is not null, of any type: structs too."""
    return IsNotNull().call(as_ref(ref, "is_not_null"))


def fill_null(ref: Any, replacement: Any, /) -> Any:
    """The value, or a replacement where it is null.

    Args:
        ref: A ref.
        replacement: A ref or a constant.
    """
    return FillNull().call(value=as_ref(ref, "fill_null"), replacement=replacement)


def is_in(ref: Any, values: Any, /) -> Any:
    """Whether a value is one of several.

    Args:
        ref: A ref.
        values: A list of constants.
    """
    return IsIn().call(value=as_ref(ref, "is_in"), values=values)


def cast(ref: Any, to: Any, /, *, strict: bool = True) -> Any:
    """The value as another type.

    Args:
        ref: A ref.
        to: A dtype, a feature, or a Python type.
        strict: Whether a value that does not fit is an error, rather than null.
    """
    return Cast(to=to, strict=strict).call(as_ref(ref, "cast"))


def hash(ref: Any, /, *, seed: int = 0) -> Any:
    """A hash of the value, the same on every machine, of any type: structs and lists too.

    Args:
        ref: A ref.
        seed: Another seed gives other hashes.
    """
    return Hash(seed=seed).call(as_ref(ref, "hash"))


def format(template: str, /, *values: Any, **named: Any) -> Any:
    """Text with values put in, as `str.format` does.

    Args:
        template: Text with `{}` for values, or `{name}` for named ones.
        *values: Refs of strings and integers.
        **named: Refs of strings and integers by name.
    """
    numbered = {str(number): value for number, value in enumerate(values)}
    return Format(template=template).call(**numbered, **named)


def _fields(ref: Ref, function: str) -> dict[str, Any]:
    found = feature_of(ref)
    if features.family(found) is not Family.STRUCT:
        raise DefinitionTypeError(
            f"{function}() takes a struct, got {features.describe(found)}",
            site=CallSite.nearest(),
            hint="give flow.src_features, or a ref whose fields you reach with .name",
        )
    return {name: ref[name] for name in features.fields(found)}


def _known(held: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in held:
            raise unknown_name("field", str(name), held, of="the struct")
    return names
