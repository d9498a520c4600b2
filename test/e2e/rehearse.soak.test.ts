/** Rehearsals of the changes that people fear: 2 to 3 (two agents, two etcds), 3 to 5, and another certificate authority. By hand. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClusterFixture, specText } from "./cluster-fixture.ts";
import { adoptingSpec, ExistingPair, engines, youngPair } from "./existing-pair.ts";
import { fileTree, type RehearsalRun, rehearse } from "./rehearsal-run.ts";

const network = 95;
const budget = "-budget=8m";

function expectHeld({ code, report }: RehearsalRun): void {
  console.log(
    report.trials.map(({ step, fault, quorum, longest_gap_ms, resumes, outcome }) =>
      [step, fault?.kind, fault?.member, outcome, quorum, longest_gap_ms, resumes].join(" "),
    ),
  );
  expect({ code, problems: report.trials.flatMap(({ problems }) => problems) }).toEqual({ code: 0, problems: [] });
  for (const { writes } of report.trials) expect(writes.lost).toEqual([]);
  expect(report.trials.length).toBeGreaterThan(3);
}

describe.skipIf(process.env["HAPLAN_TEST_SOAK"] === undefined).each(engines)(
  "a rehearsal of two members that become three, engine $engine",
  ({ engine, missing }) => {
    const place = { network, first: engine === "etcd" ? 170 : 150 };
    let cluster: ClusterFixture;
    let pair: ExistingPair;
    beforeAll(async () => {
      if (missing) return;
      cluster = new ClusterFixture(adoptingSpec("rehearsed-pair", engine, place));
      pair = await ExistingPair.start(engine, place, cluster.directory, engine === "etcd" ? youngPair : {});
    }, 60_000);
    afterAll(async () => {
      await cluster?.teardown();
      await pair?.stop();
    });

    it.skipIf(missing)(
      "loses no write, and says where no member may fail",
      async () => {
        const before = fileTree(cluster.directory);
        const run = await rehearse(cluster.directory, [budget]);
        expectHeld(run);
        expect(run.report.steps.find(({ title }) => /^(change voters|promote)/.test(title))?.can_lose).toBe(0);
        expect(fileTree(cluster.directory)).toEqual(before);
      },
      900_000,
    );
  },
);

describe.skipIf(process.env["HAPLAN_TEST_SOAK"] === undefined)("a rehearsal of three members", () => {
  let cluster: ClusterFixture;
  beforeAll(async () => {
    cluster = new ClusterFixture({ network });
    await cluster.apply();
  }, 60_000);
  afterAll(() => cluster?.teardown());

  it("that become five loses no write", async () => {
    cluster.writeSpec(specText({ network, masters: 5 }));
    expectHeld(await rehearse(cluster.directory, [budget]));
  }, 900_000);

  it("that get another authority loses no write", async () => {
    cluster.writeSpec(specText({ network }));
    await cluster.mustRun("certs", "rotate", "-ca", "-out=rotate.tfplan");
    expectHeld(await rehearse(cluster.directory, ["rotate.tfplan", budget]));
  }, 900_000);
});
