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

  it("is refused with a saved plan of a destroy", async () => {
    expect((await cli.haplan("plan -destroy three.yaml -out=end.plan")).code).toBe(0);
    const { code, err } = await cli.haplan("apply end.plan -max-write-gap=2s");
    expect([code, err]).toEqual([1, expect.stringContaining("-destroy and -max-write-gap cannot be combined")]);
  });
});
