/** `haplan watch` against a world in memory: a spare host that fails while it takes a master's place. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { agentUnitName } from "../../src/units/unit-definition.ts";
import { type CliFixture, createCliFixture, unstoppable } from "../../test/support/command-line.ts";

const spareAddresses = ["127.0.1.21", "127.0.1.22"];
const spares = spareAddresses.map((address, at) => `{ name: s${at + 1}, address: ${address} }`).join(", ");
const repair = `  repair: { waitMs: 0, repairsPerHour: 9, replace: { afterMs: 1000, replacementsPerDay: 9, spares: [${spares}] } }\n`;

describe("a spare host that fails while it takes a master's place", { timeout: 60_000 }, () => {
  let cli: CliFixture;
  beforeEach(async () => {
    cli = createCliFixture();
    const path = join(cli.cwd, "three.yaml");
    writeFileSync(path, `${readFileSync(path, "utf8").trimEnd()}\n${repair}`);
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
    // m2 is dead.
    for (const { identity, units } of cli.world.facts.machines.values())
      if (identity.name === "m2") units.get(agentUnitName)!.running = false;
  });
  afterEach(() => cli.remove());

  type Line = { readonly event: string; readonly spare?: string; readonly "@message": string };

  /** Watches until it has told so many ends of repairs. */
  async function watchUntil(ends: number): Promise<readonly Line[]> {
    const lines: Line[] = [];
    cli.stop = unstoppable();
    await cli.haplan("watch three.yaml -interval=500ms -json", null, (text) => {
      const line = JSON.parse(text) as Line & { readonly type: string };
      if (line.type !== "watch") return;
      lines.push(line);
      const ended = lines.filter(({ event }) => event === "repaired" || event === "failed").length;
      if (ended >= ends) cli.stop.receive("SIGTERM");
    });
    return lines;
  }

  const hosts = (): readonly string[] =>
    [...cli.world.facts.machines.values()].map(({ identity }) => `${identity.name} ${identity.address}`).sort();

  it.each(["createMachine m2", "startUnit m2", "addLearner", "changeVoters", "removeMember", "destroyMachine"])(
    "at %s is tried again or left for another one, and nothing is lost",
    async (act) => {
      let failures = 0;
      cli.world.failing = (name) => (name.startsWith(act) && failures++ === 0 ? "the host is gone" : null);
      const lines = await watchUntil(2);
      expect(failures).toBeGreaterThan(0);
      const events = lines
        .filter(({ event }) => ["repair", "repaired", "failed"].includes(event))
        .map(({ event }) => event);
      // One at a time.
      expect(events).toEqual(["repair", "failed", "repair", "repaired"]);
      expect(lines.find(({ event }) => event === "failed")?.["@message"]).toMatch(
        /Step failed: .*: .*the host is gone/,
      );
      expect(cli.world.violations).toEqual([]);
      expect(
        cli.world
          .voters()
          .map(({ name }) => name)
          .sort(),
      ).toEqual(["m1", "m2", "m3"]);
      expect(cli.world.facts.members).toHaveLength(3);
      expect((await cli.haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
      const used = hosts().filter((host) => spareAddresses.some((address) => host.endsWith(address)));
      expect(used).toHaveLength(1);
    },
  );

  /** The address of the newest machine of m2. */
  const newest = (): string =>
    [...cli.world.facts.machines.values()]
      .filter(({ identity }) => identity.name === "m2")
      .toSorted((a, b) => b.identity.generation - a.identity.generation)[0]!.identity.address;

  it.each(["startUnit m2", "addLearner", "changeVoters"])(
    "again at %s is left for another one, and nothing of it stays",
    async (act) => {
      const [first, second] = spareAddresses;
      cli.world.failing = (name) => (name.startsWith(act) && newest() === first ? "its disk is broken" : null);
      const lines = await watchUntil(3);
      const repairs = lines.filter(({ event }) => event === "repair" || event === "repaired");
      expect(repairs.map(({ event, spare }) => `${event} ${spare}`)).toEqual([
        "repair s1",
        "repair s1",
        "repair s2",
        "repaired s2",
      ]);
      expect(cli.world.violations).toEqual([]);
      expect(hosts().filter((host) => host.startsWith("m2"))).toEqual([`m2 ${second}`]);
      expect(cli.world.facts.members).toHaveLength(3);
      expect((await cli.haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
    },
  );
});
