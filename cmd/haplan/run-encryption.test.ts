/** State that is encrypted: without its passphrase, what cannot go on says so at once. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

describe("a spec with state.encryption", () => {
  let cli: CliFixture;
  beforeEach(() => {
    cli = createCliFixture();
    const spec = join(cli.cwd, "three.yaml");
    const text = readFileSync(spec, "utf8");
    writeFileSync(spec, text.replace(/^spec:$/m, "$&\n  state:\n    encryption: { passphraseEnv: HAPLAN_PASSPHRASE }"));
  });
  afterEach(() => cli.remove());

  const missing = "The passphrase for the state is missing: HAPLAN_PASSPHRASE is not set";

  it.each([
    ["it is missing", undefined, missing],
    ["it is too short", "short", "The passphrase in HAPLAN_PASSPHRASE is too short"],
  ])("plans with a warning before the first apply, where %s", async (_, passphrase, summary) => {
    if (passphrase !== undefined) cli.environment["HAPLAN_PASSPHRASE"] = passphrase;
    const { code, out, err } = await cli.haplan("plan three.yaml");
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining("Plan: 26 to add") });
    expect(err).toContain(`Warning: ${summary}`);
    expect(err.replaceAll(/\n│ /g, " ")).toContain("plan -out and apply refuse without it.");
  });

  it.each(["plan three.yaml -out=a.plan", "apply three.yaml -auto-approve", "apply three.yaml"])(
    "refuses %s before it plans, and before it asks",
    async (line) => {
      const { code, out, err } = await cli.haplan(line, []);
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toContain(`Error: ${missing}`);
    },
  );

  it("says nothing of it where nothing is to be written, or with the passphrase", async () => {
    expect((await cli.haplan("plan -destroy three.yaml")).err).not.toContain("HAPLAN_PASSPHRASE");
    cli.environment["HAPLAN_PASSPHRASE"] = "several random words";
    expect((await cli.haplan("plan three.yaml")).err).not.toContain("HAPLAN_PASSPHRASE");
    expect(await cli.haplan("apply three.yaml -auto-approve")).toMatchObject({ code: 0 });
  });
});
