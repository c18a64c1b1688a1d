// What the vendor's Node package finds in the sandbox, as JSON for test_node.py.
const { ComplyCube, EventVerifier } = require("@complycube/api");
const crypto = require("crypto");

const [baseURL, apiKey, matchCheck, matchId] = process.argv.slice(2);
const api = new ComplyCube({ apiKey });
api.axiosInstance.defaults.baseURL = baseURL;

async function refusal(work) {
  try {
    await work;
    return null;
  } catch (error) {
    return [error.statusCode, error.type, error.param ?? null];
  }
}

async function sessions() {
  const ids = [];
  for (let page = 1; ; page++) {
    const items = await api.workflowSession.list(undefined, undefined, { page, pageSize: 50 });
    if (!items.length) break;
    ids.push(...items.map((session) => session.id));
  }
  const all = await api.workflowSession.list(undefined, undefined, { pageSize: 1000 });
  const started = all.find((session) => session.status === "started");
  const completed = await api.workflowSession.complete(started.id);
  // The package has no method for it.
  const other = all.find((session) => session.status === "started" && session.id !== started.id);
  const cancelled = await api.workflowSession.request({ method: "post", path: `${other.id}/cancel` });
  return {
    count: new Set(ids).size,
    completed: completed.status,
    after: (await api.workflowSession.get(started.id)).status,
    cancelled: cancelled.status,
    ofClient: (await api.workflowSession.list(all[0].clientId)).map((session) => session.clientId),
    client: all[0].clientId,
    unknown: await refusal(api.workflowSession.get("nobody")),
  };
}

async function checks() {
  const listed = await api.check.list(undefined, { pageSize: 1000 });
  const open = listed.find(
    (check) => check.result?.outcome === "attention" && !check.type.includes("screening"),
  );
  const validated = await api.check.validate(open.id, { outcome: "confirmed", comment: "Seen." });
  const matched = await api.check.validate(matchCheck, { outcome: "rejected", matchId });
  return {
    validated: validated.outcome,
    after: (await api.check.get(open.id)).result.outcome,
    matched: matched.outcome,
    withoutMatch: await refusal(api.check.validate(matchCheck, { outcome: "rejected" })),
    log: (await api.auditLog.list({ pageSize: 5 })).map((entry) => entry.trigger),
  };
}

async function clients() {
  const made = await api.client.create({
    type: "person",
    email: "amelia@example.org",
    personDetails: { firstName: "Amelia", lastName: "Whitcombe" },
  });
  const changed = await api.client.update(made.id, { mobile: "+440000" });
  const listed = await api.client.list({ pageSize: 1000 });
  await api.client.delete(made.id);
  return {
    mobile: changed.mobile,
    isListed: listed.some((client) => client.id === made.id),
    gone: await refusal(api.client.get(made.id)),
    incomplete: await refusal(api.client.create({ type: "person", email: "a@example.org" })),
  };
}

async function webhooks() {
  const made = await api.webhook.create({
    url: "https://receiver.example/",
    enabled: true,
    events: ["check.completed"],
  });
  const body = JSON.stringify({ id: "e1", type: "check.completed" });
  const signature = crypto.createHmac("sha256", made.secret).update(body).digest("hex");
  const listed = await api.webhook.list();
  const changed = await api.webhook.update(made.id, { enabled: false });
  await api.webhook.delete(made.id);
  return {
    verified: new EventVerifier(made.secret).constructEvent(body, signature).id,
    listed: listed.map((hook) => hook.secret ?? "no secret"),
    enabled: changed.enabled,
    left: (await api.webhook.list()).length,
  };
}

async function reports() {
  const [check] = await api.check.list(undefined, { pageSize: 1 });
  const starts = (report) => [report.contentType, Buffer.from(report.data, "base64").toString().slice(0, 5)];
  const [session] = await api.workflowSession.list(undefined, undefined, { pageSize: 1 });
  return {
    check: starts(await api.report.generate({ checkId: check.id })),
    client: starts(await api.report.generate({ clientId: check.clientId })),
    session: (await api.report.generate({ workflowSessionId: session.id })).data.startsWith("http"),
    none: await refusal(api.report.generate({})),
  };
}

async function tour() {
  const found = {};
  for (const part of [sessions, checks, clients, webhooks, reports]) found[part.name] = await part();
  console.log(JSON.stringify(found));
}

tour().catch((error) => {
  console.error(error);
  process.exit(1);
});
