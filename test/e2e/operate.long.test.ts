/** What an operator does with a cluster besides changing it: a spec to start from, logs, and commands on nodes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { specReader } from "../../src/providers/spec-reader.ts";
import { ClusterFixture, kill, until } from "./cluster-fixture.ts";
import { ExistingPair, engines, hostOf, type PairPlace, youngPair } from "./existing-pair.ts";

for (const [at, { engine, missing }] of engines.entries()) {
  describe.skipIf(missing)(
    `init for two members (${engine})${missing ? " (skipped: etcd is not installed)" : ""}`,
    () => {
      const place: PairPlace = { network: 33, first: 10 + 20 * at };
      let cluster: ClusterFixture;
      let pair: ExistingPair;
      beforeAll(async () => {
        cluster = new ClusterFixture("metadata:\n  name: pair\n");
        pair = await ExistingPair.start(engine, place, cluster.directory, youngPair);
      });
      afterAll(async () => {
        await pair.stop();
        await cluster.teardown();
      });

      it("adopts both under their names, adds a third, and plans it", async () => {
        // One endpoint is enough: its member knows the other one.
        const run = await cluster.haplan(["init", "-name=pair", `-from-etcd=${pair.endpoint(0)}/`, "adopted.yaml"]);
        expect(run).toMatchObject({ code: 0, stderr: "" });
        const { spec } = specReader.parse(
          "adopted.yaml",
          readFileSync(join(cluster.directory, "adopted.yaml"), "utf8"),
        );
        const masters = spec?.controlPlane.masters.map(({ name, address, adoptedAt }) => [name, address, adoptedAt]);
        expect(masters?.slice(0, 2).toSorted()).toEqual([
          ["old-1", hostOf(place, 0), pair.endpoint(0)],
          ["old-2", hostOf(place, 1), pair.endpoint(1)],
        ]);
        expect(masters?.[2]).toEqual(["m1", expect.stringMatching(/^127\.77\.33\./), undefined]);
        expect(spec?.controlPlane.engine).toBe(engine);
        const plan = await cluster.haplan(["plan", "adopted.yaml"]);
        expect(plan.stdout).toMatch(/Plan: 2 to import, \d+ to add, 0 to change, 0 to destroy\./);
      });
    },
  );
}

describe("a cluster of this machine", () => {
  const cluster = new ClusterFixture({ network: 33, workers: 0, tls: false });
  beforeAll(() => cluster.mustRun("apply", "-auto-approve"), 60_000);
  afterAll(() => cluster.teardown());

  it("shows the logs of all members as one, and follows them while one ends, until Ctrl-C", async () => {
    const all = await cluster.mustRun("logs", "-n", "all");
    const times = [...all.matchAll(/^(\d{4}-\S+Z) /gm)].map(([, time]) => time!);
    expect(times.length).toBeGreaterThan(10);
    expect(times).toEqual(times.toSorted());
    for (const name of ["m1", "m2", "m3"])
      expect(all).toMatch(new RegExp(`^\\S+Z ${name} +\\| \\{"level":"info","ts":`, "m"));

    const follow = cluster.start(["logs", "-f", "-n", "1"]);
    const lines = (): readonly string[] => follow.printed().split("\n").slice(0, -1);
    await until("the last line of each is there", async () => lines().length >= 4, 15_000);
    const { pid } = JSON.parse(
      readFileSync(join(cluster.directory, ".haplan", cluster.name, "machines/m2/units/agent/process.json"), "utf8"),
    );
    kill(pid, "SIGKILL");
    await until(
      "the others say so",
      async () =>
        lines()
          .slice(4)
          .some((line) => /^\S+Z m[13] /.test(line)),
      15_000,
    );
    await cluster.mustRun("apply", "-auto-approve");
    await until(
      "m2 is back",
      async () =>
        lines()
          .slice(4)
          .some((line) => /^\S+Z m2 /.test(line)),
      15_000,
    );
    follow.signal("SIGINT");
    expect(await follow.end).toMatchObject({ code: 0 });
  });

  it("ends a log whose reader has gone", async () => {
    const run = cluster.start(["logs", "-f", "-n", "all"], { closeOutputAt: "|" });
    // It notices with the next line that it prints.
    await cluster.mustRun("apply", "-auto-approve", "-replace=haplan_agent.m3");
    expect(await run.end).toMatchObject({ code: 0 });
  });

  it("runs commands in the directory of a machine, with their exit codes, and has no login", async () => {
    const run = await cluster.start(["exec", "m1", "--", "sh", "-c", 'pwd; echo "$1" >&2; exit 9', "sh", "a  b"]).end;
    expect(run).toMatchObject({ code: 9, stderr: expect.stringContaining("a  b\n") });
    expect(run.stdout).toBe(`${cluster.directory}/.haplan/${cluster.name}/machines/m1\n`);
    const killed = await cluster.start(["exec", "m1", "--", "sh", "-c", "kill -TERM $$"]).end;
    expect(killed.code).toBe(143);
    expect(await cluster.start(["exec", "m1", "--", "haplan-no-such-program"]).end).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no program "haplan-no-such-program"'),
    });
    expect(await cluster.start(["ssh", "m1"]).end).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("A local machine is a directory, not a host to log in to"),
    });
  });
});
