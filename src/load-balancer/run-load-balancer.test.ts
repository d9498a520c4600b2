import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "../base/clock.ts";
import { openAuthority } from "../pki/authority.ts";
import { loadLoadBalancerConfig } from "./load-balancer-config.ts";
import { parseStatus, statusFileName } from "./load-balancer-status.ts";
import { type RunningLoadBalancer, runLoadBalancer } from "./run-load-balancer.ts";

let directory: string;
let configPath: string;
let running: RunningLoadBalancer | null;
const events: string[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-lb-"));
  configPath = join(directory, "load-balancer.json");
  running = null;
  events.length = 0;
});
afterEach(async () => {
  await running?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function configText(names: readonly string[]): string {
  const backends = names.map((name, i) => ({ name, address: "127.77.18.40", port: 1 + i }));
  return JSON.stringify({
    listens: ["127.77.18.103:0"],
    backends,
    healthCheck: { path: "/readyz", intervalMs: 100, timeoutMs: 200 },
    tls: null,
  });
}

async function statusWith(wanted: (text: string) => boolean): Promise<string> {
  for (let i = 0; i < 200; i++) {
    const text = readFileSync(join(directory, statusFileName), "utf8");
    if (wanted(text)) return text;
    await systemClock.sleep(20);
  }
  return readFileSync(join(directory, statusFileName), "utf8");
}

it("the program reports its backends in a status file, and takes up a changed configuration file", async () => {
  writeFileSync(configPath, configText(["m1"]));
  running = await runLoadBalancer(configPath, (event) => events.push(event));
  const first = parseStatus(await statusWith((text) => text.includes('"dead"')), Date.now());
  expect(first?.backends).toEqual([
    {
      name: "m1",
      address: "127.77.18.40",
      port: 1,
      state: "dead",
      reason: expect.stringContaining("ECONNREFUSED"),
      connections: 0,
    },
  ]);
  writeFileSync(configPath, configText(["m1", "m2"]));
  const second = parseStatus(await statusWith((text) => text.includes('"m2"')), Date.now());
  expect(second?.backends.map((backend) => backend.name)).toEqual(["m1", "m2"]);
});

it("the program keeps the configuration in force when the new one is wrong", async () => {
  writeFileSync(configPath, configText(["m1"]));
  running = await runLoadBalancer(configPath, (event) => events.push(event));
  writeFileSync(configPath, "{");
  await running.reload();
  expect(events).toContain("reloadFailed");
  const status = parseStatus(readFileSync(join(directory, statusFileName), "utf8"), Date.now());
  expect(status?.backends).toHaveLength(1);
});

it("a status whose writer has been silent counts as none", () => {
  const text = JSON.stringify({ updatedAt: new Date(1_000_000).toISOString(), backends: [] });
  expect(parseStatus(text, 1_004_000)).not.toBeNull();
  expect(parseStatus(text, 1_010_000)).toBeNull();
  expect(parseStatus("half a fi", 0)).toBeNull();
});

it.each([
  ["nonsense", /not JSON/],
  ["[]", /the whole must be object/],
  [configText([]).replace('"listens"', '"listen"'), /must have required property 'listens'; .*additional/],
  [configText(["m1"]).replace('"port":1', '"port":0'), /\/backends\/0\/port must be >= 1/],
])("the configuration %s is refused with all that is wrong", (text, message) => {
  writeFileSync(configPath, text);
  expect(() => loadLoadBalancerConfig(configPath)).toThrow(message);
});

it("a backend that answers its health endpoint over HTTP is used by a client of the program", async () => {
  const member = createServer((_request, response) => response.end("ok"));
  await new Promise<void>((resolve) => member.listen(0, "127.77.18.41", resolve));
  const { port } = member.address() as { port: number };
  const listens = ["127.77.18.103:28379"];
  const healthCheck = { path: "/readyz", intervalMs: 100, timeoutMs: 200 };
  const backends = [{ name: "m1", address: "127.77.18.41", port }];
  writeFileSync(configPath, JSON.stringify({ listens, backends, healthCheck, tls: null }));
  running = await runLoadBalancer(configPath, () => undefined);
  const socket = connect(28379, "127.77.18.103");
  socket.end("GET /readyz HTTP/1.0\r\n\r\n");
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK.*ok$/s);
  member.close();
});

/** A server with a certificate of an unknown authority. */
async function apiServer(address: string): Promise<{ readonly port: number; readonly close: () => void }> {
  const authority = openAuthority({ directory: join(directory, "kubernetes") });
  await authority.createAuthority("kubernetes");
  await authority.issue({ name: "all", profile: "member", commonName: "kube-apiserver", subjectAltNames: [address] });
  const { certificatePem, keyPem } = await authority.material("all");
  const server = createHttpsServer({ cert: certificatePem, key: keyPem }, (_, response) => response.end("api"));
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { port: (server.address() as { port: number }).port, close };
}

it("KUBE: the program has API servers behind a port of their own, and drops that with the configuration", async () => {
  const api = await apiServer("127.77.18.42");
  const members = JSON.parse(configText(["m1"])) as object;
  const apiServers = {
    listens: ["127.77.18.103:26443"],
    backends: [
      { name: "m1", address: "127.77.18.42", port: api.port },
      { name: "m2", address: "127.77.18.43", port: 1 },
    ],
    healthCheck: { path: "/readyz", intervalMs: 100, timeoutMs: 500 },
  };
  writeFileSync(configPath, JSON.stringify({ ...members, apiServers }));
  running = await runLoadBalancer(configPath, () => undefined);
  const states = (): unknown => {
    const status = parseStatus(readFileSync(join(directory, statusFileName), "utf8"), Date.now());
    return [status?.backends, status?.apiServers].map((group) => group?.map(({ state }) => state));
  };
  // Its own check finds it, while the only member is dead.
  await expect.poll(states).toEqual([["dead"], ["ready", "dead"]]);
  const socket = tlsConnect({ port: 26443, host: "127.77.18.103", rejectUnauthorized: false });
  socket.end("GET /version HTTP/1.0\r\n\r\n");
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  expect(answer).toMatch(/api$/);

  writeFileSync(configPath, JSON.stringify(members));
  await running.reload();
  await expect(once(connect(26443, "127.77.18.103"), "connect")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  await expect.poll(states).toEqual([["dead"], undefined]);
  api.close();
});
