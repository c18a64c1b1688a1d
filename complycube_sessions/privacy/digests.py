"""Keyed hashes of ids, which an erasure stores instead of the ids."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.utils.crypto import salted_hmac

from complycube_sessions.conf import conf
from complycube_sessions.models import Erasure

SHORT_DIGEST: Final = 12
CLIENT: Final = Erasure.Kind.CLIENT.value
SESSION: Final = Erasure.Kind.SESSION.value
CHECK: Final = Erasure.Kind.CHECK.value


def digest(kind: str, value: str) -> str:
    """Return the hash of an id with the current key; spaces around a client's id are ignored."""
    return _hash(_hashers(kind)[0], value.strip() if kind == CLIENT else value)


def digests(kind: str, values: Iterable[str]) -> dict[str, list[str]]:
    """Map each possible hash of the ids, including hashes with old keys, to its ids."""
    hashers = _hashers(kind)
    found: dict[str, list[str]] = {}
    for value in filter(None, values):
        forms = {value, value.strip()} if kind == CLIENT else {value}
        for form in forms:
            for hasher in hashers:
                found.setdefault(_hash(hasher, form), []).append(value)
    return found


def key_fingerprint(key: str | bytes | None = None) -> str:
    """Return a fingerprint that identifies a key without revealing it; by default of the current key."""
    secret = conf.hash_keys[0] if key is None else key
    return salted_hmac(
        "complycube_sessions.erasure.key", b"", secret=secret, algorithm="sha256"
    ).hexdigest()[:16]


def _hashers(kind: str) -> Sequence[hmac.HMAC]:
    """Return a keyed hasher for each key, to be copied: a copy is much cheaper than a new one."""
    salt = f"complycube_sessions.erasure.{kind}"
    return [salted_hmac(salt, b"", secret=key, algorithm="sha256") for key in conf.hash_keys]


def _hash(hasher: Any, value: str) -> str:
    own = hasher.copy()
    own.update(value.encode())
    return str(own.hexdigest())
