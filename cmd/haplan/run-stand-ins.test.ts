/** A master that `haplan watch` has put on a spare host, as every command sees it that has the file from before. */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
let file: string;
const spareAddress = "127.0.1.22";
const spares = `  repair: { replace: { spares: [{ name: s1, address: ${spareAddress} }] } }\n`;
const written = (): string => file.replace(/127\.0\.1\.2\b/, spareAddress);
const writeSpec = (text: string): void => writeFileSync(join(cli.cwd, "three.yaml"), text);
const plan = (): Promise<{ readonly code: number; readonly err: string }> =>
  cli.haplan("plan three.yaml -detailed-exitcode");

beforeEach(async () => {
  cli = createCliFixture();
  file = `${readFileSync(join(cli.cwd, "three.yaml"), "utf8").trimEnd()}\n`;
  expect(await cli.haplan("apply three.yaml -auto-approve")).toMatchObject({ code: 0 });
});
afterEach(() => cli.remove());

const stateFile = (): string => join(cli.cwd, ".haplan", /name: (\S+)/.exec(file)![1]!, "state.json");

/** As watch does it: with the spec that has m2 on the spare host. */
async function replace(): Promise<void> {
  writeSpec(written());
  expect(await cli.haplan("apply three.yaml -auto-approve")).toMatchObject({ code: 0 });
}

it("is no change, and says what to write", async () => {
  await replace();
  writeSpec(file + spares);
  const { code, err } = await plan();
  expect(code).toBe(0);
  expect(err).toContain("haplan_machine.m2 is on the spare host s1");
  expect((await cli.haplan("status three.yaml")).out).toContain(`${spareAddress}:2379`);
  writeSpec(written());
  expect(await plan()).toMatchObject({ code: 0, err: expect.not.stringContaining("spare host") });
});

it("is moved back where the file lists the spare host no longer", async () => {
  await replace();
  writeSpec(file);
  expect((await plan()).code).toBe(2);
});

it("is not moved back by a run that has waited meanwhile", async () => {
  copyFileSync(stateFile(), join(cli.cwd, "before.json"));
  await replace();
  copyFileSync(stateFile(), join(cli.cwd, "after.json"));
  copyFileSync(join(cli.cwd, "before.json"), stateFile());
  writeSpec(file + spares);
  cli.openProvider = (_, inMemory) => {
    copyFileSync(join(cli.cwd, "after.json"), stateFile());
    return inMemory;
  };
  const { code, err } = await cli.haplan("apply three.yaml -auto-approve");
  expect(code).toBe(1);
  expect(err).toContain("haplan watch has put a spare host in the place of a master since this run began");
  expect((await plan()).code).toBe(0);
});
