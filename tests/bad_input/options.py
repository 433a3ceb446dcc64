"""Options and values that there are not."""

from __future__ import annotations

from tests.bad_input.corpus import Case


def _option(name: str, arguments: str, *says: str) -> Case:
    return Case(name, arguments, says)


OPTIONS = [
    _option("no target", "", "TARGET", "--help"),
    _option("two targets", "target.py target.py", "target.py", "too many"),
    _option("a misspelt option", "target.py --runn", "--runn", "did you mean --run?"),
    _option(
        "a misspelt option of Beam", "target.py --direct_num_worker 2", "did you mean --direct_num_workers?"
    ),
    _option("an option of nobody", "target.py --zebra 2", "--zebra", "--help"),
    _option("a wrong value of Beam's", "target.py --direct_num_workers many", "direct_num_workers", "many"),
    _option("a form that there is not", "target.py --print plam", "'plam'", "did you mean 'plan'"),
    _option("no processes", "target.py --num-proc 0", "--num-proc", "less than 1"),
    _option("processes that are no number", "target.py --num-proc many", "--num-proc", "'many'"),
    _option("no rows", "target.py --limit 0", "--limit", "less than 1"),
    _option(
        "a runner that there is not", "target.py --run --runner direkt", "'direkt'", "did you mean 'direct'"
    ),
    _option("a way that there is not", "target.py --run --overwrite relpace", "did you mean 'replace'"),
    _option("an option without its value", "target.py --limit", "--limit"),
    _option("a picture of another kind", "target.py --plot flow.gif", "flow.gif", ".svg"),
    _option("a picture in a folder that is not there", "target.py --plot pictures/flow.svg", "pictures"),
]
