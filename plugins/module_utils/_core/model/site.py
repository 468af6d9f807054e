# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a site as frozen data: hosts, applications, programs, items, instances.

Built by ``compile.compiler.compile_site`` from validated input, published as ``site.json``, read by `site_from_json`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from . import item as model_item
from . import parts
from . import probe as model_probe
from .alarm import Rule, rule_from_json
from .item import item_from_json
from .place import LedgerPlace, place_from_json
from .probe import probe_from_json
from .rollout import RolloutSettings

AfterBudget = parts.AfterBudget
ConfigFile = parts.ConfigFile
Hook = parts.Hook
Item = model_item.Item
Need = parts.Need
Ports = parts.Ports
Program = parts.Program
Settings = parts.Settings
Terms = model_item.Terms
Probe = model_probe.Probe

SCHEMA = 1

STARTING_STRATEGIES = ("config", "less_loaded", "most_loaded", "local", "less_loaded_node", "most_loaded_node")
STARTING_FAILURE_STRATEGIES = ("abort", "stop", "continue")
RUNNING_FAILURE_STRATEGIES = ("continue", "restart_process", "stop_application", "restart_application")
CONFLICTS = ("keep_claimed", "stop_all", "ask")
SERVICE_MANAGERS = ("supervisor", "systemd")

# How the controller reaches a host.
HERE = "here"  # it is this machine
BY_SSH = "ssh"  # by Ansible's own ssh connection, whose facts are known
OTHER = "other"  # by a connection that only Ansible knows, or nothing is known
LOCAL_CONNECTIONS = ("local", "ansible.builtin.local", "machine", "control_room.muster.machine")
SSH_CONNECTIONS = ("", "smart", "ssh", "ansible.builtin.ssh")  # an inventory that names none means ssh


@dataclass(frozen=True)
class Bus:
    """The internal data bus of an application: the program that is the bus, and its probe."""

    program: str
    probe: Probe
    link: Optional[Probe] = None  # of what joins it to the peer's bus; while it fails the item is degraded, no more


@dataclass(frozen=True)
class Application:
    """The generic definition; one instance of it per item."""

    name: str
    identifiers: Tuple[str, ...]  # host names that may run it: in the order written, a group in site order
    identifiers_as_written: Tuple[str, ...]  # groups and hosts as the user wrote them, for messages
    programs: Tuple[Program, ...]
    distribution: str = "single_instance"
    start_sequence: int = 0  # 0: on request (an HCI)
    stop_sequence: int = 0
    starting_strategy: str = "config"
    starting_failure_strategy: str = "abort"
    bus: Optional[Bus] = None
    ports: Optional[Ports] = None
    files: Tuple[ConfigFile, ...] = ()
    template: str = ""  # the service manager's template; empty: the collection's
    peer: str = ""  # application whose instance of the same item it talks to (MUSTER_PEERS, holder first)
    repair: str = "auto"  # "auto" | "report": what reconcile does about drift
    limits: Mapping[str, Any] = field(default_factory=dict)  # of an instance's programs together, on systemd
    lease_lost: str = "stop"  # "stop" | "kill": how its programs end when the host's lease does
    conflicts: str = "keep_claimed"  # "keep_claimed" | "stop_all" | "ask": more than one copy, or one without a claim
    on_change: str = ""  # a word of `model.change`; empty: `restart` of a service, `when_closed` of an HCI
    after_budget: Optional[AfterBudget] = None  # None: it stays failed until a person clears it
    reserves: Optional[int] = None  # of one item, instead of the sum of its programs
    per: str = "item"  # "item" | "site" | "host": what it has one instance for
    items: Optional[Tuple[str, ...]] = None  # ids of the items that have one; None: all
    needs: Tuple[Need, ...] = ()  # how many of some programs must run for it to be operational
    rollout: Mapping[str, Any] = field(default_factory=dict)  # what is otherwise than in the site's `RolloutSettings`
    learn: bool = False  # whether the status reports what an instance uses beyond what it reserves

    @property
    def on_request(self) -> bool:
        """An HCI: stopped until somebody opens it, on the console of who asks."""
        return self.start_sequence == 0

    @property
    def loading(self) -> int:
        """What one instance reserves, percent of a host."""
        if self.reserves is not None:
            return self.reserves
        return sum(program.expected_loading for program in self.programs)

    @property
    def takes(self) -> Dict[str, int]:
        """Besides load, what one instance reserves: MiB of memory, and resources by name."""
        found: Dict[str, int] = {}
        for program in self.programs:
            for name, amount in ((model_item.MEMORY, program.expected_memory), *program.resources.items()):
                found[name] = found.get(name, 0) + amount
        return {name: found[name] for name in sorted(found) if found[name]}

    def under(self, item: Item) -> Application:
        """As it is for this owner of an instance."""
        if self.per == "host":
            return replace(self, identifiers=(item.id,), identifiers_as_written=(item.id,))
        terms = item.terms
        loading = terms.loading.get(self.name) if terms else None
        hosts = terms.identifiers.get(self.name) if terms else None
        if terms is None or (loading is None and hosts is None):
            return self
        written = terms.written.get(self.name, self.identifiers_as_written)
        return replace(self, reserves=loading, identifiers=self.identifiers if hosts is None else hosts,
                       identifiers_as_written=written)

    def program(self, name: str) -> Program:
        """:raises KeyError: when there is no such program."""
        for program in self.programs:
            if program.name == name:
                return program
        raise KeyError(name)


@dataclass(frozen=True)
class Service:
    """A host service: started by the service manager itself on each of its hosts, no claim (the common bus)."""

    name: str
    hosts: Tuple[str, ...]
    command: Tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    files: Tuple[ConfigFile, ...] = ()
    probe: Optional[Probe] = None
    label: str = ""  # for sentences: "the common bus"
    user: str = ""  # as of a program
    group: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)
    sandbox: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """An inventory host: one service manager."""

    name: str
    order: int  # position in the inventory: the last tie-breaker
    node: str  # hosts with the same node share its capacity
    address: str
    root: str  # absolute; muster's folder on that host
    groups: Tuple[str, ...] = ()
    service_manager: str = "supervisor"
    load_limit: int = 100
    extra_load: int = 0  # stands for other work, in demo and tests
    measure: str = "node"  # "node" | "processes": what counts as the node's measured load
    min_free_memory: int = 0  # MiB; 0: no floor
    min_free_disk: int = 0  # MiB
    resources: Mapping[str, int] = field(default_factory=dict)  # of its node, for those of programs
    user: str = ""  # who programs run as, on systemd; empty: root
    display: Mapping[str, str] = field(default_factory=dict)  # environment and user of programs with windows
    connection: str = ""  # Ansible's connection plugin; tells the monitor how it may hold a line to this host
    # over ssh: host, user, port, key, python, arguments, become, door, people
    ssh: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reach(self) -> str:
        """HERE, BY_SSH or OTHER."""
        return reach_of(self.connection, self.ssh)


@dataclass(frozen=True)
class Instance:
    """An application for one item: ``scen2_srv_01``."""

    name: str
    application: Application
    item: Item

    @property
    def ports(self) -> Dict[str, int]:
        return self.application.ports.of(self.item.slot) if self.application.ports else {}


@dataclass(frozen=True)
class Site:
    """Everything a decision needs to know about what people wrote."""

    name: str
    controller: str
    state_dir: str
    hosts: Tuple[Host, ...]
    groups: Mapping[str, Tuple[str, ...]]
    applications: Tuple[Application, ...]
    services: Tuple[Service, ...]
    items: Tuple[Item, ...]
    settings: Settings = field(default_factory=Settings)
    hooks: Tuple[Hook, ...] = ()
    items_source: str = ""  # where they come from, when others edit that
    resources: Mapping[str, int] = field(default_factory=dict)  # there once, for those of programs
    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    controllers: Tuple[str, ...] = ()  # all of them, where there are several
    ledger: LedgerPlace = field(default_factory=LedgerPlace)
    alarms: Tuple[Rule, ...] = ()

    def host(self, name: str) -> Host:
        """:raises KeyError: when there is no such host."""
        found: Host = _index(self, "hosts")[name]
        return found

    def application(self, name: str) -> Application:
        """:raises KeyError: when there is no such application."""
        found: Application = _index(self, "applications")[name]
        return found

    def service(self, name: str) -> Service:
        """:raises KeyError: when there is no such host service."""
        found: Service = _index(self, "services")[name]
        return found

    def item(self, item_id: str) -> Item:
        """:raises KeyError: when there is no such item."""
        cache: Optional[Dict[str, Item]] = self.__dict__.get("_by_id")
        if cache is None:
            cache = self.__dict__["_by_id"] = {item.id: item for item in self.items}
        return cache[item_id]

    def owners(self, application: Application) -> Tuple[Item, ...]:
        """For whom it has an instance; the site and hosts as items that are in no list."""
        return model_item.owners(application.per, application.items, application.identifiers, self.items)

    @property
    def rows(self) -> Tuple[Item, ...]:
        """The items, then the site and the hosts that have instances of their own."""
        cache: Optional[Tuple[Item, ...]] = self.__dict__.get("_rows")
        if cache is None:
            found = {item.id: item for item in self.items}
            for per in model_item.PER[1:]:
                for application in self.applications:
                    if application.per == per:
                        found.update((item.id, item) for item in self.owners(application) if item.id not in found)
            cache = self.__dict__["_rows"] = tuple(found.values())
        return cache

    def rollout_of(self, application: Application) -> RolloutSettings:
        """How a changed configuration reaches its instances."""
        return replace(self.rollout, **application.rollout) if application.rollout else self.rollout

    def peer_of(self, instance: Instance) -> Optional[Instance]:
        """The instance that it talks to: that of its own item or host, or the one of the site."""
        name = instance.application.peer
        if not name:
            return None
        owner = model_item.SITE if self.application(name).per == "site" else instance.item.id
        return self.by_name().get(instance_name(name, owner))

    def instances(self) -> Iterator[Instance]:
        """Every instance, by application then item, in the order written."""
        return iter(self.by_name().values())

    def by_name(self) -> Dict[str, Instance]:
        """Instance name -> `Instance`; built once per site."""
        cache: Optional[Dict[str, Instance]] = self.__dict__.get("_instances")
        if cache is None:
            cache = {}
            for application in self.applications:
                for item in self.owners(application):
                    name = instance_name(application.name, item.id)
                    cache[name] = Instance(name, application.under(item), item)
            self.__dict__["_instances"] = cache
        return cache

    def instance(self, name: str) -> Instance:
        """:raises KeyError: when there is no such instance."""
        return self.by_name()[name]


def _index(site: Site, attribute: str) -> Dict[str, Any]:
    key = "_by_" + attribute
    cache: Optional[Dict[str, Any]] = site.__dict__.get(key)
    if cache is None:
        cache = {thing.name: thing for thing in getattr(site, attribute)}
        site.__dict__[key] = cache
    return cache


def instance_name(application: str, item_id: str) -> str:
    """``scen2_srv_01``; of a host service, with the host's name in place of the item's."""
    return "%s_%s" % (application, item_id)


def reach_of(connection: str, ssh: Mapping[str, Any]) -> str:
    """How a host is reached: HERE, BY_SSH or OTHER.

    :param connection: the name of Ansible's connection plugin.
    :param ssh: the facts of its ssh connection, empty where there is none.
    """
    if connection in LOCAL_CONNECTIONS:
        return HERE
    return BY_SSH if ssh and connection in SSH_CONNECTIONS else OTHER


def to_json(value: Any) -> Any:
    """A model value as plain dicts, lists and scalars."""
    if is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(entry) for entry in value]
    return value


def site_to_json(site: Site) -> Dict[str, Any]:
    """The content of ``site.json``."""
    document: Dict[str, Any] = to_json(site)
    document["schema"] = SCHEMA
    return document


def site_from_json(document: Mapping[str, Any]) -> Site:
    """The inverse of `site_to_json`.

    :raises ValueError: when the document was written by another schema.
    """
    if document.get("schema") != SCHEMA:
        raise ValueError("site.json has schema %r, muster reads %d: deploy again" % (document.get("schema"), SCHEMA))
    known = dict(document)
    known.pop("schema")
    known["hosts"] = tuple(Host(**dict(h, groups=tuple(h["groups"]))) for h in document["hosts"])
    known["groups"] = {name: tuple(members) for name, members in document["groups"].items()}
    known["applications"] = tuple(application_from_json(a) for a in document["applications"])
    known["services"] = tuple(_service(s) for s in document["services"])
    known["items"] = tuple(item_from_json(i) for i in document["items"])
    known["settings"] = Settings(**_hashable(document["settings"]))
    known["controllers"] = tuple(document.get("controllers") or ())
    known["ledger"] = place_from_json(document.get("ledger") or {})
    known["rollout"] = RolloutSettings(**document.get("rollout") or {})
    known["alarms"] = tuple(rule_from_json(rule) for rule in document.get("alarms") or ())
    known["hooks"] = tuple(
        Hook(**dict(h, **{k: tuple(h.get(k) or ()) for k in ("command", "on", "priority")}))
        for h in document.get("hooks") or ()
    )
    return Site(**known)


def application_from_json(document: Mapping[str, Any]) -> Application:
    """The inverse of `to_json`."""
    known = dict(document)
    for key in ("identifiers", "identifiers_as_written"):
        known[key] = tuple(known[key])
    known["programs"] = tuple(_program(p) for p in known["programs"])
    known["files"] = tuple(ConfigFile(**f) for f in known["files"])
    known["needs"] = tuple(Need(need["any"], tuple(need["of"])) for need in known.get("needs") or ())
    known["items"] = tuple(known["items"]) if known.get("items") is not None else None
    if known["bus"]:
        link = known["bus"].get("link")
        known["bus"] = Bus(known["bus"]["program"], probe_from_json(known["bus"]["probe"]),
                           probe_from_json(link) if link else None)
    if known.get("after_budget"):
        known["after_budget"] = AfterBudget(**known["after_budget"])
    if known["ports"]:
        known["ports"] = Ports(**known["ports"])
    return Application(**known)


def _program(document: Mapping[str, Any]) -> Program:
    reload = document.get("reload") or ()
    reload = reload if isinstance(reload, str) else tuple(reload)
    tuples = {"command": tuple(document["command"]), "exit_codes": tuple(document.get("exit_codes") or ())}
    return Program(**dict(document, reload=reload, **tuples))


def _service(document: Mapping[str, Any]) -> Service:
    known = dict(document)
    known["hosts"] = tuple(known["hosts"])
    known["command"] = tuple(known["command"])
    known["files"] = tuple(ConfigFile(**f) for f in known["files"])
    if known["probe"]:
        known["probe"] = probe_from_json(known["probe"])
    return Service(**known)


def _hashable(values: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
