"""Flows that are none: names, types, options, outputs."""

from __future__ import annotations

from tests.bad_input.corpus import Case, flow

FLOWS = [
    flow(
        "a missing column",
        "x = src.zebra  # <-\n",
        "has no field 'zebra'",
        "it has: n, text",
    ),
    flow("a misspelt field", "x = src.texd  # <-\n", "no field 'texd'", "did you mean 'text'"),
    flow("a misspelt method", "x = src.text.uper()  # <-\n", "uper", "did you mean 'upper'"),
    flow(
        "refs of two flows mixed in a node",
        "other = DataFlow(features=reader).src_features\nx = src.text + other.text  # <-\n",
        "flow",
    ),
    flow(
        "refs of two flows mixed in an output",
        "other = DataFlow(features=reader).src_features\n"
        'job = flow.job(source=reader).write(collect={"a": other.text}, to=JsonDatasetWriter("out"))  # <-\n',
        "another flow",
        "src_features",
    ),
    flow("a wrong type", "x = src.n.lower()  # <-\n", "lower", "int64"),
    flow("a wrong operand", "x = src.text + 1  # <-\n", "int64"),
    flow(
        "a wrong input of a node",
        'x = Jinja2(template="{{ inputs.n }}").call(features=src.n)  # <-\n',
        "features",
    ),
    flow(
        "an unknown input of a node", "x = Mean().call(valeu=src.n)  # <-\n", "valeu", "did you mean 'value'"
    ),
    flow("an aggregate of the wrong type", "x = Mean().call(src.text)  # <-\n", "string"),
    flow(
        "an unknown join",
        'g = ops.group_by({"n": src.n}, join="shufle")  # <-\n',
        "join=",
        "'shufle'",
        "did you mean 'shuffle'",
    ),
    flow("a template that does not parse", 'x = Jinja2(template="{{ inputs.text")  # <-\n', "template"),
    flow(
        "a template that reaches for __class__",
        'x = Jinja2(template="{{ inputs.t.__class__ }}").call(features=collect({"t": src.text}))  # <-\n',
        "__class__",
    ),
    flow(
        "a template of a field that is not there",
        'x = Jinja2(template="{{ inputs.texd }}").call(features=collect({"text": src.text}))  # <-\n',
        "texd",
    ),
    flow(
        "a tokenizer folder that is not there",
        'x = TransformersTokenizer(tokenizer="models/none").call(text=src.text)  # <-\n',
        "models/none",
    ),
    flow(
        "an unknown option of a node",
        'x = Jinja2(tempalte="x")  # <-\n',
        "tempalte",
        "did you mean 'template'",
    ),
    flow("a missing option of a node", "x = Jinja2()  # <-\n", "needs the option 'template'"),
    flow("a pattern that does not parse", 'x = src.text.extract("(")  # <-\n', "regular expression"),
    flow("a type that there is not", 'x = src.text.cast("int46")  # <-\n', "int46"),
    flow("a ref as a condition", "x = 1 if src.n > 3 else 2  # <-\n", "if_else"),
    flow("and between refs", "x = (src.n > 3) and (src.n < 5)  # <-\n", "&"),
    flow("the length of a ref", "x = len(src.text)  # <-\n", "length"),
    flow("in between refs", 'x = "a" in src.text  # <-\n', "contains"),
    flow("a job without an output", "job = flow.job(source=reader)\n", "the job has no output", ".write("),
    flow(
        "two outputs of one name",
        'job = flow.job(source=reader).write("a", collect={"n": src.n}, to=JsonDatasetWriter("a"))\n'
        'job = job.write("a", collect={"n": src.n}, to=JsonDatasetWriter("b"))  # <-\n',
        "has an output 'a' already",
    ),
    flow(
        "no writer but a path",
        'job = flow.job(source=reader).write(collect={"n": src.n}, to="out")  # <-\n',
        "to= takes a writer, got str",
        "JsonDatasetWriter",
    ),
    flow(
        "no columns",
        'job = flow.job(source=reader).write(to=JsonDatasetWriter("out"))  # <-\n',
        "collect= is missing",
    ),
    flow(
        "rows as an aggregate",
        'job = flow.job(source=reader).aggregate({"n": src.n})  # <-\n',
        "aggregat",
        "Mean().call(ref)",
    ),
    flow("an unknown argument", "job = flow.job(sorce=reader)  # <-\n", "sorce", "did you mean 'source'"),
    flow(
        "an unknown option of a writer",
        'to = JsonDatasetWriter("out", overwite="replace")  # <-\n',
        "overwite",
        "did you mean 'overwrite'",
    ),
    flow(
        "a wrong value of a writer's option",
        'to = JsonDatasetWriter("out", overwrite="relpace")  # <-\n',
        "relpace",
    ),
    flow("a source that is none", "job = flow.job(source=3)  # <-\n", "source= takes", "int"),
    flow("features that are none", "flow = DataFlow(features=3)  # <-\n", "features="),
    flow(
        "outputs that share a folder",
        'job = flow.job(source=reader).write("a", collect={"n": src.n}, to=JsonDatasetWriter("out"))\n'
        'job = job.write("b", collect={"n": src.n}, to=JsonDatasetWriter("out"))\n',
        "share the folder 'out'",
    ),
]
FLOWS[-1] = Case(FLOWS[-1].name, "target.py --run", FLOWS[-1].says, script=FLOWS[-1].script)
