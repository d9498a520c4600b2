/** `haplan recover`: whole command lines, against a world in memory. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { snapshotOfKeys } from "../../src/backup/snapshot.fixture.ts";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(() => {
  cli = createCliFixture();
});
afterEach(() => cli.remove());

const haplan = (line: string, answers: readonly string[] | null = null): Promise<CliRun> => cli.haplan(line, answers);
const flat = (text: string): string => text.replaceAll(/[\s│╵╷]+/g, " ");

/** A cluster of three that has lost the machines of two. */
async function prepare(fixture: CliFixture = cli): Promise<void> {
  expect((await fixture.haplan("apply three.yaml -auto-approve")).code).toBe(0);
  fixture.world.destroying = true;
  fixture.world.snapshotBytes = snapshotOfKeys(40);
  for (const name of ["m2", "m3"]) fixture.world.facts.machines.delete(name);
}

describe("recover", () => {
  it("shows who has what and what may be lost, and takes only the cluster's name for an answer", async () => {
    await prepare();
    const acts = cli.world.acts;
    const declined = await haplan("recover three.yaml", ["yes"]);
    expect([declined.code, cli.world.acts]).toEqual([1, acts]);
    expect(declined.err).toContain("Recovery cancelled.");
    const { code, out, err } = await haplan("recover three.yaml", ["demo"]);
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(out).toContain("Recovery of cluster demo from the data of m1");
    expect(out).toContain("has the most: entry 20 of term 2, committed up to 18 as far as it knows, revision 100");
    expect(out).toMatch(/m2 +lost: its machine is gone/);
    expect(out).toContain(
      "2 entries at its end, which it does not know to be committed, count as committed from now on",
    );
    expect(out).toContain("writes that m2, m3 acknowledged and m1 had not received");
    expect(cli.world.exported).toEqual(["m1"]);
    expect(existsSync(join(cli.cwd, ".haplan/demo/restore"))).toBe(false);
    expect((await haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
  });

  it("shows the same where it cannot ask, and changes nothing", async () => {
    await prepare();
    const acts = cli.world.acts;
    const { code, out, err } = await haplan("recover three.yaml");
    expect([code, cli.world.acts]).toEqual([1, acts]);
    expect(out).toContain("Recovery of cluster demo from the data of m1");
    expect(out).toMatch(/m2 +lost: its machine is gone/);
    expect(flat(err)).toContain(
      "haplan recover asks for approval, but standard input is not a terminal Nothing was changed.",
    );
    expect(err).toContain("    haplan recover three.yaml -auto-approve");
    expect(existsSync(join(cli.cwd, ".haplan/demo/restore"))).toBe(false);
  });

  it("streams what it found as events", async () => {
    await prepare();
    const { code, out } = await haplan("recover three.yaml -auto-approve -json");
    expect(code).toBe(0);
    const events = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.find(({ type }) => type === "recovery_planned")?.recovery).toMatchObject({
      ...{ cluster: "demo", from: "m1", rebuilt: ["m1", "m2", "m3"], later: [], uncommitted: 2, may_have_lost: true },
      survivors: [{ master: "m1", last_index: 20, last_term: 2, commit_index: 18 }],
    });
  });

  it.each<[string, () => void, RegExp]>([
    ["there is a quorum", () => {}, /The cluster has a quorum: there is nothing to recover/],
    [
      "there would be one, if members were started",
      () => {
        for (const name of ["m1", "m2"]) cli.world.facts.machines.get(name)!.units.get("agent")!.running = false;
      },
      /m1, m2, m3 are a quorum: there is nothing to recover Their data is whole.*haplan apply/,
    ],
    [
      "no member has data that can be used",
      () => {
        cli.world.facts.machines.delete("m2");
        cli.world.facts.machines.delete("m3");
        cli.world.onDisk.set("m1", { damage: "file 1 has at byte 9 a damaged batch 4" });
      },
      /No member has data that can be used.*m1: its data is damaged: file 1.*haplan restore/,
    ],
  ])("refuses when %s, and touches nothing", async (_, change, said) => {
    await haplan("apply three.yaml -auto-approve");
    change();
    const acts = cli.world.acts;
    const { code, err } = await haplan("recover three.yaml -auto-approve");
    expect({ code, err: flat(err) }).toMatchObject({ code: 1, err: expect.stringMatching(said) });
    expect(cli.world.acts).toBe(acts);
  });

  it("compares again once the members have stopped, and replaces nothing when another one has more", async () => {
    const three = readFileSync(join(cli.cwd, "three.yaml"), "utf8");
    const more = [4, 5].map((n) => `      - { name: m${n}, address: 127.0.1.${n} }\n`).join("");
    const five = three.replace("members: 3", "members: 5").replace(/( {6}- name: m3\n(?: {8}.*\n)+)/, `$1${more}`);
    writeFileSync(join(cli.cwd, "five.yaml"), five);
    expect((await haplan("apply five.yaml -auto-approve")).code).toBe(0);
    Object.assign(cli.world, { destroying: true, snapshotBytes: snapshotOfKeys(3) });
    for (const name of ["m3", "m4", "m5"]) cli.world.facts.machines.delete(name);
    cli.world.onDisk.set("m1", { lastIndex: 25 });
    cli.world.beforeAct = (act) => {
      if (act.startsWith("stopUnit m2")) cli.world.onDisk.set("m2", { lastIndex: 26 });
    };
    const { code, err } = await haplan("recover five.yaml -auto-approve");
    expect({ code, err: flat(err) }).toMatchObject({
      code: 1,
      err: expect.stringContaining("m2 has more than m1 by now"),
    });
    expect(cli.world.exported).toEqual([]);
    const again = await haplan("recover five.yaml -auto-approve");
    expect(again.out).toContain("from the data of m2");
    expect({ code: again.code, exported: cli.world.exported }).toEqual({ code: 0, exported: ["m2"] });
    expect((await haplan("plan five.yaml -detailed-exitcode")).code).toBe(0);
  });
});
