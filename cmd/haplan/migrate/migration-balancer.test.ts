/** Several load balancers during a migration: haplan's own, as it runs on hosts, in front of members that say their cluster. */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, get } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { type RunningLoadBalancer, runLoadBalancer } from "../../../src/load-balancer/run-load-balancer.ts";
import type { WantedLoadBalancer } from "../../../src/providers/load-balancer.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import { createLocalBackend } from "../../../src/state/local-backend.ts";
import { createStateStore } from "../../../src/state/state-store.ts";
import { fixtureSpec } from "../../../test/support/planned-cluster.ts";
import type { CliContext } from "../cli-context.ts";
import type { Session } from "../session.ts";
import { MigrationBalancer, requireHoldingBalancer } from "./migration-balancer.ts";

const names = ["lb1", "lb2"] as const;
type Name = (typeof names)[number];

let directory: string;
const cleanup: (() => void | Promise<void>)[] = [];
const running = new Map<string, RunningLoadBalancer>();
/** Hosts that do not answer. */
const lost = new Set<string>();
/** Load balancers without a status. */
const silent = new Set<string>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-balancers-"));
});
afterEach(async () => {
  await Promise.all([...running.values()].map((balancer) => balancer[Symbol.asyncDispose]()));
  running.clear();
  lost.clear();
  silent.clear();
  for (const end of cleanup.splice(0)) await end();
  rmSync(directory, { recursive: true });
});

const addressOf = (name: string): string => (name === "lb1" ? "127.77.47.101" : "127.77.47.102");
const clientPort = 2379;

/** A healthy member. */
async function member(address: string, cluster: string): Promise<void> {
  const server = createServer((request, response) => {
    response.writeHead(200, { connection: "close" }).end(request.url === "/cluster" ? cluster : "ok");
  });
  await new Promise<void>((resolve) => server.listen(clientPort, address, resolve));
  cleanup.push(() => {
    server.closeAllConnections();
    server.close();
  });
}

function twoBalancers(): ClusterSpec {
  const spec = fixtureSpec(["m1", "m2", "m3"], { tls: false, workers: 0 });
  const masters = spec.controlPlane.masters.map((master, at) => ({ ...master, address: `127.77.47.${11 + at}` }));
  return { ...spec, controlPlane: { ...spec.controlPlane, masters } };
}

/** What the machines of a provider do with the units of load balancers. */
async function ensure({ name, unit }: WantedLoadBalancer): Promise<Record<string, never>> {
  if (lost.has(name)) throw new Error(`${name} does not answer`);
  const [file] = (await unit()).files;
  const path = join(directory, name, file!.path);
  mkdirSync(dirname(path), { recursive: true });
  const config = JSON.parse(String(file!.content)) as object;
  // They would share an address, which only one host has at a time.
  writeFileSync(path, JSON.stringify({ ...config, listens: [`${addressOf(name)}:${clientPort}`] }));
  const present = running.get(name);
  if (present === undefined) running.set(name, await runLoadBalancer(path, () => undefined));
  else await present.reload();
  return {};
}

async function open(): Promise<MigrationBalancer> {
  await startMembers();
  return openOf(names);
}

async function startMembers(): Promise<void> {
  for (const host of [11, 12, 13]) await member(`127.77.47.${host}`, "new");
  await member("127.77.47.1", "old");
}

/** Its host does not answer any more. */
async function die(name: Name): Promise<void> {
  lost.add(name);
  await running.get(name)?.[Symbol.asyncDispose]();
  running.delete(name);
}

/** One dies while clients wait, so that the switch is not complete. */
async function dyingWhileHeld(name: Name): Promise<MigrationBalancer> {
  const balancer = await open();
  await balancer.serve("old");
  await balancer.hold("old");
  await die(name);
  await expect(balancer.serve("new")).rejects.toThrow(`Load balancer ${name} could not be asked`);
  return balancer;
}

/** With these hosts in the spec. */
async function openOf(hosts: readonly Name[]): Promise<MigrationBalancer> {
  const spec = twoBalancers();
  const backend = createLocalBackend({ directory, clock: systemClock });
  const store = createStateStore({ backend, encryption: null, environment: {} });
  const lineage = "5a3c0f6e-0000-4000-8000-00000000000a";
  await store.write({ version: 1, haplanVersion: "0", lineage, serial: 1, clusterName: spec.name, resources: [] });
  const provider = {
    model: { describeLoadBalancer: () => ({ attributes: {}, hosts: hosts.map((name) => ({ name })) }) },
    readUnitFile: async (name: string, _unit: string, path: string) => {
      if (silent.has(name)) return null;
      try {
        return readFileSync(join(directory, name, path), "utf8");
      } catch {
        return null;
      }
    },
  };
  const session = { spec, backend, provider, loadBalancer: { ensure }, authority: {} } as unknown as Session;
  const context = { clock: systemClock, environment: {} } as unknown as CliContext;
  const endpoints = ["http://127.77.47.1:2379"];
  return new MigrationBalancer(context, session, {
    ...{ formatVersion: 1, phase: "following", clusterId: "a", engine: "etcd", endpoints },
    ...{ snapshotRevision: 1, switchRevision: null },
  });
}

/** The cluster that answers through the load balancer. */
function ask(name: Name): Promise<string> {
  return new Promise((resolve, reject) => {
    const url = `http://${addressOf(name)}:${clientPort}/cluster`;
    const request = get(url, { agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += String(chunk))).on("end", () => resolve(text));
    });
    request.on("error", reject);
  });
}

const askAll = (): Promise<readonly string[]> => Promise.all(names.map(ask));

describe("several load balancers", () => {
  it("14/4: hold their clients until all serve the other cluster, and close the connections that there were", async () => {
    const balancer = await open();
    await balancer.serve("old");
    expect(await askAll()).toEqual(["old", "old"]);
    const sockets = names.map((name) => connect({ host: addressOf(name), port: clientPort }));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    const closed = Promise.all(sockets.map((socket) => once(socket, "close")));
    expect(await balancer.hold("old")).toBe(0);
    await closed;
    const waiting = askAll();
    const early = await Promise.race([waiting, systemClock.sleep(300)]);
    expect(early).toBeUndefined();
    await balancer.serve("new");
    expect(await waiting).toEqual(["new", "new"]);
  }, 30_000);

  it.each([
    ["cannot be told to", (name: Name) => void lost.add(name), "Load balancer lb2 could not be asked"],
    ["dies before all do", die, "Load balancer lb2 could not be asked"],
  ])(
    "14/4: one that %s lets nothing begin, and the others continue at the old cluster",
    async (_, fail, text) => {
      const balancer = await open();
      await balancer.serve("old");
      await fail("lb2");
      await expect(balancer.hold("old")).rejects.toThrow(text);
      await expect(balancer.serve("old")).rejects.toThrow(text);
      expect(await ask("lb1")).toBe("old");
    },
    30_000,
  );

  it("14/4: one that does not say that its clients wait is named", async () => {
    const balancer = await open();
    await balancer.serve("old");
    silent.add("lb2");
    await expect(balancer.hold("old")).rejects.toThrow("Clients do not wait at lb2");
    await balancer.serve("old");
    expect(await askAll()).toEqual(["old", "old"]);
  }, 30_000);

  it("14/4: one that dies while clients wait does not keep the others from the new members, and is moved afterwards", async () => {
    const balancer = await dyingWhileHeld("lb2");
    expect(await ask("lb1")).toBe("new");
    await expect(balancer.moveClients("new")).rejects.toThrow("Load balancer lb2 could not be asked");
    lost.clear();
    await balancer.moveClients("new");
    expect(await askAll()).toEqual(["new", "new"]);
  }, 30_000);

  it("14/4: one that is lost for good is not asked any more once the spec does not have it", async () => {
    await dyingWhileHeld("lb2");
    const rest = await openOf(["lb1"]);
    await rest.moveClients("new");
    await rest.hold("new");
    await rest.serve("old");
    expect(await ask("lb1")).toBe("old");
  }, 30_000);
});

it.each(["embedded", "haproxy"] as const)("14/4: a load balancer of type %s can hold its clients", (type) => {
  const spec = fixtureSpec(["m1", "m2", "m3"]);
  expect(() => requireHoldingBalancer({ ...spec, loadBalancer: { ...spec.loadBalancer, type } })).not.toThrow();
});
