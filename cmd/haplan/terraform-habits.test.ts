/** Flags that users of Terraform type by habit, and that their scripts and pipelines set. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createCliFixture } from "../../test/support/command-line.ts";

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
  ])("T low: %s does what it says", async (line) => {
    const run = await haplan(line);
    expect(run.err).not.toContain("rror");
    expect(run.code).toBe(0);
  });

  it("apply -destroy is destroy, and rejects flags that destroy does not have", async () => {
    const { out } = await haplan("apply -destroy three.yaml", ["no"]);
    expect(out).toContain("No changes");
    expect((await haplan("apply -destroy -replace=haplan_machine.m1 three.yaml", [])).err).toContain(
      "-destroy and -replace cannot be combined",
    );
  });

  it("-input=false never asks, even on a terminal", async () => {
    const { code, err, terminal } = await haplan("apply three.yaml -input=false", ["yes"]);
    expect(code).toBe(1);
    expect(err).toContain("-input=false prevents that");
    expect(terminal.questions).toEqual([]);
  });

  it.each([
    ["-parallelism=0", "-parallelism=0 is not a whole number of at least 1"],
    ["-input=maybe", "-input=maybe is neither true nor false"],
    ["-chdir=nowhere", "There is no directory nowhere"],
    ["-var-file=nowhere.yaml", "Cannot read nowhere.yaml, given with -var-file"],
  ])("apply three.yaml %s is refused with the reason", async (flag, message) => {
    const { code, err } = await haplan(`apply three.yaml -auto-approve ${flag}`);
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining(message) });
  });

  it.each([
    ["validate", "document"],
    ["plan", "stream"],
    ["apply", "stream"],
  ])("T low: a command-line mistake with -json is printed as JSON too", async (verb, form) => {
    const { code, out, err } = await haplan(`${verb} -jsno -json`);
    expect(code).toBe(1);
    expect(err).toContain("unknown option");
    const told = JSON.parse(out);
    const diagnostic = form === "stream" ? told.diagnostic : told.diagnostics[0];
    expect(diagnostic).toMatchObject({ severity: "error", summary: "unknown option '--jsno'" });
  });

  it("BR5, T low: -chdir runs in another directory, and printed commands contain it", async () => {
    mkdirSync(join(cli.cwd, "sub"), { recursive: true });
    writeFileSync(join(cli.cwd, "sub/there.yaml"), readFileSync(join(cli.cwd, "three.yaml")));
    const { code, out } = await haplan("-chdir=sub plan there.yaml");
    expect(code).toBe(0);
    expect(out).toContain("    haplan -chdir=sub apply there.yaml");
    const saved = await haplan("-chdir=sub plan there.yaml -out=saved.plan");
    expect(saved.out).toContain("    haplan -chdir=sub apply saved.plan");
    expect((await haplan("-chdir=sub show saved.plan")).code).toBe(0);
  });

  it("BR6: plan -destroy -refresh-only is refused: it would not list what is destroyed", async () => {
    const { code, out, err } = await haplan("plan -destroy -refresh-only three.yaml");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("-destroy and -refresh-only cannot be combined");
  });
});

describe("variables", () => {
  it("T low: come from files, YAML or JSON, later ones first and -var before all", async () => {
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
    ["- LB\n", "Write one NAME: VALUE per line, as YAML"],
    ["LB: [1]\n", "LB is neither a string nor a number nor true or false."],
    ["a b: 1\n", '"a b" is not a valid variable name.'],
    ["a: b: c\n", "It is not YAML"],
  ])("a file %j is refused", async (text, message) => {
    writeFileSync(join(cli.cwd, "bad-variables.yaml"), text);
    const { code, err } = await haplan("plan three.yaml -var-file=bad-variables.yaml");
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining(message) });
  });
});

describe("HAPLAN_CLI_ARGS", () => {
  it("T low: adds flags behind the command, for every command or for one", async () => {
    cli.environment["HAPLAN_CLI_ARGS"] = "-no-color";
    cli.environment["HAPLAN_CLI_ARGS_plan"] = "-detailed-exitcode -var 'LB=127.0.1.100'";
    writeFileSync(join(cli.cwd, "variable.yaml"), withVariable());
    expect((await haplan("plan variable.yaml")).code).toBe(2);
    expect((await haplan("validate three.yaml")).code).toBe(0);
  });

  it.each([
    ["HAPLAN_CLI_ARGS", "-out=p", "validate three.yaml", "unknown option '--out=p'"],
    ["HAPLAN_CLI_ARGS_plan", "-jsno", "plan three.yaml", "unknown option '--jsno'"],
    ["HAPLAN_CLI_ARGS_plan", "-replace", "plan", "option '--replace <address>' argument missing"],
  ])("BR7: an error in %s=%s names the variable", async (variable, value, line, message) => {
    cli.environment[variable] = value;
    const { code, err } = await haplan(line);
    expect(code).toBe(1);
    expect(err).toContain(message);
    expect(err).toContain(`It comes from the environment variable ${variable}.`);
  });

  it("BR7: with -json it is part of what is printed", async () => {
    cli.environment["HAPLAN_CLI_ARGS"] = "-out=p";
    const { out } = await haplan("validate three.yaml -json");
    expect(JSON.parse(out).diagnostics[0].detail).toContain("the environment variable HAPLAN_CLI_ARGS.");
  });

  it("BR7: an error in a typed flag names no variable", async () => {
    cli.environment["HAPLAN_CLI_ARGS_plan"] = "-jsno";
    expect((await haplan("plan -jsno three.yaml")).err).not.toContain("environment variable");
  });

  it("BR7: flags are inserted behind the command, and not behind a directory of that name", async () => {
    mkdirSync(join(cli.cwd, "plan"), { recursive: true });
    writeFileSync(join(cli.cwd, "plan/there.yaml"), readFileSync(join(cli.cwd, "three.yaml")));
    cli.environment["HAPLAN_CLI_ARGS"] = "-json";
    const { code, out } = await haplan("-chdir plan validate there.yaml");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ valid: true });
  });

  it("is refused if a quote is not closed", async () => {
    cli.environment["HAPLAN_CLI_ARGS_plan"] = "-var 'LB=1";
    expect(await haplan("plan three.yaml")).toMatchObject({
      code: 1,
      err: expect.stringContaining("A quote in HAPLAN_CLI_ARGS_plan is not closed"),
    });
  });
});

describe("T low: - is standard input in place of a spec", () => {
  const spec = (): string => readFileSync(join(cli.cwd, "three.yaml"), "utf8");

  it.each([
    "validate -",
    "plan -",
    "graph -",
    "status -",
    "show -spec=-",
    "apply -auto-approve -",
    "state list -spec=-",
  ])("%s", async (line) => {
    cli.input = spec();
    const { err } = await haplan(line);
    expect(err).toContain("Spec: standard input");
    expect(err).not.toContain("Error");
  });

  it("reports the position of a mistake in it", async () => {
    cli.input = spec().replace("members: 3", "members: 4");
    expect((await haplan("validate -")).err).toContain("on standard input:18:14");
  });

  it.each([
    ["apply -", "standard input holds the spec"],
    ["destroy -", "standard input holds the spec"],
    ["force-unlock abc -spec=-", "standard input holds the spec"],
  ])("%s is refused if it would have to ask", async (line, message) => {
    cli.input = spec();
    const { code, err, terminal } = await haplan(line, ["yes"]);
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining(message) });
    expect(terminal.questions).toEqual([]);
  });

  it("a plan of it can be saved, shown from standard input and applied", async () => {
    cli.input = spec().replace("name: demo", "name: piped");
    expect((await haplan("plan -")).out).toContain("save the plan with -out=FILE, and apply FILE.");
    const saved = await haplan("plan - -out=piped.plan");
    expect(saved.out).toContain("    haplan apply piped.plan");
    cli.input = readFileSync(join(cli.cwd, "piped.plan"), "utf8");
    expect((await haplan("show -")).out).toContain("haplan_raft_member.m1");
    expect((await haplan("apply piped.plan")).code).toBe(0);
  });
});

describe("validate", () => {
  const risky = (): string => readFileSync(join(cli.cwd, "three.yaml"), "utf8").replace("zone: b", "zone: a");

  it("T low: shows the warnings of the spec that plan shows, with their position", async () => {
    const fresh = createCliFixture();
    fresh.input = risky().replace("enabled: true", "enabled: false");
    const validated = await fresh.haplan("validate -");
    const planned = await fresh.haplan("plan -");
    const asJson = await fresh.haplan("validate - -json");
    fresh.remove();
    for (const warning of ["The loss of zone a loses the quorum", "The control plane has no TLS"]) {
      expect(validated.err).toContain(warning);
      expect(planned.err).toContain(warning);
    }
    expect(validated.code).toBe(0);
    expect(validated.err).toContain("on standard input:26:15, in spec.controlPlane.masters[0].zone");
    expect(JSON.parse(asJson.out)).toMatchObject({ valid: true, warning_count: 2 });
  });

  it("T low: a spec that is not YAML is one error, even if variables are given", async () => {
    cli.input = risky().replace("  provider:", "   provider:");
    const { err } = await haplan("validate - -var CP=1");
    expect(err.match(/Error:/g)).toHaveLength(1);
    expect(err).toContain("Indent it by 2 spaces, like line 17.");
  });
});

describe("fmt", () => {
  it("formats standard input with -, and changes no files", async () => {
    cli.input = "kind:   Cluster\n";
    expect(await haplan("fmt -")).toMatchObject({ code: 0, out: "kind: Cluster" });
    expect(await haplan("fmt -check -")).toMatchObject({ code: 3, out: "" });
  });

  it("T low: -diff prints the changes", async () => {
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

it("apply reports a missing file before a missing approval", async () => {
  const { code, err } = await haplan("apply nosuch");
  expect(code).toBe(1);
  expect(err).toContain("There is no file nosuch");
  expect(err).not.toContain("auto-approve");
});
