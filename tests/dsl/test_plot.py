"""Pictures of flows: what they show, the files they are saved to, and where they may be drawn."""

from __future__ import annotations

import random
import re
import struct
from xml.etree import ElementTree

import datasets
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from hyped_beam.aggregators import Count, Mean
from hyped_beam.dsl.drawing.axes import ScaledText
from hyped_beam.dsl.drawing.picture import MOST_LINES, Picture, picture_of
from hyped_beam.dsl.outputs import Outputs, graph_of
from hyped_beam.dsl.plot import dot_text, draw, save, svg
from hyped_beam.errors import DefinitionError
from hyped_beam.ir.graph import Graph, Kind
from hyped_beam.nodes.pack import pack
from hyped_beam.nodes.processor import Processor
from hyped_beam.nodes.refs import Ref, builder_of
from hyped_beam.testing import flow_of
from hyped_beam.types.patterns import AnyColumn, FloatColumn, Int64Column, StringColumn, StructColumn

COLUMNS = datasets.Features(
    {
        "id": datasets.Value("int64"),
        "text": datasets.Value("string"),
        "subject": datasets.Value("large_string"),
        "label": datasets.ClassLabel(names=["ham", "spam"]),
    }
)
SMALLEST_FONT = 7.0
TEXTS = [
    '"', "'", "\\", "\\n", "\\N", "{{ inputs.text }}", "<b>&amp;</b>", "a | b", "a    b", "é 漢字 🙂",
    "\x00", "\n", "--", "%1", "$x$",
]  # fmt: skip


class Render(Processor):
    template: str = ""

    def process(self, inputs: StructColumn) -> StringColumn:
        raise NotImplementedError


class Size(Processor):
    def process(self, text: StringColumn) -> Int64Column:
        raise NotImplementedError


class Pair(Processor):
    promote = True

    def process(self, left: AnyColumn, right: AnyColumn) -> AnyColumn:
        raise NotImplementedError


class Half(Processor):
    def process(self, value: FloatColumn) -> FloatColumn:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")


@pytest.fixture
def source() -> Ref:
    return flow_of(COLUMNS)


def graph(ref: Ref, collect, aggregators=None) -> Graph:
    return graph_of(builder_of(ref), Outputs(collect, aggregators))


def small() -> Graph:
    source = flow_of(COLUMNS)
    return graph(source, {"size": Size().call(source.text)})


def large(nodes: int = 60) -> Graph:
    source = flow_of(COLUMNS)
    chosen = random.Random(0)  # noqa: S311 - a shape that is the same every time
    texts = [source.text, source.subject]
    sizes = []
    for number in range(nodes // 2):
        template = f"{number}: {{{{ inputs.text }}}}"
        rendered = Render(template=template).call(inputs={"text": chosen.choice(texts[-6:])})
        texts.append(rendered)
        sizes.append(Size().call(rendered))
    collected = {f"size_{number}": size for number, size in enumerate(sizes)}
    return graph(source, collected, {"mean": Mean().call(sizes[-1])})


def arrows(picture: Picture) -> dict[tuple[str, str], tuple[str, ...]]:
    titles = {box.node: box.title for box in picture.boxes}
    return {(titles[arrow.tail], titles[arrow.head]): arrow.lines for arrow in picture.arrows}


def parsed(drawn: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawn)  # noqa: S314 - written by us


def texts(axes) -> list[ScaledText]:
    axes.figure.draw_without_rendering()
    return [artist for artist in axes.get_children() if isinstance(artist, ScaledText)]


class TestWhatIsShown:
    def test_each_node_is_a_box_of_its_kind(self, source):
        size = Size().call(source.text)
        picture = picture_of(graph(source, {"size": size}, {"mean": Mean().call(size)}))
        assert [(box.kind, box.title) for box in picture.boxes] == [
            (Kind.SOURCE, "source"),
            (Kind.MAP, "size"),
            (Kind.AGGREGATE, "mean"),
            (Kind.SINK, "output rows"),
            (Kind.SINK, "output aggregates"),
        ]

    def test_arrows_name_features_and_types(self, source):
        assert arrows(picture_of(graph(source, {"n": Size().call(source.text)}))) == {
            ("source", "size"): ("text: string",),
            ("size", "output rows"): ("n: int64",),
        }

    def test_edges_between_two_nodes_are_one_arrow(self, source):
        collected = {"id": source.id, "kind": source.label, "again": {"id": source.id}}
        picture = picture_of(graph(source, collected))
        assert arrows(picture) == {
            ("source", "output rows"): ("id: int64", "kind = label: ClassLabel(2)", "again.id = id: int64")
        }

    def test_inputs_are_told_apart(self, source):
        pair = Pair().call(left=source.subject, right=Render().call(inputs=source))
        shown = arrows(picture_of(graph(source, {"pair": pair})))
        assert shown["source", "pair"] == ("left = subject: large_string",)
        assert shown["render", "pair"] == ("right: string as large_string",)
        assert shown["source", "render"] == ("{id, text, subject, label}",)

    def test_constants_stand_in_the_box_that_uses_them(self, source):
        picture = picture_of(graph(source, {"pair": Pair().call(left=source.id, right=7)}))
        (box,) = [box for box in picture.boxes if box.kind is Kind.MAP]
        assert (box.title, box.lines) == ("pair", ("right = 7",))

    def test_a_promoted_constant_too(self, source):
        pair = Pair().call(left=source.id, right=Pair().call(left=source.id, right=0.5))
        picture = picture_of(graph(source, {"pair": pair}))
        assert [box.lines for box in picture.boxes if box.kind is Kind.MAP] == [("right = 0.5",), ()]

    def test_a_struct_for_one_node_is_its_input_and_for_two_a_box(self, source):
        inputs = Render().call(inputs={"text": source.text, "kind": "mail"})
        assert arrows(picture_of(graph(source, {"a": inputs})))["source", "render"] == ("text: string",)
        shared = pack({"text": source.text})
        twice = {"a": Render(template="a").call(inputs=shared), "b": Render().call(inputs=shared)}
        assert arrows(picture_of(graph(source, twice)))["source", "collect"] == ("text: string",)

    def test_options_are_shown_in_short_and_in_full_beside_the_pointer(self, source):
        template = "Dear {{ inputs.text }},\n" + "x" * 100
        (box,) = [
            box
            for box in picture_of(graph(source, {"a": Render(template=template).call(inputs=source)})).boxes
            if box.kind is Kind.MAP
        ]
        assert box.lines[0].startswith("template = 'Dear {{ inputs.text }}")
        assert len(box.lines[0]) < 50
        assert "x" * 100 in box.tooltip
        assert re.search(r"at test_plot\.py:\d+", box.tooltip)

    def test_of_many_columns_some_are_named(self):
        source = flow_of({f"column_{number}": datasets.Value("int8") for number in range(50)})
        (lines,) = arrows(picture_of(graph(source, source))).values()
        assert len(lines) == 1
        collected = {f"column_{number}": source[f"column_{number}"] for number in range(50)}
        (lines,) = arrows(picture_of(graph(source, collected))).values()
        assert len(lines) == MOST_LINES
        assert lines[-1] == "and 45 more"

    def test_values_of_the_whole_dataset_are_marked(self, source):
        picture = picture_of(graph(source, None, {"n": Count().call(source.text)}))
        assert [arrow.whole_dataset for arrow in picture.arrows] == [False, True]

    def test_a_flow_without_outputs(self, source):
        assert [box.title for box in picture_of(builder_of(source).build()).boxes] == ["source"]


class TestDot:
    def test_the_same_flow_gives_the_same_text(self):
        assert dot_text(small()) == dot_text(small())

    def test_a_small_flow_goes_to_the_right_a_long_chain_down(self, source):
        assert "rankdir=LR" in dot_text(small())
        text = source.text
        for _ in range(30):
            text = Render().call(inputs={"text": text})
        assert "rankdir=TB" in dot_text(graph(source, {"text": text}))

    @pytest.mark.parametrize("text", TEXTS)
    def test_any_text_can_be_an_option(self, source, text):
        drawn = svg(graph(source, {"a": Render(template=text).call(inputs=source)}))
        shown = "".join(parsed(drawn).itertext()).replace("\xa0", " ")
        assert f"template = {text!r}" in shown

    @pytest.mark.parametrize(
        "name", ['quoted "name"', "a:b", "node", "<b>", "ä ö", "semi;colon", "back\\Nslash"]
    )
    def test_any_text_can_be_a_name(self, name):
        source = flow_of({name: datasets.Value("string")})
        made = Size().options(name=name).call(source[name])
        shown = "".join(parsed(svg(graph(source, {name: made}))).itertext())
        assert f"{name}: string" in shown
        assert f"{name}: int64" in shown

    def test_what_xml_cannot_hold_is_replaced(self):
        source = flow_of({"bell \x07": datasets.Value("string")})
        shown = "".join(parsed(svg(graph(source, source))).itertext())
        assert "{bell \\x07}" in shown


class TestFiles:
    def test_svg_is_vectors_with_text(self, tmp_path):
        draw(small(), path=tmp_path / "flow.svg")
        drawn = parsed((tmp_path / "flow.svg").read_text(encoding="utf-8"))
        assert drawn.tag.endswith("svg")
        assert "text: string" in "".join(drawn.itertext())
        assert not drawn.findall(".//{*}image")

    def test_png(self, tmp_path):
        draw(small(), path=str(tmp_path / "flow.PNG"))
        content = (tmp_path / "flow.PNG").read_bytes()
        assert content.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", content[16:24])
        assert width > height > 100

    def test_pdf_is_vectors_and_the_same_bytes_every_time(self, tmp_path):
        save(small(), tmp_path / "a.pdf")
        save(small(), tmp_path / "b.pdf")
        content = (tmp_path / "a.pdf").read_bytes()
        assert content.startswith(b"%PDF")
        assert b"/Subtype /Image" not in content
        assert content == (tmp_path / "b.pdf").read_bytes()

    def test_saving_leaves_pyplot_alone(self, tmp_path):
        save(small(), tmp_path / "flow.png")
        assert pyplot.get_fignums() == []

    def test_an_unknown_kind_of_file(self, tmp_path):
        with pytest.raises(DefinitionError, match=r"\.svg, \.png or \.pdf.*ends in '\.sgv'") as raised:
            draw(small(), path=tmp_path / "flow.sgv")
        assert "flow.svg" in str(raised.value.hint)
        assert raised.value.site is not None
        assert pyplot.get_fignums() == []

    def test_no_kind_of_file(self, tmp_path):
        with pytest.raises(DefinitionError, match="has no suffix"):
            draw(small(), path=tmp_path / "flow")

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(DefinitionError, match="missing' does not exist"):
            draw(small(), path=tmp_path / "missing" / "flow.svg")


class TestAxes:
    @pytest.mark.parametrize("made", [small, large])
    def test_text_is_legible_at_any_number_of_nodes(self, made):
        axes = draw(made())
        sizes = [text.get_fontsize() for text in texts(axes)]
        assert min(sizes) >= SMALLEST_FONT

    @pytest.mark.parametrize("made", [small, large])
    def test_words_do_not_overlap(self, made):
        axes = draw(made())
        boxes = [text.get_window_extent() for text in texts(axes) if text.get_text().strip()]
        overlapping = [
            (left, right)
            for number, left in enumerate(boxes)
            for right in boxes[number + 1 :]
            if left.padded(-2).overlaps(right.padded(-2))
        ]
        assert overlapping == []

    def test_new_axes_are_pyplots_so_that_a_notebook_shows_them(self):
        axes = draw(small())
        assert pyplot.gcf() is axes.figure

    def test_given_axes_are_drawn_on_and_text_follows_their_size(self):
        figure = Figure(figsize=(12, 4))
        left, right = figure.subplots(1, 2, width_ratios=[3, 1])
        assert draw(small(), ax=left) is left
        draw(small(), ax=right)
        assert pyplot.get_fignums() == []
        large_text, small_text = texts(left)[0].get_fontsize(), texts(right)[0].get_fontsize()
        assert large_text > 2 * small_text

    def test_text_is_no_formula_and_unknown_characters_are_boxes(self, source, recwarn):
        axes = draw(graph(source, {"a": Render(template="$x_1$ 漢").call(inputs=source)}))
        shown = [text.get_text() for text in texts(axes)]
        assert "template = '$x_1$ □'" in shown
        assert [str(warning.message) for warning in recwarn] == []

    def test_a_title(self):
        assert "Mails" in [text.get_text() for text in texts(draw(small(), title="Mails"))]


class TestNotebook:
    def test_an_element_that_fits_the_page(self):
        shown = svg(small())
        assert shown.startswith("<svg style=")
        assert parsed(shown).get("style") == "max-width: 100%; height: auto"
