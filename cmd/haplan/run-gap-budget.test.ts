import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

describe("apply -max-write-gap", () => {
  let cli: CliFixture;
  beforeEach(() => {
    cli = createCliFixture();
  });
  afterEach(() => cli.remove());

  it.each([
    ["apply three.yaml -auto-approve -max-write-gap=soon", "-max-write-gap soon is not a duration"],
    ["apply three.yaml -auto-approve -max-write-gap=2", "-max-write-gap 2 is not a duration"],
    ["apply three.yaml -auto-approve -max-write-gap=-2s", "-max-write-gap -2s is not a duration"],
    ["apply three.yaml -auto-approve -max-write-gap=0", "-max-write-gap 0 leaves no time for any write"],
    ["apply -destroy three.yaml -auto-approve -max-write-gap=2s", "-destroy and -max-write-gap cannot be combined"],
  ])("is refused with the flag named: %s", async (line, message) => {
    const { code, err } = await cli.haplan(line);
    expect(code).toBe(1);
    expect(err).toContain(message);
  });

  it("reports a spent budget without saying that writes were available, and resumes with a longer one", async () => {
    await cli.haplan("apply three.yaml -auto-approve");
    cli.world.startupMs = 400;
    const replaced = "-replace=haplan_load_balancer.load-balancer -replace=haplan_worker.w1";
    const { code, out, err } = await cli.haplan(
      `apply -max-write-gap=100ms three.yaml ${replaced} -auto-approve -parallelism=1`,
    );
    expect(code).toBe(5);
    expect(out).not.toContain("Writes were available all the time");
    const said = err.replaceAll(/[│\s]+/g, " ");
    expect(said).toContain("With 100 ms again, the next wait like this one stops it again: fix its cause first.");
    expect(said).toMatch(
      /haplan apply three.yaml -replace=haplan_worker.w1 -auto-approve -parallelism=1 -max-write-gap=1s/,
    );
    expect(said).not.toContain("haplan apply -max-write-gap=100ms");
  });

  it("is refused with a saved plan of a destroy", async () => {
    expect((await cli.haplan("plan -destroy three.yaml -out=end.plan")).code).toBe(0);
    const { code, err } = await cli.haplan("apply end.plan -max-write-gap=2s");
    expect([code, err]).toEqual([1, expect.stringContaining("-destroy and -max-write-gap cannot be combined")]);
  });
});
