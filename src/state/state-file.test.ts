import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { State } from "../plan/state.ts";
import { createStateStore, readState, stateFolder, writeState } from "./state-file.ts";

let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "haplan-state-"));
  folder = stateFolder(root, "demo");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function stateWith(serial: number, lineage = "lineage-1"): State {
  return {
    version: 1,
    haplanVersion: "0.1.0",
    lineage,
    serial,
    clusterName: "demo",
    resources: [
      {
        address: "haplan_machine.m1",
        type: "haplan_machine",
        name: "m1",
        generation: 1,
        status: "ready",
        attributes: { address: "127.77.16.1", ports: [1, 2], zone: null },
        sensitive: [],
        dependsOn: [],
      },
    ],
  };
}

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe("state file", () => {
  test("comes back as it was written, private to the user", () => {
    expect(readState(folder)).toBeNull();
    writeState(folder, stateWith(1));
    expect(readState(folder)).toEqual(stateWith(1));
    expect([mode(folder), mode(join(folder, "state.json"))]).toEqual(["700", "600"]);
  });

  test("the one before is kept, and nothing else is left behind", () => {
    for (const serial of [1, 2, 3]) writeState(folder, stateWith(serial));
    expect(readdirSync(folder).sort()).toEqual(["state.json", "state.json.backup"]);
    expect(JSON.parse(readFileSync(join(folder, "state.json.backup"), "utf8"))).toEqual(stateWith(2));
    expect(mode(join(folder, "state.json.backup"))).toBe("600");
  });

  test("writing the same state twice changes nothing", () => {
    writeState(folder, stateWith(1));
    writeState(folder, stateWith(1));
    expect(readdirSync(folder)).toEqual(["state.json"]);
  });

  test.each([
    ["an older serial", { ...stateWith(4) }],
    ["the same serial with other contents", { ...stateWith(5), resources: [] }],
    ["another lineage", stateWith(6, "lineage-2")],
  ])("%s is refused and nothing is overwritten", (_, state) => {
    writeState(folder, stateWith(5));
    expect(() => writeState(folder, state)).toThrow(expect.objectContaining({ code: "state/conflict" }));
    expect(readState(folder)).toEqual(stateWith(5));
  });

  const whole = JSON.stringify(stateWith(1));
  test.each([
    ["nothing", "", "state/corrupted"],
    ["half of it", whole.slice(0, whole.length / 2), "state/corrupted"],
    ["another kind of JSON", "[]", "state/corrupted"],
    ["a wrong shape", JSON.stringify({ ...stateWith(1), serial: "1" }), "state/corrupted"],
    ["an unknown key", JSON.stringify({ ...stateWith(1), secrets: 1 }), "state/corrupted"],
    ["a newer version", JSON.stringify({ version: 2, anything: true }), "state/newer-version"],
  ])("%s is neither read nor overwritten", (_, text, code) => {
    writeState(folder, stateWith(1));
    const path = join(folder, "state.json");
    writeFileSync(path, text);
    expect(() => readState(folder)).toThrow(expect.objectContaining({ code }));
    expect(() => writeState(folder, stateWith(2))).toThrow(expect.objectContaining({ code }));
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  test("a store forgets all of it, and writes only when it may", async () => {
    let allowed = true;
    const beforeWrite = (): void => {
      if (!allowed) throw new Error("lock lost");
    };
    const store = createStateStore({ folder, beforeWrite });
    await store.write(stateWith(1));
    await store.write(stateWith(2));
    allowed = false;
    await expect(store.write(stateWith(3))).rejects.toThrow("lock lost");
    await expect(store.remove()).rejects.toThrow("lock lost");
    expect(await store.read()).toEqual(stateWith(2));
    allowed = true;
    await store.remove();
    expect(await store.read()).toBeNull();
    expect(readdirSync(folder)).toEqual([]);
  });
});
