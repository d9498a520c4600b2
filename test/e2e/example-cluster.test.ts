/** The example as it is shipped, at its own addresses: what people and scripts see of it, with etcd's own client. */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClusterFixture, until } from "./cluster-fixture.ts";
import { boundAddresses, isAlive } from "./dir-processes.ts";
import { memberFacts } from "./member-facts.ts";
import { isInstalled, runProgram } from "./run-program.ts";

const hasEtcdctl = isInstalled("etcdctl", "version");
const skipped = hasEtcdctl ? "" : " (skipped: etcdctl is not installed)";
const loadBalancer = "https://127.0.1.100:2379";
const masters = ["https://127.0.1.1:2379", "https://127.0.1.2:2379", "https://127.0.1.3:2379"];

let cluster: ClusterFixture;
let firstApply: string;

beforeAll(async () => {
  cluster = new ClusterFixture(
    readFileSync(fileURLToPath(new URL("../../examples/ha-3-masters.yaml", import.meta.url)), "utf8"),
  );
  firstApply = (await cluster.start(["apply", "-auto-approve"]).end).stdout;
});

afterAll(() => cluster?.teardown());

const json = async (...args: string[]): Promise<unknown> => JSON.parse(await cluster.mustRun(...args));

/** Ids of the members that answer a client at this address behind the load balancer, on twelve connections at once. */
async function answeringMembers(localAddress: string): Promise<ReadonlySet<bigint>> {
  const pem = (name: string): Buffer => readFileSync(join(cluster.directory, ".haplan/demo/pki", name));
  const agent = new Agent({ ca: pem("ca.crt"), cert: pem("admin.crt"), key: pem("admin.key") });
  const ask = async (): Promise<bigint> => {
    const asked = request(`${loadBalancer}/v3/maintenance/status`, { method: "POST", agent, localAddress });
    const answered = once(asked, "response") as Promise<[IncomingMessage]>;
    asked.end("{}");
    const [response] = await answered;
    return BigInt((JSON.parse(await text(response)) as { header: { member_id: string } }).header.member_id);
  };
  return new Set(await Promise.all(Array.from({ length: 12 }, ask)));
}

describe("haplan with the example", () => {
  it("says what it made", () => {
    expect(firstApply).toContain("Apply complete! Resources: 26 added, 0 changed, 0 destroyed.");
    // A cluster that is made has no writers yet.
    expect(firstApply).not.toMatch(/Writes were/);
  });

  it("keeps keys and state to their owner", async () => {
    const { code, stdout } = await runProgram("find", [
      join(cluster.directory, ".haplan"),
      ...["(", "-name", "*.key", "-not", "-perm", "600", ")"],
      ...["-o", "(", "-type", "d", "-perm", "/077", ")"],
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(existsSync(join(cluster.directory, ".haplan/demo/pki/admin.key"))).toBe(true);
  });

  it("shows every member, the quorum, the load balancer and the workers in status -json", async () => {
    const status = await until("both workers report", async () => {
      const found = await cluster.status();
      return found.workers.every(({ reporting }) => reporting) ? found : false;
    });
    const member = (name: string, host: number): object => ({
      name,
      zone: "abc"[host - 1],
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      lag: expect.any(Number),
      alarms: [],
      id: expect.stringMatching(/^[0-9a-f]{1,16}$/),
      role: expect.stringMatching(/^(leader|follower)$/),
      clientUrl: `https://127.0.1.${host}:2379`,
      peerUrl: `https://127.0.1.${host}:2380`,
      pid: expect.any(Number),
      raftTerm: expect.any(Number),
      raftIndex: expect.any(Number),
      dbSizeBytes: expect.any(Number),
      freeBytes: expect.any(Number),
      unreachable: null,
      healthy: true,
      readLatencyMs: expect.any(Number),
    });
    const { members, ...rest } = status;
    expect(members).toEqual([member("m1", 1), member("m2", 2), member("m3", 3)]);
    expect(members.filter(({ role }) => role === "leader")).toHaveLength(1);
    expect(rest).toMatchObject({ voters: 3, quorum: 2, faultTolerance: 1, hasLeader: true });
    expect(rest.loadBalancer).toMatchObject({ type: "embedded", endpoint: loadBalancer, running: true });
    expect(rest.workers).toMatchObject([
      { name: "w1", address: "127.0.1.11", running: true, pid: expect.any(Number), reporting: true },
      { name: "w2", address: "127.0.1.12", running: true, pid: expect.any(Number), reporting: true },
    ]);
    for (const { pid } of [...members, ...rest.workers]) expect(isAlive(pid ?? 0)).toBe(true);
  });

  it("prints endpoint, endpoints and env", async () => {
    expect(await json("output", "-json")).toEqual({
      endpoint: { sensitive: false, type: "string", value: loadBalancer },
      endpoints: { sensitive: false, type: ["list", "string"], value: masters },
      env: { sensitive: false, type: "string", value: expect.stringContaining("export ETCDCTL_CACERT=") },
    });
    expect(await cluster.output("endpoints")).toBe(masters.join(","));
  });

  it("lets each master reach itself through the load balancer", async () => {
    const { members } = (await json("status", "-json")) as { members: { id: string; client_url: string }[] };
    for (const { id, client_url: clientUrl } of members)
      expect(await answeringMembers(new URL(clientUrl).hostname)).toContain(BigInt(`0x${id}`));
  });

  it("answers validate, quorum and plan in JSON", async () => {
    expect(await json("validate", "-json")).toMatchObject({ valid: true, error_count: 0, diagnostics: [] });
    expect(await json("quorum", "-json", "5")).toMatchObject({
      table: expect.arrayContaining([expect.objectContaining({ quorum: 3, fault_tolerance: 2 })]),
    });
    const plan = await cluster.start(["plan", "-json", "-detailed-exitcode"]).end;
    expect(plan.code).toBe(0);
    const types = plan.stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types).toContain("change_summary");
    expect(types).not.toContain("resource_drift");
  });

  it("changes nothing when it is applied again", async () => {
    const state = (): { serial: number } =>
      JSON.parse(readFileSync(join(cluster.directory, ".haplan/demo/state.json"), "utf8")) as { serial: number };
    const facts = async (): Promise<object> => {
      const { members, workers } = await cluster.status();
      const pids = [...members, ...workers].map(({ name, pid }) => `${name} ${pid}`).sort();
      const keys = await cluster.client(masters[0]!).range("/haplan/probe");
      const probe = keys.kvs.map((kv) => Buffer.from(kv).toString("hex"));
      return { pids, probe, serial: state().serial };
    };
    const before = await facts();
    expect(await cluster.apply()).toContain("Resources: 0 added, 0 changed, 0 destroyed.");
    expect(await facts()).toEqual(before);
  });

  it("reports unknown commands and flags, and does not ask without a terminal", async () => {
    const verb = await cluster.start(["aply"]).end;
    expect(verb).toMatchObject({ code: 1, stderr: expect.stringContaining("Did you mean apply?") });
    const flag = await cluster.haplan(["plan", "-detailed-exitcod"]);
    expect(flag).toMatchObject({ code: 1, stderr: expect.stringContaining("--detailed-exitcode") });
    const unasked = await cluster.start(["destroy"], { input: "yes\n" }).end;
    expect(unasked).toMatchObject({ code: 1, stderr: expect.stringContaining("-auto-approve") });
  });
});

describe.skipIf(!hasEtcdctl)(`etcdctl with the environment of haplan output${skipped}`, () => {
  const ctl = async (endpoints: string, args: readonly string[], input?: string): Promise<string> => {
    const run = await cluster.etcdctl(args, { endpoints, ...(input === undefined ? {} : { input }) });
    if (run.code !== 0) throw new Error(`etcdctl ${args.join(" ")}: ${run.stderr}${run.stdout}`);
    return run.stdout;
  };

  const doors = [
    ["m1", masters[0]!],
    ["m2", masters[1]!],
    ["m3", masters[2]!],
    ["the load balancer", loadBalancer],
  ] as const;

  it.each(doors)("puts, gets, lists keys and decides in transactions through %s", async (door, endpoint) => {
    const key = `/door/${door}/`;
    expect(await ctl(endpoint, ["put", `${key}a`, "1"])).toBe("OK\n");
    expect(await ctl(endpoint, ["put", `${key}b`, "2"])).toBe("OK\n");
    expect(await ctl(endpoint, ["get", `${key}a`])).toBe(`${key}a\n1\n`);
    const keys = await ctl(endpoint, ["get", key, "--prefix", "--keys-only"]);
    expect(keys.split("\n").filter((line) => line !== "")).toEqual([`${key}a`, `${key}b`]);
    const txn = `value("${key}a") = "1"\n\nput "${key}a" "changed"\nget "${key}b"\n\nget "${key}a"\n\n`;
    expect(await ctl(endpoint, ["txn"], txn)).toBe(`SUCCESS\n\nOK\n\n${key}b\n2\n`);
    expect(await ctl(endpoint, ["txn"], txn)).toBe(`FAILURE\n\n${key}a\nchanged\n`);
  });

  it.each(doors)("watches history and what comes through %s", async (door, endpoint) => {
    const key = `/watched/${door}`;
    const revision = (await cluster.client(endpoint).put(key, "before")).header!.revision;
    const watch = await cluster.startEtcdctl(["watch", key, `--rev=${revision}`], { endpoints: endpoint });
    try {
      await until("the history came", () => watch.printed().includes("before"));
      await ctl(loadBalancer, ["put", key, "after"]);
      await until("the change came", () => watch.printed().includes("after"));
      expect(watch.printed()).toBe(`PUT\n${key}\nbefore\nPUT\n${key}\nafter\n`);
    } finally {
      watch.signal("SIGKILL");
      await watch.end;
    }
  });

  it.each(doors)("grants, keeps and revokes leases through %s", async (door, endpoint) => {
    const key = `/leased/${door}`;
    const granted = await ctl(endpoint, ["lease", "grant", "100"]);
    const id = /^lease ([0-9a-f]+) granted with TTL\(100s\)\n$/.exec(granted)?.[1] ?? "";
    expect(id).not.toBe("");
    await ctl(endpoint, ["put", key, "held", `--lease=${id}`]);
    expect(await ctl(endpoint, ["lease", "keep-alive", "--once", id])).toBe(`lease ${id} keepalived with TTL(100)\n`);
    expect(await ctl(endpoint, ["lease", "timetolive", id, "--keys"])).toContain(`attached keys([${key}])`);
    await ctl(endpoint, ["lease", "revoke", id]);
    expect(await ctl(endpoint, ["get", key])).toBe("");
  });

  it.each(doors)("lists members and their status in tables through %s", async (_door, endpoint) => {
    const members = await ctl(endpoint, ["member", "list", "-w", "table"]);
    for (const name of ["m1", "m2", "m3"]) expect(members).toMatch(new RegExp(`started \\|\\s+${name} \\|`));
    const status = await ctl(endpoint, ["endpoint", "status", "--cluster", "-w", "table"]);
    for (const master of masters) expect(status).toContain(`| ${master} |`);
    expect(status.match(/\|\s+true \|\s+false \|/g)).toHaveLength(1);
  });

  it("writes the example of the README without naming an endpoint", async () => {
    expect(await cluster.etcdctl(["put", "a", "b"])).toMatchObject({ code: 0, stdout: "OK\n" });
    expect(await cluster.etcdctl(["get", "a"])).toMatchObject({ code: 0, stdout: "a\nb\n" });
    expect(await cluster.etcdctl(["endpoint", "health", "--cluster"])).toMatchObject({ code: 0 });
  });
});

describe("haplan destroy", () => {
  it("leaves no process, no bound port and no file, and applying again works", async () => {
    const before = await memberFacts(cluster.client(loadBalancer));
    expect(before.revision).toBeGreaterThan(0);
    expect((await cluster.start(["destroy", "-auto-approve"]).end).code).toBe(0);
    expect(cluster.processes()).toEqual([]);
    expect(boundAddresses("127.0.1.")).toEqual([]);
    expect(existsSync(join(cluster.directory, ".haplan"))).toBe(false);
    expect(existsSync(join(cluster.directory, "cluster.yaml"))).toBe(true);
    expect(await cluster.apply()).toContain("Apply complete! Resources: 26 added");
    const { destroy, left } = await cluster.teardown();
    expect({ code: destroy.code, left }).toEqual({ code: 0, left: [] });
  });
});
