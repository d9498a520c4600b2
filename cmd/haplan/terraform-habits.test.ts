/** What users of Terraform type by habit, and what their scripts and pipelines set. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createCliFixture } from "./cli-fixture.ts";

const cli = createCliFixture();
const { haplan } = cli;
afterAll(() => cli.remove());
beforeEach(() => {
  cli.input = "";
  for (const name of Object.keys(cli.environment)) delete cli.environment[name];
});

const withVariable = (): string =>
  readFileSync(join(cli.cwd, "three.yaml"), "utf8").replace("address: 127.0.1.100", `address: "\${LB}"`);

describe("flags", () => {
  it.each([
    "plan three.yaml -input=false -lock=false -lock-timeout=0s -parallelism=4",
    "plan -json=false three.yaml -refresh-only=false",
    "apply three.yaml -auto-approve=true -input=false -parallelism=10",
    "apply -destroy -auto-approve three.yaml",
  ])("%s does what it says", async (line) => {
    const run = await haplan(line);
    expect(run.err).not.toContain("rror");
    expect(run.code).toBe(0);
  });

  it("apply -destroy is destroy, and refuses what destroy has not", async () => {
    const { out } = await haplan("apply -destroy three.yaml", ["no"]);
    expect(out).toContain("No changes");
    expect((await haplan("apply -destroy -replace=haplan_machine.m1 three.yaml", [])).err).toContain(
      "-destroy and -replace do not go together",
    );
  });

  it("-input=false never asks, also on a terminal", async () => {
    const { code, err, terminal } = await haplan("apply three.yaml -input=false", ["yes"]);
    expect(code).toBe(1);
    expect(err).toContain("-input=false keeps it from asking");
    expect(terminal.questions).toEqual([]);
  });

  it.each([
    ["-parallelism=0", "-parallelism=0 is not a whole number of at least 1"],
    ["-input=maybe", "-input=maybe is neither true nor false"],
    ["-chdir=nowhere", "There is no folder nowhere"],
    ["-var-file=nowhere.yaml", "Cannot read nowhere.yaml, given with -var-file"],
  ])("apply three.yaml %s is refused with what is wrong", async (flag, message) => {
    const { code, err } = await haplan(`apply three.yaml -auto-approve ${flag}`);
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining(message) });
  });

  it.each([
    ["plan", "document"],
    ["apply", "stream"],
  ])("a mistake on the line of %s with -json is told as JSON too", async (verb, form) => {
    const { code, out, err } = await haplan(`${verb} -jsno -json`);
    expect(code).toBe(1);
    expect(err).toContain("unknown option");
    const told = JSON.parse(out);
    const diagnostic = form === "stream" ? told.diagnostic : told.diagnostics[0];
    expect(diagnostic).toMatchObject({ severity: "error", summary: "unknown option '--jsno'" });
  });

  it("-chdir works in another folder, and lines to be run say so", async () => {
    mkdirSync(join(cli.cwd, "sub"), { recursive: true });
    writeFileSync(join(cli.cwd, "sub/there.yaml"), readFileSync(join(cli.cwd, "three.yaml")));
    const { code, out } = await haplan("-chdir=sub plan there.yaml");
    expect(code).toBe(0);
    expect(out).toContain("    haplan -chdir=sub apply there.yaml");
    const saved = await haplan("-chdir=sub plan there.yaml -out=saved.plan");
    expect(saved.out).toContain("    haplan -chdir=sub apply saved.plan");
    expect((await haplan("-chdir=sub show saved.plan")).code).toBe(0);
  });

  it("plan -destroy -refresh-only is refused: what it lists would not be what is destroyed", async () => {
    const { code, out, err } = await haplan("plan -destroy -refresh-only three.yaml");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("-destroy and -refresh-only do not go together");
  });
});

describe("variables", () => {
  it("come from files, YAML or JSON, later ones first and -var before all", async () => {
    writeFileSync(join(cli.cwd, "variable.yaml"), withVariable());
    writeFileSync(join(cli.cwd, "a.yaml"), "LB: 127.0.1.101\n");
    writeFileSync(join(cli.cwd, "b.json"), '{"LB": "127.0.1.102"}');
    const address = async (flags: string): Promise<string | undefined> =>
      /address += "(127\.0\.1\.10\d)"/.exec((await haplan(`plan variable.yaml ${flags}`)).out)?.[1];
    expect(await address("-var-file=a.yaml")).toBe("127.0.1.101");
    expect(await address("-var-file=a.yaml -var-file b.json")).toBe("127.0.1.102");
    expect(await address("-var LB=127.0.1.103 -var-file=a.yaml")).toBe("127.0.1.103");
    expect((await haplan("plan variable.yaml -var-file=a.yaml")).out).toContain(
      "    haplan apply -var-file=a.yaml variable.yaml",
    );
  });

  it.each([
    ["- LB\n", "Write one NAME: VALUE on a line, as YAML"],
    ["LB: [1]\n", "LB is neither a text nor a number nor true or false."],
    ["a b: 1\n", '"a b" is no name of a variable.'],
    ["a: b: c\n", "It is not YAML"],
  ])("a file %j is refused", async (text, message) => {
    writeFileSync(join(cli.cwd, "bad-variables.yaml"), text);
    const { code, err } = await haplan("plan three.yaml -var-file=bad-variables.yaml");
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining(message) });
  });
});

describe("HAPLAN_CLI_ARGS", () => {
  it("adds flags behind the verb, for every verb or for one", async () => {
    cli.environment["HAPLAN_CLI_ARGS"] = "-no-color";
    cli.environment["HAPLAN_CLI_ARGS_plan"] = "-detailed-exitcode -var 'LB=127.0.1.100'";
    writeFileSync(join(cli.cwd, "variable.yaml"), withVariable());
    expect((await haplan("plan variable.yaml")).code).toBe(2);
    expect((await haplan("validate three.yaml")).code).toBe(0);
  });

  it("is refused when a quote has no end", async () => {
    cli.environment["HAPLAN_CLI_ARGS_plan"] = "-var 'LB=1";
    expect(await haplan("plan three.yaml")).toMatchObject({
      code: 1,
      err: expect.stringContaining("A quote in HAPLAN_CLI_ARGS_plan has no end"),
    });
  });
});

describe("fmt", () => {
  it("takes standard input with -, and leaves files alone", async () => {
    cli.input = "kind:   Cluster\n";
    expect(await haplan("fmt -")).toMatchObject({ code: 0, out: "kind: Cluster" });
    expect(await haplan("fmt -check -")).toMatchObject({ code: 3, out: "" });
  });

  it("-diff shows what changes", async () => {
    writeFileSync(join(cli.cwd, "unformatted.yaml"), "kind:   Cluster\n");
    const { code, out } = await haplan("fmt -check -diff unformatted.yaml");
    expect(code).toBe(3);
    expect(out.split("\n")).toEqual([
      "unformatted.yaml",
      "--- old/unformatted.yaml",
      "+++ new/unformatted.yaml",
      "@@ -1,1 +1,1 @@",
      "-kind:   Cluster",
      "+kind: Cluster",
    ]);
  });
});
