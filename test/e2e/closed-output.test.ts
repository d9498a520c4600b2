/** Standard output whose reader goes away, and standard input whose writer is late, as pipes of a shell have them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildDir } from "./cluster-fixture.ts";

const program = join(buildDir, "cmd/haplan/main.js");
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-pipe-"));
  writeFileSync(join(directory, "unformatted.yaml"), "kind:   Cluster\n");
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Exit code and standard error of a run whose standard output has no reader from the beginning. */
async function withoutReader(...args: string[]): Promise<{ code: number | null; err: string }> {
  const run = spawn(process.execPath, [program, ...args], { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
  run.stdout.destroy();
  let err = "";
  run.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const [code] = (await once(run, "close")) as [number | null];
  return { code, err };
}

describe("a verb that changes nothing", () => {
  it.each([
    [["quorum"], 0],
    [["fmt", "-check", "unformatted.yaml"], 3],
    [["validate", "-json", "nowhere.yaml"], 1],
  ] as const)("R1 T15: %j ends with its own exit code when its reader goes away", async (args, expected) => {
    expect((await withoutReader(...args)).code).toBe(expected);
  });

  it("R1: fails when the disk that its output goes to is full", async () => {
    const run = spawn(process.execPath, [program, "quorum"], { stdio: ["ignore", openSync("/dev/full", "w"), "pipe"] });
    let err = "";
    run.stderr?.setEncoding("utf8").on("data", (text: string) => (err += text));
    const [code] = (await once(run, "close")) as [number | null];
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining("Cannot write to standard output") });
  });
});

it("R11: state push waits for standard input that comes late", async () => {
  const spec = new URL("../../examples/ha-3-masters.yaml", import.meta.url).pathname;
  const run = spawn(process.execPath, [program, "state", "push", "-spec", spec, "-"], { cwd: directory });
  let err = "";
  run.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  run.stdin.write('{ "version": 1,');
  await sleep(300);
  run.stdin.end(' "serial": "many" }');
  const [code] = (await once(run, "close")) as [number | null];
  // It read all of it, and found what is wrong with it.
  expect({ code, err }).toMatchObject({
    code: 1,
    err: expect.stringContaining("standard input is not a haplan state"),
  });
  expect(err).not.toContain("EAGAIN");
});
