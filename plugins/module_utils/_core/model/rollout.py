# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout: a changed configuration on its way to what runs, a few items at a time. Its settings, and its record."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Tuple, Union

# States of a rollout.
GOING = "running"
PAUSED = "paused"  # by a person
HALTED = "stopped"  # by a failure
ABORTED = "aborted"  # by a person, for good
DONE = "done"
LIVE = (GOING, PAUSED, HALTED)  # a person may still pause or resume it
_Batch = Tuple[Tuple[str, ...], Mapping[str, Any]]  # its instances, and what holds for it


@dataclass(frozen=True)
class RolloutSettings:
    """How much may be down for a changed configuration, and when it goes on."""

    canary: int = 1  # items of the first batch; 0: none goes ahead
    max_parallel: Union[int, str] = "25%"  # items of each later one; a share is of those concerned
    hold_for: Optional[float] = None  # s that a batch must be operational; None: `stable_after`
    max_failures: int = 0  # instances that may fail before it stops
    revert: bool = True  # what failed goes back, once it has stopped
    well_within: float = 600.0  # s that a batch has, besides `hold_for`, until it counts as failed

    def parallel(self, items: int) -> int:
        """How many of so many items one batch may have."""
        if isinstance(self.max_parallel, str):
            return max(1, math.floor(items * float(self.max_parallel.rstrip("%")) / 100))
        return self.max_parallel


@dataclass(frozen=True)
class Rollout:
    """The record in the ledger. It is kept when it is over, until the next one begins."""

    id: str
    state: str = GOING
    by: str = ""
    why: str = ""
    since: float = 0.0
    batches: Tuple[Tuple[str, ...], ...] = ()  # instances
    at: int = 0  # the batch that is under way; -1: none yet
    began: float = 0.0  # when that batch began
    due: float = 0.0  # when it is looked at next
    missed: float = 0.0  # s since that batch began in which nobody looked
    lacked: float = 0.0  # when a part of that batch was seen last that ran and lacked something
    ailing: Tuple[str, ...] = ()  # of that batch, what was not well before: without a part, or with a silent bus
    carrier: str = ""  # the process of the run that goes on with it, or the number of that run
    held_up: bool = False  # only what was paused was left of it at the last look
    targets: Mapping[str, str] = field(default_factory=dict)  # instance -> digest that the site describes
    sources: Mapping[str, str] = field(default_factory=dict)  # instance -> digest that it ran with before
    failed: Mapping[str, str] = field(default_factory=dict)  # instance -> why
    returned: Tuple[str, ...] = ()  # what failed and has gone back
    back: bool = False  # it goes from the targets to the sources
    reason: str = ""  # why it stopped, or what it waits for
    hold_for: float = 0.0
    max_failures: int = 0
    revert: bool = True
    well_within: float = 600.0
    rules: Tuple[Mapping[str, Any], ...] = ()  # of each batch, the four above; (): they hold for all
    after: Tuple[str, ...] = ()  # what the rollout before had taken down: the first batch waits for it, at -1
    ready: bool = False  # the site could make up for the loss of any server when it began

    def with_batch(self, at: int, **more: Any) -> Rollout:
        """With this batch under way, and what holds for it."""
        return replace(self, at=at, **{**(self.rules[at] if self.rules else {}), **more})

    def put_off(self, names: FrozenSet[str]) -> Tuple[Rollout, int]:
        """With a part of the batch under way at the end, and which batch is then the next one."""
        under_way = self.batches[self.at]
        rest = tuple(name for name in under_way if name not in names)
        later = tuple(name for name in under_way if name in names)
        kept = [(batch, self.rules[at] if self.rules else {}) for at, batch in enumerate(self.batches)]
        rules = kept[self.at][1]
        kept[self.at : self.at + 1] = [(rest, rules)] if rest else []
        kept.append((later, rules))
        batches, every = tuple(batch for batch, _rules in kept), tuple(rules for _batch, rules in kept)
        return replace(self, batches=batches, rules=every if self.rules else ()), self.at + bool(rest)

    def again(self, names: FrozenSet[str]) -> Rollout:
        """With these in batches of their own, which are the next ones; a rollout that is done has the first of them
        under way."""
        size = max((len(batch) for batch in self.batches), default=1)
        before: List[_Batch] = []  # up to the batch under way
        behind: List[_Batch] = []
        alike: List[_Batch] = []  # of those names, by what holds for them
        for at, batch in enumerate(self.batches):
            rules = self.rules[at] if self.rules else {}
            kept = tuple(name for name in batch if name not in names)
            (before if at <= self.at else behind).extend([(kept, rules)] if kept else [])
            for name in (name for name in batch if name in names):
                if alike and alike[-1][1] == rules and len(alike[-1][0]) < size:
                    alike[-1] = (*alike[-1][0], name), rules
                else:
                    alike.append(((name,), rules))
        made = [*before, *alike, *behind]
        at = len(before) - (0 if self.state == DONE and alike else 1)
        every = tuple(rules for _batch, rules in made) if self.rules else ()
        return replace(self, batches=tuple(batch for batch, _rules in made), rules=every).with_batch(at)

    @property
    def together(self) -> FrozenSet[str]:
        """Instances of the batches for which the same holds as for the one under way: their failures count together."""
        rules = self.rules or ({},) * len(self.batches)
        alike = [batch for batch, holds in zip(self.batches, rules) if holds == rules[self.at]]
        return frozenset(name for batch in alike for name in batch)

    @property
    def reached(self) -> FrozenSet[str]:
        """Instances whose turn has come."""
        count = len(self.batches) if self.state == DONE else self.at + 1
        return frozenset(name for batch in self.batches[:count] for name in batch) - set(self.returned)

    @property
    def waiting(self) -> Tuple[str, ...]:
        """Instances whose turn has not come, in its order."""
        reached = self.reached
        return tuple(name for batch in self.batches for name in batch if name not in reached)

    def effective(self, wanted: Mapping[str, str]) -> Dict[str, str]:
        """Instance -> digest of the configuration that it has to have now, of those for which that is another one than
        the site describes.

        :param wanted: instance -> digest that the site describes. What has changed since is no longer this rollout's.
        """
        reached, waiting = self.reached, set(self.waiting)
        keeps = {name for name in self.targets if (name not in waiting if self.back else name not in reached)}
        return {name: self.sources[name] for name in keeps if wanted.get(name) == self.targets[name]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Rollout:
        known = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        known["batches"] = tuple(tuple(batch) for batch in known.get("batches") or ())
        known["returned"] = tuple(known.get("returned") or ())
        known["rules"] = tuple(known.get("rules") or ())
        known["after"] = tuple(known.get("after") or ())
        known["ailing"] = tuple(known.get("ailing") or ())
        return cls(**known)

    def to_json(self) -> Dict[str, Any]:
        document = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return dict(
            document, batches=[list(batch) for batch in self.batches], returned=list(self.returned),
            targets=dict(self.targets), sources=dict(self.sources), failed=dict(self.failed),
            rules=[dict(rules) for rules in self.rules], after=list(self.after), ailing=list(self.ailing),
        )  # fmt: skip
