import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createHarness, type Harness, self } from "../../../test/support/single-member.ts";
import { methodCounters } from "../grpc/method-counters.ts";
import { memberValues } from "../metrics/member-values.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { AlarmType } from "../state-machine/apply-result.ts";
import { createHttpHandler } from "./http-handler.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

type Site = { harness: Harness; url: string };

async function openSite(hostWhitelist = ["*"]): Promise<Site> {
  const harness = await createHarness();
  const { services } = harness;
  const counters = services.methods.map(({ path, kind }) => methodCounters(path, kind));
  const metrics = createMetrics({
    version: "3.6.1",
    memberId: self,
    values: () => memberValues(services),
    grpcMethods: () => counters,
    promotionsRejected: new Map(),
    clusterVersion: () => "3.6.0",
    extensive: false,
  });
  const handler = createHttpHandler({ services, metrics, counters, gateway: true, corsOrigins: ["*"], hostWhitelist });
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.77.15.2", resolve));
  return { harness, url: `http://127.77.15.2:${(server.address() as AddressInfo).port}` };
}

const get = async ({ url }: Site, path: string, method = "GET"): Promise<[number, string]> => {
  const response = await fetch(url + path, { method });
  return [response.status, await response.text()];
};
const post = async ({ url }: Site, path: string, body: unknown): Promise<[number, unknown]> => {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(url + path, { method: "POST", body: text });
  return [response.status, await response.json()];
};

describe("large responses over HTTP", () => {
  /** A store with this many MiB in values of 4 MiB. */
  async function filledSite(mib: number): Promise<Site> {
    const site = await openSite();
    const writing = site.harness.services.machine.store.beginWrite();
    for (let at = 0; at < mib / 4; at++) writing.put(Buffer.from(`k${at}`), Buffer.alloc(4 << 20), 0n);
    writing.end();
    return site;
  }
  const all = { key: "aw==", range_end: "bA==" };
  const status = async ({ url }: Site, path: string, body: unknown): Promise<number> => {
    const response = await fetch(url + path, { method: "POST", body: JSON.stringify(body) });
    await response.body?.cancel();
    return response.status;
  };

  it("A6: are sent up to 32 MiB, and rejected above that with an alternative", async () => {
    const site = await filledSite(80);
    expect(await status(site, "/v3/kv/range", { ...all, limit: 6 })).toBe(200);
    const [code, body] = await post(site, "/v3/kv/range", all);
    expect([code, body]).toMatchObject([429, { code: 8, message: expect.stringContaining("with a limit") }]);
    expect(await status(site, "/v3/kv/range", { ...all, limit: 9 })).toBe(429);
    const success = Array.from({ length: 9 }, () => ({ requestRange: { key: "azE=" } }));
    expect(await status(site, "/v3/kv/txn", { success })).toBe(429);
  });

  it("A6: are rejected while too much of earlier ones is unread, and sent again afterwards", async () => {
    const site = await filledSite(28);
    const unread = await Promise.all(
      Array.from({ length: 4 }, () => fetch(`${site.url}/v3/kv/range`, { method: "POST", body: JSON.stringify(all) })),
    );
    expect(unread.map((response) => response.status).sort()).toEqual([200, 200, 200, 429]);
    expect(await status(site, "/v3/kv/range", { ...all, limit: 1, keys_only: true })).toBe(200);
    await Promise.all(unread.map((response) => response.body?.cancel()));
    await expect.poll(() => status(site, "/v3/kv/range", all)).toBe(200);
  });
});

describe("health over HTTP", () => {
  it("T11: reports a stopping member as live and not ready", async () => {
    const site = await openSite();
    site.harness.services.announceShutdown();
    const lines =
      "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\n" +
      "[-]shutdown failed: this member is stopping\n";
    expect(await get(site, "/readyz")).toEqual([503, lines]);
    expect(await get(site, "/readyz?stopping=404")).toEqual([404, lines]);
    expect(await get(site, "/livez")).toEqual([200, "ok\n"]);
    expect(await get(site, "/health")).toEqual([503, '{"health":"false","reason":"SHUTTING DOWN"}']);
    expect((await post(site, "/v3/kv/put", { key: "YQ==", value: "YQ==" }))[0]).toBe(200);
  });

  it("reports a working member as healthy, live and ready", async () => {
    const site = await openSite();
    expect(await get(site, "/health")).toEqual([200, '{"health":"true","reason":""}']);
    expect(await get(site, "/livez")).toEqual([200, "ok\n"]);
    expect(await get(site, "/readyz?verbose")).toEqual([
      200,
      "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n",
    ]);
    expect(await get(site, "/readyz/non_learner")).toEqual([200, "ok\n"]);
  });

  it("rejects other methods and unknown paths", async () => {
    const site = await openSite();
    expect((await get(site, "/health", "POST"))[0]).toBe(405);
    expect(await get(site, "/nothing")).toEqual([404, "404 page not found\n"]);
    expect((await get(site, "/livez/linearizable_read"))[0]).toBe(404);
    expect((await get(site, "/readyz/nothing"))[0]).toBe(404);
    expect((await get(site, "/v3/kv/range"))[0]).toBe(405);
    expect((await get(site, "/v3/nothing", "POST"))[0]).toBe(404);
    expect((await get(site, "/%zz"))[0]).toBe(400);
  });

  it("compresses the metrics for clients that accept gzip, and serves Prometheus text to all", async () => {
    const site = await openSite();
    const encodingFor = async (accepted: string): Promise<string | null> => {
      const headers = { "Accept-Encoding": accepted, Accept: "application/openmetrics-text; version=1.0.0" };
      const answer = await fetch(`${site.url}/metrics`, { headers });
      expect(await answer.text()).toContain("etcd_server_has_leader 1\n");
      expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
      return answer.headers.get("content-encoding");
    };
    for (const accepted of ["gzip", "br, GZIP;q=0.5"]) expect(await encodingFor(accepted), accepted).toBe("gzip");
    for (const accepted of ["identity", "gzip;q=0, br", "gzipped"])
      expect(await encodingFor(accepted), accepted).toBe(null);
  });

  it("redirects unclean paths, and accepts any method for the metrics", async () => {
    const site = await openSite();
    const redirected = await fetch(`${site.url}//metrics?a=b`, { redirect: "manual" });
    expect([redirected.status, redirected.headers.get("location")]).toEqual([301, "/metrics?a=b"]);
    expect((await get(site, "//metrics"))[1]).toContain("etcd_server_has_leader 1\n");
    expect((await get(site, "/metrics", "HEAD"))[0]).toBe(200);
    expect(await get(site, "/%68ealth")).toEqual([200, '{"health":"true","reason":""}']);
  });

  it("distinguishes a missing leader from a member that is down", async () => {
    const site = await openSite();
    site.harness.consensus.leader = null;
    expect(await get(site, "/health")).toEqual([503, '{"health":"false","reason":"RAFT NO LEADER"}']);
    expect((await get(site, "/health?serializable=true"))[0]).toBe(200);
    expect((await get(site, "/livez"))[0]).toBe(200);
    const [status, text] = await get(site, "/readyz");
    expect([status, text.includes("[-]linearizable_read failed: etcdserver: no leader\n")]).toEqual([503, true]);
    expect((await get(site, "/readyz?exclude=linearizable_read&exclude=nothing&exclude="))[0]).toBe(200);
    expect(await get(site, "/readyz/linearizable_read?exclude=linearizable_read")).toEqual([
      503,
      "[-]linearizable_read failed: etcdserver: no leader\n",
    ]);
    const lines = (await get(site, "/metrics"))[1].split("\n");
    expect(lines).toContain('etcd_server_healthcheck{type="readyz",name="linearizable_read"} 0');
    expect(lines).toContain('etcd_server_healthcheck{type="livez",name="serializable_read"} 1');
    expect(lines).toContain('etcd_server_healthchecks_total{type="readyz",name="linearizable_read",status="error"} 2');
    expect(lines).toContain('etcd_server_healthchecks_total{type="readyz",name="non_learner",status="success"} 2');
    expect(lines).toContain("etcd_server_health_success 1");
    expect(lines).toContain("etcd_server_health_failures 1");
  });

  it.each([
    [100, 200],
    [1_000, 503],
  ])("T3: stays ready while the leader changes, if that does not take long: %s ms, %s", async (durationMs, status) => {
    const { url, harness } = await openSite();
    const { leader } = harness.consensus;
    const elected = harness.clock.nowMs + durationMs;
    const get = (): typeof leader => (harness.clock.nowMs < elected ? null : leader);
    Object.defineProperty(harness.consensus, "leader", { get });
    expect((await fetch(`${url}/readyz`)).status).toBe(status);
  });

  it("A10: reports an alarm of a type that has no name as unknown, and excludes it by its number", async () => {
    const site = await openSite();
    site.harness.services.machine.alarms.activate({ member: self, type: 5 as AlarmType });
    expect(await get(site, "/health")).toEqual([503, '{"health":"false","reason":"ALARM UNKNOWN"}']);
    expect((await get(site, "/health?exclude=CORRUPT"))[0]).toBe(503);
    expect((await get(site, "/health?exclude=5"))[0]).toBe(200);
  });

  it("reports alarms unless they are excluded", async () => {
    const site = await openSite();
    const { alarms } = site.harness.services.machine;
    alarms.activate({ member: self, type: AlarmType.noSpace });
    expect(await get(site, "/health")).toEqual([503, '{"health":"false","reason":"ALARM NOSPACE"}']);
    expect((await get(site, "/health?serializable=true"))[0]).toBe(503);
    for (const [query, status] of [
      ["exclude=NOSPACE", 200],
      ["exclude=CORRUPT", 503],
      ["exclude=nospace", 503],
      ["exclude=", 503],
      ["exclude=CORRUPT&exclude=NOSPACE", 200],
    ] as const)
      expect((await get(site, `/health?${query}`))[0], query).toBe(status);
    expect((await get(site, "/readyz"))[0]).toBe(200);
    alarms.activate({ member: self, type: AlarmType.corrupt });
    const [, text] = await get(site, "/readyz/data_corruption");
    expect(text).toBe("[-]data_corruption failed: alarm activated: CORRUPT\n");
    expect(await get(site, "/readyz?exclude=data_corruption&verbose")).toEqual([
      200,
      "[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n",
    ]);
    expect(await get(site, "/readyz/non_learner?verbose")).toEqual([200, "[+]non_learner ok\nok\n"]);
    expect((await get(site, "/livez"))[0]).toBe(200);
    expect(await get(site, "/health?exclude=NOSPACE")).toEqual([503, '{"health":"false","reason":"ALARM CORRUPT"}']);
  });

  it("serves version and metrics, and rejects unknown hosts", async () => {
    const site = await openSite();
    site.harness.services.machine.membership.setClusterVersion("3.6.0");
    expect((await get(site, "/version"))[1]).toBe('{"etcdserver":"3.6.1","etcdcluster":"3.6.0","storage":"3.6.0"}');
    expect((await get(site, "/metrics"))[1]).toContain("etcd_server_has_leader 1\n");
    const [status, text] = await get(await openSite(["example.org"]), "/health");
    expect([status, text.split("\n")[1]]).toEqual([
      421,
      'Serve clients over TLS, or add the name: --host-whitelist="127.77.15.2"',
    ]);
  });
});

describe("JSON gateway", () => {
  const header = { cluster_id: "14841639068965178418", member_id: "10276657743932975437", raft_term: "2" };

  it("responds with proto names, strings for long integers, base64, and without zeros", async () => {
    const site = await openSite();
    expect(await post(site, "/v3/kv/put", { key: "YQ==", value: "Yg==", unknown: 1 })).toEqual([
      200,
      { header: { ...header, revision: "2" } },
    ]);
    const range = { key: "YQ==", range_end: "AA==", sort_order: "DESCEND", limit: 1 };
    const kv = { key: "YQ==", create_revision: "2", mod_revision: "2", version: "1", value: "Yg==" };
    expect(await post(site, "/v3beta/kv/range", range)).toEqual([
      200,
      { header: { ...header, revision: "2" }, kvs: [kv], count: "1" },
    ]);
    const txn = {
      compare: [{ key: "YQ==", target: "VERSION", version: "1", result: "EQUAL" }],
      success: [{ request_range: { key: "YQ==" } }],
    };
    expect(await post(site, "/v3/kv/txn", txn)).toEqual([
      200,
      {
        header: { ...header, revision: "2" },
        succeeded: true,
        responses: [{ response_range: { header: { revision: "2" }, kvs: [kv], count: "1" } }],
      },
    ]);
  });

  it("maps status codes to HTTP's and keeps etcd's text", async () => {
    const site = await openSite();
    const future = "etcdserver: mvcc: required revision is a future revision";
    expect(await post(site, "/v3/kv/range", { key: "YQ==", revision: "99" })).toEqual([
      400,
      { error: future, message: future, code: 11, details: [] },
    ]);
    expect(await post(site, "/v3/kv/lease/revoke", { ID: "5" })).toMatchObject([404, { code: 5 }]);
    expect(await post(site, "/v3/kv/range", "{bad")).toMatchObject([400, { code: 3 }]);
  });

  it("counts its calls like those over gRPC", async () => {
    const site = await openSite();
    await post(site, "/v3/kv/put", { key: "YQ==", value: "Yg==" });
    await post(site, "/v3/kv/range", {});
    const [, page] = await get(site, "/metrics");
    const count = (name: string, method: string, more = ""): string | undefined =>
      new RegExp(`^${name}\\{[^}]*grpc_method="${method}"${more}\\} (\\d+)$`, "m").exec(page)?.[1];
    expect(count("grpc_server_started_total", "Put")).toBe("1");
    expect(count("grpc_server_handled_total", "Put", ',grpc_code="OK"')).toBe("1");
    expect(count("grpc_server_msg_sent_total", "Put")).toBe("1");
    expect(count("grpc_server_handled_total", "Range", ',grpc_code="InvalidArgument"')).toBe("1");
    expect(page).toContain("\netcd_network_client_grpc_received_bytes_total 6\n");
  });

  it("serves leases and members", async () => {
    const site = await openSite();
    expect(await post(site, "/v3/lease/grant", { ID: "7", TTL: "1" })).toMatchObject([200, { ID: "7", TTL: "2" }]);
    await post(site, "/v3/kv/put", { key: "YQ==", lease: "7" });
    expect(await post(site, "/v3/lease/timetolive", { ID: "7", keys: true })).toMatchObject([
      200,
      { ID: "7", TTL: "2", grantedTTL: "2", keys: ["YQ=="] },
    ]);
    expect(await post(site, "/v3/cluster/member/list", {})).toEqual([
      200,
      {
        header,
        members: [{ ID: "10276657743932975437", name: "m1", peerURLs: ["http://127.77.15.1:2380"] }],
      },
    ]);
  });

  it("ends calls at the deadline of Grpc-Timeout, and rejects an invalid one", async () => {
    const site = await openSite();
    const ask = async (timeout: string): Promise<[number, unknown]> => {
      const body = `{"create_request":{"key":"YQ=="}}`;
      const headers = { "Grpc-Timeout": timeout };
      const response = await fetch(`${site.url}/v3/watch`, { method: "POST", body, headers });
      const text = await response.text();
      return [response.status, JSON.parse(text.split("\n").at(response.status === 200 ? -2 : -1)!)];
    };
    const passed = {
      grpc_code: 4,
      http_code: 504,
      http_status: "Gateway Timeout",
      message: "context deadline exceeded",
    };
    expect(await ask("50m")).toMatchObject([200, { error: { ...passed, code: 4, details: [] } }]);
    expect(await ask("5x")).toMatchObject([400, { code: 3, error: "invalid grpc-timeout: 5x" }]);
  });

  it("ends a stream at the first invalid message, and ignores what follows", async () => {
    const site = await openSite();
    const snapshot = await fetch(`${site.url}/v3/maintenance/snapshot`, { method: "POST", body: "{}{nonsense}" });
    expect(snapshot.status).toBe(400);
    const message =
      'the request is not a valid etcdserverpb.LeaseKeepAliveRequest: field ID must be an integer, but is "x"';
    expect(await post(site, "/v3/lease/keepalive", '{"ID":1}{"ID":"x"}{"ID":2}')).toEqual([
      400,
      { error: { ...{ grpc_code: 3, http_code: 400, message, http_status: "Bad Request" }, code: 3, details: [] } },
    ]);
    expect(await post(site, "/v3/lease/keepalive", '{"ID":"x"}{"ID":1}')).toEqual([
      400,
      { error: message, message, code: 3, details: [] },
    ]);
    expect(await get(site, "/livez")).toEqual([200, "ok\n"]);
  });

  it("streams watches as one object per line and ends a keepalive with its body", async () => {
    const site = await openSite();
    await post(site, "/v3/kv/put", { key: "YQ==", value: "Yg==" });
    const response = await fetch(`${site.url}/v3/watch`, {
      method: "POST",
      body: JSON.stringify({ create_request: { key: "YQ==", start_revision: "1" } }),
    });
    let text = "";
    for await (const chunk of response.body!) {
      text += Buffer.from(chunk).toString();
      if (text.split("\n").length > 2) break;
    }
    const lines = text
      .split("\n")
      .slice(0, 2)
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ result: { created: true } });
    expect(lines[1]).toMatchObject({ result: { events: [{ kv: { key: "YQ==", value: "Yg==" } }] } });
    expect(await post(site, "/v3/lease/keepalive", { ID: "5" })).toMatchObject([200, { result: { ID: "5" } }]);
  });
});
