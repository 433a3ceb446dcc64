"""Limits that processes share: one budget for each node, kept by the process that started the others.

A step takes part in the budget of its node by a membership. In the process that keeps the budget that is a
`Member`; a worker of its pool has a `RemoteMember`, whose requests and answers go through a pipe.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Protocol

Deliver = Callable[[str, float], None]
"""Takes what a budget tells a member: ("slots", how many), ("recall", how many) or ("start", when)."""


class Membership(Protocol):
    """A step's part in the budget of its node."""

    def ask(self, slots: int) -> int:
        """Ask for slots, one for each call that may be under way; what is not granted now is delivered.

        Returns:
            How many are granted now.
        """

    def give_back(self, slots: int) -> None:
        """Return slots."""

    def ask_start(self) -> None:
        """Ask when a call may start, on the clock `time.monotonic`; it is delivered."""

    def leave(self) -> None:
        """Return all slots, and ask for no more."""


class Budget:
    """The limits of one node for all steps that run it.

    Slots go to the member that has the fewest, of several to the one that got none for longest. Of one that
    has more than its share some are recalled for one that waits, so that none waits until another has no
    more rows.

    Args:
        concurrency: How many slots there are; infinite for no bound.
        per_second: How many calls may start each second; None for no bound.
    """

    def __init__(self, concurrency: float, per_second: float | None) -> None:
        self._concurrency = concurrency
        self._free = concurrency
        self._interval = 0.0 if per_second is None else 1 / per_second
        self._next = -math.inf
        self._turns = itertools.count()
        self._lock = threading.Lock()
        self._members: list[Member] = []

    @property
    def is_over(self) -> bool:
        """Whether nobody would notice that it is gone."""
        return not self._members and self._next <= time.monotonic()

    def join(self, deliver: Deliver) -> Member:
        """A new member."""
        member = Member(self, deliver)
        with self._lock:
            self._members.append(member)
        return member

    def leave(self, member: Member) -> None:
        """Take back what a member has."""
        with self._lock:
            if member in self._members:
                self._members.remove(member)
                self._free += member.held
                member.is_gone = True
                self._settle()

    def ask(self, member: Member, slots: int) -> int:
        """See `Membership.ask`."""
        with self._lock:
            now = 0
            if member.is_gone:
                return 0
            if not any(other.waiting for other in self._members):
                now = int(min(slots, self._free))
                member.held += now
                member.served = next(self._turns)
                self._free -= now
            member.waiting += slots - now
            self._settle()
            return now

    def give_back(self, member: Member, slots: int) -> None:
        """See `Membership.give_back`."""
        with self._lock:
            if member.is_gone:
                return
            member.held -= slots
            member.recalled = max(0, member.recalled - slots)
            self._free += slots
            self._settle()

    def start(self) -> float:
        """When the next call may start; the time is taken."""
        with self._lock:
            start = max(time.monotonic(), self._next)
            self._next = start + self._interval
            return start

    def _settle(self) -> None:
        """Grant what is free to those that wait; recall what others have too much of."""
        granted: dict[int, int] = {}
        waiting = [member for member in self._members if member.waiting]
        while self._free >= 1 and waiting:
            member = min(waiting, key=lambda one: (one.held, one.served))
            member.held += 1
            member.waiting -= 1
            member.served = next(self._turns)
            self._free -= 1
            granted[id(member)] = granted.get(id(member), 0) + 1
            waiting = [member for member in self._members if member.waiting]
        for member in self._members:
            if id(member) in granted:
                member.deliver("slots", granted[id(member)])
        if waiting:
            self._recall(waiting)

    def _recall(self, waiting: list[Member]) -> None:
        active = [member for member in self._members if member.held or member.waiting]
        share = max(1, int(self._concurrency) // len(active))
        on_the_way = sum(member.recalled for member in self._members)
        missing = sum(min(member.waiting, max(share - member.held, 0)) for member in waiting) - on_the_way
        starved = any(not member.held for member in waiting)
        for _ in range(missing):
            rich = max(active, key=lambda one: one.held - one.recalled)
            left = rich.held - rich.recalled
            if left <= (0 if starved and not on_the_way else share):
                return
            rich.recalled += 1
            on_the_way += 1
            rich.deliver("recall", 1)


@dataclass(eq=False)
class Member:
    """A member of a budget that is kept in this process.

    Attributes:
        budget: The budget.
        deliver: Takes what the budget tells it.
        held: How many slots it has.
        waiting: How many more it has asked for.
        recalled: How many it was asked to give back, and has not yet.
        served: When it last got a slot, as the budget counts.
        is_gone: Whether it has left.
    """

    budget: Budget
    deliver: Deliver
    held: int = 0
    waiting: int = 0
    recalled: int = 0
    served: int = -1
    is_gone: bool = False

    def ask(self, slots: int) -> int:
        """See `Membership`."""
        return self.budget.ask(self, slots)

    def give_back(self, slots: int) -> None:
        """See `Membership`."""
        self.budget.give_back(self, slots)

    def ask_start(self) -> None:
        """See `Membership`."""
        self.deliver("start", self.budget.start())

    def leave(self) -> None:
        """See `Membership`."""
        self.budget.leave(self)


_budgets: dict[str, Budget] = {}
_lock = threading.Lock()


def join(key: str, concurrency: float, per_second: float | None, deliver: Deliver) -> Membership:
    """Take part in the budget of a name, which is kept by this process, or by the one whose worker it is.

    Args:
        key: The name, the same for all steps that share the budget.
        concurrency: As for `Budget`.
        per_second: As for `Budget`.
        deliver: Takes what the budget tells; called from any thread.
    """
    if _office is not None:
        return _office.join(key, concurrency, per_second, deliver)
    with _lock:
        for name in [name for name, budget in _budgets.items() if name != key and budget.is_over]:
            del _budgets[name]
        budget = _budgets.setdefault(key, Budget(concurrency, per_second))
        return budget.join(deliver)


# ------------------------------------------------------------------------------------------- other processes


def serve(connection: Connection) -> None:
    """Serve the budgets of this process to one of its workers, until that ends.

    Args:
        connection: The connection to it.
    """
    members: dict[int, Membership] = {}

    def deliver_to(number: int) -> Deliver:
        def deliver(what: str, amount: float) -> None:
            with contextlib.suppress(OSError):  # it has ended, and is noticed where it is read from
                connection.send((number, what, amount))

        return deliver

    with connection, contextlib.suppress(EOFError, OSError):
        try:
            while True:
                what, number, *given = connection.recv()
                if what == "join":
                    key, concurrency, per_second = given
                    members[number] = join(key, concurrency, per_second, deliver_to(number))
                elif what == "ask":
                    now = members[number].ask(*given)
                    if now:
                        connection.send((number, "slots", now))
                elif what == "give back":
                    members[number].give_back(*given)
                elif what == "ask start":
                    members[number].ask_start()
                else:
                    members[number].leave()
        finally:
            for member in members.values():
                member.leave()


@dataclass
class Office:
    """The budgets of the process whose worker this one is.

    Args:
        connection: The connection to it.
    """

    connection: Connection
    _members: dict[int, Deliver] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_listening: bool = False

    def join(self, key: str, concurrency: float, per_second: float | None, deliver: Deliver) -> RemoteMember:
        """See `join`."""
        with self._lock:
            number = next(self._numbers)
            self._members[number] = deliver
            if not self._is_listening:
                self._is_listening = True
                threading.Thread(target=self._listen, name="hyped-beam-limits", daemon=True).start()
        self.send("join", number, key, concurrency, per_second)
        return RemoteMember(self, number)

    def send(self, *message: object) -> None:
        """Send a request."""
        with self._lock, contextlib.suppress(OSError):  # without its parent this process ends
            self.connection.send(message)

    def forget(self, number: int) -> None:
        """Deliver nothing more to a member."""
        self._members.pop(number, None)

    def _listen(self) -> None:
        # Always reads on: whoever sends to this process is never kept waiting.
        with contextlib.suppress(EOFError, OSError):
            while True:
                number, what, amount = self.connection.recv()
                deliver = self._members.get(number)
                if deliver is not None:
                    deliver(what, amount)


@dataclass(frozen=True)
class RemoteMember:
    """A member of a budget that another process keeps."""

    office: Office
    number: int

    def ask(self, slots: int) -> int:
        """See `Membership`."""
        self.office.send("ask", self.number, slots)
        return 0

    def give_back(self, slots: int) -> None:
        """See `Membership`."""
        self.office.send("give back", self.number, slots)

    def ask_start(self) -> None:
        """See `Membership`."""
        self.office.send("ask start", self.number)

    def leave(self) -> None:
        """See `Membership`."""
        self.office.forget(self.number)
        self.office.send("leave", self.number)


_office: Office | None = None


def use_office(connection: Connection) -> None:
    """Have the budgets of this process be those of another one.

    Args:
        connection: The connection to it, at whose other end it calls `serve`.
    """
    global _office  # noqa: PLW0603 - what a process is
    _office = Office(connection)
