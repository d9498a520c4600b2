/** Specs that must be refused: with a diagnostic that names the place, exit code 1, and nothing made. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildDir, ClusterFixture, specText } from "./cluster-fixture.ts";
import { boundAddresses } from "./dir-processes.ts";

const network = 21;
const good = specText({ network });
const megabyte = 1024 * 1024;

/** Every level holds ten of the one before: 10^9 values from a few lines. */
const aliasBomb = `a0: &a0 [x]\n${Array.from({ length: 9 }, (_, i) => {
  const inner = Array.from({ length: 10 }, () => `*a${i}`).join(", ");
  return `a${i + 1}: &a${i + 1} [${inner}]\n`;
}).join("")}`;

const specs: readonly (readonly [string, string, RegExp])[] = [
  ...[0, 1, 2, 4, 6, 8].map((count) => {
    const text =
      count === 0
        ? good.replace(/members: 3[\s\S]*?workers/, "members: 0\n  workers")
        : specText({ network, masters: count });
    return [`${count} members`, text, /cluster\.yaml[\s\S]*(instances|quorum|at most 7)/i] as const;
  }),
  [
    "a duplicate address",
    good.replace(`127.77.${network}.2 `, `127.77.${network}.1 `),
    /address 127\.77\.21\.1 is already used[\s\S]*on cluster\.yaml:12:30/,
  ],
  [
    "a provider that there is not, with its addresses",
    good.replace("type: local", "type: gcp").replaceAll(`127.77.${network}.`, "10.0.0."),
    /^(?![\s\S]*is not an address)[\s\S]*spec\.provider\.type is "gcp"[\s\S]*type: aws/,
  ],
  ["a wrong key", good.replace("controlPlane:", "controlPlan:"), /controlPlane/],
  ["a tab", good.replace("    members: 3", "\tmembers: 3"), /[Tt]ab/],
  ["nothing in it", "", /empty/i],
  ["10 MB", good + `# ${"x".repeat(99)}\n`.repeat((10 * megabyte) / 102), /MB|MiB|bytes|large|big/],
  ["an alias bomb", aliasBomb, /alias/i],
  ["bytes that are no text", "\u0000\u0001\u0002", /cluster\.yaml/],
];

let cluster: ClusterFixture;
beforeAll(() => {
  cluster = new ClusterFixture({ network });
});
afterAll(() => cluster?.teardown());

describe("a spec with", () => {
  const apply = ["apply", "-auto-approve"];
  /** What might end a process in another way than by its exit code, and one mistake for all verbs. */
  const asProcesses: Readonly<Record<string, readonly (readonly string[])[]>> = {
    "4 members": [apply, ["plan"], ["validate"]],
    "10 MB": [apply],
    "an alias bomb": [apply],
  };
  it.each(specs)("%s is rejected, and nothing is made", async (what, text, diagnostic) => {
    cluster.writeSpec(text);
    const verbs = asProcesses[what];
    const runs =
      verbs === undefined
        ? [await cluster.haplan(apply)]
        : await Promise.all(verbs.map((verb) => cluster.start(verb, { timeoutMs: 20_000 }).end));
    for (const { code, stdout, stderr } of runs) {
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/Error: /);
      expect(stderr).toMatch(diagnostic);
      expect(stderr.length).toBeLessThan(20_000);
      expect(stderr).not.toMatch(/^ +at .*\.js:\d+/m);
    }
    expect(readdirSync(cluster.directory)).toEqual(["cluster.yaml"]);
    expect(boundAddresses(`127.77.${network}.`)).toEqual([]);
  });

  it("all its mistakes is told of each of them in one go, in JSON as well", async () => {
    cluster.writeSpec(good.replace("members: 3", "members: 4").replace("workers: []", "worker: []"));
    const run = await cluster.haplan(["validate", "-json"]);
    expect(run.code).toBe(1);
    const report = JSON.parse(run.stdout) as { valid: boolean; error_count: number; diagnostics: object[] };
    expect(report).toMatchObject({ valid: false, error_count: report.diagnostics.length });
    expect(report.diagnostics.length).toBeGreaterThan(1);
    for (const diagnostic of report.diagnostics) {
      expect(diagnostic).toMatchObject({ severity: "error", summary: expect.any(String), detail: expect.any(String) });
    }
    expect(report.diagnostics[0]).toHaveProperty("range.filename", "cluster.yaml");
  });
});

describe("a spec on a pipe", () => {
  it("T low: with one wrong indent is one error at its line, and the log of the run holds its end", () => {
    const program = join(buildDir, "cmd/haplan/main.js");
    const log = join(cluster.directory, "haplan.log");
    const run = spawnSync(process.execPath, [program, "validate", "-"], {
      cwd: cluster.directory,
      input: good.replace("  provider:", "   provider:"),
      encoding: "utf8",
      env: { ...process.env, HAPLAN_LOG: "debug", HAPLAN_LOG_PATH: log },
    });
    expect(run).toMatchObject({ status: 1, stdout: "" });
    expect(run.stderr.match(/Error: /g)).toHaveLength(1);
    expect(run.stderr).toMatch(/on standard input:\d+:4/);
    expect(readFileSync(log, "utf8")).toMatch(/\[INFO\] exit: code=1\n$/);
    rmSync(log);
  });
});

describe("a spec that is missing", () => {
  it("is named in the diagnostic", async () => {
    const run = await cluster.start(["apply", "-auto-approve", "nowhere.yaml"]).end;
    expect(run).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("nowhere.yaml") });
    expect(readdirSync(cluster.directory)).toEqual(["cluster.yaml"]);
  });

  it("is a directory, or stands below a file, as far as it is concerned", async () => {
    writeFileSync(join(cluster.directory, "file"), "");
    for (const path of [".", "file/cluster.yaml"]) {
      const run = await cluster.haplan(["plan", path]);
      expect(run).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("Error: ") });
    }
  });
});
