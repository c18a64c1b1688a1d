from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from complycube_sessions.exceptions import ComplyCubePayloadError, ComplyCubeSignatureError
from complycube_sessions.webhooks.receive import parse_event, sign, verify_signature

SECRET = "a_webhook_signature"
BODY = b'{"id":"value"}'
DIGEST = "bc00414fa4d54277a3ed01e5ee258d9800a918a7791c7cda16d38b82f38f2150"


def test_verify_signature__vendors_test_vector() -> None:
    """The vendor's own example verifies, and is what signing makes."""
    verify_signature(BODY, DIGEST, [SECRET])
    assert sign(BODY, SECRET) == DIGEST


def test_verify_signature__vendors_package() -> None:
    """What verifies here verifies with the vendor's Python package, and the other way about."""
    package = pytest.importorskip(
        "complycube.eventverifier", reason="the vendor's package is not installed"
    )
    body = '{"id": "1", "type": "client.updated", "payload": {"name": "Łukasz"}}'.encode()
    verifier = package.EventVerifier(SECRET)
    verifier.construct_event(body, sign(body, SECRET))
    verify_signature(body, sign(body, SECRET), [SECRET])
    with pytest.raises(package.VertificationError):
        verifier.construct_event(body, sign(body + b" ", SECRET))


def test_verify_signature__any_of_the_secrets() -> None:
    """While a secret is rotated, the old one and the new one verify."""
    for secrets in ([SECRET, "new"], ["new", SECRET], ["é", SECRET]):
        verify_signature(BODY, DIGEST, secrets)


def one_flipped_bit(data: bytes) -> Iterator[bytes]:
    """Yield all that differ from the data in one bit."""
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        yield bytes(flipped)


def test_verify_signature__one_flipped_bit_of_the_signature() -> None:
    """No bit of the signature may differ, nor the case of a letter."""
    accepted = [s for s in one_flipped_bit(DIGEST.encode()) if verifies(BODY, s.decode("latin-1"))]
    assert accepted == []


def test_verify_signature__one_flipped_bit_of_the_body() -> None:
    """No bit of the body may differ."""
    assert [body for body in one_flipped_bit(BODY) if verifies(body, DIGEST)] == []
    assert verifies(BODY, DIGEST)


def verifies(body: bytes, signature: str) -> bool:
    try:
        verify_signature(body, signature, [SECRET])
    except ComplyCubeSignatureError:
        return False
    return True


@pytest.mark.parametrize(
    ("signature", "secrets"),
    [
        ("", [SECRET]),
        ("ä" * 64, [SECRET]),
        ("\ud800", [SECRET]),
        (DIGEST.upper(), [SECRET]),
        (DIGEST + " ", [SECRET]),
        (f"t=1,v1={DIGEST}", [SECRET]),
        (DIGEST, []),
        (hmac.new(b"", BODY, hashlib.sha256).hexdigest(), []),
        (DIGEST, ["another"]),
    ],
)
def test_verify_signature__refused(signature: str, secrets: list[str]) -> None:
    """A missing, malformed or foreign signature is refused; without a secret all are."""
    with pytest.raises(ComplyCubeSignatureError):
        verify_signature(BODY, signature, secrets)


def test_parse_event__documented_example() -> None:
    """Ids, words and the time are kept."""
    body = {
        "id": "evt",
        "type": "check.completed",
        "resourceType": "check",
        "payload": {"id": "chk", "status": "complete", "outcome": "clear", "clientId": "cli"},
        "createdAt": "2026-01-05T10:00:09.300Z",
    }
    event = parse_event(json.dumps(body).encode())
    assert (event.id, event.type, event.resource_id, event.client_id) == (
        "evt",
        "check.completed",
        "chk",
        "cli",
    )
    assert (event.status, event.outcome) == ("complete", "clear")
    assert event.occurred_at == datetime(2026, 1, 5, 10, 0, 9, 300_000, tzinfo=UTC)


def test_parse_event__nothing_of_a_person() -> None:
    """Of other resources no word is kept, whatever its name."""
    body = {
        "id": "evt",
        "type": "client.updated",
        "payload": {"id": "cli", "status": "John Doe", "outcome": "John", "email": "j@example.org"},
    }
    event = parse_event(json.dumps(body).encode())
    assert (event.resource_id, event.client_id, event.status, event.outcome) == (
        "cli",
        "cli",
        "",
        "",
    )


def test_parse_event__nested_outcome() -> None:
    """An outcome inside ``result`` is read too."""
    body = {"id": "e", "type": "check.updated", "payload": {"result": {"outcome": "attention"}}}
    assert parse_event(json.dumps(body).encode()).outcome == "attention"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"id": "1"}',
        b'{"type": "x"}',
        b'{"id": "", "type": "x"}',
        b'{"id": 1, "type": "x"}',
        b'{"id": ' + b"9" * 401 + b', "type": "x"}',
        b'{"id": -' + b"9" * 401 + b', "type": "x"}',
        b'{"id": NaN, "type": "x"}',
        b'{"id": -Infinity, "type": "x"}',
        b'{"id": 1e999, "type": "x"}',
        b'{"id": "1", "type": ' + b"9" * 401 + b"}",
        b'{"id": "1", "type": null}',
        b'{"id": "1", "type": "x"',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_parse_event__no_event(body: bytes) -> None:
    """What is not an object with an id and a type is no event."""
    with pytest.raises(ComplyCubePayloadError):
        parse_event(body)


def test_parse_event__resource_that_is_a_huge_number() -> None:
    """Two numbers that no database holds are no ids, rather than one and the same."""
    body = b'{"id": "1", "type": "client.deleted", "payload": {"id": %s, "clientId": NaN}}'
    event = parse_event(body % (b"9" * 401))
    assert (event.resource_id, event.client_id) == ("", "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {
            "id": st.text(min_size=1),
            "type": st.sampled_from(["check.x", "workflow.session.x", "y"]),
        },
        optional={
            "payload": json_values
            | st.fixed_dictionaries(
                {},
                optional=dict.fromkeys(
                    ("id", "clientId", "status", "outcome", "result"), json_values
                ),
            ),
            "createdAt": json_values,
        },
    )
)
def test_parse_event__any_shape_is_storable(body: dict[str, object]) -> None:
    """Fields of any type become values that fit their columns."""
    event = parse_event(json.dumps(body).encode("utf-8", "surrogatepass"))
    assert max(len(event.id), len(event.type), len(event.resource_id), len(event.client_id)) <= 128
    assert max(len(event.status), len(event.outcome)) <= 64
    assert "\x00" not in "".join([event.id, event.resource_id, event.status, event.outcome])
