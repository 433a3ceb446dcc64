"""The table of methods in docs/data_flow.md says what the registry says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from hyped_beam.nodes.registry import load_library, methods_of, operators_of
from hyped_beam.types.features import Family

PAGE = Path(__file__).parents[2] / "docs/data_flow.md"
SIGNS = {"neg": "-x", "abs": "abs(x)", "[]": "x[i]", "|": "\\|"}


def table() -> str:
    """One row per type; types with the same methods and operators share one."""
    load_library()
    typed = [family for family in Family if family not in (Family.STRUCT, Family.NULL, Family.OTHER)]
    common = frozenset.intersection(*(frozenset(methods_of(family)) for family in typed))
    rows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for family in typed:
        own = frozenset(methods_of(family)) - common
        rows[signs_of(family), listed(own)].append(family.value)
    lines = ["| type | operators | methods |", "|---|---|---|", f"| every type | | {listed(common)} |"]
    lines += [f"| {', '.join(names)} | {signs} | {own} |" for (signs, own), names in rows.items()]
    return "\n".join(lines)


def signs_of(family: Family) -> str:
    return listed(SIGNS.get(sign, sign) for sign in operators_of(family))


def listed(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in sorted(names))


def test_table_of_methods_is_the_registry():
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- methods: begin")
    written = rest.partition("-->\n")[2].partition("<!-- methods: end")[0].strip()
    assert written == table(), f"put this into {PAGE.name}:\n{table()}"
