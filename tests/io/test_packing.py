"""Cutting sources: ranges that workers share, of segments that stay as they are when files come and go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyped_beam.io.readers.base import Block
from hyped_beam.io.readers.packing import pack, segments_of


def test_small_files_share_a_range_and_blocks_without_rows_are_left_out():
    megabyte = 1 << 20
    files = [(f"f{n}", [Block(0, 1, megabyte, 10), Block(1, 2, megabyte, 0)]) for n in range(9)]
    ranges = pack(files)
    assert [len(part.pieces) for part in ranges] == [4, 4, 1]
    assert [part.first_row for part in ranges] == [0, 40, 80]


def test_a_large_source_is_cut_at_64_megabytes_and_a_small_one_finer():
    def sizes(count):
        ranges = pack([("f", [Block(n, n + 1, 1 << 20, 10) for n in range(count)])])
        return [(part.pieces[-1].stop - part.pieces[0].start) for part in ranges]

    assert set(sizes(64 * 30)) == {64}
    assert sizes(160) == [8] * 20
    assert sizes(10) == [4, 4, 2]


def test_rows_are_reason_enough_to_cut_a_small_source():
    ranges = pack([("f", [Block(n, n + 1, 100, 50) for n in range(40)])])
    assert {part.rows for part in ranges} == {100}
    few = pack([("f", [Block(n, n + 1, 100, 1) for n in range(70)])])
    assert [part.rows for part in few] == [64, 6]


def test_after_rows_that_only_reading_tells_nothing_is_known():
    big = 100 << 20
    ranges = pack(
        [("a", [Block(0, 1, big, 5)]), ("b", [Block(0, None, big, None)]), ("c", [Block(0, 1, big, 5)])]
    )
    assert [(part.rows, part.first_row) for part in ranges] == [(5, 0), (None, 5), (5, None)]


# ---------------------------------------------------------------------------------------------- segments


def segments(files):
    found = [segment for part in pack(sorted(files.items())) for segment in segments_of(part.pieces)]
    return [tuple((piece.path, piece.start, piece.stop) for piece in segment) for segment in found]


def one_block(size, rows=None):
    return [Block(0, None, size, rows)]


@pytest.mark.parametrize(("size", "rows"), [(50, 3), (1_000, 100), (30_000, None), (5 << 20, 10**6)])
def test_each_of_a_hundred_files_is_a_segment_whatever_comes_and_goes(size, rows):
    files = {f"part-{number:03}.jsonl": one_block(size + number % 7, rows) for number in range(100)}
    alone = [((name, 0, None),) for name in files]
    assert segments(files) == alone
    more = {**files, "part-0505.jsonl": one_block(size, rows)}
    assert sorted(segments(more)) == sorted([*alone, (("part-0505.jsonl", 0, None),)])


def test_very_many_tiny_files_share_segments_and_one_more_changes_few():
    files = {f"{number:05}.txt": one_block(100 + number * 7 % 400, 1) for number in range(20_000)}
    before = segments(files)
    assert 500 < len(before) < 5_000
    after = segments({**files, "07000-new.txt": one_block(200, 1)})
    assert len(set(after) - set(before)) <= 2
    assert len(set(before) - set(after)) <= 1


def test_tiny_files_are_cut_the_same_wherever_their_folder_is():
    def cut(folder):
        files = {f"{folder}/{number:05}.txt": one_block(100, 1) for number in range(20_000)}
        return [len(segment) for segment in segments(files)]

    assert cut("/data/mail") == cut("/srv/else") == cut("s3://bucket/mail")
    assert len({len(segment) for segment in [cut("/a/group=1"), cut("/a/group=2")]}) == 2


def test_a_large_file_is_cut_the_same_whatever_stands_before_it():
    large = [Block(number, number + 1, 1 << 20, 100) for number in range(300)]
    alone = segments({"b": large})
    assert len(alone) > 16
    assert segments({"a": one_block(7 << 20), "b": large, "c": one_block(1 << 20)})[1:-1] == alone


sizes = st.integers(0, 5_000)


@given(st.dictionaries(st.integers(0, 500), sizes, min_size=1, max_size=300), st.data())
def test_segments_hold_every_block_once_in_order(sized, data):
    files = {
        f"{number:03}": [
            Block(at * 10, (at + 1) * 10, size, data.draw(st.sampled_from([None, 0, 5])))
            for at in range(number % 3)
        ]
        for number, size in sized.items()
    }
    ranges = pack(sorted(files.items()))
    held = [(piece.path, piece.start, piece.stop) for part in ranges for piece in part.pieces]
    for path, blocks in files.items():
        filled = [block for block in blocks if block.rows != 0]
        cuts = [(start, stop) for name, start, stop in held if name == path]
        assert [start for start, _ in cuts] == sorted({start for start, _ in cuts})
        if filled:
            assert (cuts[0][0], cuts[-1][1]) == (filled[0].start, filled[-1].stop)
    assert held == sorted(held)
