"""`signalwire.connect`: credentials, resumption and what follows (section 1)."""

from __future__ import annotations

import base64
import dataclasses
import random
import time
from typing import Any

from relay_client.simulator.connection import Connection
from relay_client.simulator.platform import Platform
from relay_client.simulator.session import RelaySession
from relay_client.simulator.wire import Json, Request

_REFUSED = (
    "Authentication service failed with status ProtocolError, 401 Unauthorized: {}"
)
_LIFETIME = 3600


def connect(platform: Platform, connection: Connection, request: Request) -> None:
    """Answer the first request of a connection."""
    if not _is_welcome(platform, request.params):
        platform.counts["rejected"] += 1
        code = platform.connection_faults.reject_code
        connection.refuse(request, code, _REFUSED)
        if platform.connection_faults.close_after_reject:
            platform.tasks.spawn(connection.close(), "close after reject")
        return
    platform.counts["authenticated"] += 1
    session, is_resumed = _session(platform, request.params)
    session.contexts |= _contexts(request.params)
    connection.session = session
    session.resume(connection)
    connection.reply(request, _result(session))
    _follow_up(platform, connection, session, is_resumed=is_resumed)


def _follow_up(
    platform: Platform,
    connection: Connection,
    session: RelaySession,
    *,
    is_resumed: bool,
) -> None:
    faults = platform.connection_faults
    if faults.drop_after_auth > 0:
        platform.connection_faults = dataclasses.replace(
            faults, drop_after_auth=faults.drop_after_auth - 1
        )
        platform.tasks.spawn(connection.drop(), "drop after authentication")
        return
    if is_resumed and faults.replay_unacked:
        session.replay()
    else:
        session.forget_unacked()
    session.emit(
        "signalwire.authorization.state",
        {"authorization_state": _authorization_state(platform)},
    )
    platform.subscriptions_changed()


def _is_welcome(platform: Platform, params: Json) -> bool:
    faults = platform.connection_faults
    if faults.reject_auth > 0:
        platform.connection_faults = dataclasses.replace(
            faults, reject_auth=faults.reject_auth - 1
        )
        return False
    return _has_version(params.get("version")) and _has_credentials(platform, params)


def _has_version(version: Any) -> bool:
    return isinstance(version, dict) and version.get("major") in (2, 3)


def _has_credentials(platform: Platform, params: Json) -> bool:
    found = params.get("authentication")
    if not isinstance(found, dict):
        return False
    wanted = (platform.options.project, platform.options.token)
    if isinstance(found.get("jwt_token"), str):
        return wanted == (None, None)
    given = (found.get("project"), found.get("token"))
    return all(isinstance(text, str) and text for text in given) and all(
        want in (None, have) for want, have in zip(wanted, given, strict=True)
    )


def _session(platform: Platform, params: Json) -> tuple[RelaySession, bool]:
    """Return the session to go on with, and whether it existed before."""
    project = str(params["authentication"].get("project", "jwt"))
    known = platform.sessions.get(str(params.get("protocol")))
    faults = platform.connection_faults
    if known and known.project == project and not faults.forget_sessions:
        platform.counts["resumed"] += 1
        return known, True
    return platform.new_session(project), False


def _contexts(params: Json) -> set[str]:
    found = params.get("contexts")
    if not isinstance(found, list):
        return set()
    return {context for context in found if isinstance(context, str)}


def _result(session: RelaySession) -> Json:
    """Return the result of connect, which has no `code` (section 1.4)."""
    return {
        "identity": session.identity,
        "protocol": session.protocol,
        "authorization": {
            "project_id": session.project,
            "project": {
                "id": session.project,
                "name": "simulator",
                "space_id": session.space_id,
            },
            "scopes": ["calling", "messaging"],
            "signature": session.signature,
            "expires_at": int(time.time()) + _LIFETIME,
        },
    }


def _authorization_state(platform: Platform) -> str:
    """Return something that looks encrypted: ciphertext, colon, tag."""
    chance = random.Random(platform.ids.uuid())
    parts = (chance.randbytes(96), chance.randbytes(16))
    state = ":".join(base64.b64encode(part).decode("ascii") for part in parts)
    platform.journal.add_secret(state)
    return state
