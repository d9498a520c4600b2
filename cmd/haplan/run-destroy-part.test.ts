/** `haplan destroy -target`: destroys a part and keeps the rest and the state. Whole command lines. */
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

it("destroys a targeted worker, directly and with a saved plan, and keeps the rest in the state", async () => {
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

it("refuses a single master, and an unknown name", async () => {
  expect((await cli.haplan("destroy -target=haplan_machine.m1 -auto-approve")).err).toContain(
    "m1 cannot be destroyed alone",
  );
  expect((await cli.haplan("destroy -target=haplan_worker.w9 -auto-approve")).code).toBe(1);
});

it("destroys everything without a target, including the directory", async () => {
  expect((await cli.haplan("destroy -auto-approve")).code).toBe(0);
  expect(existsSync(join(cli.cwd, ".haplan"))).toBe(false);
});
