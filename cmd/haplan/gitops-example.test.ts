/** The pipelines in examples/gitops use only commands and flags that exist. */
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { formatSpec } from "../../src/spec/format-spec.ts";
import { createCliFixture } from "../../test/support/command-line.ts";
import { normalizeFlags } from "./argv.ts";

const directory = new URL("../../examples/gitops/", import.meta.url).pathname;
const read = (name: string): string => readFileSync(join(directory, name), "utf8");
const pipelines = [".github/workflows/control-plane.yml", ".gitlab-ci.yml", "atlantis.yaml"];

/** Command lines of haplan in the scripts of a pipeline, without redirections and what follows them. */
function commandsIn(text: string): readonly string[] {
  const scripts: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value === "string") scripts.push(value);
    else if (typeof value === "object" && value !== null) for (const item of Object.values(value)) walk(item);
  };
  walk(parse(text));
  return scripts
    .flatMap((script) => script.split("\n"))
    .flatMap((line) => /^\s*(?:[-\w]+\) )?haplan (.*)$/.exec(line)?.[1] ?? [])
    .map((line) => line.replace(/ (>|\|\||;;).*$/, "").trim());
}

describe("the example of a pipeline", () => {
  it("has a formatted spec, which loads, plans and applies", async () => {
    expect(formatSpec(read("cluster.yaml"))).toBe(read("cluster.yaml"));
    const cli = createCliFixture();
    try {
      cpSync(join(directory, "cluster.yaml"), join(cli.cwd, "cluster.yaml"));
      expect((await cli.haplan("plan -out=plan.bin")).err).toContain("HAPLAN_PASSPHRASE is not set");
    } finally {
      cli.remove();
    }
  });

  it.each(pipelines)("%s plans, shows and applies with existing commands", async (name) => {
    const commands = commandsIn(read(name));
    const verbs = new Set(commands.map((command) => command.split(" ")[0]));
    for (const verb of ["fmt", "plan", "show", "apply"]) expect(verbs).toContain(verb);

    const cli = createCliFixture();
    cli.environment["HAPLAN_PASSPHRASE"] = "a passphrase of some length";
    try {
      cpSync(join(directory, "cluster.yaml"), join(cli.cwd, "cluster.yaml"));
      for (const command of commands) {
        const line = command.replaceAll("$PLANFILE", "plan.bin");
        const { code, err } = await cli.haplan(line);
        const expected = normalizeFlags(line.split(" ")).includes("--detailed-exitcode") ? [0, 2] : [0];
        // The last plan of a pipeline is made after everything was applied.
        expect({ line, err, fine: expected.includes(code) }).toMatchObject({ fine: true });
      }
    } finally {
      cli.remove();
    }
  });
});
