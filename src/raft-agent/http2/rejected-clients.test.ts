/** What a client port with TLS reports about clients that it rejects, in etcd's words. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RejectedConnection } from "../../base/rejected-connection.ts";
import { openAuthority } from "../../pki/authority.ts";
import { type ClientListener, listenForClients } from "./client-listener.ts";

const host = "127.77.13.9";
const day = 86_400_000;
const names = ["localhost", "m1.example", host, "127.0.0.1"];

type Pem = { readonly ca: string; readonly cert: string; readonly key: string };

let directory: string;
let listener: ClientListener;
const pem: Record<"server" | "client" | "expired" | "unknown", Pem> = {} as never;
const rejections: RejectedConnection[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "haplan-rejected-"));
  const issue = async (name: keyof typeof pem, where: string, now = Date.now()): Promise<void> => {
    const authority = openAuthority({ directory: join(directory, where), now: () => now });
    await authority.issue({ name, profile: "member", commonName: name, subjectAltNames: names });
    const { caPem, certificatePem, keyPem } = await authority.material(name);
    pem[name] = { ca: caPem, cert: certificatePem, key: keyPem };
  };
  await openAuthority({ directory: join(directory, "ours"), now: () => Date.now() - 400 * day }).createAuthority(
    "ours",
  );
  await openAuthority({ directory: join(directory, "theirs") }).createAuthority("theirs");
  await issue("expired", "ours", Date.now() - 400 * day);
  await issue("server", "ours");
  await issue("client", "ours");
  await issue("unknown", "theirs");
  listener = await listenForClients({
    host,
    port: 0,
    tls: {
      ...pem.server,
      requireClientCertificate: true,
      rejectReason: (socket) =>
        socket.getPeerCertificate().subject.CN === "client" ? "its certificate is revoked" : null,
    },
    onHttp2: (socket) => socket.destroy(),
    onHttp1: (socket) => socket.destroy(),
    onRejected: (rejection) => rejections.push(rejection),
    handshakeTimeoutMs: 300,
  });
});
afterAll(async () => {
  await listener.close();
  rmSync(directory, { recursive: true, force: true });
});

async function rejectionOf(call: () => { destroy(): void }): Promise<RejectedConnection> {
  rejections.length = 0;
  const socket = call();
  while (rejections.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  socket.destroy();
  expect(rejections.length).toBe(1);
  return rejections[0]!;
}

function callWith(options: object) {
  const socket = connectTls({ host, port: listener.port, servername: "m1.example", ALPNProtocols: ["h2"], ...options });
  socket.on("error", () => {});
  return socket;
}

function say(bytes: Uint8Array, thenLeave = false) {
  const socket = connectTcp({ host, port: listener.port }, () => {
    if (thenLeave) socket.end(bytes);
    else socket.write(bytes);
  });
  return socket.on("error", () => {});
}

describe("A15: a rejected client", () => {
  const certificate = { ipAddresses: [host, "127.0.0.1"], dnsNames: ["localhost", "m1.example"] };
  const ca = (): string => pem.server.ca;

  it.each<readonly [string, () => { destroy(): void }, Partial<RejectedConnection>]>([
    ["without a certificate", () => callWith({ ca: ca() }), { error: "tls: client didn't provide a certificate" }],
    [
      "whose certificate has expired",
      () => callWith({ ...pem.expired }),
      { error: "tls: failed to verify certificate: x509: certificate has expired or is not yet valid" },
    ],
    [
      "of another authority",
      () => callWith({ ...pem.unknown, ca: ca() }),
      { error: "tls: failed to verify certificate: x509: certificate signed by unknown authority" },
    ],
    [
      "whose valid certificate is rejected",
      () => callWith({ ...pem.client }),
      { error: "its certificate is revoked", serverName: "m1.example", names: certificate },
    ],
    [
      "that sends HTTP",
      () => say(Buffer.from("GET /health HTTP/1.1\r\n\r\n")),
      { error: "tls: first record does not look like a TLS handshake" },
    ],
    ["that sends nothing", () => say(Buffer.alloc(0)), { error: "i/o timeout" }],
    [
      "that disconnects during its handshake",
      () => say(Buffer.from([0x16, 3, 1]), true),
      { error: "EOF", isGone: true },
    ],
    [
      "with an old version of TLS",
      () => callWith({ ca: ca(), minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }),
      { error: "tls: client offered only unsupported versions" },
    ],
  ])("%s is reported with its address", async (_, call, expected) => {
    const rejection = await rejectionOf(call);
    expect(rejection).toMatchObject({ isGone: false, ...expected });
    expect(rejection.remoteAddress).toMatch(/^127\.\d+\.\d+\.\d+:\d+$/);
  });
});
