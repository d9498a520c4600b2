/** Clusters whose certificates an authority of the operator signs, with real processes. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { openAuthority } from "../../src/pki/authority.ts";
import { AcknowledgingWriter } from "./acknowledged-writes.ts";
import { ClusterFixture, specText } from "./cluster-fixture.ts";

let cluster: ClusterFixture;
afterEach(() => cluster.teardown(), 60_000);
const file = (name: string): string => join(cluster.directory, name);

async function clusterWith(network: number, authority: string): Promise<void> {
  cluster = new ClusterFixture(
    specText({ network, workers: 1 }).replace("tls: { enabled: true }", `tls: { authority: ${authority} }`),
  );
  await openAuthority({ directory: cluster.directory }).createAuthority("Example Root");
}

const pids = async (): Promise<readonly (number | null)[]> => (await cluster.status()).members.map(({ pid }) => pid);
const noChanges = async (): Promise<void> => {
  const { code, stdout, stderr } = await cluster.haplan(["plan", "-detailed-exitcode"]);
  expect(code, stdout + stderr).toBe(0);
};

function client(endpoint: string): EtcdClient {
  const issued = (name: string): Buffer => readFileSync(join(cluster.directory, ".haplan", cluster.name, "pki", name));
  const tls = { ca: readFileSync(file("ca.crt")), cert: issued("admin.crt"), key: issued("admin.key") };
  return new EtcdClient(connect({ endpoints: [endpoint], tls }));
}

/** Two authorities in caFile, then certificates of the second, then the first one removed, as the docs say. */
it("an authority in files is replaced there, without a failed write or a restart", async () => {
  await clusterWith(73, "{ caFile: ca.crt, keyFile: ca.key }");
  await cluster.apply();
  await noChanges();
  const before = await pids();
  const first = readFileSync(file("ca.crt"), "utf8");
  await openAuthority({ directory: file("next") }).createAuthority("Example Root 2");
  const second = readFileSync(file("next/ca.crt"), "utf8");
  const endpoint = await cluster.output("endpoint");
  writeFileSync(file("ca.crt"), first + second);
  const writer = new AcknowledgingWriter(client(endpoint), "/operator/");
  expect(await cluster.apply()).toContain("hand agent m1 the trusted authorities");
  await noChanges();
  writeFileSync(file("ca.key"), readFileSync(file("next/ca.key")));
  await cluster.mustRun("certs", "rotate", "-auto-approve");
  await noChanges();
  await writer.stop();
  writeFileSync(file("ca.crt"), second);
  await cluster.apply();
  await noChanges();
  expect(writer.failures).toEqual([]);
  expect(await pids()).toEqual(before);
  expect((await cluster.etcdctl(["endpoint", "health"])).code).toBe(0);
}, 180_000);

const hasOpenssl = ((): boolean => {
  try {
    execFileSync("openssl", ["version"]);
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!hasOpenssl)(`a program that signs${hasOpenssl ? "" : " (skipped: no openssl)"}`, () => {
  it("issues for two days at a time: nothing is renewed at once, all of it when two thirds are over", async () => {
    await clusterWith(74, "{ caFile: ca.crt, signer: { command: [sh, ./sign.sh] } }");
    const sign =
      "openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copyall 2>/dev/null";
    writeFileSync(file("sign.sh"), `echo "$HAPLAN_CERTIFICATE_NAME" >> asked; exec flock serial ${sign}\n`);
    await cluster.apply();
    await noChanges();
    expect(readFileSync(file("asked"), "utf8").trim().split("\n").sort()).toEqual([
      "admin",
      "load-balancer",
      "m1",
      "m2",
      "m3",
      "w1",
    ]);
    const later = Date.now() + 1.4 * 86_400_000;
    expect((await cluster.haplan(["plan", "-detailed-exitcode"], { nowMs: later })).stdout).toMatch(/it expires in/);
    writeFileSync(file("sign.sh"), "echo 'the vault is sealed' >&2; exit 2\n");
    const failed = await cluster.haplan(["certs", "rotate", "m1", "-auto-approve"]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/ended with exit code 2[\s\S]*the vault is sealed/);
    await noChanges();
  }, 120_000);
});
