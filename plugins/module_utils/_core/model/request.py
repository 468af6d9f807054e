# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a person or a program can request, in one table: the kinds of requests and their fields.

The options of the command line, the bodies and the OpenAPI document of the API, the arguments of the module `plan` and
the variables of the playbooks are derived from `KINDS` and `FIELDS`. docs/development.md says what a new field needs.

Named tuples instead of dataclasses: every command imports this file, and importing `dataclasses` takes 12 ms.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Tuple, Union

from . import request_alarms, request_programs, request_rollouts

Json = Dict[str, Any]
PREFIX = "muster_"  # of the variables of playbooks


class Field(NamedTuple):
    """A field of requests."""

    name: str  # in JSON
    schema: Mapping[str, Any]  # JSON Schema of its value; `requests.check` knows the keywords that are used here
    doc: str  # a phrase: help of the command line, description in the API
    metavar: str = ""  # of the command line
    flags: Tuple[str, ...] = ()  # of the command line, where they are not made of the name
    word: str = ""  # in the variable and in the module's argument, where it is not the name
    module_word: str = ""  # in the module's argument, where it is not `word` either

    @property
    def attribute(self) -> str:
        """Of `Request`."""
        return "where" if self.name == "from" else self.name

    @property
    def variable(self) -> str:
        """The variable of playbooks."""
        return PREFIX + (self.word or self.name)

    @property
    def argument(self) -> str:
        """The argument of the module `plan`."""
        return self.module_word or self.word or self.name

    @property
    def options(self) -> Tuple[str, ...]:
        """The option of the command line, in all its spellings."""
        return self.flags or ("--" + self.name.replace("_", "-"),)

    @property
    def type(self) -> str:
        """text | list | flag | whole | moment"""
        kind = self.schema["type"]
        return "moment" if isinstance(kind, list) else _TYPES[kind]

    @property
    def empty(self) -> Any:
        """The value that stands for a field that is not given."""
        return {"list": [], "flag": False, "whole": 0}.get(self.type, "")

    def logged(self, value: Any) -> Any:
        """A value as a log has it: of what may be a secret, only how many there are."""
        return len(value) if self.schema.get("items", {}).get("writeOnly") else value


_TYPES = {"array": "list", "string": "text", "boolean": "flag", "integer": "whole"}


def _text(longest: int, shortest: int = 1) -> Json:
    return {"type": "string", "minLength": shortest, "maxLength": longest}


def _texts(longest: int) -> Json:
    return {"type": "array", "items": _text(longest), "minItems": 1, "maxItems": 2000}


_FLAG: Json = {"type": "boolean"}
_TRUE: Json = {"type": "boolean", "const": True}
_MOMENT: Json = {"type": ["number", "string"], "minimum": 0, "maximum": 4102444800, "maxLength": 40}  # up to 2100

FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field("instances", _texts(200), "names of instances, ids of items (`02`, `02..05`), or patterns such as"
              " `scen2_srv_*`", "INSTANCE"),
        Field("item", _text(64), "the id of an item", "ITEM"),
        Field("site", _TRUE, "the whole site", word="whole_site"),
        Field("host", _text(255), "the name of a host in the inventory", "HOST"),
        Field("console", _text(255), "the console to open on (default: the console of the caller)", "HOST"),
        Field("to", _text(255), "the host to move to", "HOST"),
        Field("at", _MOMENT, "when, not before: in a duration (30m, 2h), at a time of day (14:00), or a date and time"
              " (2030-01-31 14:00)", "WHEN"),
        Field("spread", {"type": "integer", "minimum": 1, "maximum": 1000},
              "the difference between the highest and the lowest load that is left, in percent of a machine"
              " (default: 20)", "PERCENT"),
        Field("plan", _text(64, 64), "the digest of a saved plan; commands and playbooks take its file", "FILE"),
        Field("keep", _text(255), "the host whose copy stays", "HOST"),
        Field("take", _FLAG, "close it first on the console that shows it or no longer answers; needs a reason"),
        Field("until", _MOMENT, "the end: a duration (30m, 2h, 1d), a time of day (14:00), a date and time"
              " (2030-01-31 14:00), or seconds since 1970", "WHEN", ("--until", "--for")),
        Field("at_a_time", {"type": "integer", "minimum": 1, "maximum": 1000},
              "number of instances that move together (default: 1)", "N"),
        Field("force", _FLAG, "do it although muster would refuse: drain a host that some instances cannot leave (they"
              " stay there), confirm down a host that answers"),
        Field("confirm", _text(255), "the name of the host once more, where `force` could start a second copy", "HOST",
              word="confirm_host"),
        Field("accept", _FLAG, "deploy although the source of the items lost half of them or more"),
        Field("ids", _texts(255), "ids of alarms, conflicts and failed actions, as alarms and status list them", "ID"),
        Field("all", _TRUE, "all of them"),
        Field("pending", _TRUE, "only those that run with another configuration than the site describes, so that they"
              " take it now"),
        *request_programs.fields(Field),
        Field("why", _text(500, 0), "the reason, for the trail", "TEXT", ("--reason", "--why")),
        Field("who", _text(200, 0), "who requests it, for the trail"),
        Field("from", _text(255, 0), "the host from which it is requested, for the trail", module_word="from_where"),
    )
}  # fmt: skip
PROVENANCE = ("who", "from")  # known from the connection: no field of a request's body
VARIABLES = tuple(field.variable for field in FIELDS.values())


class Subject(NamedTuple):
    """What follows a command without an option."""

    field: str
    metavar: str
    doc: str
    many: bool = False
    needed: bool = True


class RequestKind(NamedTuple):
    """A kind of request. Its playbook has the same name."""

    name: str
    doc: str  # a sentence
    more: str = ""  # further sentences of the command's help
    subject: Union[Subject, None] = None
    also: Union[Subject, None] = None  # what follows that
    needs: Tuple[str, ...] = ()  # fields that must be given
    one_of: Tuple[str, ...] = ()  # exactly one of these must be given
    any_of: Tuple[str, ...] = ()  # at least one of these must be given
    takes: Tuple[str, ...] = ()  # fields that may be given; `why` always may
    reason: bool = False  # the API wants a reason
    whole_run: bool = False  # needs every host to be observed first: a run of its own; the others go to the standby run
    command: str = ""  # of the command line, where it is not the name
    example: str = ""  # what follows `muster`
    by_api: bool = True
    by_command: bool = True
    confirmed: bool = False  # `force` needs `confirm`: the name of the host once more
    renamed: Mapping[str, str] = {}  # former names of fields, which are still taken: former -> name

    @property
    def fields(self) -> Tuple[str, ...]:
        """Names of all fields that may be given, without `PROVENANCE`."""
        return tuple(dict.fromkeys((*self.needs, *self.one_of, *self.any_of, *self.takes, "why")))

    def schema(self) -> Json:
        """JSON Schema of a request of this kind, as the API takes it."""
        properties: Json = {"kind": {"const": self.name}}
        for name in self.fields:
            properties[name] = dict(FIELDS[name].schema, description=FIELDS[name].doc)
        for former, name in self.renamed.items():
            doc = "former name of `%s`" % name
            properties[former] = dict(FIELDS[former].schema, description=doc, deprecated=True)
        document: Json = {
            "type": "object",
            "title": self.name,
            "description": self.doc,
            "properties": properties,
            "required": ["kind", *(n for n in self.needs if n not in self.renamed.values())]
            + (["why"] if self.reason else []),
            "additionalProperties": False,
        }
        choices = [[name] for name in self.one_of]
        if self.any_of:
            document["anyOf"] = [{"required": [name]} for name in self.any_of]
        needed = [[f, n] for f, n in self.renamed.items() if n in self.needs]
        if choices:
            document["oneOf"] = [{"required": names} for names in choices]
        elif needed:
            document["oneOf"] = [{"required": [name]} for name in needed[0]]
        return document


_INSTANCES = Subject("instances", "INSTANCE", "id of an item (02, or 02..05 for several), name of an instance, or a"
                     " pattern such as 'scen2_srv_*'", many=True)
_HCI = Subject("instances", "ITEM", "id of the item, or name of the instance that shows it")
_ITEM = Subject("item", "ITEM", "id of the item", needed=False)
_HOST = Subject("host", "HOST", "name of the host in the inventory")

KINDS: Mapping[str, RequestKind] = {
    kind.name: kind
    for kind in (
        RequestKind(
            "reconcile", "Observe every host, and repair what differs from what is wanted.", whole_run=True,
            example="reconcile",
        ),
        RequestKind(
            "deploy", "Prepare the hosts, and bring every instance to its wanted state.", whole_run=True,
            takes=("accept", "at_a_time", "plan"), example="deploy", by_api=False,
        ),
        RequestKind(
            "start", "Start instances, or one program (INSTANCE/PROGRAM); clears a failed state.", subject=_INSTANCES,
            needs=("instances",), takes=("host", "whole", *request_programs.GIVEN), example="start scen2_srv_01",
        ),
        RequestKind(
            "stop", "Stop instances or programs; they stay stopped, over deploys and reboots, until started.",
            subject=_INSTANCES, needs=("instances",), takes=("whole",), example="stop scen2_srv_01",
        ),
        RequestKind(
            "restart", "Restart instances, or one program (INSTANCE/PROGRAM), on the host where they run.",
            "With --pending only those that run with another configuration than the site describes, all of them where"
            " no name is given: open HCIs are closed and opened again.",
            subject=_INSTANCES._replace(needed=False), any_of=("instances", "pending"),
            takes=("whole", *request_programs.GIVEN), example="restart scen2_srv_01",
        ),
        *request_programs.kinds(RequestKind, Subject),
        RequestKind(
            "open", "Open the HCI of an item on a console.", subject=_HCI, one_of=("item", "instances"),
            takes=("console", "take"), example="open 02 --console console_3", renamed={"host": "console"},
        ),
        RequestKind(
            "close", "Close the HCI of an item, on whichever console shows it.", subject=_HCI,
            one_of=("item", "instances"), example="close 02",
        ),
        RequestKind(
            "drain", "Move everything off a host, and place nothing on it until it is undrained.",
            "muster first checks what cannot leave the host: no other host has room, or an HCI is open there. If there"
            " is anything, it lists it and drains nothing; with --force it drains the host and leaves those instances"
            " there. A drained host stays drained when it goes down and returns.",
            subject=_HOST, needs=("host",), takes=("until", "at", "at_a_time", "force"), whole_run=True,
            example="drain server_2 --why 'new disk' --until 2h --at-a-time 1",
        ),
        RequestKind(
            "undrain", "Use a drained host again.", subject=_HOST, needs=("host",), whole_run=True,
            example="undrain server_2",
        ),
        RequestKind(
            "move", "Move services to a host: each is stopped, and starts there once its stop is confirmed.",
            "A move that does not fit is refused, with the reasons. A window does not move: close it, and open it"
            " there. With --at the move waits in the ledger, and the first look at the site after that time makes it. A"
            " move to the host where the service runs calls it off.",
            subject=_INSTANCES, needs=("instances", "to"), takes=("at",), whole_run=True,
            example="move scen2_srv_01 --to server_2",
        ),
        RequestKind(
            "rebalance", "Even out the load of the hosts with as few moves as possible.",
            "Services of items whose window is open, and of paused items, stay where they are.",
            takes=("spread", "at_a_time"), whole_run=True, example="rebalance --spread 20 --at-a-time 1",
        ),
        RequestKind(
            "site_stop", "Stop everything in stop_sequence; nothing starts until the site is started again.",
            "What is wanted of each service stays as it is. Windows are closed for good. Deploys, reconciles, reboots"
            " and the monitor start nothing meanwhile.",
            whole_run=True, command="site stop", example="site stop --reason 'power works'",
        ),
        RequestKind(
            "site_start", "Start the site again as it was: what ran, and where it ran.", whole_run=True,
            command="site start", example="site start",
        ),
        RequestKind(
            "apply", "Do exactly what a saved plan says, or nothing.",
            "muster plan --save FILE saves a plan, and so does --save FILE of any request. When anything that the plan"
            " depends on has changed since, a table says what, and nothing is done.",
            subject=Subject("plan", "FILE", "file that --save wrote"), needs=("plan",), whole_run=True,
            example="apply plan.json",
        ),
        RequestKind(
            "confirm_down", "Confirm that a host is dead, so that its instances may start elsewhere.",
            "Confirm it only when nothing can run on the host any more: its services are started on other hosts. A host"
            " that answers is not dead: muster refuses then, says when it answered last and what would follow. With"
            " --force it does so all the same, and what still runs there runs twice.",
            subject=_HOST, needs=("host",), takes=("force", "confirm"), confirmed=True, reason=True,
            command="host confirm-down",
            example="host confirm-down server_2 --reason 'it burnt'",
        ),
        RequestKind(
            "forget", "Forget a host that has left the inventory.", needs=("host",), by_api=False, by_command=False,
        ),
        RequestKind(
            "reset", "Clear the failures of instances; a service that is wanted starts again at once.",
            subject=_INSTANCES, needs=("instances",), example="reset scen2_srv_02 --why 'disk replaced'",
        ),
        RequestKind(
            "pause", "Suspend automatic actions for an item, or for the whole site.",
            "muster does not restart, move, repair or reconfigure what is paused; it reports what it would have done."
            " Requests of people are still carried out.",
            subject=_ITEM, one_of=("item", "site"), takes=("until",),
            example="pause 02 --why 'new fan' --until 2h",
        ),
        RequestKind(
            "resume", "End a pause, and do now what it held back.", subject=_ITEM, one_of=("item", "site"),
            example="resume 02",
        ),
        *request_rollouts.kinds(RequestKind),
        RequestKind(
            "resolve", "Decide which copy of an instance stays; every other copy is stopped.",
            "A conflict is an instance that runs more than once, or without a valid claim; `muster status` lists it. A"
            " person decides it when the application has `conflicts: ask` or `repair: report`. `muster stop` stops"
            " every copy.",
            subject=Subject("instances", "INSTANCE", "name of the instance"), needs=("instances", "keep"),
            example="resolve scen2_srv_02 --keep server_1", renamed={"host": "keep"},
        ),
        *request_alarms.kinds(RequestKind, Subject),
    )
}  # fmt: skip


class Request(NamedTuple):
    """A request: its kind, who requests it, and its fields; those that are not given are empty."""

    kind: str
    who: str = ""
    where: str = ""  # the host from which it is requested: `from` in JSON
    why: str = ""
    instances: Tuple[str, ...] = ()
    item: str = ""
    site: bool = False
    host: str = ""
    console: str = ""
    keep: str = ""
    to: str = ""
    plan: str = ""
    at: Union[str, float] = ""
    spread: int = 0
    take: bool = False
    until: Union[str, float] = ""
    at_a_time: int = 0
    force: bool = False
    accept: bool = False
    confirm: str = ""
    ids: Tuple[str, ...] = ()
    all: bool = False
    pending: bool = False
    signal: str = ""
    arg: Tuple[str, ...] = ()
    env: Tuple[str, ...] = ()
    whole: bool = False

    def given(self) -> List[Tuple[Field, Any]]:
        """The fields that are not empty, with their values as JSON has them."""
        found = []
        for field in FIELDS.values():
            value = getattr(self, field.attribute)
            if value not in ("", (), False, 0):
                found.append((field, list(value) if isinstance(value, tuple) else value))
        return found

    def to_json(self) -> Json:
        """As the API takes it, and as the monitor sends it to a run; without empty fields."""
        return {"kind": self.kind, **{field.name: value for field, value in self.given()}}

    def variables(self) -> Json:
        """Variables for the playbook of its kind."""
        return {field.variable: value for field, value in self.given()}


def renamed(document: Mapping[str, Any]) -> Json:
    """The document with the present names of its fields; of two values the one under the present name counts."""
    kind = KINDS.get(str(document.get("kind")))
    former = kind.renamed if kind is not None else {}
    found = {former.get(name, name): value for name, value in document.items()}
    return {**found, **{name: document[name] for name in found if document.get(name)}}


def filled(document: Mapping[str, Any]) -> Request:
    """The request that a checked document describes; see `requests.read`."""
    values = {field.attribute: document[field.name] for field in FIELDS.values() if field.name in document}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Request(str(document["kind"]), **{**values, **lists})


def argument_spec() -> Dict[str, Json]:
    """The arguments of the module `plan` that describe a request."""
    types = {"text": "str", "moment": "str", "flag": "bool", "whole": "int", "list": "list"}
    spec: Dict[str, Json] = {"kind": {"type": "str", "choices": list(KINDS), "default": "reconcile"}}
    for field in FIELDS.values():
        spec[field.argument] = {"type": types[field.type], "default": field.empty}
        if field.type == "list":
            spec[field.argument]["elements"] = "str"
    return spec


def from_arguments(arguments: Mapping[str, Any]) -> Json:
    """The request that the module's arguments describe, as JSON; without empty fields."""
    given = {field.name: arguments[field.argument] for field in FIELDS.values() if arguments[field.argument]}
    return {"kind": arguments["kind"], **given}
