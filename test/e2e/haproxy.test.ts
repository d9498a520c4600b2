/** The same control plane behind a real HAProxy, which passes TLS through. */
import { afterAll, describe, expect, it } from "vitest";
import { AcknowledgingWriter, missingWrites } from "./acknowledged-writes.ts";
import { addressOf, ClusterFixture, killAndWait, until } from "./cluster-fixture.ts";
import { boundAddresses } from "./dir-processes.ts";
import { settledHashes } from "./member-facts.ts";
import { isInstalled } from "./run-program.ts";

const network = 24;
const hasHaproxy = isInstalled("haproxy", "-v");
const loadBalancer = `https://${addressOf(network, 100)}:2379`;

describe.skipIf(!hasHaproxy)(`HAProxy${hasHaproxy ? "" : " (skipped: haproxy is not installed)"}`, () => {
  const cluster = new ClusterFixture({ network, workers: 1, loadBalancer: "haproxy" });
  afterAll(() => cluster.teardown());

  it("serves writes before, during and after the death of the leader", async () => {
    await cluster.apply();
    const leader = await cluster.leader();
    const writer = new AcknowledgingWriter(cluster.client(loadBalancer), "/haproxy/");
    await until("the writer is under way", () => writer.acknowledged.length > 20);
    const killedAt = performance.now();
    await killAndWait(leader.pid);
    await until("writes go on", () => writer.firstAfter(killedAt + 300) ?? false);
    await writer.stop();
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(2);
    await cluster.apply();
    const { members } = await cluster.status();
    const clients = members.map(({ clientUrl }) => cluster.client(clientUrl));
    expect(new Set((await settledHashes(clients)).hashes).size).toBe(1);
    for (const client of clients) expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
    expect((await cluster.status()).workers).toMatchObject([{ reporting: true }]);
  }, 40_000);

  it("is gone with the cluster", async () => {
    const { destroy, left } = await cluster.teardown();
    expect({ code: destroy.code, left }).toEqual({ code: 0, left: [] });
    expect(boundAddresses(`127.77.${network}.`)).toEqual([]);
  });
});
