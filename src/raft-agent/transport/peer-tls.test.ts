import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { get } from "node:https";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createRandom } from "../../base/random.ts";
import { openAuthority } from "../../pki/authority.ts";
import type { Message } from "../raft/message.ts";
import { PeerTransport } from "./peer-transport.ts";
import type { PeerTls, TlsMaterial } from "./transport-types.ts";

const host = "127.77.12.2";
const [a, b] = ["00000000000000aa", "00000000000000bb"];

let directory: string;
const material: Record<string, TlsMaterial> = {};
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "haplan-peer-tls-"));
  for (const authorityName of ["ours", "other"]) {
    const longAgo = (): number => Date.now() - 400 * 86_400_000;
    const before = openAuthority({ directory: join(directory, authorityName), now: longAgo });
    await before.createAuthority(authorityName);
    for (const name of ["m1", "m2", "renewed", "expired"]) {
      const authority = name === "expired" ? before : openAuthority({ directory: join(directory, authorityName) });
      await authority.issue({ name, profile: "member", commonName: name, subjectAltNames: [host] });
      const { caPem, certificatePem, keyPem } = await authority.material(name);
      material[`${authorityName}/${name}`] = { ca: caPem, cert: certificatePem, key: keyPem };
    }
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const open: PeerTransport[] = [];
afterEach(() => Promise.all(open.splice(0).map((transport) => transport.close())));

type Member = { transport: PeerTransport; url: string; port: number; messages: Message[]; logs: string[] };

async function start(
  self: string,
  tls: Partial<PeerTls> & Pick<PeerTls, "material">,
  options: object = {},
): Promise<Member> {
  const [messages, logs]: [Message[], string[]] = [[], []];
  const transport = new PeerTransport({
    self,
    clusterId: "c1c1c1c1c1c1c1c1",
    advertisedUrls: [],
    random: createRandom(1),
    tls: { requireClientCertificate: true, ...tls },
    handlers: {
      onMessage: (message) => messages.push(message),
      onLog: (_, text) => logs.push(text),
      onRejected: ({ remoteAddress, error }) => logs.push(`rejected ${remoteAddress}: ${error}`),
    },
    ...options,
  });
  open.push(transport);
  const { port } = await transport.listen({ host, port: 0 });
  return { transport, port, url: `https://${host}:${port}`, messages, logs };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

const vote: Message = { from: a, to: b, term: 1, kind: "voteResponse", preVote: false, granted: true };

it("members with certificates of one authority communicate", async () => {
  const one = await start(a, { material: () => material["ours/m1"]! });
  const two = await start(b, { material: () => material["ours/m2"]! });
  one.transport.setPeer(b, [two.url]);
  await until(() => one.logs.some((text) => text.startsWith("connected")));
  one.transport.send(vote);
  await until(() => two.messages.length === 1);
  expect(two.messages).toEqual([vote]);
});

it.each<readonly [string, string | null, object, string]>([
  [
    "of another authority",
    "other/m1",
    {},
    "tls: failed to verify certificate: x509: certificate signed by unknown authority",
  ],
  [
    "whose certificate has expired",
    "ours/expired",
    {},
    "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
  ],
  ["without a certificate", null, {}, "tls: client didn't provide a certificate"],
  ["whose certificate is rejected", "ours/m1", { rejectReason: async () => "it is revoked" }, "it is revoked"],
  [
    "whose certificate cannot be verified",
    "ours/m1",
    { rejectReason: () => Promise.reject(new Error("no list")) },
    "no list",
  ],
])("A15: a caller %s is rejected, and learns the reason", async (_, name, tls, reason) => {
  // The caller trusts the server, so that the server's decision is tested.
  const { ca } = material["ours/m2"]!;
  const caller = name === null ? ({ ca } as TlsMaterial) : { ...material[name]!, ca };
  const two = await start(b, { material: () => material["ours/m2"]!, ...tls });
  const one = await start(a, { material: () => material["ours/m1"]!, clientMaterial: () => caller });
  one.transport.setPeer(b, [two.url]);
  await until(() => two.logs.length > 0 && one.logs.length > 0);
  expect(two.logs[0]).toMatch(/^rejected 127\.\d+\.\d+\.\d+:\d+: /);
  expect(two.logs[0]).toContain(reason);
  expect(one.logs).toEqual([
    `Cannot connect to member ${b} at ${two.url}: member ${b} rejects the connection: ${reason}`,
  ]);
  expect(one.transport.isConnected(b)).toBe(false);
});

it("A19: a member that cannot be dialed receives messages on the connection that it opened, with and without TLS", async () => {
  const one = await start(a, { material: () => material["ours/m1"]! });
  const two = await start(b, { material: () => material["ours/m2"]! });
  one.transport.setPeer(b, [`https://${host}:1`]);
  two.transport.setPeer(a, [one.url]);
  await until(() => one.transport.isConnected(b) && two.logs.some((text) => text.startsWith("connected")));
  one.transport.send(vote);
  await until(() => two.messages.length === 1);
  expect(two.messages).toEqual([vote]);
  // An impostor does not receive the member's messages.
  const other = await start(b, { material: () => ({ ...material["other/m2"]!, ca: material["ours/m1"]!.ca }) });
  await two.transport.close();
  other.transport.setPeer(a, [one.url]);
  await until(() => other.logs.length > 0 && !one.transport.isConnected(b));
  one.transport.send(vote);
  expect(one.transport.statisticsFor(b).sentFailures).toBe(1);
});

it("A3: a member that moves is accepted at its former address until it has connected from the new one", async () => {
  const nameOf = (socket: TLSSocket): string => String(socket.getPeerCertificate().subject.CN);
  const two = await start(b, {
    material: () => material["ours/m2"]!,
    identifiesMembers: () => true,
    rejectReasonAt: (socket, urls) =>
      urls.some((url) => new URL(url).hostname === nameOf(socket)) ? null : `its certificate is for ${nameOf(socket)}`,
  });
  /** Member a dials with the certificate of that name; returns whether it is accepted. */
  const callAs = async (name: string): Promise<boolean> => {
    const one = await start(a, { material: () => material[`ours/${name}`]! });
    one.transport.setPeer(b, [two.url]);
    await until(() => one.logs.length > 0);
    await one.transport.close();
    return one.logs[0]!.startsWith(`connected to member ${b}`);
  };
  two.transport.setPeer(a, ["https://m1:1"]);
  expect([await callAs("m1"), await callAs("renewed")]).toEqual([true, false]);
  two.transport.setPeer(a, ["https://renewed:1"]);
  expect(await callAs("m1")).toBe(true);
  expect([await callAs("renewed"), await callAs("m1")]).toEqual([true, false]);
  // Moved twice before it has connected: both former addresses count. One that is reassigned is no longer a former
  // one.
  two.transport.setPeer(a, ["https://m1:1"]);
  two.transport.setPeer(a, ["https://other:1"]);
  expect([await callAs("renewed"), await callAs("m1")]).toEqual([true, true]);
});

it("an address without TLS can be used beside one with it", async () => {
  const two = await start(b, { material: () => material["ours/m2"]! });
  const plain = await two.transport.listen({ host, port: 0 }, false);
  const one = await start(a, { material: () => material["ours/m1"]! });
  one.transport.setPeer(b, [`http://${host}:${plain.port}`]);
  await until(() => one.transport.isConnected(b));
  const three = await start("00000000000000cc", { material: () => material["ours/m1"]! });
  three.transport.setPeer(b, [two.url]);
  await until(() => three.transport.isConnected(b));
});

it("a caller without TLS is rejected", async () => {
  const two = await start(b, { material: () => material["ours/m2"]! });
  const one = await start(a, { material: () => material["ours/m1"]! });
  one.transport.setPeer(b, [two.url.replace("https", "http")]);
  await until(() => two.logs.length > 0 && one.logs.length > 0);
  expect(one.transport.isConnected(b)).toBe(false);
});

it("renewed certificates are used for new connections, and HTTPS on the peer port reaches the HTTP server", async () => {
  let current = material["ours/m2"]!;
  const httpServer = createHttpServer((_, response) => response.end("members"));
  const two = await start(b, { material: () => current, requireClientCertificate: false }, { httpServer });
  const ask = (): Promise<{ name: string; body: string }> =>
    new Promise((resolve, reject) => {
      get({ host, port: two.port, ca: current.ca, agent: false }, (response) => {
        const { socket } = response as unknown as { socket: { getPeerCertificate(): { subject: { CN: string } } } };
        const name = socket.getPeerCertificate().subject.CN;
        response.setEncoding("utf8").on("data", (body: string) => resolve({ name, body }));
      }).on("error", reject);
    });
  expect(await ask()).toEqual({ name: "m2", body: "members" });
  current = material["ours/renewed"]!;
  expect(await ask()).toEqual({ name: "renewed", body: "members" });
});

it("a connection whose caller has disconnected is closed, even if a response to it never ends", async () => {
  const httpServer = createHttpServer((_, response) => response.end("members"));
  const closed = new EventEmitter();
  httpServer.on("connection", (socket: Socket) => {
    // As in Node.js when a reset intervenes.
    socket._write = socket._writev = () => {};
    socket.on("close", () => closed.emit("close"));
  });
  const two = await start(b, { material: () => material["ours/m2"]!, requireClientCertificate: false }, { httpServer });
  const caller = connect({ host, port: two.port, rejectUnauthorized: false });
  caller.once("secureConnect", () => caller.end("GET /members HTTP/1.1\r\nHost: m\r\n\r\n"));
  await once(closed, "close");
});
