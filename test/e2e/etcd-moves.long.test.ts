/** Masters that run a real etcd: other addresses, where two members have one name for a while, and other names. */
import { afterEach, describe, expect, it } from "vitest";
import { missingWrites } from "./acknowledged-writes.ts";
import { addressOf, ClusterFixture, specText } from "./cluster-fixture.ts";
import { PacedWriter } from "./paced-writer.ts";
import { isInstalled } from "./run-program.ts";

const network = 63;
const missing = !isInstalled("etcd", "--version");
const place = (host: number): string => `address: ${addressOf(network, host)} }`;

describe.skipIf(missing)(`masters with etcd${missing ? " (skipped: etcd is not installed)" : ""}`, () => {
  let cluster: ClusterFixture | undefined;
  afterEach(async () => {
    await cluster?.teardown();
  });

  it.each([
    ["with TLS", true],
    ["without TLS", false],
  ])(
    "T2, T12: move and are renamed without losing an acknowledged write, %s",
    async (_, tls) => {
      const text = specText({ network, masters: 3, tls }).replace("    masters:", "    engine: etcd\n    masters:");
      const spec = `${text}  policy: { allowEvenSteps: true }\n`;
      cluster = new ClusterFixture(spec);
      await cluster.apply();
      const client = cluster.client(`${tls ? "https" : "http"}://${addressOf(network, 100)}:2379`);
      const writer = new PacedWriter(client, "/etcd-moves/", 20);

      const moved = spec.replace(place(1), place(21)).replace(place(2), place(22));
      cluster.writeSpec(moved);
      await cluster.apply();
      const ids = (await cluster.status()).members.map(({ id }) => id).sort();
      const entries = "moved: [{ from: m1, to: n1 }, { from: m3, to: n3 }]";
      const renamed = moved.replace("name: m1", "name: n1").replace("name: m3", "name: n3");
      cluster.writeSpec(renamed.replace("    masters:", `    ${entries}\n    masters:`));
      await cluster.apply();

      await writer.stop();
      console.log(writer.summary());
      // A real etcd cuts off the calls that it has when it stops: only what it has acknowledged must be there.
      expect(writer.acknowledged.length).toBeGreaterThan(100);
      expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
      expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
      const { members } = await cluster.status();
      expect(members.map(({ id }) => id).sort()).toEqual(ids);
      expect(members.map(({ name, healthy }) => [name, healthy]).sort()).toEqual([
        ["m2", true],
        ["n1", true],
        ["n3", true],
      ]);
      expect(cluster.processes()).toHaveLength(4);
    },
    180_000,
  );
});
