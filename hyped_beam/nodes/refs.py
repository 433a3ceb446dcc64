"""Refs: what `call` returns. A ref names a value of the flow and has the methods of its type."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, NoReturn

from hyped_beam.errors import CallSite, DefinitionTypeError, UnknownNameError, escaped_name, listed
from hyped_beam.ir.builder import GraphBuilder
from hyped_beam.ir.graph import Edge
from hyped_beam.nodes import registry, suggestions
from hyped_beam.types import features
from hyped_beam.types.features import Family, Feature


class Ref:
    """A value of a flow: the output of a node, or a field inside it.

    On a struct `.x` is always the field `x`, and `["x"]` works for any name; so a ref has no public
    attributes of its own. What it is, `feature_of(ref)` and `repr(ref)` say.
    """

    __slots__ = ("__builder", "__edge", "__feature", "__scope")

    def __init__(self, builder: GraphBuilder, edge: Edge, feature: Feature, scope: int | None = None) -> None:
        self.__builder = builder
        self.__edge = edge
        self.__feature = feature
        self.__scope = builder.scope_of(edge) if scope is None else scope

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        family = features.family(self.__feature)
        inner = features.fields(self.__feature)
        if name in inner:
            return _field_of(self, name, inner[name])
        if family is not Family.STRUCT:
            node = registry.methods_of(family).get(name)
            if node is not None:
                return BoundMethod(self, name, node)
        raise _no_attribute(self, name)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and features.fields(self.__feature):
            inner = features.fields(self.__feature)
            if key in inner:
                return _field_of(self, key, inner[key])
            raise _no_attribute(self, key)
        if isinstance(key, slice):
            if key.step not in (None, 1):
                raise DefinitionTypeError("a slice has no step", site=CallSite.nearest())
            return self.slice(key.start or 0, key.stop)
        return _operate("[]", self, key)

    def __dir__(self) -> list[str]:
        family = features.family(self.__feature)
        methods: Iterable[str] = () if family is Family.STRUCT else registry.methods_of(family)
        names = {*features.fields(self.__feature), *methods}
        return sorted(name for name in names if name.isidentifier())

    def __repr__(self) -> str:
        return escaped_name(f"<ref {self.__edge}: {features.describe(self.__feature)}>")

    def __format__(self, specification: str) -> NoReturn:
        raise _not_now(
            self,
            "a ref has no text while the flow is written",
            'write ops.format("{}", ref), or repr(ref) to look at it',
        )

    def __hash__(self) -> int:
        return hash((id(self.__builder), self.__edge, self.__scope))

    def __add__(self, other: Any) -> Any:
        return _operate("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return _operate("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return _operate("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _operate("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return _operate("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _operate("*", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _operate("/", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _operate("/", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _operate("//", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _operate("//", other, self)

    def __mod__(self, other: Any) -> Any:
        return _operate("%", self, other)

    def __rmod__(self, other: Any) -> Any:
        return _operate("%", other, self)

    def __pow__(self, other: Any) -> Any:
        return _operate("**", self, other)

    def __rpow__(self, other: Any) -> Any:
        return _operate("**", other, self)

    def __and__(self, other: Any) -> Any:
        return _operate("&", self, other)

    def __rand__(self, other: Any) -> Any:
        return _operate("&", other, self)

    def __or__(self, other: Any) -> Any:
        return _operate("|", self, other)

    def __ror__(self, other: Any) -> Any:
        return _operate("|", other, self)

    def __xor__(self, other: Any) -> Any:
        return _operate("^", self, other)

    def __rxor__(self, other: Any) -> Any:
        return _operate("^", other, self)

    def __lt__(self, other: Any) -> Any:
        return _operate("<", self, other)

    def __le__(self, other: Any) -> Any:
        return _operate("<=", self, other)

    def __gt__(self, other: Any) -> Any:
        return _operate(">", self, other)

    def __ge__(self, other: Any) -> Any:
        return _operate(">=", self, other)

    def __eq__(self, other: object) -> Any:
        return _operate("==", self, other)

    def __ne__(self, other: object) -> Any:
        return _operate("!=", self, other)

    def __invert__(self) -> Any:
        return _operate("~", self)

    def __neg__(self) -> Any:
        return _operate("neg", self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return _operate("abs", self)

    def __round__(self, digits: int = 0) -> Any:
        return self.round(digits)

    def __floor__(self) -> Any:
        return self.floor()

    def __ceil__(self) -> Any:
        return self.ceil()

    def __bool__(self) -> NoReturn:
        raise _not_now(
            self,
            "a ref has no truth value while the flow is written",
            "use & | ~ for and, or, not, as in (a > 1) & (b > 2), and ops.if_else for if",
        )

    def __len__(self) -> NoReturn:
        raise _not_now(self, "a ref has no len() while the flow is written", "write ref.length()")

    def __iter__(self) -> NoReturn:
        raise _not_now(
            self,
            "a ref cannot be looped over while the flow is written",
            "use the methods of lists, or a processor",
        )

    def __contains__(self, item: object) -> NoReturn:
        raise _not_now(self, "`in` does not work on a ref", "write ref.contains(x), or ref.is_in([...])")

    def __int__(self) -> NoReturn:
        raise _not_now(self, "a ref has no value while the flow is written", 'write ref.cast("int64")')

    def __float__(self) -> NoReturn:
        raise _not_now(self, "a ref has no value while the flow is written", 'write ref.cast("float64")')

    def __index__(self) -> NoReturn:
        raise _not_now(self, "a ref is no index into a Python sequence", "use ref[...] on list refs")


class BoundMethod:
    """A method of a ref: calling it adds the node behind it to the flow."""

    def __init__(self, ref: Ref, name: str, node: type[Any]) -> None:
        self._ref = ref
        self._name = name
        self._node = node

    @property
    def __doc__(self) -> str:
        """What `help` shows: how it is called, and the documentation of the node behind it."""
        documentation = inspect.cleandoc(self._node.__doc__ or "").replace("Attributes:\n", "Args:\n", 1)
        return f"{self._name}{self.__signature__}\n\n{documentation}"

    @property
    def __signature__(self) -> inspect.Signature:
        """What it takes."""
        from hyped_beam.nodes.signatures import signature_of

        return signature_of(self._node)

    def __call__(self, *args: Any, **arguments: Any) -> Any:
        """Add the node to the flow."""
        from hyped_beam.nodes.operators import call_method

        return call_method(self._node, self._name, self._ref, args, arguments)

    def __repr__(self) -> str:
        return f"<method {self._name} of {self._ref!r}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        raise self._not_called()

    def _not_called(self) -> DefinitionTypeError:
        return DefinitionTypeError(
            f"{self._name} is a method of {self._ref!r}, and was not called",
            site=CallSite.nearest(),
            hint=f"write .{self._name}()",
        )


def _refuse(method: BoundMethod, *_operands: object) -> NoReturn:
    raise method._not_called()


for _operator in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "and",
    "or",
    "lt",
    "le",
    "gt",
    "ge",
):
    setattr(BoundMethod, f"__{_operator}__", _refuse)
    setattr(BoundMethod, f"__r{_operator}__", _refuse)
for _operator in ("invert", "neg", "abs", "getitem", "bool", "len", "iter"):
    setattr(BoundMethod, f"__{_operator}__", _refuse)


def builder_of(ref: Ref) -> GraphBuilder:
    """The graph that a ref's flow records into."""
    return ref._Ref__builder


def edge_of(ref: Ref) -> Edge:
    """The edge that a ref stands for."""
    return ref._Ref__edge


def scope_of(ref: Ref) -> int:
    """The number of the scope whose rows a ref has a value for."""
    return ref._Ref__scope


def hint_for_foreign(builders: Iterable[GraphBuilder], asked: GraphBuilder | None = None) -> str:
    """Where to take refs from, for an error about refs of several flows.

    Args:
        builders: The graphs that the flows of the refs record into.
        asked: That of the flow that was given the refs; None where they only met.
    """
    own = 'take all of them from its src_features and its outputs["rows"]'
    origin = next((builder.origin for builder in builders if builder.origin), None)
    if asked is not None and asked.origin:
        return f"this flow is {asked.origin}, and has refs of its own: {own}"
    if origin is None:
        return "a ref can be used only in the flow whose src_features it was made from"
    if asked is not None:
        return (
            f"the ref is of a {origin} flow, and this flow is not {origin}: "
            f"take refs from its src_features, or ask the {origin} one"
        )
    return f"one of them is of a {origin} flow, which has refs of its own: {own}"


def feature_of(ref: Ref) -> Feature:
    """The Hugging Face feature of a ref."""
    return ref._Ref__feature


def _field_of(ref: Ref, name: str, feature: Feature) -> Ref:
    edge = edge_of(ref)
    return Ref(builder_of(ref), Edge(edge.node, (*edge.path, name)), feature, scope_of(ref))


def _operate(symbol: str, *operands: Any) -> Any:
    from hyped_beam.nodes.operators import call_operator

    return call_operator(symbol, operands)


def _not_now(ref: Ref, message: str, hint: str) -> DefinitionTypeError:
    return DefinitionTypeError(f"{message}: {ref!r}", site=CallSite.nearest(), hint=hint)


def _no_attribute(ref: Ref, name: str) -> UnknownNameError:
    feature = feature_of(ref)
    what = "field" if features.fields(feature) else "method"
    owner = features.shortened(feature)
    names = dir(ref) if what == "method" else list(features.fields(feature))
    hint = suggestions.hint_for(name, names, suggestions.functions() | suggestions.aggregators())
    hint = hint or f"it has: {listed(names) or 'none'}"
    return UnknownNameError(f"{owner} has no {what} {name!r}", site=CallSite.nearest(), hint=hint)
