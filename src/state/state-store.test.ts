import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../base/clock.ts";
import { createLocalBackend, stateDir } from "./local-backend.ts";
import { noLock } from "./lock-holder.ts";
import { stateWith } from "./state.fixture.ts";
import type { StateBackend } from "./state-backend.ts";
import { renderState } from "./state-document.ts";
import { createStateStore, type StateStore, type StateStoreOptions } from "./state-store.ts";

let root: string;
let directory: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "haplan-state-"));
  directory = stateDir(root, "demo");
  path = join(directory, "state.json");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const backend = (): StateBackend => createLocalBackend({ directory, clock: systemClock });
const open = (more: Partial<StateStoreOptions> = {}): StateStore =>
  createStateStore({ backend: backend(), encryption: null, environment: {}, ...more });

const mode = (file: string): string => (statSync(file).mode & 0o777).toString(8);

describe("state on disk", () => {
  it("comes back as it was written, private to the user", async () => {
    expect(await open().read()).toBeNull();
    await open().write(stateWith(1));
    expect(await open().read()).toEqual(stateWith(1));
    expect([mode(directory), mode(path)]).toEqual(["700", "600"]);
  });

  it("the one before is kept, and nothing else is left behind", async () => {
    for (const serial of [1, 2, 3]) await open().write(stateWith(serial));
    expect(readdirSync(directory).sort()).toEqual(["state.json", "state.json.backup"]);
    expect(JSON.parse(readFileSync(`${path}.backup`, "utf8"))).toEqual(stateWith(2));
    expect(mode(`${path}.backup`)).toBe("600");
  });

  it("writing the same state twice changes nothing", async () => {
    await open().write(stateWith(1));
    await open().write(stateWith(1));
    expect(readdirSync(directory)).toEqual(["state.json"]);
  });

  it.each([
    ["an older serial", stateWith(4)],
    ["the same serial with other contents", { ...stateWith(5), resources: [] }],
    ["another lineage", stateWith(6, "lineage-2")],
  ])("%s is refused, nothing is overwritten, unless it is forced", async (_, state) => {
    await open().write(stateWith(5));
    await expect(open().write(state)).rejects.toMatchObject({ code: "state/conflict" });
    expect(await open().read()).toEqual(stateWith(5));
    await open().overwrite(state);
    expect(await open().read()).toEqual(state);
  });

  it("a text is replaced only while it is the one that was read", async () => {
    await open().write(stateWith(1));
    const one = backend();
    const stored = await one.read();
    await open().write(stateWith(2));
    const late = { text: renderState(stateWith(3)), expected: stored?.version ?? null, backup: null, fencing: null };
    await expect(one.write(late)).rejects.toMatchObject({ code: "state/conflict" });
    await expect(one.write({ ...late, expected: null })).rejects.toMatchObject({ code: "state/conflict" });
    expect(await open().read()).toEqual(stateWith(2));
  });

  const whole = JSON.stringify(stateWith(1));
  it("F14: says which key it does not know, and what wrote it", async () => {
    await open().write(stateWith(1));
    const [resource] = stateWith(1).resources;
    const resources = [{ ...resource, zone: "a" }];
    writeFileSync(path, JSON.stringify({ ...stateWith(1), haplanVersion: "9.1.0", resources }));
    await expect(open().read()).rejects.toMatchObject({
      code: "state/newer-version",
      message: expect.stringMatching(
        /does not know\n.*state\.json: \/resources\/0\/zone\. It was not changed\..* Use haplan 9\.1\.0, which wrote it/,
      ),
    });
  });

  it.each([
    ["nothing", "", "state/corrupted"],
    ["half of it", whole.slice(0, whole.length / 2), "state/corrupted"],
    ["another kind of JSON", "[]", "state/corrupted"],
    ["a wrong shape", JSON.stringify({ ...stateWith(1), serial: "1" }), "state/corrupted"],
    ["a key of a newer haplan", JSON.stringify({ ...stateWith(1), secrets: 1 }), "state/newer-version"],
    ["a newer version", JSON.stringify({ version: 2, anything: true }), "state/newer-version"],
  ])("%s is neither read nor overwritten", async (_, text, code) => {
    await open().write(stateWith(1));
    writeFileSync(path, text);
    await expect(open().read()).rejects.toMatchObject({ code });
    await expect(open().write(stateWith(2))).rejects.toMatchObject({ code });
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  it("a store forgets all of it, and writes only when it may", async () => {
    let allowed = true;
    const assertHeld = async (): Promise<void> => {
      if (!allowed) throw new Error("lock lost");
    };
    const store = open({ lock: { ...noLock, assertHeld } });
    await store.write(stateWith(1));
    await store.write(stateWith(2));
    allowed = false;
    await expect(store.write(stateWith(3))).rejects.toThrow("lock lost");
    await expect(store.remove()).rejects.toThrow("lock lost");
    expect(await store.read()).toEqual(stateWith(2));
    allowed = true;
    await store.remove();
    expect(await store.read()).toBeNull();
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe("an encrypted state", () => {
  const encryption = { passphraseEnv: "PASS" };
  const environment = { PASS: "correct horse battery staple" };
  const sealed = (more: Partial<StateStoreOptions> = {}): StateStore => open({ encryption, environment, ...more });

  it("is readable only with the passphrase", async () => {
    await sealed().write(stateWith(1));
    await sealed().write(stateWith(2));
    expect(await sealed().read()).toEqual(stateWith(2));
    expect(mode(path)).toBe("600");
    for (const name of readdirSync(directory)) {
      expect(readFileSync(join(directory, name), "utf8")).not.toMatch(/haplan_machine|127\.77|lineage/);
    }
  });

  it.each([
    ["a wrong passphrase", { PASS: "incorrect horse battery" }, "state/wrong-passphrase"],
    ["no passphrase", {}, "state/no-passphrase"],
    ["an empty one", { PASS: "" }, "state/no-passphrase"],
    ["a short one", { PASS: "123" }, "state/short-passphrase"],
  ])("%s is refused, by name, and nothing is overwritten", async (_, wrong, code) => {
    await sealed().write(stateWith(1));
    const before = readFileSync(path, "utf8");
    await expect(sealed({ environment: wrong }).read()).rejects.toMatchObject({ code });
    await expect(sealed({ environment: wrong }).read()).rejects.toThrow("PASS");
    await expect(sealed({ environment: wrong }).write(stateWith(2))).rejects.toMatchObject({ code });
    expect(readFileSync(path, "utf8")).toBe(before);
  });

  it("a flipped bit, a changed header and a cut are noticed", async () => {
    await sealed().write(stateWith(1));
    const file = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    const data = Buffer.from(file["data"] as string, "base64");
    data[5]! ^= 1;
    const damages = [
      JSON.stringify({ ...file, data: data.toString("base64") }),
      JSON.stringify({ ...file, passphraseEnv: "PASS2" }),
      JSON.stringify({ ...file, tag: undefined }),
      JSON.stringify({ ...file, kdf: { ...(file["kdf"] as object), N: 2 ** 40 } }),
      JSON.stringify(file).slice(0, -20),
    ];
    for (const text of damages) {
      writeFileSync(path, text);
      const reader = sealed({ environment: { ...environment, PASS2: environment.PASS } });
      await expect(reader.read()).rejects.toMatchObject({ code: "state/sealed-damaged" });
    }
  });

  it("one that was in clear is encrypted with its next change, its backup as well, and the other way round", async () => {
    await open().write(stateWith(1));
    await sealed().write(stateWith(2));
    for (const name of ["state.json", "state.json.backup"]) {
      expect(readFileSync(join(directory, name), "utf8")).not.toContain("haplan_machine");
    }
    await open({ environment }).write(stateWith(3));
    expect(await open().read()).toEqual(stateWith(3));
  });
});
