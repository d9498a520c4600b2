/**
 * A step kind, a command kind, a method or a key of the spec without its declarations does not compile: the test adds one
 * to a copy of the sources and expects a compiler error where the declaration belongs.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const copy = mkdtempSync(join(tmpdir(), "haplan-undeclared-"));
afterAll(() => rmSync(copy, { recursive: true, force: true }));

/** Lines to add, each before an existing line. */
const additions = [
  {
    file: "src/spec/declaration/policy.ts",
    before: "    healthSamples: {",
    added: '    voteDelayMs: { type: "integer", description: "milliseconds before a vote" },',
  },
  {
    file: "src/plan/step.ts",
    before: '  | { readonly kind: "createAuthority" }',
    added: '  | { readonly kind: "pauseMember" }',
  },
  { file: "src/raft-agent/state-machine/command.ts", before: "  authEnable: 32,", added: "  keyspaceReset: 31," },
  {
    file: "src/raft-agent/services/kv-service.ts",
    before: '    writing(context, path("Put"), put),',
    added: '    unary(context, { path: path("Peek") }, (request, call) => compact(context, request, call)),',
  },
];

/** The compiler's errors by file. */
function errorsOfCopy(): ReadonlyMap<string, string> {
  cpSync(join(root, "src"), join(copy, "src"), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  writeFileSync(join(copy, "package.json"), readFileSync(join(root, "package.json")));
  const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8"));
  const files = ["src/apply/plan-walk.ts", "src/plan/planner.ts", "src/raft-agent/services/member-services.ts"];
  writeFileSync(join(copy, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  for (const { file, before, added } of additions) {
    const text = readFileSync(join(copy, file), "utf8");
    expect(text, file).toContain(before);
    writeFileSync(join(copy, file), text.replace(before, `${added}\n${before}`));
  }
  const compiler = join(root, "node_modules/.bin/tsc");
  const { stdout } = spawnSync(compiler, ["-p", copy, "--noEmit", "--pretty", "false"], {
    cwd: copy,
    encoding: "utf8",
  });
  const errors = new Map<string, string>();
  for (const line of stdout.split("\n")) {
    const [, file, text] = /^(.*)\(\d+,\d+\): error (.*)$/.exec(line) ?? [];
    if (file !== undefined) errors.set(file, `${errors.get(file) ?? ""}${text}\n`);
  }
  return errors;
}

describe("without its declarations", () => {
  let errors: ReadonlyMap<string, string>;
  beforeAll(() => {
    errors = errorsOfCopy();
  });
  it.each([
    ["a key of the spec that does not say what its absence means", "src/spec/declaration/cluster.ts", "PlainShape"],
    ["a step without its traits", "src/plan/step-traits.ts", "pauseMember"],
    ["a step whose effect on the quorum is not simulated", "src/plan/quorum-model.ts", "never"],
    ["a command without its access, effect and result", "src/raft-agent/state-machine/command-table.ts", "31"],
    ["a command that nothing applies", "src/raft-agent/state-machine/state-machine.ts", "never"],
    [
      "a method without its access level",
      "src/raft-agent/services/kv-service.ts",
      "parameter of type 'MethodDeclaration'",
    ],
  ])("%s", (_, file, text) => {
    expect(errors.get(file)).toContain(text);
  });
});
