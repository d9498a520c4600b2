/** `haplan rehearse` on real clusters: what it finds, that it touches nothing, and that nothing of it is left. */
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildUnguardedHaplan } from "../support/unguarded-haplan.ts";
import { addressOf, ClusterFixture, until } from "./cluster-fixture.ts";
import { processesOfDir } from "./dir-processes.ts";
import { fileTree, rehearse } from "./rehearsal-run.ts";

const network = 94;
const rehearsals = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith("haplan-rehearsal-"));

function specWith(controlPlane: string, more = ""): string {
  const masters = [1, 2, 3].map((host) => `      - { name: m${host}, address: ${addressOf(network, host)} }\n`);
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata:
  name: rehearsed
spec:
  provider: { type: local }
  controlPlane:
${controlPlane}    masters:
${masters.join("")}  loadBalancer: { type: embedded, address: ${addressOf(network, 100)}, ports: [2379] }
${more}`;
}

describe("a rehearsal of a rolling restart", () => {
  let cluster: ClusterFixture;
  let leader: string;
  beforeAll(async () => {
    cluster = new ClusterFixture(specWith(""));
    await cluster.apply();
    leader = (await cluster.leader()).name;
    cluster.writeSpec(specWith("    heartbeatIntervalMs: 110\n"));
  }, 60_000);
  afterAll(() => cluster.teardown());

  /** The leader, which is restarted last, dies while the first member comes back from its restart. */
  const oneTrial = ["-steps=2", "-faults=kill", "-budget=1h", "-keys=50"];

  it("issue 14.4: loses no write and no quorum at a killed member, and changes nothing of the cluster", async () => {
    const [files, processes, before] = [fileTree(cluster.directory), cluster.processes(), rehearsals()];
    const { code, report, errors } = await rehearse(cluster.directory, [...oneTrial, `-members=${leader}`]);
    expect({
      code,
      held: report.held,
      problems: report.trials.flatMap(({ problems }) => problems),
      errors,
    }).toMatchObject({
      code: 0,
      held: true,
      problems: [],
    });
    expect(report.trials.map(({ fault }) => fault?.member ?? null)).toEqual([null, leader]);
    for (const { writes } of report.trials) expect(writes.acknowledged).toBeGreaterThan(20);
    expect(fileTree(cluster.directory)).toEqual(files);
    expect(cluster.processes()).toEqual(processes);
    expect(rehearsals()).toEqual(before);
  }, 400_000);

  it("finds the lost quorum of a build without the guard, and exits with 3", async () => {
    const { code, report } = await rehearse(
      cluster.directory,
      [...oneTrial, `-members=${leader}`],
      await buildUnguardedHaplan(),
    );
    expect(report).toHaveProperty("trials");
    const failed = report.trials.filter(({ outcome }) => outcome === "failed");
    expect({ code, held: report.held }).toEqual({ code: 3, held: false });
    expect(failed.map(({ fault, quorum }) => `${fault?.member} ${quorum}`)).toContain(`${leader} lost`);
    expect(failed.flatMap(({ problems }) => problems).join("\n")).toContain("the quorum was lost for ");
  }, 400_000);

  it("does not hold where the budget has no room for a fault", async () => {
    const { code, report } = await rehearse(cluster.directory, ["-budget=1ms", "-keys=10"]);
    expect({ code, ...report }).toMatchObject({ code: 2, outcome: "untried", held: false, trials: [{ fault: null }] });
    expect(report.left_out.flatMap(({ trials }) => trials).length).toBeGreaterThan(0);
  }, 120_000);

  it("does not hold where the copy has no part of the change, such as a schedule of backups", async () => {
    const schedule = { everyMinutes: 60, directory: join(cluster.directory, "backups") };
    cluster.writeSpec(specWith("", `  backup: ${JSON.stringify({ schedule })}\n`));
    const { code, report } = await rehearse(cluster.directory, ["-keys=10"]);
    cluster.writeSpec(specWith("    heartbeatIntervalMs: 110\n"));
    expect({ code, ...report }).toMatchObject({ code: 2, outcome: "untried", steps: [], trials: [{ fault: null }] });
    expect(report.not_covered.join("\n")).toMatch(/Backups on a schedule[\s\S]*does not have: update agent m/);
  }, 120_000);

  it("leaves no process and no directory when it is killed", async () => {
    const before = rehearsals();
    const run = cluster.start(["rehearse", "-budget=1h", "-keys=10"]);
    const made = await until(
      "the copy runs",
      () => {
        const [directory] = rehearsals().filter((name) => !before.includes(name));
        return directory !== undefined && processesOfDir(join(tmpdir(), directory)).length > 3 ? directory : false;
      },
      90_000,
    );
    run.signal("SIGKILL");
    await run.end;
    await until("its directory is removed", () => !rehearsals().includes(made), 20_000);
    // The process that has removed it ends last.
    await until("no process is left", () => processesOfDir(join(tmpdir(), made)).length === 0);
  }, 120_000);
});
