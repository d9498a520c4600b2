import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createRandom } from "../../../base/random.ts";
import { openAuthority } from "../../../pki/authority.ts";
import { certificatePath, keyPath } from "../../../pki/certificate-directory.ts";
import { createAgentConfig } from "../../config/agent-config.ts";
import { readSettings } from "../../config/read-settings.ts";
import { PeerTransport } from "../../transport/peer-transport.ts";
import { type NameService, verifyPeerAddress } from "./caller-address.ts";
import { createPeerTls } from "./peer-tls.ts";

const host = "127.77.42.3";
const directory = mkdtempSync(join(tmpdir(), "haplan-caller-"));
const authority = openAuthority({ directory });
beforeAll(async () => {
  await authority.createAuthority("ca");
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function issue(name: string, subjectAltNames: readonly string[]): Promise<X509Certificate> {
  await authority.issue({ name, profile: "member", commonName: name, subjectAltNames });
  return new X509Certificate((await authority.material(name)).certificatePem);
}

describe("verifyPeerAddress", () => {
  const known: Readonly<Record<string, readonly string[]>> = {
    "10.0.0.1": ["m1.example."],
    "m1.example": ["10.0.0.1"],
    "m2.example": ["10.0.0.2", "fd00::2"],
  };
  const ask = async (question: string): Promise<readonly string[]> => {
    if (known[question] === undefined) throw new Error(`${question} is unknown`);
    return known[question];
  };
  const names: NameService = { namesOf: ask, addressesOf: ask };

  it.each([
    ["10.0.0.1", [], null],
    ["10.0.0.1", ["10.0.0.9", "10.0.0.1"], null],
    ["::ffff:10.0.0.1", ["10.0.0.1"], null],
    ["fd00::1", ["fd00:0::1"], null],
    ["10.0.0.1", ["10.0.0.9"], /^its certificate is for IP Address:10.0.0.9, and not for its address$/],
    ["10.0.0.1", ["m1.example"], null],
    ["10.0.0.1", ["*.example"], null],
    ["10.0.0.2", ["m2.example"], null],
    ["fd00::2", ["m2.example"], null],
    // The addresses of a wildcard cannot be listed.
    ["10.0.0.2", ["*.example"], /not for its address \(10.0.0.2 is unknown\)$/],
    ["10.0.0.2", ["10.0.0.9", "m2.example"], null],
    ["10.0.0.1", ["m2.example"], /DNS:m2.example, and not for its address$/],
    ["10.0.0.1", ["*.other.example"], /not for its address$/],
    ["10.0.0.1", ["gone.example"], /not for its address \(gone.example is unknown\)$/],
    [undefined, ["10.0.0.1"], /^it has disconnected$/],
  ])("verifies a caller from %s with a certificate for %j", async (address, subjectAltNames, expected) => {
    const certificate = await issue("table", subjectAltNames);
    const found = await verifyPeerAddress(certificate, address, names);
    if (expected === null) expect(found).toBeNull();
    else expect(found).toMatch(expected);
  });
});

describe("the peer port", () => {
  const open: PeerTransport[] = [];
  afterEach(() => Promise.all(open.splice(0).map((transport) => transport.close())));

  async function start(self: string, name: string, flags: readonly string[], logs: string[]): Promise<PeerTransport> {
    const files = {
      cert: certificatePath(directory, name),
      key: keyPath(directory, name),
      ca: certificatePath(directory, "ca"),
    };
    const settings = [
      `--peer-cert-file=${files.cert}`,
      `--peer-key-file=${files.key}`,
      `--peer-trusted-ca-file=${files.ca}`,
    ];
    const { peerTls } = createAgentConfig(readSettings([...settings, ...flags], {}, () => ""));
    const transport = new PeerTransport({
      self,
      clusterId: "c1c1c1c1c1c1c1c1",
      advertisedUrls: [],
      random: createRandom(1),
      tls: createPeerTls(peerTls!, () => []),
      handlers: {
        onMessage: () => {},
        onLog: (_, text) => logs.push(text),
        onRejected: ({ remoteAddress, error }) => logs.push(`rejected ${remoteAddress}: ${error}`),
      },
    });
    open.push(transport);
    return transport;
  }

  // A caller to an address of this machine has the address 127.0.0.1; localhost is looked up for real.
  it.each([
    [[host, "127.0.0.1"], [], /^connected/],
    [[host, "localhost"], [], /^connected/],
    [[host], [], /^rejected 127.0.0.1:\d+: its certificate is for IP Address:127.77.42.3, and not/],
    [[host], ["--peer-skip-client-san-verification"], /^connected/],
    [[host], ["--experimental-peer-skip-client-san-verification=true"], /^connected/],
  ])("handles a caller from 127.0.0.1 whose certificate is for %j, with %j", async (names, flags, outcome) => {
    await issue("caller", names);
    await issue("called", [host]);
    const logs: string[] = [];
    const called = await start("00000000000000bb", "called", flags, logs);
    const { port } = await called.listen({ host: host, port: 0 });
    const caller = await start("00000000000000aa", "caller", flags, logs);
    caller.setPeer("00000000000000bb", [`https://${host}:${port}`]);
    while (!logs.some((text) => outcome.test(text))) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(caller.isConnected("00000000000000bb")).toBe(String(outcome).includes("connected"));
  });
});
