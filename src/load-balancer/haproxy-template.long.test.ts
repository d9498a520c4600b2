import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../base/clock.ts";
import { renderTemplate } from "../base/render-template.ts";
import { openAuthority } from "../pki/authority.ts";
import type { TlsMaterial } from "../pki/tls-material.ts";
import { askUnitSocket } from "../providers/local/ask-unit-socket.ts";
import type { LoadBalancerConfig } from "../units/load-balancer-unit.ts";
import { haproxyQuestion, haproxySocket, parseHaproxyStatus } from "./haproxy-status.ts";
import { LoadBalancer } from "./load-balancer.ts";

const haproxy = "haproxy";
const hasHaproxy = execaSync(haproxy, ["-v"], { reject: false }).exitCode === 0;
/** Longer than a member that is not ready keeps its connections. */
const slowMs = 2_000;
const listen = "127.77.18.104:28480";

let directory: string;
let identity: TlsMaterial;
const cleanup: (() => void)[] = [];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "haplan-haproxy-"));
  const authority = openAuthority({ directory: join(directory, "pki") });
  await authority.createAuthority("demo authority");
  const commonName = "load-balancer";
  const subjectAltNames = ["127.77.18.51", "127.77.18.52", "127.77.18.104"];
  await authority.issue({ name: "all", profile: "member", commonName, subjectAltNames });
  identity = await authority.material("all");
  mkdirSync(join(directory, "tls"));
  writeFileSync(join(directory, "tls/ca.crt"), identity.caPem);
  writeFileSync(join(directory, "tls/tls.pem"), identity.certificatePem + identity.keyPem);
});
afterEach(() => {
  for (const end of cleanup.splice(0)) end();
  rmSync(directory, { recursive: true, force: true });
});

function config(backends: LoadBalancerConfig["backends"], tls: boolean): LoadBalancerConfig {
  return {
    listens: [listen],
    backends,
    healthCheck: { path: "/readyz?stopping=404", intervalMs: 200, timeoutMs: 500 },
    tls: tls ? { caFile: "@UNIT@/tls/ca.crt", certFile: "@UNIT@/tls/tls.crt", keyFile: "@UNIT@/tls/tls.key" } : null,
  };
}

type HaproxyConfig = LoadBalancerConfig & {
  readonly relay?: { readonly listen: string; readonly healthListen: string };
};

function renderHaproxyConfig(wanted: HaproxyConfig): string {
  return renderTemplate("haproxy/haproxy.cfg.hbs", { ...wanted });
}

function writeConfig(wanted: HaproxyConfig): string {
  const path = join(directory, "haproxy.cfg");
  writeFileSync(path, renderHaproxyConfig(wanted).replaceAll("@UNIT@", directory));
  return path;
}

/** A master that demands client certificates, answers probes and says its name. */
async function master(name: string, address: string): Promise<{ server: Server; port: number; health: number[] }> {
  const health = [200];
  const tls = { ca: identity.caPem, cert: identity.certificatePem, key: identity.keyPem };
  const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    if (request.url?.startsWith("/readyz")) response.writeHead(health[0]!).end("ok");
    else if (request.url === "/slow") void systemClock.sleep(slowMs).then(() => response.end(name));
    else response.end(name);
  });
  server.listen(0, address);
  await once(server, "listening");
  cleanup.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, port: (server.address() as AddressInfo).port, health };
}

async function startHaproxy(path: string): Promise<ChildProcess> {
  const started = spawn(haproxy, ["-W", "-db", "-f", path], { cwd: directory, stdio: "ignore" });
  cleanup.push(() => started.kill("SIGTERM"));
  return started;
}

/** The member that answers through the load balancer; an error code if none does. */
function ask(path = "/name"): Promise<string> {
  return new Promise((resolve) => {
    const [host = "", port] = listen.split(":");
    const socket = connect({
      host,
      port: Number(port),
      ca: identity.caPem,
      cert: identity.certificatePem,
      key: identity.keyPem,
    });
    let answer = "";
    socket.setTimeout(slowMs + 2000, () => socket.destroy(new Error("timeout")));
    socket.write(`GET ${path} HTTP/1.0\r\n\r\n`);
    socket.on("data", (chunk) => (answer += String(chunk)));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("close", () => resolve(answer.split("\r\n\r\n")[1] ?? "nothing"));
  });
}

/** Asks four times a round, until a round's answers are the wanted ones; connections made in between may be cut. */
async function answersSettleAt(wanted: readonly string[]): Promise<void> {
  let answers: string[] = [];
  for (let i = 0; i < 60 && answers.join() !== wanted.join(); i++) {
    await systemClock.sleep(50);
    answers = [...new Set([await ask(), await ask(), await ask(), await ask()])].sort();
  }
  expect(answers).toEqual(wanted);
}

const two = [
  { name: "m1", address: "127.77.18.51", port: 2379 },
  { name: "m2", address: "127.77.18.52", port: 2379 },
];

const three = ["m1", "m2", "m3"].map((name, at) => ({ name, address: `127.77.18.5${at + 1}`, port: 6443 }));
const apiCheck = { path: "/readyz", intervalMs: 200, timeoutMs: 500 };

describe("the configuration of HAProxy", () => {
  it("lists what to listen on and the backends twice, those that are ready and those that are alive", () => {
    const text = renderHaproxyConfig(config(two, false));
    expect(text).toContain(`    bind ${listen}\n`);
    expect(text).not.toContain("hard-stop-after");
    expect(text).toContain("http-check send meth GET uri /readyz?stopping=404 ver HTTP/1.1");
    expect(text.match(/^ {4}server m1 127\.77\.18\.51:2379 check$/gm)).toHaveLength(2);
    expect(text).toContain("    server m1 127.77.18.51:2379 track masters-health/m1\n");
    expect(text).not.toContain("check-ssl");
  });

  it.skipIf(!hasHaproxy)("KUBE: is accepted by HAProxy with API servers, at addresses of both families", () => {
    const backends = [...three, { name: "m4", address: "fd00:1::4", port: 6443 }];
    const apiServers = { listens: ["127.77.18.104:26443", "[::1]:26443"], backends, healthCheck: apiCheck };
    const check = execaSync(haproxy, ["-c", "-f", writeConfig({ ...config(two, true), apiServers })], {
      all: true,
      reject: false,
    });
    expect(check.all).not.toMatch(/ALERT|WARNING/);
    expect(check.exitCode).toBe(0);
  });

  it("refuses to be rendered with values missing", () => {
    expect(() => renderTemplate("haproxy/haproxy.cfg.hbs", { listens: [] })).toThrow(/"timeoutMs" not defined/);
  });

  it.skipIf(!hasHaproxy).each([true, false])("is accepted by HAProxy (TLS: %s)", (tls) => {
    const check = execaSync(haproxy, ["-c", "-f", writeConfig(config(two, tls))], { all: true, reject: false });
    expect(check.all).not.toMatch(/ALERT|WARNING/);
    expect(check.exitCode).toBe(0);
  });
});

const apiListen = "127.77.18.104:26443";

/** An API server: its certificate is of an authority that the load balancer does not have, and it wants none of its clients. */
async function apiServer(address: string) {
  const authority = openAuthority({ directory: join(directory, `kubernetes-${address}`) });
  await authority.createAuthority("kubernetes");
  await authority.issue({ name: "all", profile: "member", commonName: "kube-apiserver", subjectAltNames: [address] });
  const { certificatePem, keyPem } = await authority.material("all");
  const health = [200];
  const server = createServer({ cert: certificatePem, key: keyPem }, (request, response) => {
    response.writeHead(request.url === "/readyz" ? health[0]! : 200).end(address);
  });
  server.listen(0, address);
  await once(server, "listening");
  cleanup.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { health, backend: { name: address, address, port: (server.address() as AddressInfo).port } };
}

async function apiServersSettleAt(wanted: readonly string[]): Promise<void> {
  const ask = (): Promise<string> =>
    new Promise((resolve) => {
      const [host = "", port] = apiListen.split(":");
      const socket = connect({ host, port: Number(port), rejectUnauthorized: false, timeout: 1000 });
      let answer = "";
      socket.write("GET /name HTTP/1.0\r\n\r\n");
      socket.on("data", (chunk) => (answer += String(chunk)));
      socket.on("error", () => resolve("none"));
      socket.on("close", () => resolve(answer.split("\r\n\r\n")[1] ?? "none"));
    });
  const round = async (): Promise<string[]> =>
    [...new Set([await ask(), await ask(), await ask(), await ask()])].sort();
  await expect.poll(round, { timeout: 8000 }).toEqual(wanted);
}

/** HAProxy with TLS before two masters, both of which answer. */
async function twoBehindHaproxy() {
  const m1 = await master("m1", "127.77.18.51");
  const m2 = await master("m2", "127.77.18.52");
  const first = { name: "m1", address: "127.77.18.51", port: m1.port };
  const second = { name: "m2", address: "127.77.18.52", port: m2.port };
  const running = await startHaproxy(writeConfig(config([first, second], true)));
  await answersSettleAt(["m1", "m2"]);
  return { m1, m2, first, second, running };
}

describe.skipIf(!hasHaproxy)("HAProxy", () => {
  it("sends clients to ready masters, to those alive when none is ready, and takes up backends on SIGUSR2", async () => {
    const { m1, m2, second, running } = await twoBehindHaproxy();
    m1.health[0] = 503;
    await answersSettleAt(["m2"]);
    m2.health[0] = 503;
    await answersSettleAt(["m1", "m2"]);
    m1.server.closeAllConnections();
    m1.server.close();
    await answersSettleAt(["m2"]);
    m2.health[0] = 200;
    writeConfig(config([second], true));
    running.kill("SIGUSR2");
    await answersSettleAt(["m2"]);
  });

  it("says over its socket which masters are ready, about to stop, alive without being ready, and dead", async () => {
    const { m1, m2, running } = await twoBehindHaproxy();
    const states = async (): Promise<readonly string[]> => {
      const answer = await askUnitSocket(running.pid!, haproxySocket, haproxyQuestion);
      return parseHaproxyStatus(answer ?? "").map(({ name, state }) => `${name} ${state}`);
    };
    const settle = (...wanted: readonly string[]) => expect.poll(states, { timeout: 8000 }).toEqual(wanted);
    await settle("m1 ready", "m2 ready");
    m1.health[0] = 404;
    m2.health[0] = 503;
    await settle("m1 stopping", "m2 alive");
    m2.server.closeAllConnections();
    m2.server.close();
    await settle("m1 stopping", "m2 dead");
    running.kill("SIGTERM");
    await once(running, "exit");
    expect(await askUnitSocket(running.pid!, haproxySocket, haproxyQuestion)).toBeNull();
  });

  it("KUBE: sends clients of the API servers to those that answer /readyz with 200, whatever their certificates", async () => {
    const [first, second] = await Promise.all(["127.77.18.51", "127.77.18.52"].map((at) => apiServer(at)));
    const apiServers = { listens: [apiListen], backends: [first!.backend, second!.backend], healthCheck: apiCheck };
    // No member runs: the API servers are checked apart from members.
    await startHaproxy(writeConfig({ ...config(two, true), apiServers }));
    await apiServersSettleAt([first!.backend.name, second!.backend.name]);
    first!.health[0] = 500;
    await apiServersSettleAt([second!.backend.name]);
    first!.health[0] = 200;
    await apiServersSettleAt([first!.backend.name, second!.backend.name]);
  });

  it("14/4: has its clients wait while its relay holds them, without a failure, and forwards them to other masters", async () => {
    const [m1, m2] = [await master("m1", "127.77.18.51"), await master("m2", "127.77.18.52")];
    const relay = { listen: "127.77.18.105:28481", healthListen: "127.77.18.105:28482" };
    const configOf = (name: string, address: string, port: number) => {
      return { ...config([{ name, address, port }], true), listens: [relay.listen] };
    };
    const group = { tls: identity, isVirtual: true, healthListen: relay.healthListen };
    const old = { ...group, config: configOf("m1", "127.77.18.51", m1.port) };
    const balancer = await LoadBalancer.start(old, () => undefined);
    try {
      await startHaproxy(writeConfig({ ...config([], true), relay }));
      await answersSettleAt(["m1"]);
      await balancer.reconfigure({ ...old, hold: { id: "a", forMs: 30_000 } });
      const waiting = [ask(), ask()];
      const answered = await Promise.race([...waiting, systemClock.sleep(slowMs / 2)]);
      expect(answered).toBeUndefined();
      await balancer.reconfigure({ ...group, config: configOf("m2", "127.77.18.52", m2.port) });
      expect(await Promise.all(waiting)).toEqual(["m2", "m2"]);
    } finally {
      await balancer[Symbol.asyncDispose]();
    }
  });

  it("T11: leaves a master its connections that is busy and takes long for a TLS handshake", async () => {
    const m1 = await master("m1", "127.77.18.51");
    let handshakeMs = 0;
    const front = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      setTimeout(() => m1.server.emit("connection", socket), handshakeMs);
    });
    front.listen(0, "127.77.18.52");
    await once(front, "listening");
    cleanup.push(() => front.close());
    const { port } = front.address() as AddressInfo;
    const healthCheck = { path: "/readyz?stopping=404", intervalMs: 500, timeoutMs: 1_000 };
    const usual = { ...config([{ name: "m1", address: "127.77.18.52", port }], true), healthCheck };
    await startHaproxy(writeConfig(usual));
    await answersSettleAt(["m1"]);
    const slow = ask("/slow");
    await systemClock.sleep(100);
    handshakeMs = 350;
    expect(await slow).toBe("m1");
    expect(await ask()).toBe("m1");
  });

  it("T11: leaves a master that is about to stop its connections, and those of all masters over a reload", async () => {
    const { m1, second, running } = await twoBehindHaproxy();
    const before = [ask("/slow"), ask("/slow")];
    await systemClock.sleep(200);
    m1.health[0] = 404;
    await answersSettleAt(["m2"]);
    writeConfig(config([second], true));
    running.kill("SIGUSR2");
    expect((await Promise.all(before)).sort()).toEqual(["m1", "m2"]);
    await answersSettleAt(["m2"]);
  });
});
