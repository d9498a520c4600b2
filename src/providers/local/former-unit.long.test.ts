/** Versions of a unit's program: started, and undone exactly as they were. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ObservedUnit } from "../../plan/observed-cluster.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import type { Provider } from "../provider.ts";
import { unitDigest } from "../unit-digest.ts";
import { createLocalProvider } from "./local-provider.ts";

/** A version prints its arguments, unless it is told to end. */
const program = (version: string): string => `
const [mode, config] = process.argv.slice(2);
console.log("${version}", mode, require("node:fs").readFileSync(config, "utf8"));
if (mode === "exit") process.exit(3);
setInterval(() => {}, 1000);
`;

let parent: string;
let provider: Provider;
beforeEach(async () => {
  parent = mkdtempSync(join(tmpdir(), "haplan-versions-"));
  for (const version of ["one", "two"]) {
    mkdirSync(join(parent, version, "probe"), { recursive: true });
    writeFileSync(join(parent, version, "probe/main.js"), program(version));
  }
  provider = createLocalProvider({ root: join(parent, "demo"), programsDir: join(parent, "one") });
  const machine = { name: "m1", address: "127.77.19.1", zone: null, lineage: "lineage-a", generation: 1 };
  await provider.createMachine(machine);
});
afterEach(async () => {
  await provider.destroyMachine("m1");
  rmSync(parent, { recursive: true, force: true });
});

function unit(version: string, mode: string, secret: string, directory: string = version): UnitDefinition {
  return {
    name: "agent",
    program: { kind: "haplan", command: "probe" },
    arguments: [mode, "@UNIT@/key"],
    environment: {},
    files: [{ path: "key", content: secret, mode: 0o600 }],
    listens: [],
    artifact: { name: version, programsDir: join(parent, directory) },
  };
}

const observed = async (): Promise<ObservedUnit | undefined> =>
  (await provider.observe("lineage-a", [])).machines[0]?.units[0];
const lastLine = (): Promise<string> => provider.unitLog("m1", "agent", 1);
const former = (): string => join(parent, "demo/machines/m1/units/agent/former.json");

describe("a unit whose program gets another version", () => {
  it("runs from that version's directory, and is restarted by the version alone", async () => {
    const first = await provider.startUnit("m1", unit("one", "run", "a"));
    expect(await provider.startUnit("m1", unit("one", "run", "a"))).toEqual(first);
    expect(await observed()).toMatchObject({ artifact: "one", running: true });
    const second = await provider.startUnit("m1", unit("two", "run", "a"));
    expect(second).not.toEqual(first);
    expect(await observed()).toMatchObject({ artifact: "two", running: true });
    expect(await lastLine()).toBe("two run a");
  });

  it("comes back with the former version, arguments and files, however often that is asked", async () => {
    await provider.startUnit("m1", unit("one", "run", "a"));
    await expect(provider.startUnit("m1", unit("two", "exit", "b"))).rejects.toMatchObject({
      code: "provider/unit-exited",
    });
    const back = await provider.revertUnit("m1", "agent");
    expect(await lastLine()).toBe("one run a");
    expect(await observed()).toMatchObject({
      artifact: "one",
      running: true,
      pid: back.pid,
      definitionDigest: unitDigest(unit("one", "run", "a")),
    });
    expect(await provider.revertUnit("m1", "agent")).toEqual(back);
    expect(await provider.startUnit("m1", unit("one", "run", "a"))).toEqual(back);
  });

  it("comes back although the start of the new version was repeated", async () => {
    await provider.startUnit("m1", unit("one", "run", "a"));
    for (let twice = 0; twice < 2; twice += 1)
      await expect(provider.startUnit("m1", unit("two", "exit", "b"))).rejects.toMatchObject({
        code: "provider/unit-exited",
      });
    await provider.revertUnit("m1", "agent");
    expect(await lastLine()).toBe("one run a");
  });

  it("keeps the former files for the user that runs haplan alone, until the next change", async () => {
    await provider.startUnit("m1", unit("one", "run", "a"));
    await provider.startUnit("m1", unit("two", "run", "secret"));
    expect(statSync(former()).mode & 0o777).toBe(0o600);
    expect(readFileSync(former(), "utf8")).toContain(Buffer.from("a").toString("base64"));
    await provider.startUnit("m1", unit("two", "run", "other"));
    await expect(provider.revertUnit("m1", "agent")).rejects.toMatchObject({ code: "provider/no-former-version" });
  });

  it.each<[string, () => Promise<unknown>]>([
    ["was never another one", () => provider.startUnit("m1", unit("one", "run", "a"))],
    [
      "was replaced in the directory where it was",
      async () => {
        await provider.startUnit("m1", unit("one", "run", "a"));
        await provider.startUnit("m1", unit("two", "run", "a", "one"));
      },
    ],
    [
      "has been removed",
      async () => {
        await provider.startUnit("m1", unit("one", "run", "a"));
        await provider.startUnit("m1", unit("two", "run", "a"));
        rmSync(join(parent, "one"), { recursive: true });
      },
    ],
  ])("cannot come back when the former version %s", async (_, change) => {
    await change();
    const before = await observed();
    await expect(provider.revertUnit("m1", "agent")).rejects.toMatchObject({ code: "provider/no-former-version" });
    expect(await observed()).toEqual(before);
  });
});
