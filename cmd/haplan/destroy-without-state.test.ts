/** `destroy` in a directory that has neither the state nor anything else of a running cluster, as in a pipeline that lost it. */
import { cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(async () => {
  cli = createCliFixture();
  expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
});
afterEach(() => cli.remove());

const loseDirectory = (): void => rmSync(join(cli.cwd, ".haplan"), { recursive: true });

it("does not destroy machines without asking, and says where to run it", async () => {
  loseDirectory();
  const { code, err } = await cli.haplan("destroy three.yaml -auto-approve");
  expect([code, err]).toEqual([1, expect.stringContaining("machines of unknown origin")]);
  expect(cli.world.facts.machines.size).toBeGreaterThan(0);
});

it("does not either after a run that was refused, which leaves nothing behind", async () => {
  loseDirectory();
  for (let attempt = 0; attempt < 2; attempt += 1) {
    expect((await cli.haplan("destroy three.yaml -auto-approve")).code).toBe(1);
    expect(existsSync(join(cli.cwd, ".haplan"))).toBe(false);
  }
  expect(cli.world.facts.machines.size).toBeGreaterThan(0);
});

it("does not either where no more than the lock of an earlier run is left", async () => {
  const made = readdirSync(join(cli.cwd, ".haplan"), { withFileTypes: true }).find((entry) => entry.isDirectory())!;
  const lock = join(cli.cwd, ".haplan", made.name, "lock");
  const kept = join(cli.cwd, "kept");
  cpSync(lock, kept, { recursive: true });
  loseDirectory();
  cpSync(kept, lock, { recursive: true });
  const { code, err } = await cli.haplan("destroy three.yaml -auto-approve");
  expect([code, err]).toEqual([1, expect.stringContaining("machines of unknown origin")]);
});

it.each(["destroy three.yaml", "destroy three.yaml -auto-approve"])(
  "says without a terminal that it has to be approved in one: %s",
  async (line) => {
    loseDirectory();
    const { code, err } = await cli.haplan(line);
    expect(code).toBe(1);
    const said = err.replaceAll(/[│\s]+/g, " ");
    expect(said).toContain("-auto-approve does not approve that its machines are destroyed");
    expect(said).toContain("Run destroy where the state is, or in a terminal: haplan destroy three.yaml");
    expect(said).not.toMatch(/approve in advance|haplan destroy \S+ -auto-approve/);
  },
);

it("destroys them when that is approved", async () => {
  loseDirectory();
  expect((await cli.haplan("destroy three.yaml", ["yes"])).code).toBe(0);
  expect(cli.world.facts.machines.size).toBe(0);
});

it("needs no answer where the cluster is known", async () => {
  expect((await cli.haplan("destroy three.yaml -auto-approve")).code).toBe(0);
  expect(cli.world.facts.machines.size).toBe(0);
});

it("says what stays on a host that the state does not have and that does not answer, and how to remove it", async () => {
  cli.world.unreachableHosts = [{ host: "10.0.0.3", reason: "connection timed out" }];
  const { code, out, err } = await cli.haplan("destroy three.yaml -auto-approve");
  expect(code).toBe(0);
  const said = (out + err).replaceAll(/[│\s]+/g, " ");
  expect(said).toContain("haplan may have left something on 10.0.0.3");
  expect(said).toContain("whole machines, with their data below /var/lib/haplan and their units.");
  expect(said).toContain("Run haplan destroy again once the host answers, in a terminal and without -auto-approve");
});
