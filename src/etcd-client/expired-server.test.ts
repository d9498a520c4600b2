// A server whose certificate has expired: refused, unless it is one that the client was told of.

import { mkdtempSync, rmSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openAuthority } from "../pki/authority.ts";
import { connect } from "./grpc-client.ts";

const day = 86_400_000;

it("T1: an expired certificate is accepted when its fingerprint is named, and refused otherwise", async () => {
  const parent = mkdtempSync(join(tmpdir(), "haplan-expired-"));
  const directory = join(parent, "pki");
  const before = openAuthority({ directory, now: () => Date.now() - 400 * day });
  await before.createAuthority("demo authority");
  const member = { profile: "member", commonName: "m1", subjectAltNames: ["127.0.0.1"] } as const;
  await before.issue({ ...member, name: "m1" });
  await openAuthority({ directory }).issue({ ...member, name: "good" });
  const expired = await before.material("m1");
  const server = createSecureServer({ cert: expired.certificatePem, key: expired.keyPem });
  server.on("stream", (stream) => {
    // Answered once the request is through: an earlier end would reset the stream.
    stream.resume().once("end", () => {
      const headers = {
        ":status": 200,
        "content-type": "application/grpc",
        "grpc-status": "12",
        "grpc-message": "none",
      };
      stream.respond(headers, { endStream: true });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const said = async (acceptedExpired: readonly string[]): Promise<string> => {
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await using client = connect({ endpoints: [endpoint], tls: { ca: expired.caPem, acceptedExpired } });
    return await client
      .unary("/a/B", Buffer.alloc(0), { timeoutMs: 2000 })
      .then(String, (error: Error) => error.message);
  };
  try {
    const { certificates } = await before.observe();
    const fingerprintOf = (name: string): string => certificates.find((each) => each.name === name)?.fingerprint ?? "";
    expect(await said([fingerprintOf("m1")])).toBe("none");
    expect(await said([fingerprintOf("good")])).toMatch(/certificate has expired/);
    expect(await said([])).toMatch(/certificate has expired/);
  } finally {
    server.close();
    rmSync(parent, { recursive: true, force: true });
  }
});
