"""Every feature that `datasets` knows: described, saved, and through a flow unharmed."""

from __future__ import annotations

import datetime
import decimal
import json

import datasets
import pyarrow as pa
import pytest
from datasets import (
    Array2D,
    Array3D,
    Array4D,
    Array5D,
    ClassLabel,
    Features,
    Image,
    Json,
    LargeList,
    List,
    Sequence,
    Translation,
    TranslationVariableLanguages,
    Value,
)
from datasets.features.features import _FEATURE_TYPES

from hyped_beam import DataFlow
from hyped_beam.dsl.outputs import ROWS, Outputs, graph_of, plan_of
from hyped_beam.nodes.pack import pack
from hyped_beam.nodes.refs import builder_of, feature_of
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types import arrays, features
from hyped_beam.types.features import Family

UTC = datetime.timezone.utc
NOW = datetime.datetime(2024, 2, 29, 12, 30, 15)  # noqa: DTZ001 - a column without a zone
INSTANT = NOW.replace(tzinfo=UTC)
FILE = {"bytes": b"\x00\x01", "path": "a/b.bin"}

DTYPES = {
    "null": (None, Family.NULL),
    "bool": (True, Family.BOOLEAN),
    **dict.fromkeys(["int8", "int16", "int32", "int64"], (-7, Family.INTEGER)),
    **dict.fromkeys(["uint8", "uint16", "uint32", "uint64"], (7, Family.INTEGER)),
    **dict.fromkeys(["float16", "float32", "float64"], (0.5, Family.FLOAT)),
    **dict.fromkeys(["time32[s]", "time32[ms]", "time64[us]", "time64[ns]"], (NOW.time(), Family.TIME)),
    **dict.fromkeys(
        ["timestamp[s]", "timestamp[ms]", "timestamp[us]", "timestamp[ns]"], (NOW, Family.TIMESTAMP)
    ),
    **dict.fromkeys(
        ["timestamp[us, tz=UTC]", "timestamp[ns, tz=Europe/Berlin]", "timestamp[s, tz=+02:00]"],
        (INSTANT, Family.TIMESTAMP),
    ),
    **dict.fromkeys(["date32", "date64"], (NOW.date(), Family.DATE)),
    **dict.fromkeys(
        ["duration[s]", "duration[ms]", "duration[us]", "duration[ns]"],
        (datetime.timedelta(days=1, seconds=2), Family.DURATION),
    ),
    **dict.fromkeys(["decimal128(10, 2)", "decimal256(50, 2)"], (decimal.Decimal("12.34"), Family.DECIMAL)),
    **dict.fromkeys(["binary", "large_binary", "binary_view"], (b"\x00abc", Family.BINARY)),
    "fixed_size_binary[3]": (b"abc", Family.BINARY),
    **dict.fromkeys(["string", "large_string", "string_view"], ("é 漢", Family.STRING)),
}

NESTED = {
    "ClassLabel": (ClassLabel(names=["ham", "spam"]), 1, Family.INTEGER),
    "List": (List(Value("int32")), [1, None, 3], Family.LIST),
    "List of fixed length": (List(Value("float32"), length=2), [1.5, 2.5], Family.LIST),
    "List of lists": (List(List(Value("string"))), [["a"], [], None], Family.LIST),
    "List of structs": (
        List({"a": Value("int8"), "b": List(Value("string"))}),
        [{"a": 1, "b": ["x"]}],
        Family.LIST,
    ),
    "List of labels": (List(ClassLabel(names=["x", "y"])), [0, 1], Family.LIST),
    "List of images": (List(Image()), [FILE, None], Family.LIST),
    "List of arrays": (List(Array2D((1, 2), "int8")), [[[1, 2]], [[3, 4]]], Family.LIST),
    "List of Json": (List(Json()), ['{"a": 1}', None], Family.LIST),
    "LargeList": (LargeList(Value("string")), ["a", None], Family.LIST),
    "LargeList of arrays": (LargeList(Array2D((1, 2), "int8")), [[[1, 2]]], Family.LIST),
    "Sequence": (Sequence(Value("int8")), [1, 2], Family.LIST),
    "Sequence of a dict": (Sequence({"a": Value("int32")}), {"a": [1, 2]}, Family.STRUCT),
    "Array2D": (Array2D((2, 3), "int32"), [[1, 2, 3], [4, 5, 6]], Family.OTHER),
    "Array2D of any height": (Array2D((None, 2), "float32"), [[1.0, 2.0]], Family.OTHER),
    "Array3D": (Array3D((1, 2, 1), "uint8"), [[[1], [2]]], Family.OTHER),
    "Array4D": (Array4D((1, 1, 2, 1), "int64"), [[[[1], [2]]]], Family.OTHER),
    "Array5D": (Array5D((1, 1, 1, 2, 1), "float64"), [[[[[1.0], [2.0]]]]], Family.OTHER),
    "Image": (Image(), FILE, Family.OTHER),
    "Image, mode": (Image(mode="RGB", decode=False), FILE, Family.OTHER),
    "Audio": (datasets.Audio(sampling_rate=16_000), FILE, Family.OTHER),
    "Video": (datasets.Video(), FILE, Family.OTHER),
    "Pdf": (datasets.Pdf(), FILE, Family.OTHER),
    "Nifti": (datasets.Nifti(), FILE, Family.OTHER),
    "Mesh": (datasets.Mesh(), FILE, Family.OTHER),
    "BioSequence": (datasets.BioSequence(format="fasta"), FILE, Family.OTHER),
    "BioStructure": (datasets.BioStructure(format="pdb"), FILE, Family.OTHER),
    "Json": (Json(), '{"a": [1, null]}', Family.OTHER),
    "Json, text": (Json(decode=False), "[]", Family.OTHER),
    "Translation": (Translation(["de", "en"]), {"de": "ja", "en": "yes"}, Family.STRUCT),
    "TranslationVariableLanguages": (
        TranslationVariableLanguages(languages=["de", "en"]),
        {"language": ["de", "en"], "translation": ["ja", "yes"]},
        Family.STRUCT,
    ),
    "struct": (
        {"a": Value("int8"), "b": {"c": Value("large_string"), "d": ClassLabel(names=["q"])}, "e": Image()},
        {"a": 1, "b": {"c": "x", "d": 0}, "e": FILE},
        Family.STRUCT,
    ),
    "struct of arrays": ({"m": Array2D((1, 2), "int8")}, {"m": [[1, 2]]}, Family.STRUCT),
    "struct of nothing": ({}, {}, Family.STRUCT),
}

EVERY = {dtype: (Value(dtype), value, family) for dtype, (value, family) in DTYPES.items()} | NESTED
ALL_FEATURES = pytest.mark.parametrize(("feature", "value", "family"), list(EVERY.values()), ids=list(EVERY))


def column(feature, values) -> pa.Array:
    return arrays.from_values(values, features.to_arrow(feature))


def stored(array: pa.Array) -> pa.Array:
    """An array without extension types, whose `to_pylist` in `datasets` fails on nulls."""
    return arrays.conform(array, arrays.storage_type(array.type))


def with_rows(feature, value) -> dict[str, pa.Table]:
    """A table of one column for each way in which a batch may come."""
    full = column(feature, [None, value, value, None, value])
    return {
        "rows": pa.table({"x": full}),
        "sliced": pa.table({"x": full.slice(1, 3)}),
        "one row": pa.table({"x": column(feature, [value])}),
        "nulls": pa.table({"x": column(feature, [None, None])}),
        "empty": pa.table({"x": column(feature, [])}),
    }


def test_every_kind_of_feature_is_tried():
    kinds = {type(feature).__name__ for feature, *_ in EVERY.values()}
    assert set(_FEATURE_TYPES) <= kinds


@ALL_FEATURES
class TestEachFeature:
    def test_family(self, feature, value, family):
        assert features.family(feature) is family

    def test_description_is_a_line(self, feature, value, family):
        described = features.describe(feature)
        assert described
        assert "\n" not in described
        assert "object at" not in described

    def test_json(self, feature, value, family):
        saved = json.dumps(features.to_json(feature))
        restored = features.from_json(json.loads(saved))
        assert features.same(restored, feature)
        assert features.to_arrow(restored) == features.to_arrow(feature)

    def test_its_arrow_type_is_that_of_its_plain_feature(self, feature, value, family):
        stored = features.to_arrow(feature)
        assert features.to_arrow(features.from_arrow(stored)) == stored

    def test_the_schema_tells_it(self, feature, value, family):
        schema = features.arrow_schema({"x": feature})
        assert features.same(Features.from_arrow_schema(schema)["x"], feature)

    def test_it_is_the_same_as_itself_only(self, feature, value, family):
        (equal,) = [other for other, *_ in EVERY.values() if features.same(feature, other)]
        assert equal is feature

    def test_it_goes_through_a_flow_unharmed(self, feature, value, family):
        for table in with_rows(feature, value).values():
            assert evaluate(flow_of({"x": feature}).x, table).equals(table["x"].combine_chunks())

    def test_and_inside_collected_structs(self, feature, value, family):
        for table in with_rows(feature, value).values():
            ref = pack({"a": flow_of({"x": feature}).x})
            found = evaluate(pack({"inner": ref}), table)
            assert found.field("inner").field("a").equals(table["x"].combine_chunks())

    def test_and_inside_collected_lists(self, feature, value, family):
        for table in with_rows(feature, value).values():
            x = flow_of({"x": feature}).x
            found = evaluate(pack([x, x]), table)
            assert found.type == features.to_arrow(List(feature, length=2))
            given = stored(table["x"].combine_chunks()).to_pylist()
            assert stored(found).to_pylist() == [[item, item] for item in given]

    def test_the_output_says_which_feature_it_is(self, feature, value, family):
        x = flow_of({"x": feature}).x
        plan = plan_of(graph_of(builder_of(x), Outputs({"y": x, "z": {"deep": x}})))
        (output,) = plan.scan.outputs
        assert output.name == ROWS
        told = Features.from_arrow_schema(output.schema)
        assert features.same(told["y"], feature)
        assert features.same(told["z"]["deep"], feature)

    def test_its_fields_are_refs_of_their_types(self, feature, value, family):
        source = flow_of({"x": feature})
        table = pa.table({"x": column(feature, [value, None])})
        storage = features.to_arrow(feature)
        for name, inner in features.fields(feature).items():
            ref = source.x[name]
            assert features.same(feature_of(ref), inner)
            found = evaluate(ref, table)
            assert found.type == storage.field(name).type
            assert found.to_pylist()[1] is None


class TestDescription:
    @pytest.mark.parametrize(
        ("feature", "expected"),
        [
            (Value("int8"), "int8"),
            (ClassLabel(names=["a", "b"]), "ClassLabel(a, b)"),
            (ClassLabel(names=list("abcd")), "ClassLabel(a, b, c, ...)"),
            (List(Value("int8"), length=3), "list<int8, 3>"),
            (LargeList({"a": Value("bool")}), "large_list<{a: bool}>"),
            (Array2D((None, 3), "int32"), "Array2D(int32, ?x3)"),
            (Image(), "Image"),
        ],
    )
    def test_in_a_few_characters(self, feature, expected):
        assert features.describe(feature) == expected


class TestSame:
    @pytest.mark.parametrize(
        ("left", "right"),
        [
            (ClassLabel(names=["a", "b"]), ClassLabel(names=["b", "a"])),
            (ClassLabel(names=["a"]), Value("int64")),
            (List(Value("int8")), LargeList(Value("int8"))),
            (List(Value("int8")), List(Value("int8"), length=1)),
            (List(ClassLabel(names=["a"])), List(ClassLabel(names=["b"]))),
            (Image(), Image(decode=False)),
            (datasets.Audio(sampling_rate=8_000), datasets.Audio(sampling_rate=16_000)),
            (Array2D((1, 2), "int8"), Array2D((2, 1), "int8")),
            ({"a": Value("int8"), "b": Value("int8")}, {"b": Value("int8"), "a": Value("int8")}),
            (Value("timestamp[us]"), Value("timestamp[us, tz=UTC]")),
            (Translation(["de", "en"]), {"de": Value("string"), "en": Value("string")}),
        ],
    )
    def test_what_differs_in_meaning_is_not_the_same(self, left, right):
        assert not features.same(left, right)
        assert not features.same(right, left)

    def test_features_and_a_dict_of_them_are_the_same(self):
        assert features.same(Features({"a": Value("int8")}), {"a": Value("int8")})


class TestAsFeatures:
    SCHEMA = pa.schema({"a": pa.int8()})

    @pytest.mark.parametrize(
        "given",
        [
            {"a": Value("int8")},
            Features({"a": Value("int8")}),
            SCHEMA,
            pa.struct({"a": pa.int8()}),
            datasets.Dataset.from_dict({"a": [1]}, features=Features({"a": Value("int8")})),
        ],
    )
    def test_whatever_describes_columns(self, given):
        assert features.as_features(given) == Features({"a": Value("int8")})

    def test_dtypes_stand_within_lists_too(self):
        nested = {"a": ["int8"], "b": [{"c": "string", "d": ["float64"]}]}
        wanted = {"a": List(Value("int8")), "b": List({"c": Value("string"), "d": List(Value("float64"))})}
        assert features.as_features(nested) == Features(wanted)

    def test_metadata_of_a_schema_is_read(self):
        label = Features({"a": ClassLabel(names=["x"])})
        assert features.as_features(label.arrow_schema) == label

    @pytest.mark.parametrize("given", [None, 3, "text", ["a"], {1: Value("int8")}, Value("int8")])
    def test_what_describes_none_is_refused(self, given):
        with pytest.raises(TypeError, match="not a mapping of column names"):
            features.as_features(given)


class TestElements:
    def test_of_lists(self):
        assert features.element(LargeList(Value("int8"))) == Value("int8")

    def test_of_nothing_else(self):
        with pytest.raises(TypeError, match="string has no elements"):
            features.element(Value("string"))

    def test_lists_like_another(self):
        assert features.list_of(Value("int8"), like=LargeList(Value("string"))) == LargeList(Value("int8"))
        assert features.list_of(Value("int8")) == List(Value("int8"))


class TestAppliedToDatasets:
    """One dataset with a column of every feature, whose rows have them and are null."""

    COLUMNS = Features({name: feature for name, (feature, *_) in EVERY.items()})

    @pytest.fixture
    def dataset(self) -> datasets.Dataset:
        columns = [
            column(feature, [EVERY[name][1], None, EVERY[name][1]]) for name, feature in self.COLUMNS.items()
        ]
        table = pa.Table.from_arrays(columns, schema=self.COLUMNS.arrow_schema)
        info = datasets.DatasetInfo(features=self.COLUMNS)
        return datasets.Dataset(datasets.table.InMemoryTable(table), info=info)

    @pytest.mark.parametrize("rows", [3, 1, 0])
    def test_a_dataset(self, dataset, rows, tmp_path):
        given = dataset.select(range(rows))
        flow = DataFlow(features=given)
        found, _ = flow.apply(given, collect=flow.src_features, cache_dir=tmp_path)
        assert found.features == given.features
        assert found.data.table.combine_chunks().equals(dataset.data.table.slice(0, rows).combine_chunks())

    def test_an_iterable_dataset(self, dataset):
        flow = DataFlow(features=dataset)
        found, _ = flow.apply(dataset.to_iterable_dataset(), collect=flow.src_features)
        assert found.features == dataset.features
        batches = list(found.with_format("arrow").iter(batch_size=3))
        assert pa.concat_tables(batches).combine_chunks().equals(dataset.data.table.combine_chunks())

    def test_record_batches(self, dataset):
        flow = DataFlow(features=dataset)
        (batch,) = dataset.data.table.combine_chunks().to_batches()
        assert flow.batch_process(batch, collect=flow.src_features).equals(batch)
        empty = batch.slice(0, 0)
        assert flow.batch_process(empty, collect=flow.src_features).equals(empty)
