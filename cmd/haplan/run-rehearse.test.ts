import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

describe("haplan rehearse", () => {
  let cli: CliFixture;
  beforeEach(async () => {
    cli = createCliFixture();
    await cli.haplan("apply three.yaml -auto-approve");
  });
  afterEach(() => cli.remove());

  it("says that there is nothing to rehearse without changes, and exits with 2", async () => {
    const { code, out, err } = await cli.haplan("rehearse three.yaml");
    expect({ code, out }).toEqual({ code: 2, out: "No changes. Nothing to rehearse." });
    expect(err).not.toContain("Error");
  });

  it("says so as JSON as well", async () => {
    const { code, out } = await cli.haplan("rehearse three.yaml -json");
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ outcome: "untried", held: false, steps: [], trials: [], left_out: [] });
  });
});
