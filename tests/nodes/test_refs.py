"""Refs: fields, methods, and what they refuse to be."""

from __future__ import annotations

import math

import datasets
import pytest

from hyped_beam.errors import DefinitionError, DefinitionTypeError, UnknownNameError
from hyped_beam.nodes.refs import edge_of, feature_of
from hyped_beam.testing import flow_of

SRC = flow_of(
    {
        "text": datasets.Value("string"),
        "n": datasets.Value("int64"),
        "inner": {
            "lower": datasets.Value("string"),
            "deep": {"x": datasets.Value("int64")},
            "a b": datasets.Value("bool"),
        },
        "words": datasets.List(datasets.Value("string")),
        "label": datasets.ClassLabel(names=["ham", "spam"]),
    }
)


def test_fields_are_attributes_and_items_to_any_depth():
    assert edge_of(SRC.inner.deep.x) == edge_of(SRC["inner"]["deep"]["x"])
    assert feature_of(SRC.inner["a b"]).dtype == "bool"


def test_a_field_wins_over_everything_on_a_struct():
    assert feature_of(SRC.inner.lower).dtype == "string"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="has no field 'txt'") as caught:
        SRC.txt  # noqa: B018
    assert caught.value.hint == "did you mean 'text'?"
    with pytest.raises(AttributeError, match="did you mean 'lower'"):
        SRC.text.lowr()
    with pytest.raises(KeyError, match="did you mean 'deep'"):
        SRC.inner["dep"]


def test_a_method_of_another_type_is_not_there():
    assert not hasattr(SRC.n, "lower")
    assert hasattr(SRC.text, "lower")


def test_dir_lists_fields_of_structs_and_methods_of_the_rest():
    assert dir(SRC.inner) == ["deep", "lower"]
    assert {"lower", "split", "contains"} <= set(dir(SRC.text))
    assert "lower" not in dir(SRC.n)


USES = {
    "bool(ref)": (bool, "use & | ~"),
    "len(ref)": (len, r"ref.length\(\)"),
    "list(ref)": (list, "methods of lists"),
    "x in ref": (lambda ref: "x" in ref, r"ref.contains\(x\)"),
    "ref and ref": (lambda ref: ref and ref, "use & | ~"),
    "not ref": (lambda ref: not ref, "use & | ~"),
    "1 < ref < 3": (lambda ref: 1 < ref < 3, "use & | ~"),
    "int(ref)": (int, r'\.cast\("int64"\)'),
    "float(ref)": (float, r'\.cast\("float64"\)'),
    "sequence[ref]": (lambda ref: [1, 2][ref], r"ref\[...\]"),
}


@pytest.mark.parametrize("spelled", USES)
def test_what_python_would_ask_now_is_refused_with_the_right_spelling(spelled: str):
    use, spelling = USES[spelled]
    with pytest.raises(DefinitionTypeError, match=spelling) as caught:
        use(SRC.n)
    assert caught.value.site is not None
    assert caught.value.site.file == __file__


def test_operators_that_mean_nothing_say_what_was_given():
    with pytest.raises(DefinitionTypeError, match="'-' means nothing for string and 1"):
        SRC.text - 1
    with pytest.raises(DefinitionError):
        SRC.inner + SRC.inner


def test_python_functions_reach_their_methods():
    assert feature_of(abs(SRC.n)).dtype == "int64"
    assert feature_of(math.floor(SRC.n / 2)).dtype in ("int64", "float64")
    number = SRC.n
    assert +number is number


def test_a_label_that_does_not_exist_is_named():
    with pytest.raises(UnknownNameError, match="has no label 'spma'") as caught:
        SRC.label == "spma"  # noqa: B015
    assert caught.value.hint == "did you mean 'spam'?"


def test_a_ref_shows_what_it_is_and_can_be_a_key():
    assert "string" in repr(SRC.text)
    assert {SRC.text: 1}
    assert hash(SRC.text) == hash(SRC["text"])


def test_a_line_end_in_a_name_stays_within_the_line():
    source = flow_of({"a\nb": "string", "c": "int64"})
    assert repr(source["a\nb"]).startswith(r"<ref %0.a\nb: ")
    with pytest.raises(DefinitionError) as raised:
        _ = source.zzzzzz
    assert r"a\nb, c" in raised.value.hint
