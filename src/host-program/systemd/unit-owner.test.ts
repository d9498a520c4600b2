/** Whose a unit is, of two clusters whose units have one name. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { assertOwn, otherOwner } from "./unit-owner.ts";

const own = "/var/lib/haplan/a/machines/x-m1/units/agent";
const others = "/var/lib/haplan/a-x/machines/m1/units/agent";
const place = { root: "/var/lib/haplan/a", machine: "x-m1", unit: "agent", directory: own, files: `${own}/files` };

describe("a unit", () => {
  const directory = mkdtempSync(join(tmpdir(), "haplan-unit-owner-"));
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const missing = join(directory, "missing");
  const ofPlace = (unitDir: string): string => `[Service]\nEnvironment="HAPLAN_UNIT=${unitDir}"\n`;
  const masked = join(directory, "masked");
  const processes: ChildProcess[] = [];
  const running = (unitDir: string): number => {
    const child = spawn("sleep", ["60"], { env: { HAPLAN_UNIT: unitDir } });
    processes.push(child);
    return child.pid!;
  };
  const notAsked = async (): Promise<null> => expect.unreachable("systemd was asked for the process");
  let pids: { readonly own: number; readonly others: number };
  beforeAll(() => {
    symlinkSync("/dev/null", masked);
    pids = { own: running(own), others: running(others) };
  });
  afterAll(() => {
    for (const child of processes) child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  });

  it("is its own where its file, or its process without one, names its directory", async () => {
    for (const [at, pid] of [
      [file("own", ofPlace(own)), null],
      [file("own", ofPlace(own)), pids.own],
      [missing, null],
      [missing, pids.own],
      [masked, pids.own],
      [masked, null],
    ] as const)
      expect(await otherOwner(place, { file: at, copy: missing, pid: async () => pid })).toBeNull();
  });

  it("is another's where that names another directory", async () => {
    for (const [at, pid] of [
      [file("others", ofPlace(others)), null],
      [missing, pids.others],
      [masked, pids.others],
    ] as const)
      expect(await otherOwner(place, { file: at, copy: missing, pid: async () => pid })).toBe(others);
  });

  it("whose file names none is a changed one if haplan wrote it, and otherwise not haplan's", async () => {
    const foreign = file("foreign", "[Service]\nExecStart=/bin/true\n");
    expect(await otherOwner(place, { file: foreign, copy: file("copy", ofPlace(own)), pid: notAsked })).toBeNull();
    await expect(assertOwn(place, { file: foreign, copy: missing, pid: notAsked }, "reload")).rejects.toThrow(
      `Cannot reload haplan-a-x-m1-agent.service: "${foreign}" belongs to something that haplan did not make`,
    );
  });
});
