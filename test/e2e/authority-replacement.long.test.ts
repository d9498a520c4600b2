/**
 * The certificate authority replaced while clients write: haplan's own, and one outside of haplan that knows only the
 * authority and the certificate from before.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { AcknowledgingWriter } from "./acknowledged-writes.ts";
import { ClusterFixture, specText } from "./cluster-fixture.ts";
import { PacedWriter } from "./paced-writer.ts";

let cluster: ClusterFixture;
const pki = (file: string): string =>
  readFileSync(join(cluster.directory, ".haplan", cluster.name, "pki", file), "utf8");

type Credentials = { readonly ca: string; readonly cert: string; readonly key: string };
const credentials = (): Credentials => ({ ca: pki("ca.crt"), cert: pki("admin.crt"), key: pki("admin.key") });

/** Writes over a new connection each time, as a program that is started again and again. */
class ConnectingWriter {
  readonly failures: unknown[] = [];
  acknowledged = 0;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(endpoint: string, tls: Credentials) {
    this.#running = this.#run(endpoint, tls);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(endpoint: string, tls: Credentials): Promise<void> {
    while (!this.#stopped) {
      await putOnce(endpoint, tls, `/outside/${this.acknowledged}`).then(
        () => this.acknowledged++,
        (error: unknown) => this.failures.push(error),
      );
      await sleep(10);
    }
  }
}

/** A real etcd answers proposals that arrive during a leadership transfer with an error: none of them was applied. */
/** What etcd does to calls of its own accord: it drops proposals while leadership moves, and cuts calls as it stops, with TLS. */
const drops = "raft proposal dropped";
const cuts = "the connection was lost during the call";

/** Failures that are not etcd's own, and calls that were cut beyond one for each restart. */
function lostWrites(failures: readonly unknown[], restarts: number): readonly unknown[] {
  const cut = failures.filter((error) => String(error).includes(cuts));
  return [
    ...failures.filter((error) => !String(error).includes(drops) && !cut.includes(error)),
    ...cut.slice(restarts),
  ];
}

async function putOnce(endpoint: string, tls: Credentials, key: string): Promise<void> {
  const channel = connect({ endpoints: [endpoint], tls });
  try {
    await new EtcdClient(channel).put(key, "x");
  } finally {
    channel.close();
  }
}

/** Both streams: warnings are on standard error. */
async function rotate(flag: string): Promise<string> {
  const { code, stdout, stderr } = await cluster.haplan(["certs", "rotate", flag, "-auto-approve"]);
  expect(code, stdout + stderr).toBe(0);
  return stdout + stderr;
}

afterEach(() => cluster.teardown(), 60_000);

describe("certs rotate -ca", () => {
  it("fails no write, restarts no master, and leaves clients of the previous authority connected until it is dropped", async () => {
    cluster = new ClusterFixture({ network: 71, workers: 1 });
    await cluster.apply();
    const endpoint = await cluster.output("endpoint");
    const before = await cluster.status();
    const former = credentials();
    const writer = new AcknowledgingWriter(cluster.client(endpoint), "/replaced/");
    const outside = new ConnectingWriter(endpoint, former);
    const rotated = await rotate("-ca");
    await outside.stop();
    await writer.stop();
    expect(rotated).toContain("create the next certificate authority, e2e haplan CA 2");
    expect(rotated).toContain("certs rotate -drop-old");
    expect(writer.failures).toEqual([]);
    expect(outside.failures).toEqual([]);
    expect(outside.acknowledged).toBeGreaterThan(10);
    const after = await cluster.status();
    expect(after.members.map(({ pid }) => pid)).toEqual(before.members.map(({ pid }) => pid));
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
    expect(await cluster.mustRun("certs", "status")).toMatch(/^ca .*\n(?:.*\n)*/m);

    const current = credentials();
    const renewed = new ConnectingWriter(endpoint, current);
    const dropped = await rotate("-drop-old");
    await renewed.stop();
    expect(renewed.failures).toEqual([]);
    expect(dropped).toContain("Members no longer trust the certificate authority e2e haplan CA");
    await expect(putOnce(endpoint, former, "/late")).rejects.toThrow();
    await putOnce(endpoint, credentials(), "/late");
    expect((await cluster.status()).members.map(({ pid }) => pid)).toEqual(before.members.map(({ pid }) => pid));
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
  }, 120_000);

  it("goes on after the state was lost, fails no write and restarts no master", async () => {
    cluster = new ClusterFixture({ network: 71, workers: 1 });
    await cluster.apply();
    const before = await cluster.status();
    const writer = new AcknowledgingWriter(cluster.client(await cluster.output("endpoint")), "/lost-state/");
    await rotate("-ca");
    for (const file of ["state.json", "state.json.backup"]) rmSync(join(cluster.directory, ".haplan/e2e", file));
    await cluster.mustRun("apply", "-auto-approve");
    await rotate("-drop-old");
    await writer.stop();
    expect(writer.failures).toEqual([]);
    expect((await cluster.status()).members.map(({ pid }) => pid)).toEqual(before.members.map(({ pid }) => pid));
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
  }, 120_000);

  it("restarts etcd members one at a time behind HAProxy, and fails no write but those that etcd drops or cuts", async () => {
    const text = specText({ network: 75, workers: 1, loadBalancer: "haproxy" });
    cluster = new ClusterFixture(text.replace("  controlPlane:\n", "  controlPlane:\n    engine: etcd\n"));
    await cluster.apply();
    const endpoint = await cluster.output("endpoint");
    const former = credentials();
    const writer = new PacedWriter(cluster.client(endpoint), "/etcd/", 50);
    const rotated = await rotate("-ca");
    await writer.stop();
    console.log(`rotate -ca, etcd: ${writer.summary()}`);
    expect(rotated).toMatch(/move leader from m\d to m\d/);
    expect(lostWrites(writer.failures, 3)).toEqual([]);
    await putOnce(endpoint, former, "/former");
    const renewed = new PacedWriter(
      new EtcdClient(connect({ endpoints: [endpoint], tls: credentials() })),
      "/drop/",
      50,
    );
    await rotate("-drop-old");
    await renewed.stop();
    console.log(`drop, etcd: ${renewed.summary()}`);
    expect(lostWrites(renewed.failures, 3)).toEqual([]);
    await expect(putOnce(endpoint, former, "/late")).rejects.toThrow();
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
  }, 240_000);

  it("replaces an authority whose key is lost in two parts, between which the clients get the next one", async () => {
    cluster = new ClusterFixture({ network: 76, workers: 1 });
    await cluster.apply();
    const endpoint = await cluster.output("endpoint");
    const former = credentials();
    rmSync(join(cluster.directory, ".haplan", cluster.name, "pki/ca.key"));
    expect(await rotate("-ca")).toContain("only creates the next certificate authority and makes it trusted");
    const waiting = await cluster.haplan(["plan", "-detailed-exitcode"]);
    expect(waiting.code, waiting.stdout + waiting.stderr).toBe(0);
    expect(waiting.stderr).toContain("The replacement of the certificate authority waits for the clients");
    const told = new ConnectingWriter(endpoint, { ...former, ca: pki("ca.crt") });
    await putOnce(endpoint, former, "/before");
    await rotate("-ca");
    await expect(putOnce(endpoint, former, "/after")).rejects.toThrow();
    await told.stop();
    expect(told.failures).toEqual([]);
    await rotate("-drop-old");
    await putOnce(endpoint, credentials(), "/dropped");
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
  }, 180_000);
});
