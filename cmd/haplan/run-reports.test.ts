/** Outputs for other programs: fmt's exit code, event files, annotations, Markdown, completion. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(() => {
  cli = createCliFixture();
});
afterEach(() => cli.remove());

const haplan = (line: string): Promise<CliRun> => cli.haplan(line);
const file = (name: string): string => join(cli.cwd, name);
type Line = { readonly type: string; readonly "@message": string };
const events = (name: string): readonly Line[] =>
  readFileSync(file(name), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

describe("fmt", () => {
  it("exits with 3 for an unformatted file, formats it, and then has nothing to do", async () => {
    expect(await haplan("fmt -check three.yaml")).toMatchObject({ code: 0, out: "" });
    const tidy = readFileSync(file("three.yaml"), "utf8");
    writeFileSync(file("three.yaml"), tidy.replace(/^( *\w+): (?=\w)/gm, "$1:   "), { mode: 0o640 });
    expect(await haplan("fmt -check three.yaml")).toMatchObject({ code: 3, out: "three.yaml" });
    const mode = statSync(file("three.yaml")).mode;
    expect(await haplan("fmt three.yaml")).toMatchObject({ code: 0, out: "three.yaml" });
    expect(readFileSync(file("three.yaml"), "utf8")).toBe(tidy);
    expect(statSync(file("three.yaml")).mode).toBe(mode);
  });

  it("12, T low: keeps merge keys and x- keys, and takes a byte order mark away", async () => {
    writeFileSync(join(cli.cwd, "marked.yaml"), "\uFEFFx-a: &a { b: 1 }\nc: { <<: *a }\n");
    expect(await haplan("fmt -check marked.yaml")).toMatchObject({ code: 3 });
    expect(await haplan("fmt marked.yaml")).toMatchObject({ code: 0, out: "marked.yaml" });
    expect(readFileSync(join(cli.cwd, "marked.yaml"), "utf8")).toBe("x-a: &a { b: 1 }\nc: { <<: *a }\n");
    expect(await haplan("fmt -check marked.yaml")).toMatchObject({ code: 0 });
  });

  it("refuses a file that is not YAML and leaves it unchanged", async () => {
    writeFileSync(file("bad.yaml"), "a: [");
    expect(await haplan("fmt bad.yaml")).toMatchObject({ code: 1, err: expect.stringContaining("bad.yaml:1") });
    expect(readFileSync(file("bad.yaml"), "utf8")).toBe("a: [");
  });
});

describe("-json-into", () => {
  it("R1: a full disk ends the event file, and not the change", async () => {
    const { code, err, out } = await haplan("apply three.yaml -auto-approve -json-into=/dev/full");
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining("Apply complete!") });
    expect(err.match(/Cannot write \/dev\/full, given with -json-into: ENOSPC/g)).toHaveLength(1);
  });

  it("writes the stream beside the text, from the version to the summary", async () => {
    const { out, code } = await haplan("apply three.yaml -auto-approve -json-into=events.jsonl");
    expect(code).toBe(0);
    expect(out).toContain("Apply complete!");
    const types = events("events.jsonl").map(({ type }) => type);
    expect(types[0]).toBe("version");
    expect(types).toContain("planned_change");
    expect(types).toContain("step_complete");
    expect(types.slice(-2)).toEqual(["change_summary", "outputs"]);
    expect(statSync(file("events.jsonl")).mode & 0o777).toBe(0o600);
  });

  it("writes planned changes and errors", async () => {
    await haplan("plan three.yaml -json-into events.jsonl");
    expect(events("events.jsonl").at(-1)).toMatchObject({ type: "change_summary", changes: { operation: "plan" } });
    await haplan("plan none.yaml -json-into events.jsonl");
    expect(events("events.jsonl")).toMatchObject([{ type: "version" }, { type: "diagnostic", "@level": "error" }]);
  });

  it("reports an unwritable file before anything is done", async () => {
    const { code, err } = await haplan("apply three.yaml -auto-approve -json-into=no/such/directory");
    expect(code).toBe(1);
    expect(err).toContain("given with -json-into");
    expect(cli.world.acts).toBe(0);
  });
});

describe("-annotations=github", () => {
  it("T low: annotates lines with mistakes, adds a notice with the summary of a plan, and rejects gitlab", async () => {
    const text = readFileSync(file("three.yaml"), "utf8");
    writeFileSync(file("bad.yaml"), text.replace("members: 3", "members: 4"));
    const { err } = await haplan("validate bad.yaml -annotations=github");
    expect(err).toMatch(/^::error file=bad\.yaml,line=\d+,col=\d+,endLine=\d+,endColumn=\d+,title=.*::.+$/m);
    expect(err.split("\n").find((line) => line.startsWith("::error"))).toContain("%0A");
    const planned = await haplan("plan three.yaml -annotations=github");
    expect(planned.err).toMatch(/^::notice title=haplan plan%3A demo::Plan: \d+ to add, 0 to change, 0 to destroy\.$/m);
    const other = await haplan("validate three.yaml -annotations=gitlab");
    expect(other).toMatchObject({ code: 1, err: expect.stringContaining("Write -annotations=github") });
    expect(other.err).not.toContain("::error");
    const json = await haplan("validate bad.yaml -annotations=github -json");
    expect(JSON.parse(json.out)).toMatchObject({ valid: false });
  });
});

describe("show -markdown", () => {
  it("is a comment with the most important facts first", async () => {
    await haplan("plan three.yaml -out saved.plan");
    const { out } = await haplan("show -markdown saved.plan");
    expect(out).toMatch(/^### haplan: `demo`\n\n\*\*Plan: \d+ to add, 0 to change, 0 to destroy\.\*\*/);
    expect(out).toContain("| after the step | voters | learners | quorum | can lose |");
    expect(out).toMatch(/````diff\n[\s\S]*\n\+ {3}resource "haplan_machine" "m1" \{[\s\S]*\n````/);
    await haplan("apply saved.plan");
    await haplan("plan three.yaml -destroy -out destroy.plan");
    const destroy = (await haplan("show -markdown destroy.plan")).out;
    expect(destroy).toContain("### haplan: destroy `demo`");
    expect(destroy).toContain("- `haplan_machine.m1` will be **destroyed**");
    await haplan("plan three.yaml -out nothing.plan");
    expect((await haplan("show -markdown nothing.plan")).out).toContain("**No changes.**");
  });
});

describe("completion", () => {
  /** Bash's completions for the last word of a line. */
  function bashOffers(script: string, words: readonly string[]): readonly string[] {
    const list = words.map((word) => `'${word}'`).join(" ");
    const ask = `${script}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _haplan; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, status, stderr } = spawnSync("bash", ["--norc", "-c", ask], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout.trimEnd().split("\n");
  }

  it("bash offers commands, subcommands, and flags with as many dashes as were typed", async () => {
    const { out } = await haplan("completion bash");
    expect(bashOffers(out, ["haplan", "pl"])).toEqual(["plan"]);
    expect(bashOffers(out, ["haplan", "state", "p"])).toEqual(["pull", "push"]);
    expect(bashOffers(out, ["haplan", "plan", "-det"])).toEqual(["-detailed-exitcode"]);
    expect(bashOffers(out, ["haplan", "plan", "--det"])).toEqual(["--detailed-exitcode"]);
    expect(bashOffers(out, ["haplan", "state", "mv", "--dry"])).toEqual(["--dry-run"]);
    expect(bashOffers(out, ["haplan", "apply", "--json"])).toEqual(["--json", "--json-into"]);
  });

  it("T low: bash offers addresses in the state, names of outputs, clusters and values of flags", async () => {
    const { out } = await haplan("completion bash");
    mkdirSync(file(".haplan/demo"), { recursive: true });
    // What \`haplan state list\` prints, by a function in haplan's place.
    const addresses = ["haplan_worker.w1", "haplan_worker.w2", "haplan_machine.m1"];
    const script = `${out}\ncd '${cli.cwd}'\nhaplan() { [ "$*" = "state list" ] && printf '%s\\n' ${addresses.join(" ")}; }`;
    const offered: readonly (readonly [string, readonly string[]])[] = [
      ["plan -target haplan_w", ["haplan_worker.w1", "haplan_worker.w2"]],
      ["plan -target = haplan_m", ["haplan_machine.m1"]],
      ["apply --replace = ", addresses],
      ["state show haplan_worker.w2", ["haplan_worker.w2"]],
      ["state rm haplan_worker.w1 haplan_ma", ["haplan_machine.m1"]],
      ["import haplan_worker.", ["haplan_worker.w1", "haplan_worker.w2"]],
      ["output -raw end", ["endpoint", "endpoints"]],
      ["graph -format m", ["mermaid"]],
      ["apply -input = f", ["false"]],
      ["completion f", ["fish"]],
      ["status -state-only d", ["demo"]],
      ["validate thr", ["three.yaml"]],
      ["plan -out thr", ["three.yaml"]],
    ];
    for (const [line, expected] of offered) {
      expect({ line, offered: bashOffers(script, ["haplan", ...line.split(" ")]) }).toEqual({
        line,
        offered: expected,
      });
    }
  });

  it("T low: zsh and fish query addresses at completion time", async () => {
    expect((await haplan("completion zsh")).out).toMatch(
      /target\) compadd -- \$\{\(f\)"\$\(\$words\[1\] state list 2>\/dev\/null\)"\}/,
    );
    expect((await haplan("completion fish")).out).toMatch(/-l target -x -a '\(haplan state list 2>\/dev\/null\)'/);
  });

  it("zsh and fish complete every command, and other shells are refused", async () => {
    const verbs = (await haplan("help")).out.matchAll(/^ {2}(\w[\w-]*)/gm);
    const scripts = [(await haplan("completion zsh")).out, (await haplan("completion fish")).out];
    for (const [, verb] of verbs) {
      if (verb === "help") continue;
      for (const script of scripts) expect(script).toMatch(new RegExp(`\\b${verb}\\b`));
    }
    expect((await haplan("completion tcsh")).err).toContain("Write one of bash, zsh, fish");
  });
});
