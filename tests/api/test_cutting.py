"""What of an answer is never stored: an image is known by what it is, whatever its length."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from complycube_sessions.api.cutting import without_oversized_text
from complycube_sessions.api.payloads import parse_check, parse_check_page, parse_session
from complycube_sessions.api.values import key_text
from tests.builders import CHECK_IDS, SESSION_ID, check_payload, session_payload

FIRST_BYTES = {
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "gif": b"GIF89a\x01\x00\x01\x00\x80\x00",
    "webp": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "tiff": b"II*\x00\x08\x00\x00\x00\x12\x00\x00\x01",
    "mp4": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00",
}


def encoded(kind: str, size: int = 60) -> str:
    return base64.b64encode(FIRST_BYTES[kind] + bytes(range(200))[:size]).decode()


def mark(text: str) -> str:
    return f"[cut: base64 data, {len(text)} characters]"


@pytest.mark.parametrize("kind", FIRST_BYTES)
@pytest.mark.parametrize("size", [0, 60, 200])
def test_cut__file_by_its_first_bytes(kind: str, size: int) -> None:
    """A file in base64 is cut, however short and whatever it stands under."""
    text = encoded(kind, size)
    assert without_oversized_text({"data": [text]}) == {"data": [mark(text)]}


@pytest.mark.parametrize(
    "text",
    [
        "data:image/png;base64,iVBORw0KGgo=",
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E",
        "DATA:application/octet-stream;charset=x;base64,AAAAAAAAAAAA",
    ],
)
def test_cut__data_uri(text: str) -> None:
    """A data URI says what it is."""
    assert without_oversized_text(text) == mark(text)


def test_cut__data_uri_within_text() -> None:
    """Of a longer text only the file is cut."""
    uri = "data:image/png;base64," + encoded("png")
    text = f'<p>Photo:</p><img src="{uri}" alt="x">'
    assert without_oversized_text(text) == f'<p>Photo:</p><img src="{mark(uri)}" alt="x">'


@pytest.mark.parametrize("key", ["actualImageData", "imageData", "photo_bytes", "fileBase64"])
def test_cut__by_its_key(key: str) -> None:
    """Under a key for images, base64 of any beginning is one."""
    text = base64.b64encode(bytes(range(100, 160))).decode()
    assert without_oversized_text({key: text}) == {key: mark(text)}
    assert without_oversized_text({"note": text}) == {"note": text}


def test_cut__lines_of_a_mail() -> None:
    """Base64 that is broken into lines is base64."""
    text = base64.encodebytes(bytes(3000)).decode()
    assert without_oversized_text(text) == mark(text)


@pytest.mark.parametrize(
    "text",
    [
        SESSION_ID,
        str(uuid.UUID(int=2**127)),
        hashlib.sha256(b"x").hexdigest(),
        base64.b64encode(hashlib.sha512(b"x").digest()).decode(),
        "/9j/",
        "iVBOR is not an image",
        "JVBERi and then other words, which base64 has not",
        "extensive_screening_check",
        "data:image is what they said",
        "https://files.example/9j/photo.jpg?size=large",
        "word " * 600,
    ],
)
@pytest.mark.parametrize("key", ["note", "image", "imageId", "signature"])
def test_cut__not_ids_hashes_and_words(text: str, key: str) -> None:
    """What is compared or read stays as it is."""
    assert without_oversized_text({key: text}) == {key: text}


@pytest.mark.parametrize("text", [SESSION_ID, str(uuid.UUID(int=7)), "0" * 64])
def test_cut__not_an_id_under_a_key_for_images(text: str) -> None:
    assert without_oversized_text({"actualImageData": text}) == {"actualImageData": text}


@given(
    st.recursive(
        st.text() | st.sampled_from([encoded("png"), "a" * 3000, "b c" * 5000]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )
)
def test_cut__twice_is_once(value: Any) -> None:
    """What was cut is left as it is: a stored row and a new answer are cut alike."""
    once = without_oversized_text(value)
    assert without_oversized_text(once) == once


def test_session__is_cut_everywhere() -> None:
    """Tasks, policies and the answer hold no image, and no text without measure but a field's own."""
    image, essay = encoded("jpeg"), "é " * 20_000
    big = base64.b64encode(bytes(60_000)).decode()
    data = session_payload(
        tasks=[{"id": "t", "data": {"images": [{"data": big}, {"data": image}], "note": essay}}],
        compliancePolicies=[{"logo": image}],
        policyAssurance=[{"evidence": {"actualImageData": image}}],
        workflowDescription=essay,
        workflowTemplateDescription=image,
        later={"field": image},
    )
    session = parse_session(data, session_id=SESSION_ID)
    assert session.workflow_description == essay == session.raw.pop("workflowDescription")
    stored = json.dumps([session.raw, session.tasks, session.compliance_policies])
    stored += json.dumps([session.policy_assurance, session.workflow_template_description])
    assert image not in stored
    assert big not in stored
    assert len(stored) < 5000
    assert session.tasks[0]["data"]["images"] == [{"data": mark(big)}, {"data": mark(image)}]
    assert session.raw["tasks"] == session.tasks
    assert session.tasks[0]["data"]["note"].endswith("[cut: 40000 characters in all]")


def test_session__what_is_compared_is_read_before_the_cut() -> None:
    """Two ids of 20,000 characters that begin alike stay two."""
    one, other = ("x" * 20_000 + end for end in "12")
    found = {
        parse_session(session_payload(clientId=text), session_id=SESSION_ID).client_id
        for text in (one, other)
    }
    assert found == {key_text(one, 128), key_text(other, 128)}
    assert len(found) == 2


def test_check__answer_as_received() -> None:
    """All fields are kept, by a list as by GET; the breakdown stands in the result alone."""
    fields: dict[str, Any] = {
        "documentId": "doc1",
        "addressId": "adr1",
        "livePhotoId": "photo1",
        "liveVideoId": "video1",
        "enableMonitoring": True,
        "options": {"screeningListsScope": "pep"},
        "clientConsent": True,
        "lastActionBy": "member1",
        "comesLater": [1, {"photo": encoded("jpeg")}],
    }
    data = check_payload(**fields)
    check = parse_check(data, check_id=CHECK_IDS[0])
    cut = {"comesLater": [1, {"photo": mark(encoded("jpeg"))}], "result": {"outcome": "clear"}}
    assert check.raw == data | cut
    assert (check.document_id, check.monitored, check.is_listed) == ("doc1", True, False)
    listed = {**data, "result": {"outcome": "clear"}}
    (item,) = parse_check_page({"totalItems": 1, "items": [listed]}).items
    assert (item.raw, item.document_id, item.monitored) == (check.raw, "doc1", True)
    assert (item.result, item.is_listed) == (None, True)


@pytest.mark.parametrize("value", [None, "yes", 1, [], {}])
def test_check__monitored_is_true_false_or_unknown(value: object) -> None:
    assert parse_check(check_payload(enableMonitoring=value), check_id=CHECK_IDS[0]).monitored is (
        None
    )
