/** `haplan drill` against a world in memory: what it refuses, what it asks, what it reports. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";

describe("haplan drill", () => {
  let cli: CliFixture;
  beforeAll(async () => {
    cli = createCliFixture();
    await cli.haplan("apply three.yaml -auto-approve");
  });
  afterAll(() => cli.remove());
  const drill = (words: string, answers?: readonly string[]): Promise<CliRun> =>
    cli.haplan(`drill three.yaml ${words}`, answers);
  const said = ({ err }: CliRun): string => err.replaceAll(/[\s│╷╵]+/g, " ");
  const disturbed = (run: () => Promise<unknown>): Promise<readonly string[]> => {
    const acts: string[] = [];
    cli.world.beforeAct = (act) => {
      if (/^(pause|stop|restart|resume) /.test(act)) acts.push(act);
    };
    return run().then(() => acts);
  };

  it("shows its faults, asks as other verbs do, and does nothing without yes", async () => {
    let declined: CliRun | undefined;
    const acts = await disturbed(async () => {
      declined = await drill("", ["no"]);
    });
    expect(declined!.out).toContain("restart m2");
    expect(declined!.out).toMatch(/Do you want to do these faults\?[\s\S]*Only 'yes' will be accepted to approve/);
    expect([declined!.code, said(declined!), acts]).toEqual([1, expect.stringContaining("Drill cancelled."), []]);
  });

  it("does all faults that the cluster has, and reports them", async () => {
    const acts = await disturbed(async () => {
      const run = await drill("-pause=100ms", ["yes"]);
      expect(run.out).toContain("All faults were held, and the cluster is as before.");
      expect([run.code, run.out]).toEqual([0, expect.not.stringContaining("virtual address")]);
    });
    expect(acts).toEqual(["restart agent m2", "pause agent m3", "resume agent m3"]);
    const document = JSON.parse((await drill("-auto-approve -json -faults=leader")).out);
    expect(document).toMatchObject({
      ...{ format_version: "1.0", held: true, left_out: [] },
      results: [{ fault: { kind: "leader", member: "m2" }, problem: null }],
    });
  });

  it("ends with 3 when a fault was not held, and names those that it has left out", async () => {
    cli.world.failing = (act) => (act === "restart agent m2" ? "no systemd" : null);
    const run = await drill("-auto-approve");
    cli.world.failing = () => null;
    expect([run.code, run.out]).toEqual([3, expect.stringContaining("no systemd")]);
    expect(run.out).toContain("Not begun: pause m3");
  });

  it.each([
    ["-faults=kill", '"kill" is no fault'],
    ["-faults=", "no fault is named"],
    ["-faults=vip", "The load balancer has no virtual address"],
    ["-pause=31s", "-pause=31s is not a pause that a drill makes"],
    ["-members=m1", "There is no follower for a fault m1 is the leader."],
    ["-members=m2,m9", "-members=m9 is no member The members are m1, m2, m3."],
  ])("refuses %s before it does anything", async (words, why) => {
    const acts = await disturbed(async () => {
      const run = await drill(`-auto-approve ${words}`);
      expect([run.code, said(run)]).toEqual([1, expect.stringContaining(why)]);
    });
    expect(acts).toEqual([]);
  });
});
