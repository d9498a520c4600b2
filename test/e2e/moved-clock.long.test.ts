/**
 * A cluster whose hosts' clocks move ahead while it runs: the members', the load balancer's, the worker's and haplan's.
 */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, get } from "node:https";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect as connectGrpc } from "../../src/etcd-client/grpc-client.ts";
import { AcknowledgingWriter } from "./acknowledged-writes.ts";
import { ClusterFixture, killAndWait, parseStatus, until } from "./cluster-fixture.ts";
import { faketimeInstalled, MovedClock } from "./moved-clock.ts";
import { shownUntil } from "./shown-certificate.ts";

const network = 58;
const dayMs = 86_400_000;

describe.skipIf(!faketimeInstalled)("acceptance 4: with all clocks moved (needs the package libfaketime),", () => {
  let clock: MovedClock;
  let cluster: ClusterFixture;
  beforeEach(async () => {
    clock = new MovedClock();
    cluster = new ClusterFixture({ network, workers: 1 });
    await cluster.applyAt(clock.now());
  }, 60_000);
  afterEach(async () => {
    await cluster.teardown();
    clock.stop();
  }, 60_000);

  const pem = (name: string): Buffer => readFileSync(join(cluster.directory, ".haplan", cluster.name, "pki", name));
  const haplan = async (code: number, ...args: string[]): Promise<string> => {
    const run = await cluster.haplan(args, { nowMs: clock.now() });
    expect(run.code, run.stdout + run.stderr).toBe(code);
    return run.stdout + run.stderr;
  };
  /** Moves all clocks, and returns once every member has noticed. */
  const moveTo = async (days: number): Promise<void> => {
    const urls = (await cluster.status()).members.map(({ clientUrl }) => clientUrl);
    // Opened while the certificates are good, and kept: on new connections members would not answer any more.
    const agent = new Agent({ ...tls(), keepAlive: true, maxSockets: 1 });
    await Promise.all(urls.map((url) => dateAt(url, agent)));
    clock.moveTo(days);
    for (const url of urls) {
      await until(
        `${url} is ${days} days ahead`,
        async () => (await dateAt(url, agent)) - Date.now() > (days - 1) * dayMs,
      );
    }
    agent.destroy();
  };
  const tls = () => ({ ca: pem("ca.crt"), cert: pem("admin.crt"), key: pem("admin.key") });

  it("plan renews at 300 days and apply rolls under writes, of which none fails", async () => {
    const writer = new AcknowledgingWriter(cluster.client(await cluster.output("endpoint")), "/clock/");
    const before = await cluster.status();
    await moveTo(300);
    expect(await haplan(0, "status")).toMatch(/Certificate m1: expires in 6\d days/);
    expect(await haplan(2, "plan", "-detailed-exitcode")).toMatch(/it expires in 6\d days/);
    await haplan(0, "apply", "-auto-approve");
    await writer.stop();
    expect(writer.failures).toEqual([]);
    expect(writer.acknowledged.length).toBeGreaterThan(100);
    const after = await cluster.status();
    expect(after.members.map(({ pid, healthy }) => ({ pid, healthy }))).toEqual(
      before.members.map(({ pid }) => ({ pid, healthy: true })),
    );
    for (const { clientUrl, peerUrl } of after.members) {
      for (const url of [clientUrl, peerUrl]) {
        expect((await shownUntil(new URL(url))) - clock.now()).toBeGreaterThan(364 * dayMs);
      }
    }
    await haplan(0, "plan", "-detailed-exitcode");
  }, 120_000);

  it("errors say at 400 days that certificates have expired, and one apply puts it right", async () => {
    const endpoint = await cluster.output("endpoint");
    await cluster.client(endpoint).put("before", "kept");
    await moveTo(400);
    const put = async (): Promise<void> => {
      await using grpc = connectGrpc({ endpoints: [endpoint], tls: tls() });
      await new EtcdClient(grpc, { timeoutMs: 5_000 }).put("after", "written");
    };
    await expect(put()).rejects.toThrow();
    await killAndWait((await members()).find(({ name }) => name === "m2")?.pid ?? null);
    const status = await haplan(0, "status");
    expect(status).toMatch(/Certificate m1: expired on \d{4}-\d\d-\d\d/);
    expect(status).not.toContain("No quorum");
    expect(await haplan(2, "plan", "-detailed-exitcode")).toMatch(/it expired 3\d days ago/);
    await haplan(0, "apply", "-auto-approve");
    expect((await members()).map(({ name, healthy }) => `${name} ${healthy}`)).toEqual([
      "m1 true",
      "m2 true",
      "m3 true",
    ]);
    await put();
    expect(Date.parse(new X509Certificate(pem("m1.crt")).validTo) - clock.now()).toBeGreaterThan(364 * dayMs);
    await haplan(0, "plan", "-detailed-exitcode");
  }, 120_000);

  const members = async (): Promise<Awaited<ReturnType<ClusterFixture["status"]>>["members"]> => {
    const run = await cluster.haplan(["status", "-json"], { nowMs: clock.now() });
    return parseStatus(run.stdout).members;
  };
});

/** What a member says the time is. */
function dateAt(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(new URL("/health", url), { agent }, (response) => {
      response.resume().on("end", () => resolve(Date.parse(response.headers.date ?? "")));
    });
    request.on("error", reject);
  });
}
