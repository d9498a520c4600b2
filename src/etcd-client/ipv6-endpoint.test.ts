/** An endpoint at an IPv6 address: its certificate has the address, without the brackets of the URL. */
import { mkdtempSync, rmSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openAuthority } from "../pki/authority.ts";
import { Endpoint } from "./endpoint.ts";

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"));

it.skipIf(!hasIpv6)(`B7: is verified${hasIpv6 ? "" : " (skipped: this machine has no ::1)"}`, async () => {
  const directory = mkdtempSync(join(tmpdir(), "haplan-ipv6-"));
  const authority = openAuthority({ directory });
  await authority.createAuthority("demo authority");
  await authority.issue({ name: "m1", profile: "member", commonName: "m1", subjectAltNames: ["::1"] });
  const { caPem: ca, certificatePem, keyPem } = await authority.material("m1");
  const server = createSecureServer({ cert: certificatePem, key: keyPem });
  await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
  const { port } = server.address() as AddressInfo;
  const endpoint = new Endpoint(`https://[::1]:${port}`, { tls: { ca }, connectTimeoutMs: 5000, keepaliveMs: 0 });
  try {
    expect((await endpoint.session()).closed).toBe(false);
  } finally {
    await endpoint.close();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
