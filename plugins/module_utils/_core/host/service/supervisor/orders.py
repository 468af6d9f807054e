# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisord as the service manager of a host: orders and questions, many in one round trip.

No order waits for its effect: with ``wait=True`` supervisord would answer after up to a second, so the sequencer looks
at /proc instead. The configuration must have one group per instance, with processes ``<instance>:<program>``.
"""

from __future__ import annotations

from ..manager import Reply
from . import xmlrpc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

    from ..manager import Order

# supervisord binds a socket at its path with "." and its pid added, then links it to the path itself. The kernel allows
# 107 bytes (sun_path of 108, with a zero at the end); the largest pid is 4194304 (64-bit kernels).
MAX_SOCKET_BYTES = 107 - len(".4194304")

BAD_NAME = 10  # faults of supervisord's, as in supervisor.xmlrpc.Faults
ALREADY_STARTED = 60
NOT_RUNNING = 70
STILL_RUNNING = 91
_STOPPED = 0  # states of a process, as in supervisor.states.ProcessStates
_STOPPING = 40
_ORDERS_PER_CALL = 24  # in one round trip: supervisord serves nothing else meanwhile
_NO_COMMENT = "%(program_name).0s"  # expands to nothing; keeps a blank and a ; or # from beginning a comment


class SupervisordOrders:
    """A connection to the supervisord of one host. Orders are those of `host.service.manager.Manager`."""

    def __init__(self, root: str, timeout: float = 10.0) -> None:
        self.client = xmlrpc.XmlRpcClient(socket_path(root), timeout)

    def answers(self) -> bool:
        """Whether it takes orders."""
        try:
            self.client.call("supervisor.getState")
        except (OSError, xmlrpc.Fault):
            return False
        return True

    def reload(self) -> Tuple[List[str], List[str], List[str]]:
        """Have all placed configuration read again; it takes effect with ``add``.

        :return: names of groups that are new, differ, or are missing, compared with what it runs.
        :raises xmlrpc.Fault: when a file is not accepted, with supervisord's reason.
        """
        added, changed, removed = self.client.call("supervisor.reloadConfig")[0]
        return added, changed, removed

    def all_mains(self) -> Dict[int, Tuple[str, str]]:
        """Every process that it started and that has not ended: pid -> (group, program).

        :raises OSError: when it does not answer.
        """
        found = self.client.call("supervisor.getAllProcessInfo")
        return {int(info["pid"]): (str(info["group"]), str(info["name"])) for info in found if info.get("pid")}

    def exchange(self, orders: Sequence[Order]) -> List[Reply]:
        """One reply per order.

        :raises OSError: when the service manager does not answer.
        """
        replies: List[Reply] = []
        for first in range(0, len(orders), _ORDERS_PER_CALL):
            replies += self._exchange(orders[first : first + _ORDERS_PER_CALL])
        return replies

    def _exchange(self, orders: Sequence[Order]) -> List[Reply]:
        calls: List[Tuple[str, List[Any]]] = []
        spans = []
        for verb, instance, program in orders:
            name = "%s:%s" % (instance, program)
            begin = len(calls)
            if verb == "start":
                calls.append(("supervisor.startProcess", [name, False]))
                calls.append(("supervisor.getProcessInfo", [name]))
            elif verb == "stop":
                calls.append(("supervisor.stopProcess", [name, False]))
            elif verb == "look":
                calls.append(("supervisor.getProcessInfo", [name]))
            elif verb == "add":
                calls.append(("supervisor.removeProcessGroup", [instance]))
                calls.append(("supervisor.addProcessGroup", [instance]))
            elif verb == "drop":
                calls.append(("supervisor.removeProcessGroup", [instance]))
            else:
                raise ValueError("no such order: %s" % verb)
            spans.append((begin, len(calls)))
        results = self.client.multicall(calls)
        return [_reply(order[0], results[begin:end]) for order, (begin, end) in zip(orders, spans)]


def _reply(verb: str, results: List[Any]) -> Reply:
    last = results[-1]
    if verb == "drop" and isinstance(last, xmlrpc.Fault) and last.code == BAD_NAME:
        return Reply(known=False)
    if verb == "stop" and isinstance(last, xmlrpc.Fault) and last.code == NOT_RUNNING:
        return Reply()
    if verb == "start":
        order = results[0]
        info = last if isinstance(last, dict) else {}
        error = ""
        if isinstance(order, xmlrpc.Fault):
            error = info.get("spawnerr") or order.text
        reply = _info(info)
        reply.error = error
        reply.known = isinstance(last, dict)
        # while a stopped process is not collected yet, supervisord answers True and starts nothing
        nothing = not error and (info.get("state"), reply.pid) == (_STOPPED, 0)
        refused = isinstance(order, xmlrpc.Fault) and order.code == ALREADY_STARTED
        reply.busy = refused or nothing or info.get("state") == _STOPPING
        return reply
    for result in results:
        if isinstance(result, xmlrpc.Fault) and (result is last or result.code != BAD_NAME):
            reply = Reply(error=result.text, known=result.code != BAD_NAME)
            reply.busy = result.code == STILL_RUNNING
            return reply
    return _info(last) if isinstance(last, dict) else Reply()


def _info(info: Mapping[str, Any]) -> Reply:
    reply = Reply(int(info.get("pid") or 0), info.get("exitstatus"))
    reply.stopped = info.get("state") == _STOPPED
    return reply


def socket_path(root: str) -> str:
    """Where the supervisord of a host listens; at most `MAX_SOCKET_BYTES`."""
    return root + "/run/supervisor.sock"


def quote_command(arguments: Iterable[str]) -> str:
    """Arguments as the value of ``command=``, which supervisord splits into exactly these.

    :raises ValueError: for a character that a configuration line cannot hold.
    """
    import shlex

    words = []
    for argument in arguments:
        _refuse_control("an argument", argument)
        words.append(shlex.quote(argument))
    return _escape(" ".join(words))


def quote_environment(variables: Mapping[str, str]) -> str:
    """Variables as the value of ``environment=``.

    :raises ValueError: for a value that supervisord cannot represent: control characters, both kinds of quotes at once,
        a quote at its beginning or end. The sentence names the variable.
    """
    pairs = []
    for name, value in variables.items():
        what = "the variable %s" % name
        if not name.replace("_", "a").isalnum() or not name.isascii() or name[0].isdigit():
            raise ValueError("%s: letters, digits and underscores only, and no digit first" % what)
        _refuse_control(what, value)
        if '"' in value and "'" in value:
            raise ValueError("%s holds both kinds of quotes, which supervisord cannot take: use a file" % what)
        if value[:1] in ("'", '"') or value[-1:] in ("'", '"'):
            raise ValueError("%s begins or ends with a quote, which supervisord would drop: use a file" % what)
        quote = "'" if '"' in value else '"'
        pairs.append("%s=%s%s%s" % (name, quote, value, quote))
    return _escape(",".join(pairs))


def _escape(text: str) -> str:
    text = text.replace("%", "%%")
    if ";" in text or "#" in text:
        # The parser begins a comment at a mark behind any character that `str.isspace` accepts, as `\s` does. Where it
        # does not read UTF-8, the last byte of any other character may be such a one: of "à", a no-break space.
        import re

        text = re.sub(r"(?<=[\s\x80-\U0010ffff])(?=[;#])", _NO_COMMENT, text)
    return text


def _refuse_control(what: str, value: str) -> None:
    """The sentence does not show the value, which may be a secret."""
    if value.isprintable():
        return
    for character in value:
        code = ord(character)
        if (code < 32 and character != "\t") or code == 127 or 0xD800 <= code < 0xE000:
            raise ValueError("%s holds the control character %s" % (what, ascii(character)))


def last_words(path: str, offset: int, begin_with: bytes = b"") -> str:
    """The last line of a log, at most 300 characters; "" when there is none.

    :param offset: in bytes; lines before it do not count, unless the file has become shorter.
    :param begin_with: what the line begins with.
    """
    try:
        with open(path, "rb") as handle:
            size = handle.seek(0, 2)
            begin = offset if offset <= size else 0
            handle.seek(max(begin, size - 4096))
            lines = [line.strip() for line in handle.read().splitlines()
                     if line.strip() and line.startswith(begin_with)]
    except OSError:
        return ""
    text = lines[-1].decode("utf-8", "replace") if lines else ""
    return text if len(text) <= 300 else text[:297] + "..."


def log_size(path: str) -> int:
    """In bytes; 0 when there is no such file."""
    import os

    try:
        return os.stat(path).st_size
    except OSError:
        return 0
