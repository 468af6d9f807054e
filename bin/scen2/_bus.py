# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data bus of the reference application, by what $SCEN2_BUS says: ``nats`` (the default) or ``mqtt``.

- ``Bus(where, name, log)``: a client that stays connected: subscribe, publish, request, step (`_link.Link`)
- ``round_trip(address, port, subject, timeout)``: one message there and back; raises OSError
- ``unlinked(address, environ, timeout)``: why a console's bus is not joined to the item's server; empty when it is
- ``token(text)``, ``endpoints(text)``

Subjects are words with dots between them; no program knows which bus it is on.
"""

import os

from _link import endpoints, token

_NAME = os.environ.get("SCEN2_BUS") or "nats"

if _NAME == "nats":
    from _nats import Bus, round_trip, unlinked
elif _NAME == "mqtt":
    from _mqtt import Bus, round_trip, unlinked
else:
    os.write(2, ("SCEN2_BUS is %r: the buses of scen2 are nats and mqtt\n" % _NAME).encode())
    os._exit(78)

__all__ = ["Bus", "endpoints", "round_trip", "token", "unlinked"]
