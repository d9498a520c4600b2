/** `haplan destroy -target`: a part goes, the rest and the state stay. Whole command lines. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeAll(async () => {
  cli = createCliFixture();
  expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
});
afterAll(() => cli.remove());

it("a worker that is named goes, by command and by a saved plan, and the state keeps the rest", async () => {
  const { code, out } = await cli.haplan("destroy -target=haplan_machine.w1 -auto-approve");
  expect({ code, out }).toMatchObject({
    code: 0,
    out: expect.stringContaining("Plan: 0 to add, 0 to change, 2 to destroy."),
  });
  await cli.haplan("plan -destroy -target=haplan_worker.w2 -out=w2.plan");
  expect((await cli.haplan("apply w2.plan")).code).toBe(0);
  expect(existsSync(join(cli.cwd, ".haplan/demo/state.json"))).toBe(true);
  const listed = (await cli.haplan("state list")).out.split("\n");
  expect(listed.filter((address) => address.startsWith("haplan_worker."))).toEqual([]);
  expect(listed).toEqual(expect.arrayContaining(["haplan_machine.w2", "haplan_raft_member.m1"]));
});

it("a master alone is refused, and a name that is not there", async () => {
  expect((await cli.haplan("destroy -target=haplan_machine.m1 -auto-approve")).err).toContain(
    "m1 cannot be destroyed alone",
  );
  expect((await cli.haplan("destroy -target=haplan_worker.w9 -auto-approve")).code).toBe(1);
});

it("all of it goes when nothing is named, and the directory with it", async () => {
  expect((await cli.haplan("destroy -auto-approve")).code).toBe(0);
  expect(existsSync(join(cli.cwd, ".haplan"))).toBe(false);
});
