/** `haplan status` while the backend of the state does not answer. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

describe("haplan status without its state", () => {
  let cli: CliFixture;
  beforeEach(async () => {
    cli = createCliFixture();
    const text = readFileSync(join(cli.cwd, "three.yaml"), "utf8");
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
    // No process listens there.
    const backend = 'backend: etcd\n    etcd: { endpoints: ["http://127.0.0.1:9"] }';
    writeFileSync(join(cli.cwd, "three.yaml"), text.replace(/^spec:$/m, `$&\n  state:\n    ${backend}`));
  });
  afterEach(() => cli.remove());

  it("shows what members and machines say, with a warning, and exits by the quorum", async () => {
    const { code, out, err } = await cli.haplan("status three.yaml -detailed-exitcode");
    expect(code).toBe(0);
    for (const name of ["m1", "m2", "m3"]) expect(out).toMatch(new RegExp(`^${name} .*(leader|follower)`, "m"));
    expect(out).toContain("Quorum: 3 of 3 voters healthy");
    expect(out).toMatch(/^Load balancer: .*running/m);
    expect(err).toContain(
      "Warning: the state was not read, and this is what the members and machines of the spec say. Cannot reach the state in etcd. http://127.0.0.1:9:",
    );
    const json = JSON.parse((await cli.haplan("status three.yaml -json")).out);
    expect(json).toMatchObject({ state_unread: expect.stringContaining("Cannot reach the state"), healthy_voters: 3 });
  });

  it("does not say that there is no cluster where no member is found either", async () => {
    for (const name of ["m1", "m2", "m3"]) cli.world.facts.machines.delete(name);
    const { code, out } = await cli.haplan("status three.yaml");
    expect({ code, out }).toEqual({ code: 4, out: 'No member of cluster "demo" answers, and its state was not read.' });
  });

  it("is refused to what would change the cluster", async () => {
    const { code, err } = await cli.haplan("plan three.yaml");
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("Error: Cannot reach the state in etcd") });
  });
});
