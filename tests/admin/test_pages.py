"""What holds for every page of the admin: hostile data, the content policy, the number of queries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.db import connection
from django.test import Client
from django.urls import include, path, reverse
from django.utils import timezone, translation

from complycube_sessions.admin import register
from complycube_sessions.admin.base import ReadOnlyAdmin
from complycube_sessions.evidence.build import export_evidence
from complycube_sessions.models import (
    PendingRefresh,
    RefreshRun,
    RelatedCheck,
    SessionChange,
    WebhookEvent,
    WorkflowSession,
)
from tests.admin.builders import make_check, make_session, make_staff
from tests.builders import by_hand
from tests.examples import parameters

PAGES = (
    "workflowsession_changelist",
    "workflowsession_changelist?review=yes",
    "workflowsession_changelist?q=",
    "workflowsession_change",
    "workflowsession_history",
    "workflowsession_overview",
    "workflowsession_fetch",
    "relatedcheck_changelist",
    "relatedcheck_change",
    "sessionchange_changelist",
    "sessionchange_change",
    "refreshrun_changelist",
    "refreshrun_change",
    "pendingrefresh_changelist",
    "pendingrefresh_change",
    "webhookevent_changelist",
    "webhookevent_change",
    "app_list",
)
MARKUP = "<img src=x onerror=alert(1)>"
HOSTILE = (
    f"{MARKUP}'\"><script>alert(2)</script>",
    "{{ 7|add:7 }}{% now 'Y' %}%s%(x)s",
    "\u202eevil\u2066",
    "&lt;b&gt;&amp;",
)


def nested(depth: int, value: Any) -> Any:
    for number in range(depth):
        value = {f"level {number} {MARKUP}": value} if number % 2 else [value, None]
    return value


def store_hostile(text: str, *, depth: int = 50, length: int = 10_000) -> dict[str, Any]:
    """Store a row of each model, with this text wherever the vendor may put text."""
    if connection.vendor == "mysql":
        # MariaDB takes JSON of at most 32 levels; the store cuts what is deeper.
        depth = min(depth, 24)
    word = text[:64]
    tree = {
        text: "clear",
        "outcome": text,
        "long": "x" * length + MARKUP,
        "deep": nested(depth, text),
        "nothing": None,
        "": [],
        "matches": [None, text, {"id": text}],
        "flag": True,
        "number": 1e300,
    }
    session = make_session(
        entity_name=text,
        status=word,
        outcome=word,
        workflow_template_id=word,
        workflow_template_name=text,
        workflow_description=text,
        workflow_template_description="y" * length + text,
        last_completed_task_id=text,
        compliance_policies=[tree, text, None, 3, [text], {"name": {"x": text}, "status": text}],
        policy_assurance={"id": text, "outcome": text, "rest": tree},
        tasks=[tree, {"name": text, "createdAt": text, "type": text}, text, None, [[]]],
        raw=tree,
        created_at=timezone.now(),
        needs_review=True,
        client_id="hostile",
    )
    make_session(client_id="hostile", entity_name=text, workflow_template_name=text)
    now = timezone.now()
    with by_hand():
        return {
            "workflowsession": session,
            "relatedcheck": make_check(
                session,
                check_id=text,
                type=word,
                task_id=text,
                status=word,
                outcome=word,
                result={"outcome": text, "breakdown": tree},
            ),
            "sessionchange": SessionChange.objects.create(
                session=session,
                check_id=text,
                field=word,
                old=word,
                new=word,
                observed_at=now,
                source=word,
            ),
            "refreshrun": RefreshRun.objects.create(
                account=word,
                mode="incremental",
                state="partial",
                error_count=5,
                errors={text: text, "": "z" * length, session.pk: MARKUP},
            ),
            "pendingrefresh": PendingRefresh.objects.create(
                account="default", session_id=session.pk, reason=word, error=text, attempts=3
            ),
            "webhookevent": WebhookEvent.objects.create(
                account="default",
                event_id=text,
                type=text,
                resource_id=text,
                client_id=text,
                status=word,
                outcome=word,
                error=text,
                received_at=now,
            ),
        }


def address(page: str, rows: dict[str, Any], namespace: str = "admin") -> str:
    name, _, query = page.partition("?")
    if name == "app_list":
        return reverse(f"{namespace}:app_list", args=["complycube_sessions"])
    model, _, kind = name.partition("_")
    args = [rows[model].pk] if kind in {"change", "history"} else []
    return reverse(f"{namespace}:complycube_sessions_{name}", args=args) + f"?{query}"


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(make_staff(superuser=True))
    return client


class Elements(HTMLParser):
    """Collect the tags and attributes of a page, and the text of its scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self.text: list[str] = []
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = tag

    def handle_data(self, data: str) -> None:
        if self._within in {"script", "style"} and data.strip():
            self.inline.append(data)
        self.text.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._within = ""


@pytest.mark.parametrize("text", parameters(HOSTILE, quick=HOSTILE[:2]))
@pytest.mark.parametrize("page", PAGES)
def test_hostile_text__is_text(root: Client, page: str, text: str) -> None:
    """Whatever the vendor sends is text: it makes no element, no attribute and no script."""
    rows = store_hostile(text)
    response = root.get(address(page, rows))
    assert response.status_code == 200
    found = Elements(response.content.decode())
    assert not [attrs for _tag, attrs in found.tags if "onerror" in attrs]
    assert not [tag for tag, attrs in found.tags if tag == "img" and attrs.get("src") == "x"]
    assert not any("alert(" in inline for inline in found.inline)
    if page in {"workflowsession_changelist", "workflowsession_change", "relatedcheck_change"}:
        assert text[:64] in "".join(found.text)


@pytest.mark.parametrize("page", PAGES)
def test_policy__nothing_inline(root: Client, page: str) -> None:
    """No page has an inline script, style or handler, nor anything from another host."""
    html = root.get(address(page, store_hostile("plain"))).content.decode()
    found = Elements(html)
    assert found.inline == []
    assert not any(tag == "style" for tag, _attrs in found.tags)
    for tag, attrs in found.tags:
        assert "style" not in attrs, (tag, attrs)
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        for name in ("src", "href", "action"):
            value = attrs.get(name) or ""
            assert not value.startswith(("http:", "https:", "//", "javascript:", "data:")), value


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("rows", parameters([10, 100], quick={10}))
def test_queries__few_and_constant(
    root: Client,
    page: str,
    rows: int,
    django_assert_max_num_queries: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page takes at most 12 queries, whether it has 10 or 100 rows."""
    monkeypatch.setattr(ReadOnlyAdmin, "list_per_page", 100)
    account = {**settings.COMPLYCUBE_ACCOUNTS["default"], "WEBHOOK_SECRETS": ["a secret"]}
    settings.COMPLYCUBE_ACCOUNTS = dict.fromkeys(("default", "second", "third"), account)
    first = store_hostile("plain")
    session = first["workflowsession"]
    for number in range(rows):
        other = make_session(client_id="hostile", needs_review=True, created_at=timezone.now())
        make_check(other, check_id=first["relatedcheck"].check_id)
        make_check(session)
        with by_hand():
            SessionChange.objects.create(
                session=session,
                field="outcome",
                new="clear",
                observed_at=timezone.now(),
                source="refresh",
            )
        RefreshRun.objects.create(account="default", mode="full", state="succeeded")
        PendingRefresh.objects.create(account="default", session_id=f"p{number}", reason="x")
        WebhookEvent.objects.create(
            account="default",
            event_id=f"e{number}",
            type="check.completed",
            received_at=timezone.now(),
        )
    # One who is no superuser has two more queries, for what he may do.
    client = Client()
    everything = [
        f"view_{model}"
        for model in (
            "workflowsession",
            "relatedcheck",
            "sessionchange",
            "refreshrun",
            "pendingrefresh",
            "webhookevent",
        )
    ]
    rights = ("refresh", "export", "view_sensitive", "evidence")
    custom = [f"{right}_workflowsession" for right in rights]
    export_evidence(session.pk)
    client.force_login(make_staff(*everything, *custom))
    with django_assert_max_num_queries(12) as queries:
        assert client.get(address(page, first)).status_code == 200
    if "changelist" in page:
        asked = [query["sql"] for query in queries.captured_queries]
        results = [sql for sql in asked if re.search('[`"]result[`"]', sql)]
        # The queue reads one result a session for its reason, in one bounded query.
        assert len(results) == ("review=yes" in page)
        for query in queries.captured_queries:
            if query["sql"] in results:
                continue
            large = re.findall(
                r'"(raw|result|tasks|compliance_policies|policy_assurance|errors)"', query["sql"]
            )
            assert not large, query["sql"]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("workflowsession", "q"),
        ("workflowsession", "outcome"),
        ("workflowsession", "check_type"),
        ("workflowsession", "client_id"),
        ("relatedcheck", "type"),
        ("sessionchange", "source"),
        ("refreshrun", "state"),
        ("webhookevent", "account"),
    ],
)
def test_nul__is_no_filter(root: Client, model: str, name: str) -> None:
    """A NUL in an address, which a database may refuse, leads back to the list."""
    store_hostile("plain")
    address = reverse(f"admin:complycube_sessions_{model}_changelist")
    response = root.get(address, {name: "a\0b"})
    assert response.status_code == 302
    assert response["Location"] == f"{address}?e=1"


def test_nul__is_no_choice(root: Client) -> None:
    """A NUL among the chosen ids, or in the address of an export, is refused without an error page."""
    store_hostile("plain")
    address = reverse("admin:complycube_sessions_workflowsession_changelist")
    data = {"action": "refresh_selected", "_selected_action": ["a\0b"]}
    assert root.post(address, data).status_code == 400
    export = reverse("admin:complycube_sessions_workflowsession_export")
    assert root.post(f"{export}?status=%00").status_code == 302


def test_search__queries(root: Client, django_assert_max_num_queries: Any) -> None:
    """A search by one word, the dearest, stays within the bound."""
    rows = store_hostile("plain")
    client = Client()
    client.force_login(make_staff("view_workflowsession"))
    with django_assert_max_num_queries(12):
        response = client.get(address("workflowsession_changelist?q=plain&review=yes", rows))
    assert [row.pk for row in response.context["cl"].result_list] == [rows["workflowsession"].pk]


def test_index__links_the_overview(root: Client) -> None:
    """The app's own index leads to the overview, to the queue and to the fetch by id."""
    html = root.get(reverse("admin:app_list", args=["complycube_sessions"])).content.decode()
    for page in ("overview", "fetch"):
        assert reverse(f"admin:complycube_sessions_workflowsession_{page}") in html


other_site = AdminSite(name="desk")
register(other_site)
urlpatterns = [
    path("admin/", admin.site.urls),
    path("desk/", other_site.urls),
    path("nested/", include(([], "nested"))),
]


@pytest.fixture
def _two_sites(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def _own_language() -> Iterator[None]:
    """Give the next test its language back: the middleware leaves the one it chose."""
    with translation.override(translation.get_language()):
        yield


@pytest.mark.usefixtures("_two_sites")
@pytest.mark.parametrize("page", parameters(PAGES, quick=PAGES[::3]))
def test_custom_site__stays_on_it(root: Client, page: str) -> None:
    """On a site of its own every link and form stays on that site."""
    response = root.get(address(page, store_hostile("plain"), namespace="desk"))
    assert response.status_code == 200
    html = response.content.decode()
    assert "/desk/" in html
    assert 'href="/admin/' not in html
    assert 'action="/admin/' not in html


@pytest.mark.usefixtures("_own_language")
@pytest.mark.parametrize("page", parameters(PAGES, quick=PAGES[::3]))
def test_german__every_page(root: Client, page: str, settings: Any) -> None:
    """Every page can be read in German."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    rows = store_hostile("plain")
    english = root.get(address(page, rows), headers={"accept-language": "en"})
    german = root.get(address(page, rows), headers={"accept-language": "de"})
    assert 'lang="de"' in german.content.decode()
    headings = [
        set(re.findall(r"<h[123][^>]*>\s*([^<]+?)\s*</h", unescape(answer.content.decode())))
        for answer in (english, german)
    ]
    same = {text for text in headings[0] & headings[1] if "plain" not in text}
    assert not same - {"Filter", "Status", "Workflow", "5eb"}, same


def test_models__rows_name_ids_only(root: Client) -> None:
    """What Django writes into its own log and titles is an id, never a name."""
    rows = store_hostile("Ann Secret")
    for row in rows.values():
        shown = str(row)
        if not isinstance(row, RelatedCheck):  # its id is the hostile text
            assert "Ann" not in shown or isinstance(
                row, SessionChange | PendingRefresh | WebhookEvent
            )
    session: WorkflowSession = rows["workflowsession"]
    html = root.get(address("workflowsession_change", rows)).content.decode()
    title = re.search(r"<title>([^<]*)</title>", html)
    assert title is not None
    assert session.pk in title[1]
    assert "Ann" not in title[1]
