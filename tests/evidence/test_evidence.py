from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import translation

from complycube_sessions import __version__
from complycube_sessions.evidence import build, html, verify
from complycube_sessions.evidence.build import Content, canonical, export_evidence
from complycube_sessions.evidence.verify import (
    EvidenceUnreadableError,
    is_as_exported,
    verify_evidence,
)
from complycube_sessions.models import (
    RelatedCheck,
    SessionChange,
    SessionEvidence,
    WorkflowSession,
)
from complycube_sessions.privacy.erase import erase_client
from tests.admin.builders import NOON, make_check, make_session
from tests.builders import by_hand, session_row

pytestmark = pytest.mark.django_db
MARKUP = "<img src=x onerror=alert(1)>"


@by_hand()
def whole_session(**fields: Any) -> WorkflowSession:
    """Return a session with a check, a policy, a task and a change of each kind."""
    session = make_session(
        tasks=[{"id": "task_1", "name": "Take a picture"}],
        compliance_policies=[{"id": "p1", "name": "Identity, medium"}],
        policy_assurance=[{"id": "p1", "outcome": "clear"}],
        **fields,
    )
    check = make_check(session, outcome="attention", result_fetched_at=NOON + timedelta(hours=2))
    SessionChange.objects.create(
        session=session,
        check_id=check.check_id,
        field="outcome",
        old="clear",
        new="attention",
        observed_at=NOON + timedelta(hours=3),
        source="webhook",
    )
    return session


def document_of(session: WorkflowSession, **options: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(export_evidence(session.pk, **options).json)
    return document


def page_of(session: WorkflowSession, **options: Any) -> str:
    return export_evidence(session.pk, **options).page.decode()


def text_of(html: str) -> str:
    """Return what a reader sees of a page, its blanks as one."""
    seen: list[str] = []

    class Reader(HTMLParser):
        within = ""

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.within = tag

        def handle_data(self, data: str) -> None:
            if self.within != "style":
                seen.append(data)

    Reader().feed(html)
    return re.sub(r"\s+", " ", " ".join(seen))


def test_reasons__in_both_files() -> None:
    """Both files say why a check is not clear; the JSON in English, the page in its reader's language."""
    session = make_session(outcome="attention")
    found = {"clientValidation": {"name": {"outcome": "attention", "similarity": 62}}}
    make_check(session, outcome="attention", result={"breakdown": found})
    make_check(session)
    text = "Name differs from the document: 62 % alike"
    with translation.override("de"):
        evidence = export_evidence(session.pk)
    document = json.loads(evidence.json)
    assert [check["reasons"] for check in document["checks"]] == [[text], []]
    assert "zu 62 % ähnlich" in evidence.page.decode()
    assert text in page_of(session)
    quiet = export_evidence(session.pk, content=Content(sensitive=False))
    assert "62 %" not in json.dumps(json.loads(quiet.json)["checks"]) + text_of(quiet.page.decode())


def test_page__policies_in_words() -> None:
    """A policy has its word as a mark, and one that is not documented says so."""
    session = make_session(
        compliance_policies=[{"id": "p", "title": "FATF"}],
        policy_assurance=[{"id": "p", "outcome": "not_met", "score": 7}],
    )
    text = text_of(page_of(session))
    assert "FATF i Not met" in text
    assert "ComplyCube does not document this word" in text
    assert "Score 7 of 100" in text


def test_json__holds_everything() -> None:
    """The file has the session, its checks with results, policies, history, and when and by whom."""
    session = whole_session(entity_name="Ñandú", account="second")
    before = datetime.now(UTC)
    document = document_of(session, actor="user:7", actor_name="lead")
    assert document["format"] == "complycube-sessions-evidence"
    assert document["session"]["entity_name"] == "Ñandú"
    assert document["session"]["created_at"] == session.created_at.strftime(  # type: ignore[union-attr]
        "%Y-%m-%dT%H:%M:%S.%fZ"
    )
    assert document["copy"]["account"] == "second"
    assert document["copy"]["environment"] == "test"
    assert document["copy"]["fetched_at"] == "2026-11-01T13:00:00.000000Z"
    (check,) = document["checks"]
    assert check["result"]["breakdown"] == {"contentAnalysis": "clear"}
    assert check["result_fetched_at"] == "2026-11-01T14:00:00.000000Z"
    assert document["compliance_policies"] == session.compliance_policies
    assert document["policy_assurance"] == session.policy_assurance
    assert document["tasks"] == session.tasks
    assert document["answer_as_received"] == session.raw
    (change,) = document["history"]
    assert (change["old"], change["new"], change["source"]) == ("clear", "attention", "webhook")
    assert document["left_out"] == []
    export = document["export"]
    assert (export["actor"], export["actor_name"]) == ("user:7", "lead")
    assert export["app_version"] == __version__
    assert before <= datetime.fromisoformat(export["exported_at"]) <= datetime.now(UTC)


def test_json__timeline() -> None:
    """The timeline is in the order of time, and says whose time each is."""
    session = whole_session()
    timeline = document_of(session)["timeline"]
    assert [event["at"] for event in timeline] == sorted(event["at"] for event in timeline)
    assert {event["what"]: event["by"] for event in timeline} == {
        "session_created": "vendor",
        "session_completed": "vendor",
        "session_updated": "vendor",
        "check_created": "vendor",
        "check_updated": "vendor",
        "first_stored": "copy",
        "last_fetched": "copy",
        "change": "copy",
    }


def test_json__no_time_is_known() -> None:
    """A session of which hardly anything is known has evidence too."""
    row = session_row("5eb", entity_name="")
    document = document_of(row)
    assert document["session"]["created_at"] is None
    assert [event["what"] for event in document["timeline"]] == ["last_fetched", "first_stored"]
    assert "No name" in text_of(page_of(row))


def test_json__is_canonical() -> None:
    """The bytes are those of UTF-8 JSON with sorted keys and no blanks, whoever writes it anew."""
    session = whole_session(raw={"b": 1.5, "a": ["é", None, True], "ć": {}})
    written = export_evidence(session.pk).json
    anew = json.dumps(
        json.loads(written), ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    assert written == anew.encode()
    assert '"ć":{}'.encode() in written


def test_canonical__half_a_surrogate_pair() -> None:
    """Text that has no UTF-8 stays what it was."""
    assert json.loads(canonical({"a": "\ud800"})) == {"a": "\ud800"}


def test_record__hashes_and_no_person() -> None:
    """The database keeps the hashes of both files, the session's id, when, who and the version."""
    session = whole_session(entity_name="Ann Secret")
    exported = export_evidence(session.pk, actor="user:7", actor_name="ann@lead.example")
    record = SessionEvidence.objects.get()
    assert record.sha256 == hashlib.sha256(exported.json).hexdigest()
    assert record.page_sha256 == hashlib.sha256(exported.page).hexdigest()
    assert (record.session_id, record.actor) == (session.pk, "user:7")
    assert record.app_version == __version__
    kept = " ".join(str(getattr(record, field.name)) for field in record._meta.concrete_fields)
    assert "Ann" not in kept
    assert "ann@" not in kept
    assert str(record) == record.sha256[:12]


def test_record__outlives_the_session() -> None:
    """When the session is gone, its file can still be verified."""
    exported = export_evidence(whole_session().pk)
    with by_hand():
        WorkflowSession.objects.all().delete()
    assert is_as_exported(verify_evidence(exported.json))


def test_unknown_session__no_record() -> None:
    """Of a session that is not stored there is no evidence, and no record."""
    with pytest.raises(WorkflowSession.DoesNotExist):
        export_evidence("5eb")
    assert not SessionEvidence.objects.exists()


def test_content__without_what_is_sensitive() -> None:
    """Who may not see results, tasks and the answer gets files without them, which say so."""
    session = whole_session()
    exported = export_evidence(session.pk, content=Content(sensitive=False))
    document = json.loads(exported.json)
    assert "answer_as_received" not in document
    assert "tasks" not in document
    assert "result" not in document["checks"][0]
    assert document["left_out"] == [{"what": "sensitive", "why": "permission"}]
    page = text_of(exported.page.decode())
    assert "the tasks and the API response are left out" in page
    for hidden in ("raw-secret", "contentAnalysis", "Take a picture"):
        assert hidden.encode() not in exported.json + exported.page


def test_content__without_history() -> None:
    """Who may not see changes gets none, neither as history nor in the timeline."""
    session = whole_session()
    document = document_of(session, content=Content(history=False))
    assert document["history"] == []
    assert not [event for event in document["timeline"] if event["what"] == "change"]
    page = text_of(page_of(session, content=Content(history=False)))
    assert "The history is left out" in page
    assert "No change was observed" not in page


def test_bounds__what_is_left_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks, results and changes beyond the bounds are counted, and the page says so."""
    session = whole_session()
    for _ in range(4):
        make_check(session, result={"outcome": "clear", "breakdown": {"text": "x" * 400}})
        with by_hand():
            SessionChange.objects.create(
                session=session, field="outcome", new="clear", observed_at=NOON, source="refresh"
            )
    monkeypatch.setattr(build, "CHECKS_KEPT", 3)
    monkeypatch.setattr(build, "CHANGES_KEPT", 2)
    monkeypatch.setattr(build, "RESULT_BYTES_KEPT", 600)
    document = document_of(session)
    assert document["left_out"] == [
        {"what": "check_results", "why": "size", "count": 1},
        {"what": "checks", "why": "size", "count": 2},
        {"what": "history", "why": "size", "count": 3},
    ]
    assert len(document["checks"]) == 3
    assert [change["source"] for change in document["history"]] == ["refresh", "webhook"]
    page = text_of(page_of(session))
    assert "Left out for size: 2 more checks." in page
    assert "Left out for size: the result of 1 check." in page
    assert "Left out for size: 3 older changes." in page


@pytest.mark.parametrize("part", ["json", "page", "zip"])
def test_verify__as_exported(part: str) -> None:
    """Each file, and the archive of both, is known again."""
    exported = export_evidence(whole_session().pk)
    data = {"json": exported.json, "page": exported.page, "zip": exported.as_zip()}[part]
    found = verify_evidence(data)
    assert is_as_exported(found)
    assert {verification.record for verification in found} == {exported.record}


@pytest.mark.parametrize("part", ["json", "page"])
def test_verify__one_byte_changed(part: str) -> None:
    """Whichever byte is changed, added or cut, the file is not as exported."""
    exported = export_evidence(whole_session(entity_name="Ann").pk)
    data: bytes = getattr(exported, part)
    places = [0, 1, len(data) // 2, len(data) - 1, data.index(b"Ann")]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1
        assert not is_as_exported(verify_evidence(bytes(changed)))
    for other in (data[:-1], data + b"\n", b" " + data, data.replace(b"Ann", b"Bob", 1), b""):
        assert not is_as_exported(verify_evidence(other))


def test_verify__changed_file_names_its_session() -> None:
    """A changed file is told from one of a session that was never exported here."""
    session = whole_session()
    exported = export_evidence(session.pk)
    export_evidence(session.pk)
    (found,) = verify_evidence(exported.json.replace(b"clear", b"claar", 1))
    assert (found.record, found.claimed, found.known) == (None, session.pk, 2)
    (found,) = verify_evidence(exported.json.replace(session.pk.encode(), b"5eb-other"))
    assert (found.claimed, found.known) == ("5eb-other", 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\xff",
        b"[" * 100_000,
        b"[]",
        b"null",
        b'{"format":"complycube-sessions-evidence"}',
        b'{"format":"complycube-sessions-evidence","session":[]}',
        b'{"format":"complycube-sessions-evidence","session":{"id":5}}',
        b'{"format":"complycube-sessions-evidence","session":{"id":"\\u202eabc\\n"}}',
        b'{"format":"other","session":{"id":"5eb"}}',
        b"<html></html>",
    ],
)
def test_verify__file_of_anything(data: bytes) -> None:
    """Whatever is in a file, it is unknown, and claims nothing that could not be an id."""
    (found,) = verify_evidence(data)
    assert (found.record, found.claimed) == (None, "")


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return buffer.getvalue()


def test_verify__archive_that_was_changed() -> None:
    """A file more, a changed file, or files of two exports are not one export."""
    session = whole_session()
    first, second = export_evidence(session.pk), export_evidence(session.pk)
    changed = first.json.replace(b"clear", b"claar", 1)
    for files in (
        {"a.json": first.json, "more.txt": b""},
        {"a.json": changed, "a.html": first.page},
        {"a.json": first.json, "a.html": second.page},
    ):
        assert not is_as_exported(verify_evidence(archive(files)))
    assert is_as_exported(verify_evidence(archive({"a.json": first.json, "b": first.page})))


@pytest.mark.parametrize(
    "data",
    [
        b"PK",
        b"PK\x03\x04" + b"x" * 100,
        archive({}),
        archive({str(number): b"" for number in range(11)}),
        archive({"a": b"abc"}).replace(b"abc", b"abd"),
    ],
)
def test_verify__broken_archive(data: bytes) -> None:
    """An archive that cannot be opened, or is none of ours by its files, is unreadable."""
    with pytest.raises(EvidenceUnreadableError):
        verify_evidence(data)


def test_verify__too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a large file nor a small archive of one is read without measure."""
    monkeypatch.setattr(verify, "MAX_FILE_BYTES", 10_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("bomb.json", b"0" * 5_000_000)
    assert len(buffer.getvalue()) < 10_000
    for data in (b"0" * 10_001, buffer.getvalue()):
        with pytest.raises(EvidenceUnreadableError, match="larger than 10000 bytes"):
            verify_evidence(data)


def test_verify__erased_person() -> None:
    """For an erased person the id goes out of the records; the file can still be verified."""
    session, other = whole_session(), make_session(client_id="another")
    exported = export_evidence(session.pk)
    export_evidence(other.pk)
    removed = erase_client(session.client_id)
    assert removed.rows["SessionEvidence.session_id"] == 1
    assert not SessionEvidence.objects.filter(session_id=session.pk).exists()
    assert SessionEvidence.objects.filter(session_id=other.pk).count() == 1
    (found,) = verify_evidence(exported.json)
    assert found.record is not None


def test_files__names_are_safe() -> None:
    """Whatever the id is, the names of the files are plain."""
    row = session_row("../../etc/pass wd\u202e:" + "x" * 90)
    exported = export_evidence(row.pk)
    for name in exported.files:
        assert re.fullmatch(
            r"evidence-[A-Za-z0-9_-]{64}-\d{8}T\d{6}Z-[0-9a-f]{8}\.(json|html)", name
        )


def test_export__queries_do_not_grow(django_assert_max_num_queries: Any) -> None:
    """An export takes the same few queries for any number of checks and changes."""
    session = whole_session()
    for _ in range(100):
        make_check(session)
        with by_hand():
            SessionChange.objects.create(
                session=session, field="outcome", observed_at=NOON, source="refresh"
            )
    with django_assert_max_num_queries(11):
        export_evidence(session.pk)


@pytest.mark.parametrize("size", [1, 4, 5, 7])
def test_export__checks_in_any_pieces(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """All checks are there in their order, up to the bound, however many are read at once."""
    session = make_session()
    ids = [make_check(session, position=number // 2).check_id for number in range(12)]
    monkeypatch.setattr(build, "CHECKS_AT_ONCE", size)
    monkeypatch.setattr(build, "CHECKS_KEPT", 10)
    document = json.loads(export_evidence(session.pk).json)
    assert [check["check_id"] for check in document["checks"]] == ids[:10]
    assert {"what": "checks", "why": "size", "count": 2} in document["left_out"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.vendors("postgresql", "mysql")  # SQLite has one writer at a time, and no locks of rows
def test_export__nothing_moves_meanwhile() -> None:
    """A refresh that comes between the session and its checks waits until both are read."""
    session = whole_session(outcome="clear")
    stored = threading.Event()
    table = connection.ops.quote_name(RelatedCheck._meta.db_table)

    def store() -> None:
        with transaction.atomic(), by_hand():
            row = WorkflowSession.objects.select_for_update().get(pk=session.pk)
            row.checks.update(outcome="rejected")
        connection.close()
        stored.set()

    def read(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if f"FROM {table}" in sql and not writers:
            writers.append(threading.Thread(target=store))
            writers[0].start()
            assert not stored.wait(0.5)
        return execute(sql, *args)

    writers: list[threading.Thread] = []
    with connection.execute_wrapper(read):
        (check,) = document_of(session)["checks"]
    assert writers
    assert check["outcome"] == "attention"
    assert stored.wait(10)


def test_page__says_what_a_regulator_asks() -> None:
    """The page tells who, the outcome, what it is a copy of, when, by whom, and how to verify it."""
    session = whole_session(entity_name="Ann Example", outcome="attention", needs_review=True)
    exported = export_evidence(session.pk, actor="user:7", actor_name="lead")
    page = text_of(exported.page.decode())
    for said in (
        "Ann Example",
        "ComplyCube gave this session the outcome “Attention”. This is not an approval.",
        "1 of 1 checks is not clear.",
        "Test environment: no real person was verified in this session.",
        "lead (user:7)",
        "Last fetched from ComplyCube 2026-11-01 13:00:00 UTC",
        f"django-complycube-sessions {__version__}",
        exported.record.sha256,
        f"verify_session_evidence {exported.stem}.json",
        "Identity, medium",
        "Take a picture",
        "Document Check",
        "Webhook",
        "raw-secret",
    ):
        assert said in page, said


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("clear", "ComplyCube gave this session the outcome “Clear”."),
        ("", "ComplyCube has given this session no outcome. This is not an approval."),
        ("approved", "gave this session the outcome “approved”. This is not an approval."),
    ],
)
def test_page__only_clear_is_good(outcome: str, said: str) -> None:
    """Only an outcome that is known and good looks like one."""
    html = page_of(whole_session(outcome=outcome))
    assert said in text_of(html)
    assert ('class="hero good"' in html) is (outcome == "clear")
    assert ("not an approval" in html) is (outcome != "clear")


def test_page__result_that_was_not_fetched() -> None:
    """A check without a stored result is counted, so that nobody takes it for one without a finding."""
    session = whole_session()
    make_check(session, result={})
    assert "The result of 1 check was not fetched; its outcome is shown above." in text_of(
        page_of(session)
    )  # fmt: skip


def test_page__gone_or_failed_is_not_overlooked() -> None:
    """A session that the vendor lost, and a check that did not run, stand out."""
    session = whole_session(missing_since=NOON, environment="live")
    make_check(session, status="failed", outcome="")
    page = text_of(page_of(session))
    assert "ComplyCube has not known this session since 2026-11-01 12:00:00 UTC." in page
    assert "Failed to run" in page
    assert "verified no real person" not in page


class Elements(HTMLParser):
    """Collect the tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


HOSTILE = (
    f"{MARKUP}'\"><script>alert(2)</script></style></title>",
    "{{ 7|add:7 }}{% now 'Y' %}%s%(x)s",
    "\u202eevil\u2066\u200b",
    "</bdi></code></dl><base href=//evil>",
    "&lt;b&gt;&amp;",
    "x" * 250,
)


@pytest.mark.parametrize("text", HOSTILE)
def test_page__hostile_text_is_text(text: str) -> None:
    """Whatever the vendor sends makes no element, no attribute and no script, and asks nobody anything."""
    word = text[:64]
    tree = {text: "clear", "outcome": text, "name": text, "deep": [[{"a": [text, None]}]], "n": 1}
    session = make_session(
        id=word,
        entity_name=text,
        status=word,
        outcome=word,
        client_id=word,
        workflow_template_name=text,
        workflow_description=text,
        workflow_template_description=text,
        last_completed_task_id=text,
        compliance_policies=[tree, text, None, [text]],
        policy_assurance={"id": text},
        tasks=[tree],
        raw=tree,
    )
    make_check(session, check_id=word, type=word, status=word, outcome=word, result=tree)
    for field in ("outcome", "status", "check", word):
        with by_hand():
            SessionChange.objects.create(
                session=session, check_id=word, field=field, old=word, new=word,
                observed_at=NOON, source=word,
            )  # fmt: skip
    html = page_of(session, actor_name=text)
    found = Elements(html)
    assert {tag for tag, _ in found.tags} <= {
        "html", "head", "meta", "title", "style", "body", "header", "main", "section", "footer", "div",
        "h1", "h2", "h3", "p", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "ul", "li",
        "code", "bdi", "b", "br", "span",
    }  # fmt: skip
    for tag, attrs in found.tags:
        assert not {"src", "href", "style", "action"} & set(attrs), (tag, attrs)
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
    assert "url(" not in html
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b]", html)
    if "\u202e" in text:
        assert "[U+202E]evil[U+2066][U+200B]" in html


def test_page__long_name_is_cut_and_counted() -> None:
    """A name of 10,000 characters is cut on the page, which says by how much; the JSON has it all."""
    session = make_session(workflow_description="n" * 10_000, raw={"entityName": "m" * 10_000})
    exported = export_evidence(session.pk)
    assert b"n" * 10_000 in exported.json
    page = exported.page.decode()
    assert "n" * 2_001 not in page
    assert page.count("… (8000 more characters)") == 2
    assert len(exported.page) < 100_000


def test_page__is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A huge answer makes a page of bounded size that says what it does not show."""
    monkeypatch.setattr(html, "MAX_ROWS", 5)
    session = make_session(raw={f"key {n}": ["v" * 3_000] * 10 for n in range(200)})
    for _ in range(20):
        make_check(session)
    exported = export_evidence(session.pk)
    assert len(exported.page) < 1_000_000 < len(exported.json)
    said = re.search(r"shortened: (\d+) entries and (\d+) rows", text_of(exported.page.decode()))
    assert said is not None
    assert int(said[1]) > 150
    assert int(said[2]) > 15


def test_page__stands_alone() -> None:
    """The page loads nothing, runs nothing, and forbids both by its own policy."""
    html = page_of(whole_session())
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert "<script" not in html
    assert "http://" not in html
    assert "https://" not in html
    assert html.startswith("<!DOCTYPE html>")
