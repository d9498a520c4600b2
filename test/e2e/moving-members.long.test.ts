/** Members that move to other addresses and ports while clients write through the load balancer. */
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { missingWrites } from "./acknowledged-writes.ts";
import { addressOf, ClusterFixture, specText } from "./cluster-fixture.ts";
import { PacedWriter } from "./paced-writer.ts";

const network = 61;
const writesPerSecond = 20;

type Move = readonly [
  name: string,
  masters: number,
  edit: (spec: string) => string,
  behind: "embedded" | "haproxy",
  /** The members stay the same, with their ids and their data. */
  keeps: "same members" | "new members",
];

const place = (host: number): string => `address: ${addressOf(network, host)} }`;
const toOtherAddresses = (spec: string): string =>
  [1, 2, 3, 4, 5].reduce((text, host) => text.replace(place(host), place(host + 20)), spec);

const moves: readonly Move[] = [
  ["T3: all masters to other addresses", 3, toOtherAddresses, "embedded", "new members"],
  ["T3: five masters to other addresses", 5, toOtherAddresses, "embedded", "new members"],
  [
    "T3: all masters to another client port",
    3,
    (spec) => spec.replace("    masters:", "    clientPort: 2479\n    masters:"),
    "embedded",
    "same members",
  ],
  ["T3: all masters to other addresses behind HAProxy", 3, toOtherAddresses, "haproxy", "new members"],
  [
    "T12: all masters to another peer port",
    3,
    (spec) => spec.replace("    masters:", "    peerPort: 2480\n    masters:"),
    "embedded",
    "same members",
  ],
  ["T2: all masters to other names", 3, (spec) => spec.replace(/name: m(?=\d)/g, "name: n"), "embedded", "new members"],
  [
    "T2: all masters to other names, which the spec tells",
    3,
    (spec) =>
      spec
        .replace(/name: m(?=\d)/g, "name: n")
        .replace(
          "    masters:",
          "    moved: [{ from: m1, to: n1 }, { from: m2, to: n2 }, { from: m3, to: n3 }]\n    masters:",
        ),
    "embedded",
    "same members",
  ],
  [
    "T2: masters that follow each other",
    3,
    (spec) => spec.replace(place(1), place(22)).replace(place(2), place(1)).replace(place(3), place(2)),
    "embedded",
    "new members",
  ],
  [
    "T3: other masters in place of all",
    3,
    (spec) => toOtherAddresses(spec).replace(/name: m(?=\d)/g, "name: n"),
    "embedded",
    "new members",
  ],
];

const masterNames = (spec: string): readonly string[] =>
  [...spec.matchAll(/- \{ name: ([mn]\d)/g)].map(([, name]) => name!);
const idsOf = (members: readonly { readonly id: string }[]): readonly string[] => members.map(({ id }) => id).sort();

describe("members that move under writes", () => {
  let cluster: ClusterFixture | undefined;
  afterEach(async () => {
    await cluster?.teardown();
  });

  it.each(moves)(
    "%s, without a failed or lost write",
    async (_, masters, edit, loadBalancer, keeps) => {
      const spec = specText({ network, masters, loadBalancer });
      cluster = new ClusterFixture(spec);
      await cluster.apply();
      const before = (await cluster.status()).members;
      const endpoint = `https://${addressOf(network, 100)}:2379`;
      const writer = new PacedWriter(cluster.client(endpoint), "/moving/", writesPerSecond);
      cluster.writeSpec(edit(spec));
      const told = await cluster.apply();
      await writer.stop();
      console.log(`${writer.summary()}; ${/Writes were[^\n]*|No write[^\n]*/.exec(told)?.[0] ?? ""}`);
      expect(writer.failures.map(String)).toEqual([]);
      expect(await missingWrites(cluster.client(endpoint), writer.prefix, writer.acknowledged)).toEqual([]);
      expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
      const { members } = await cluster.status();
      expect(members.map(({ healthy }) => healthy)).toEqual(Array.from({ length: masters }, () => true));
      expect(members.map(({ name }) => name).sort()).toEqual(masterNames(edit(spec)));
      // HAProxy's former workers stay for as long as they have connections.
      const own = cluster.processes().filter((pid) => readFileSync(`/proc/${pid}/comm`, "utf8") !== "haproxy\n");
      expect(own).toHaveLength(masters + (loadBalancer === "haproxy" ? 0 : 1));
      if (keeps === "same members") expect(idsOf(members)).toEqual(idsOf(before));
    },
    180_000,
  );
});
