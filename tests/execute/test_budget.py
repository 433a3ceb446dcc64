"""Budgets: never more slots than there are, none unused while somebody waits, a share for everybody."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from multiprocessing import Pipe
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyped_beam.execute import budget
from hyped_beam.execute.budget import Budget, Member, Membership


class Process:
    """What a process knows of its member."""

    def __init__(self, join: Callable[[Callable[[str, float], None]], Membership]) -> None:
        self.slots = 0
        self.recalled = 0
        self.starts: list[float] = []
        self.member = join(self.receive)

    def receive(self, what: str, amount: float) -> None:
        if what == "slots":
            self.slots += int(amount)
        elif what == "recall":
            self.recalled += int(amount)
        else:
            self.starts.append(amount)

    def ask(self, slots: int) -> None:
        self.slots += self.member.ask(slots)

    def give_back(self, slots: int) -> None:
        slots = min(slots, self.slots)
        self.slots -= slots
        self.recalled = max(0, self.recalled - slots)
        self.member.give_back(slots)


@settings(max_examples=200)
@given(
    st.integers(1, 9),
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["ask", "give back", "leave"]), st.integers(0, 3), st.integers(1, 5))),
)
def test_slots_are_never_too_many_nor_unused_and_nobody_is_forgotten(concurrency, count, steps):
    shared = Budget(concurrency, None)
    processes = [Process(shared.join) for _ in range(count)]
    there = dict(enumerate(processes))
    for what, number, amount in steps:
        process = there.get(number)
        if process is None:
            continue
        if what == "ask":
            process.ask(amount)
        elif what == "give back":
            process.give_back(amount)
        else:
            there.pop(number).member.leave()
        members = {number: one.member for number, one in there.items()}
        assert all(isinstance(member, Member) for member in members.values())
        assert all(there[number].slots == member.held for number, member in members.items())
        held = sum(member.held for member in members.values())
        waiting = [member for member in members.values() if member.waiting]
        assert held <= concurrency
        assert held == concurrency or not waiting
        if any(not member.held for member in waiting):
            assert any(one.recalled for one in there.values())


def test_each_has_its_share_while_all_have_work():
    shared = Budget(8, None)
    first, second = Process(shared.join), Process(shared.join)
    first.ask(20)
    assert (first.slots, first.recalled) == (8, 0)
    second.ask(20)
    assert (second.slots, first.recalled) == (0, 4)
    for _ in range(4):
        first.give_back(1)
        first.ask(1)
    assert (first.slots, second.slots, first.recalled, second.recalled) == (4, 4, 0, 0)
    second.give_back(4)  # it has no more work than that
    second.member.leave()
    assert first.slots == 8


def test_one_slot_goes_round():
    shared = Budget(1, None)
    first, second = Process(shared.join), Process(shared.join)
    first.ask(5)
    second.ask(5)
    turns = []
    for _ in range(6):
        has, other = (first, second) if first.slots else (second, first)
        assert (has.slots, other.slots, has.recalled) == (1, 0, 1)
        turns.append(has is first)
        has.give_back(1)
        has.ask(1)
    assert turns == [True, False] * 3


def test_starts_are_so_far_apart_whoever_asks():
    shared = Budget(64, 0.1)
    first, second = Process(shared.join), Process(shared.join)
    began = time.monotonic()
    for process in (first, second, second, first, second):
        process.member.ask_start()
    starts = sorted(first.starts + second.starts)
    assert starts[0] >= began
    assert [later - earlier for earlier, later in itertools.pairwise(starts)] == pytest.approx([10] * 4)


def test_what_a_process_had_is_free_once_it_has_gone():
    here, there = Pipe()
    server = Thread(target=budget.serve, args=(here,))
    server.start()
    key = "test_what_a_process_had_is_free_once_it_has_gone"
    there.send(("join", 0, key, 3, None))
    there.send(("ask", 0, 3))
    assert there.recv() == (0, "slots", 3)
    local = Process(lambda deliver: budget.join(key, 3, None, deliver))
    local.ask(3)
    assert local.slots == 0
    assert there.recv() == (0, "recall", 1)
    there.close()  # without having given back anything
    server.join(600)
    assert local.slots == 3
    local.member.leave()


def test_a_budget_is_forgotten_once_nobody_would_notice():
    first = Process(lambda deliver: budget.join("forgotten 1", 3, None, deliver))
    first.member.leave()
    slow = Process(lambda deliver: budget.join("forgotten 2", 3, 1e-3, deliver))
    slow.member.ask_start()
    slow.member.leave()
    Process(lambda deliver: budget.join("forgotten 3", 3, None, deliver)).member.leave()
    assert "forgotten 1" not in budget._budgets
    again = Process(lambda deliver: budget.join("forgotten 2", 3, 1e-3, deliver))
    again.member.ask_start()
    assert again.starts[0] - slow.starts[0] == pytest.approx(1000)
    again.member.leave()
