/** Rolling upgrades of haplan on this machine while a client writes, with versions that work and versions that do not. */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ArtifactCache } from "../../src/providers/ssh/artifact-cache.ts";
import { type Defect, doctorArtifact } from "../support/doctored-artifact.ts";
import { missingWrites } from "./acknowledged-writes.ts";
import { addressOf, ClusterFixture, specText } from "./cluster-fixture.ts";
import { processesOfDir } from "./dir-processes.ts";
import { PacedWriter } from "./paced-writer.ts";
import type { ProgramRun } from "./run-program.ts";

const network = 93;
const writesPerSecond = 100;

describe("an upgrade on this machine", () => {
  let directory: string;
  let cluster: ClusterFixture;
  let own: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "haplan-upgrades-"));
    own = await new ArtifactCache(new AbortController().signal).get(process.arch as "x64" | "arm64");
    cluster = new ClusterFixture(specWith(own));
    await cluster.mustRun("apply", "-auto-approve");
  }, 240_000);
  afterAll(async () => {
    const cluster_ = join(cluster.directory, ".haplan/e2e");
    expect((await cluster.teardown()).left).toEqual([]);
    expect(existsSync(cluster_)).toBe(false);
    await rm(directory, { recursive: true, force: true });
  }, 60_000);

  const specWith = (artifact: string | null): string => {
    const provider = artifact === null ? "" : `, artifact: { file: ${artifact} }`;
    const text = specText({ network, workers: 1 }).replace("{ type: local }", `{ type: local${provider} }`);
    return `${text}  policy: { joinTimeoutMs: 20000, upgradeWatchMs: 7000 }\n`;
  };
  const doctor = (version: string, defect: Defect): Promise<string> =>
    doctorArtifact({ from: own, version, defect, directory });

  async function applyUnderWriter(): Promise<{ readonly run: ProgramRun; readonly writer: PacedWriter }> {
    const client = cluster.client(`https://${addressOf(network, 100)}:2379`);
    const writer = new PacedWriter(client, `/${Date.now()}/`, writesPerSecond);
    const run = await cluster.start(["apply", "-auto-approve"], { timeoutMs: 300_000 }).end;
    await writer.stop();
    expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
    return { run, writer };
  }

  /** The programs of this cluster's processes, sorted. */
  async function running(): Promise<readonly string[]> {
    const lines = processesOfDir(cluster.directory).map(async (pid) => await readFile(`/proc/${pid}/cmdline`, "utf8"));
    return (await Promise.all(lines)).map((line) => line.split("\0")[1] ?? "").sort();
  }

  const changes = async (): Promise<number | null> =>
    (await cluster.start(["plan", "-detailed-exitcode"], { timeoutMs: 60_000 }).end).code;

  it("goes to another version, back, and to the installed one", async () => {
    for (const artifact of [await doctor("0.9.1", "works"), null, own]) {
      const before = await running();
      cluster.writeSpec(specWith(artifact));
      const { run, writer } = await applyUnderWriter();
      expect(run).toMatchObject({ code: 0, stdout: expect.stringContaining("0 added, 5 changed, 0 destroyed") });
      // The restart of the only load balancer closes its connections: calls that begin at that very moment are lost.
      expect(writer.failures.length).toBeLessThanOrEqual(2);
      const after = await running();
      expect(after).toHaveLength(before.length);
      expect(after.filter((program) => before.includes(program))).toEqual([]);
      expect(await changes()).toBe(0);
    }
  }, 600_000);

  it.each([
    ["does not start", "doesNotStart", "0.9.2"],
    ["crashes after 5 s", "crashesAfter5s", "0.9.3"],
    ["is never ready", "isNeverReady", "0.9.4"],
  ] as const)(
    "stops at the first member and is undone when the version %s",
    async (_, defect, version) => {
      cluster.writeSpec(specWith(own));
      await cluster.mustRun("apply", "-auto-approve");
      const before = await running();
      cluster.writeSpec(specWith(await doctor(version, defect)));
      const { run, writer } = await applyUnderWriter();
      expect(run.code).toBe(1);
      expect(run.stderr).toMatch(new RegExp(`agent m\\d does not work with haplan ${version.replaceAll(".", "[.]")} `));
      expect(writer.failures).toEqual([]);
      expect(await running()).toEqual(before);
      expect(await changes()).toBe(2);
      cluster.writeSpec(specWith(own));
      expect(await changes()).toBe(0);
    },
    300_000,
  );
});
