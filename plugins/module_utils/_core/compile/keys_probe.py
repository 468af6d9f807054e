# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of a probe: in short beside its bus, or as a mapping with all settings of its kind."""

from __future__ import annotations

from ..model.probe import COMPOSED, EXEC_INTERVAL, EXEC_TIMEOUT, PLACEHOLDERS, TYPES, Probe, Tls
from .table import Field, table

_PORT = Field("port", "name", "The port that is probed, by its name among `ports`. Needed by `nats`, `mqtt`, `http` and"
              " `tcp`.")
_HOW_OFTEN = (
    Field("interval", "number", "Time between two probes.", default=Probe.interval, minimum=0.05, unit="s",
          default_doc="%g s, `exec` %g s" % (Probe.interval, EXEC_INTERVAL)),
    Field("timeout", "number", "How long an answer may take.", default=Probe.timeout, minimum=0.01, unit="s",
          default_doc="%g s, `exec` %g s" % (Probe.timeout, EXEC_TIMEOUT)),
    Field("failures", "integer", "Missed answers that make a hang.", default=Probe.failures, minimum=1, maximum=1000),
    Field("window", "integer", "Out of how many last answers they are counted.", minimum=1, maximum=1000,
          default_doc="as `failures`: missed in a row"),
    Field("slow", "number", "Answers slower than this, as many as `failures` out of `window`, are a warning: the bus"
          " stays healthy. 0: none is.", default=Probe.slow, minimum=0, unit="s"),
)
_RULE = (
    Field("startup_timeout", "number", "For so long, a bus that has not answered yet is starting: no verdict.",
          default=Probe.startup_timeout, minimum=0, unit="s"),
    Field("shadow", "boolean", "The monitor tells what it would do because of this probe, and does nothing.",
          default=Probe.shadow),
)

SHORT = (
    Field("probe", "probe", "How the bus is asked whether it works: a kind of probe, or a mapping (below).",
          choices=TYPES),
    _PORT,
    *_HOW_OFTEN,
    *_RULE,
)
SHORT_KEYS = tuple(field.name for field in SHORT[1:])

_NO_SECRETS = "a site holds no secrets: write the path of a file on the controller that holds it, as %s"

PROBE = table(
    "A probe",
    "At `muster_applications.<name>.bus.link`; instead of a word at `bus.probe` or `muster_services.<name>.probe`",
    "A mapping with `type`, or with `all_of` or `any_of` and a list of such mappings. Files are the"
    " controller's, where the monitor runs.",
    (
        Field("type", "choice", "The kind of probe.", choices=TYPES),
        Field("all_of", "list", "Probes that must all be healthy; one that is not makes the bus unhealthy.",
              choices=()),
        Field("any_of", "list", "Probes one of which must be healthy; the bus is unhealthy when none can be.",
              choices=()),
        _PORT,
        *_HOW_OFTEN,
        *_RULE,
        Field("user", "text", "Its account: `nats`, `mqtt`, `http`.", default=Probe.user),
        Field("password_file", "file", "The file whose first line is the account's password.",
              default=Probe.password_file),
        Field("token_file", "file", "The file whose first line is a token: `nats`, `http` (as bearer).",
              default=Probe.token_file),
        Field("tls", "mapping", "Speak TLS: `nats`, `mqtt`, `http`. `{}`: with what the system trusts."),
        Field("topic", "topic", "What its own topic (`mqtt`) or subject (`nats`) begins with, for an account that may"
              " use no other.", default=Probe.topic, default_doc="`_muster/probe/`, `_muster.probe.`"),
        Field("path", "url path", "`http`: what is asked for.", default=Probe.path),
        Field("status", "statuses", "`http`: the status, or statuses, of a healthy answer.", default=Probe.status,
              minimum=100, maximum=599, default_doc="200"),
        Field("text", "text", "`http`: what the answer must hold.", default=Probe.text),
        Field("command", "arguments", "`exec`: the arguments of a Nagios plug-in, as a list; the program with its"
              " absolute path. May hold %s." % ", ".join("`{%s}`" % word for word in PLACEHOLDERS)),
        Field("program", "name", "`process`: the program that must live.", default=Probe.program,
              default_doc="the program that is the bus"),
    ),
    password=_NO_SECRETS % "password_file",
    token=_NO_SECRETS % "token_file",
    pass_file="write password_file",
    passwd=_NO_SECRETS % "password_file",
    ssl="the word here is tls",
    url="write port and path: the address is that of the host",
    probe="inside a mapping the word is type",
    args="the word here is command: [program, argument, ...]",
)

TLS = table(
    "TLS of a probe",
    "probe.tls",
    "The server's certificate is always verified. Files are read again when they change.",
    (
        Field("ca", "file", "The authorities whose certificates count.", default=Tls.ca, default_doc="the system's"),
        Field("certificate", "file", "The certificate that the probe shows.", default=Tls.certificate),
        Field("key", "file", "Its key.", default=Tls.key),
        Field("server_name", "address", "The name that the server's certificate must hold.", default=Tls.server_name,
              default_doc="the address"),
        Field("verify_name", "boolean", "`false`: any name will do, where the authority signs nothing else.",
              default=Tls.verify_name),
    ),
    cafile="the word here is ca",
    cert="the word here is certificate",
    keyfile="the word here is key",
    verify="certificates are always verified; verify_name: false takes any name in them",
    insecure="certificates are always verified; verify_name: false takes any name in them",
)

ALL_KINDS = TYPES + COMPOSED
