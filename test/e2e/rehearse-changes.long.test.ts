/**
 * Rehearsals of the changes that people fear: 2 to 3 (two agents, two etcds), 3 to 5, another version, and another certificate
 * authority. A few trials of each; by hand, all that eight minutes have time for.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ArtifactCache } from "../../src/providers/ssh/artifact-cache.ts";
import { doctorArtifact } from "../support/doctored-artifact.ts";
import { ClusterFixture, specText } from "./cluster-fixture.ts";
import { adoptingSpec, ExistingPair, engines, youngPair } from "./existing-pair.ts";
import { fileTree, type RehearsalRun, rehearse } from "./rehearsal-run.ts";

const network = 95;
const byHand = process.env["HAPLAN_TEST_SOAK"] !== undefined;
const budget = byHand ? ["-budget=8m"] : ["-budget=1h", "-steps=2", "-members=m1", "-faults=kill,haplan", "-keys=50"];
/** With the one without a fault. */
const trialsMin = byHand ? 4 : 3;

function expectHeld({ code, report }: RehearsalRun): void {
  console.log(
    report.trials.map(({ step, fault, quorum, longest_gap_ms, resumes, outcome }) =>
      [step, fault?.kind, fault?.member, outcome, quorum, longest_gap_ms, resumes].join(" "),
    ),
  );
  expect({ code, problems: report.trials.flatMap(({ problems }) => problems) }).toEqual({ code: 0, problems: [] });
  for (const { writes } of report.trials) expect(writes.lost).toEqual([]);
  expect(report.trials.length).toBeGreaterThanOrEqual(trialsMin);
}

describe.each(engines)("a rehearsal of two members that become three, engine $engine", ({ engine, missing }) => {
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
      const run = await rehearse(cluster.directory, budget);
      expectHeld(run);
      expect(run.report.steps.find(({ title }) => /^(change voters|promote)/.test(title))?.can_lose).toBe(0);
      expect(fileTree(cluster.directory)).toEqual(before);
    },
    900_000,
  );
});

describe("a rehearsal of three members", () => {
  let cluster: ClusterFixture;
  beforeAll(async () => {
    cluster = new ClusterFixture({ network });
    await cluster.apply();
  }, 60_000);
  afterAll(() => cluster?.teardown());

  it("that become five loses no write", async () => {
    cluster.writeSpec(specText({ network, masters: 5 }));
    expectHeld(await rehearse(cluster.directory, budget));
  }, 900_000);

  it("that get another authority loses no write", async () => {
    cluster.writeSpec(specText({ network }));
    await cluster.mustRun("certs", "rotate", "-ca", "-out=rotate.tfplan");
    expectHeld(await rehearse(cluster.directory, ["rotate.tfplan", ...budget]));
  }, 900_000);
});

describe("a rehearsal of an upgrade", () => {
  let directory: string;
  let cluster: ClusterFixture;
  let own: string;
  const specWith = (artifact: string, upgradeWatchMs = 3_000): string =>
    `${specText({ network, masters: 3 }).replace("{ type: local }", `{ type: local, artifact: { file: ${artifact} } }`)}  policy: { upgradeWatchMs: ${upgradeWatchMs} }\n`;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "haplan-rehearsed-upgrade-"));
    own = await new ArtifactCache(new AbortController().signal).get(process.arch as "x64" | "arm64");
    cluster = new ClusterFixture(specWith(own));
    await cluster.apply();
  }, 240_000);
  afterAll(async () => {
    await cluster?.teardown();
    await rm(directory, { recursive: true, force: true });
  });

  it("to a version that works loses no write", async () => {
    const newer = await doctorArtifact({ from: own, version: "0.9.1", defect: "works", directory });
    cluster.writeSpec(specWith(newer));
    const run = await rehearse(cluster.directory, budget);
    expectHeld(run);
    expect(run.report.steps.filter(({ title }) => /upgrade|restart/.test(title)).length).toBeGreaterThanOrEqual(3);
  }, 900_000);

  // It takes minutes.
  if (byHand)
    it("to a version that crashes fails without any fault, and loses no write", async () => {
      const broken = await doctorArtifact({ from: own, version: "0.9.3", defect: "crashesAfter5s", directory });
      cluster.writeSpec(specWith(broken, 10_000));
      const { code, report } = await rehearse(cluster.directory, budget);
      expect({ code, held: report.held, trials: report.trials.length }).toEqual({ code: 3, held: false, trials: 1 });
      expect(report.trials[0]).toMatchObject({ quorum: "held", converged: false, writes: { lost: [] } });
    }, 900_000);
});
