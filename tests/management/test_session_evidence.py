from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from complycube_sessions.evidence.build import export_evidence
from complycube_sessions.models import SessionEvidence, WorkflowSession
from complycube_sessions.privacy.erase import erase_client
from tests.admin.builders import make_check, make_session, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> WorkflowSession:
    session = make_session(account="default")
    make_check(session)
    return session


def export(session_id: str, folder: Path, **options: Any) -> list[str]:
    out = StringIO()
    call_command("export_session_evidence", session_id, output=folder, stdout=out, **options)
    return out.getvalue().splitlines()


def verify(path: Path) -> str:
    out = StringIO()
    call_command("verify_session_evidence", str(path), stdout=out)
    return out.getvalue()


def failure(command: str, *args: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        call_command(command, *args, **options)
    return caught.value.returncode, str(caught.value)


def test_export__writes_two_files(session: WorkflowSession, tmp_path: Path) -> None:
    """The command writes the JSON and the page, for their owner alone, and names the hash."""
    record_lines = export(session.pk, tmp_path)
    record = SessionEvidence.objects.get()
    files = sorted(tmp_path.iterdir())
    assert [file.suffix for file in files] == [".html", ".json"]
    assert sorted(record_lines[:2]) == [str(file) for file in files]
    assert record_lines[2] == f"SHA-256 of the JSON file: {record.sha256}"
    assert record.actor == "command"
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert json.loads(files[1].read_bytes())["session"]["id"] == session.pk


def test_export__without_sensitive(session: WorkflowSession, tmp_path: Path) -> None:
    """What is sensitive can be left out."""
    export(session.pk, tmp_path, without_sensitive=True)
    for file in tmp_path.iterdir():
        assert b"raw-secret" not in file.read_bytes()


def test_export__account(session: WorkflowSession, tmp_path: Path) -> None:
    """A session of another account than the one that was named is refused."""
    export(session.pk, tmp_path, account="default")
    code, said = failure("export_session_evidence", session.pk, output=tmp_path, account="other")
    assert (code, said) == (2, f"Session '{session.pk}' belongs to the account 'default'.")


def test_export__cannot(session: WorkflowSession, tmp_path: Path) -> None:
    """An unknown session and a folder that is none end with 2, and nothing is recorded."""
    code, said = failure("export_session_evidence", "5eb\u202e", output=tmp_path)
    assert (code, said) == (2, "No session '5eb\\u202e' is stored here.")
    code, said = failure("export_session_evidence", session.pk, output=tmp_path / "none")
    assert (code, said) == (2, f"{tmp_path / 'none'} is not a writable folder.")
    assert not SessionEvidence.objects.exists()


def test_export__never_over_a_file(
    session: WorkflowSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is there stays."""
    exported = export_evidence(session.pk)
    (tmp_path / f"{exported.stem}.json").write_text("mine")
    monkeypatch.setattr(
        "complycube_sessions.management.commands.export_session_evidence.export_evidence",
        lambda *args, **kwargs: exported,
    )
    code, said = failure("export_session_evidence", session.pk, output=tmp_path)
    assert code == 2
    assert "could not be written (File exists)" in said
    assert (tmp_path / f"{exported.stem}.json").read_text() == "mine"


def test_verify__as_exported(session: WorkflowSession, tmp_path: Path) -> None:
    """Both files are known again, with when, by whom and by which version."""
    export(session.pk, tmp_path)
    record = SessionEvidence.objects.get()
    for file in tmp_path.iterdir():
        assert verify(file) == (
            f"{file} is as exported. It is evidence of session {session.pk}, exported "
            f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC by the command with version "
            f"{record.app_version}; SHA-256 of the JSON file {record.sha256}.\n"
        )


def test_verify__archive_of_a_person(session: WorkflowSession, tmp_path: Path) -> None:
    """The archive of the admin is verified as a whole; the person is named while the account is there."""
    user = make_staff()
    exported = export_evidence(session.pk, actor=f"user:{user.pk}")
    path = tmp_path / "evidence.zip"
    path.write_bytes(exported.as_zip())
    assert f"by {user.get_username()} (user:{user.pk}) with" in verify(path)
    user.delete()
    assert f"by {exported.record.actor}, an account that no longer exists with" in verify(path)
    SessionEvidence.objects.update(actor="user:not a number")
    assert "user:not a number, an account that no longer exists" in verify(path)


def test_verify__erased_session(session: WorkflowSession, tmp_path: Path) -> None:
    """After an erasure the file is known, and its session is not named any more."""
    export(session.pk, tmp_path)
    erase_client(session.client_id)
    said = verify(next(tmp_path.glob("*.json")))
    assert "evidence of a session that was erased" in said


def test_verify__changed(session: WorkflowSession, tmp_path: Path) -> None:
    """A changed file ends with 1 and a sentence that says what is known of its session."""
    export(session.pk, tmp_path)
    path = next(tmp_path.glob("*.json"))
    path.write_bytes(path.read_bytes().replace(b"clear", b"cleaR", 1))
    code, said = failure("verify_session_evidence", str(path))
    assert code == 1
    assert said.startswith(f"{path} is NOT as exported. No export with its SHA-256 (")
    assert said.endswith(
        f"Evidence of session {session.pk} was exported here once, "
        "and this file has been changed since, or was made elsewhere."
    )


def test_verify__unknown(session: WorkflowSession, tmp_path: Path) -> None:
    """A file of another database, and one that is no evidence, end with 1."""
    exported = export_evidence(session.pk)
    SessionEvidence.objects.all().delete()
    path = tmp_path / "evidence.json"
    path.write_bytes(exported.json)
    code, said = failure("verify_session_evidence", str(path))
    assert code == 1
    assert f"names session {session.pk}, of which nothing was exported from this database." in said
    path.write_bytes(b"%PDF-1.4")
    code, said = failure("verify_session_evidence", str(path))
    assert code == 1
    assert said.endswith("It was changed, or was not exported here.")


def test_verify__put_together(session: WorkflowSession, tmp_path: Path) -> None:
    """Files of two exports in one archive are not one evidence."""
    import zipfile

    path = tmp_path / "evidence.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", export_evidence(session.pk).json)
        archive.writestr("a.html", export_evidence(session.pk).page)
    code, said = failure("verify_session_evidence", str(path))
    assert (code, said) == (
        1,
        f"{path} is NOT as exported. Its files are from different exports.",
    )


def test_verify__unreadable(tmp_path: Path) -> None:
    """A file that is not there, a folder and a broken archive end with 2."""
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04")
    for path in (tmp_path / "none.json", tmp_path, broken):
        code, said = failure("verify_session_evidence", str(path))
        assert code == 2
        assert said.startswith(f"{path} cannot be read")
