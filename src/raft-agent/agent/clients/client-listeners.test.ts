/** A member's front end whose certificates are renewed while it serves: on the client, HTTP and metrics ports. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:https";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listenForTestClients } from "../../../../test/support/listening-clients.ts";
import { openAuthority } from "../../../pki/authority.ts";
import type { ClientListeners } from "./client-listeners.ts";

const host = "127.77.42.4";
const ports = [2379, 2378, 2381] as const;
const healthPort = 2391;
const directory = mkdtempSync(join(tmpdir(), "haplan-front-"));
const old = openAuthority({ directory: join(directory, "old") });
const fresh = openAuthority({ directory: join(directory, "fresh") });
const file = (name: string): string => join(directory, name);

type Material = { readonly cert: string; readonly key: string; readonly ca: string };
let serving: Record<"old" | "fresh", Material>;
let scraper: Record<"old" | "fresh", Material>;
let front: ClientListeners;

beforeAll(async () => {
  const issue = async (authority: typeof old, name: string, profile: "member" | "client"): Promise<Material> => {
    await authority.issue({ name, profile, commonName: name, subjectAltNames: profile === "member" ? [host] : [] });
    const { certificatePem: cert, keyPem: key, caPem: ca } = await authority.material(name);
    return { cert, key, ca };
  };
  await old.createAuthority("old");
  await fresh.createAuthority("fresh");
  serving = { old: await issue(old, "first", "member"), fresh: await issue(fresh, "second", "member") };
  scraper = { old: await issue(old, "scraper", "client"), fresh: await issue(fresh, "scraper", "client") };
  put(serving.old);
  front = await openFront();
  front.serve();
});
afterAll(async () => {
  await front.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Replaces the files, as a renewal does. */
function put({ cert, key, ca }: Material): void {
  writeFileSync(file("server.crt"), cert);
  writeFileSync(file("server.key"), key);
  writeFileSync(file("ca.crt"), ca);
}

async function openFront(): Promise<ClientListeners> {
  const flags = [
    `--listen-client-urls=https://${host}:${ports[0]},http://${host}:${ports[0]}`,
    `--listen-client-http-urls=https://${host}:${ports[1]}`,
    `--listen-metrics-urls=https://${host}:${ports[2]}`,
    `--listen-health-urls=https://${host}:${healthPort}`,
    `--advertise-client-urls=https://${host}:${ports[0]}`,
    `--cert-file=${file("server.crt")}`,
    `--key-file=${file("server.key")}`,
    `--trusted-ca-file=${file("ca.crt")}`,
  ];
  return listenForTestClients(flags);
}

/** The name in the certificate that a port presents. */
function nameAt(port: number, client: Material): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: host, port, ...client, ALPNProtocols: ["h2", "http/1.1"] });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
  });
}

const namesWith = (client: Material): Promise<string[]> => Promise.all(ports.map((port) => nameAt(port, client)));

/** The status of a health check, or "refused", and its connection. */
function ask(
  port: number,
  tls: object,
  path = "/health",
): Promise<{ outcome: number | string; socket: Socket | null }> {
  return new Promise((resolve) => {
    const request = get({ host: host, port, path, agent: false, ...tls }, (response) => {
      const { socket } = response;
      response.resume().once("end", () => resolve({ outcome: response.statusCode ?? 0, socket }));
    });
    request.once("error", () => resolve({ outcome: "refused", socket: null }));
  });
}

describe("a front end whose certificates are renewed", () => {
  it("uses them for new connections on every port, and keeps existing ones open", async () => {
    const agent = new Agent({ keepAlive: true });
    const [, http, metrics] = ports;
    expect(await namesWith(scraper.old)).toEqual(["first", "first", "first"]);
    const before = await ask(metrics, { ...scraper.old, agent });
    expect(before.outcome).toBe(200);
    expect(front.reloadCertificates()).toBe(false);
    put(serving.fresh);
    expect(front.reloadCertificates()).toBe(true);
    expect(await namesWith(scraper.fresh)).toEqual(["second", "second", "second"]);
    const after = await ask(metrics, { ...scraper.old, agent });
    expect(after).toEqual({ outcome: 200, socket: before.socket });
    agent.destroy();
    // The authority is the new one as well: clients with certificates of the old one, or without, are rejected.
    for (const port of [http, metrics]) {
      expect((await ask(port, scraper.fresh)).outcome).toBe(200);
      expect((await ask(port, { ...scraper.old, ca: serving.fresh.ca })).outcome).toBe("refused");
      expect((await ask(port, { ca: serving.fresh.ca })).outcome).toBe("refused");
    }
  });

  it("keeps the old ones while the new ones do not match, and uses them once they do", async () => {
    put({ ...serving.old, key: serving.fresh.key });
    expect(() => front.reloadCertificates()).toThrow("Cannot load certificates: ");
    expect(await namesWith(scraper.fresh)).toEqual(["second", "second", "second"]);
    put(serving.old);
    expect(front.reloadCertificates()).toBe(true);
    expect(await namesWith(scraper.old)).toEqual(["first", "first", "first"]);
  });
});

describe("the health port", () => {
  it("A5: answers callers without a certificate, and nothing but health", async () => {
    const { ca } = serving.old;
    const paths = [
      "/health",
      "/readyz",
      "/readyz/serializable_read",
      "/livez",
      "/metrics",
      "/version",
      "/v3/kv/range",
      "/",
    ];
    const outcomes = await Promise.all(
      paths.map(async (path) => [path, (await ask(healthPort, { ca }, path)).outcome]),
    );
    expect(Object.fromEntries(outcomes)).toEqual({
      "/health": 200,
      "/readyz": 200,
      "/readyz/serializable_read": 200,
      "/livez": 200,
      "/metrics": 404,
      "/version": 404,
      "/v3/kv/range": 404,
      "/": 404,
    });
    for (const port of ports) expect((await ask(port, { ca })).outcome).toBe("refused");
  });

  it("A5: presents a renewed certificate", async () => {
    put(serving.fresh);
    expect(front.reloadCertificates()).toBe(true);
    expect(await nameAt(healthPort, { cert: "", key: "", ca: serving.fresh.ca })).toBe("second");
    put(serving.old);
    front.reloadCertificates();
  });
});
