/** Runs every command line that haplan prints through a shell, as it is printed. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { createLocalBackend } from "../../src/state/local-backend.ts";
import type { Lock } from "../../src/state/lock-holder.ts";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";

const awkward = "with space/it's $HOME & *.yaml";

let cli: CliFixture;
let held: Lock | null = null;
beforeEach(() => {
  cli = createCliFixture();
  mkdirSync(join(cli.cwd, "with space"));
  const text = readFileSync(join(cli.cwd, "three.yaml"), "utf8");
  // The load balancer's address comes from a variable; the rest of the example is unchanged.
  const variable = text.replace("address: 127.0.1.100", `address: "127.0.1.\${HOST}"`);
  writeFileSync(join(cli.cwd, awkward), variable);
  writeFileSync(join(cli.cwd, "var.yaml"), variable);
});
afterEach(async () => {
  await held?.release();
  held = null;
  cli.remove();
});

/** The words that a POSIX shell parses from a command line, without `haplan`. */
function shellWords(line: string): readonly string[] {
  const { stdout, status } = spawnSync("sh", ["-c", `haplan() { printf '%s\\0' "$@"; }; ${line}`], {
    encoding: "utf8",
    cwd: cli.cwd,
  });
  expect({ line, status }).toEqual({ line, status: 0 });
  return stdout.split("\0").slice(0, -1);
}

/** Command lines are on lines of their own, indented by four. */
function printedLines({ out, err }: CliRun): readonly string[] {
  return `${out}\n${err}`.split("\n").flatMap((line) => /^(?:│ )? {4}(haplan .*)$/.exec(line)?.[1] ?? []);
}

async function done(...words: readonly string[]): Promise<void> {
  const run = await cli.haplan(words);
  expect({ words, code: run.code, err: run.code === 0 ? "" : run.err }).toEqual({ words, code: 0, err: "" });
}

/** Runs the command that fails at `act`, and returns the command lines that it prints. */
async function failingAt(act: string, words: readonly string[]): Promise<readonly string[]> {
  cli.world.failing = (name) => (name.startsWith(act) ? "it broke" : null);
  const run = await cli.haplan(words);
  cli.world.failing = () => null;
  expect(run.err).toContain("Fix the cause, then resume with:");
  return printedLines(run);
}

const generation = (name: string): number | undefined => cli.world.facts.machines.get(name)?.identity.generation;

describe("T16 R5: the command that resumes", () => {
  it.each<{ readonly called: readonly string[]; readonly printed: string }>([
    {
      called: ["apply", "-auto-approve", "-var", "HOST=100", "var.yaml"],
      printed: "haplan apply -auto-approve -var HOST=100 var.yaml",
    },
    {
      called: ["-var=HOST=100", "apply", awkward, "--auto-approve", "-lock-timeout=2s"],
      printed: `haplan -var=HOST=100 apply 'with space/it'\\''s $HOME & *.yaml' --auto-approve -lock-timeout=2s`,
    },
    {
      called: ["apply", "-json-into=a record.jsonl", "-auto-approve", "three.yaml"],
      printed: "haplan apply '-json-into=a record.jsonl' -auto-approve three.yaml",
    },
    {
      called: ["apply", "-auto-approve", "-target=haplan_machine.m1", "-target", "haplan_machine.m2", "three.yaml"],
      printed: "haplan apply -auto-approve -target=haplan_machine.m1 -target haplan_machine.m2 three.yaml",
    },
  ])("of $called is that command, quoted", async ({ called, printed }) => {
    const lines = await failingAt("createMachine m2", called);
    expect(lines).toEqual([printed]);
    expect(shellWords(printed)).toEqual(called);
    await done(...shellWords(printed));
    expect(cli.world.facts.machines.has("m2")).toBe(true);
    expect(cli.world.facts.machines.has("w1")).toBe(!called.some((word) => word.startsWith("-target")));
  });

  it("of a saved plan to destroy is the plan, even if its name needs quotes", async () => {
    await done("apply", "-auto-approve", "three.yaml");
    const planned = printedLines(await cli.haplan(["plan", "-destroy", "-out=-the end.plan", "three.yaml"]));
    expect(planned).toEqual(["haplan apply './-the end.plan'"]);
    const lines = await failingAt("destroyMachine m2", shellWords(planned[0]!));
    expect(lines).toEqual(planned);
    await done(...shellWords(lines[0]!));
    expect(cli.world.facts.machines.size).toBe(0);
  });

  it("of destroy with a spec that needs a variable", async () => {
    await done("apply", "-auto-approve", "-var=HOST=100", "var.yaml");
    const lines = await failingAt("destroyMachine m2", ["destroy", "-auto-approve", "-var=HOST=100", "var.yaml"]);
    expect(lines).toEqual(["haplan destroy -auto-approve -var=HOST=100 var.yaml"]);
    await done(...shellWords(lines[0]!));
    expect(cli.world.facts.machines.size).toBe(0);
  });

  it.each([
    // Not started, half done, and done except for later steps.
    { act: "moveLeader", again: true },
    { act: "createMachine m2", again: true },
    { act: "startUnit m2", again: true },
    { act: "removeMember", again: false },
  ])("keeps -replace until the replacement is done, interrupted at $act", async ({ act, again }) => {
    await done("apply", "-auto-approve", "three.yaml");
    cli.world.facts.leader = cli.world.facts.members.find(({ name }) => name === "m2")!.id;
    const lines = await failingAt(act, ["apply", "-auto-approve", "-replace=haplan_machine.m2", "three.yaml"]);
    expect(lines).toEqual([`haplan apply -auto-approve${again ? " -replace=haplan_machine.m2" : ""} three.yaml`]);
    await done(...shellWords(lines[0]!));
    expect(generation("m2")).toBe(2);
    expect(cli.world.voters()).toHaveLength(3);
    expect(cli.world.facts.members).toHaveLength(3);
  });
});

describe("T16 R5: a command that plan prints", () => {
  it.each<readonly [string, readonly string[], string]>([
    ["a spec alone", ["three.yaml"], "haplan apply three.yaml"],
    ["what chose the variables", ["-var", "HOST=100", "var.yaml"], "haplan apply -var=HOST=100 var.yaml"],
    [
      "what narrows it",
      ["-target=haplan_machine.m1", "three.yaml"],
      "haplan apply -target=haplan_machine.m1 three.yaml",
    ],
    [
      "a path that needs quotes",
      ["-var=HOST=100", awkward],
      `haplan apply -var=HOST=100 'with space/it'\\''s $HOME & *.yaml'`,
    ],
  ])("has %s", async (_, words, printed) => {
    const lines = printedLines(await cli.haplan(["plan", ...words]));
    expect(lines).toEqual([printed]);
    await done(...shellWords(lines[0]!), "-auto-approve");
  });

  it("destroys what was planned", async () => {
    await done("apply", "-auto-approve", "three.yaml");
    const planned = await cli.haplan("plan -destroy -target=haplan_worker.w1 three.yaml");
    expect(printedLines(planned)).toEqual(["haplan destroy -target=haplan_worker.w1 three.yaml"]);
    await done(...shellWords(printedLines(planned)[0]!), "-auto-approve");
    expect([...cli.world.facts.machines.keys()]).toEqual(expect.arrayContaining(["m1", "m2", "m3"]));
  });
});

describe("T16 R5: a command that an error suggests", () => {
  const applied = (): Promise<void> => done("apply", "-auto-approve", "-var=HOST=100", "var.yaml");
  const damageState = (): void => writeFileSync(join(cli.cwd, ".haplan/demo/state.json"), "{");
  const takeLock = async (): Promise<void> => {
    const backend = createLocalBackend({ directory: join(cli.cwd, ".haplan/demo"), clock: systemClock });
    held = await backend.acquireLock({ operation: "apply", timeoutMs: 0 });
  };
  const lose = (): void => rmSync(join(cli.cwd, ".haplan/demo/state.json"));
  const named = ["-var=HOST=100", "-spec=var.yaml"];

  it.each<{
    readonly title: string;
    readonly arrange: readonly (() => void | Promise<void>)[];
    readonly called: readonly string[];
    readonly printed: readonly RegExp[];
    /** Appended to the last command, which asks before it changes anything. */
    readonly more?: readonly string[];
    readonly code?: number;
  }>([
    {
      title: "who holds the lock",
      arrange: [applied, takeLock],
      called: ["apply", "-auto-approve", "-var=HOST=100", "var.yaml"],
      printed: [/^haplan force-unlock -var=HOST=100 -spec=var.yaml [-0-9a-f]+$/],
      more: ["-force"],
    },
    {
      title: "no terminal to ask about an apply",
      arrange: [],
      called: ["apply", "-var=HOST=100", "var.yaml", "-target", "haplan_machine.w1"],
      printed: [/^haplan apply -var=HOST=100 var.yaml -target haplan_machine.w1 -auto-approve$/],
    },
    {
      title: "no terminal to ask about the lock",
      arrange: [applied, takeLock],
      called: ["force-unlock", ...named, "an-id"],
      printed: [/^haplan force-unlock -var=HOST=100 -spec=var.yaml an-id -force$/],
      code: 1,
    },
    {
      title: "a damaged state",
      arrange: [applied, applied, damageState],
      called: ["plan", "-var=HOST=100", "var.yaml"],
      printed: [/^haplan state push -var=HOST=100 -spec=var.yaml -force \/.*\/state\.json\.backup$/],
    },
    {
      title: "a damaged journal",
      arrange: [applied, () => writeFileSync(join(cli.cwd, ".haplan/demo/journal.jsonl"), "no line\nof it\n")],
      called: ["apply", "-auto-approve", "-var=HOST=100", "var.yaml"],
      printed: [/^haplan status -var=HOST=100 var.yaml$/],
    },
    {
      title: "an address that is taken",
      arrange: [applied],
      called: ["state", "mv", ...named, "haplan_worker.w1", "haplan_worker.w2"],
      printed: [/^haplan state rm -var=HOST=100 -spec=var.yaml haplan_worker.w2$/],
    },
    {
      title: "an address that is not there",
      arrange: [applied],
      called: ["state", "show", ...named, "haplan_worker.w9"],
      printed: [/^haplan state list -var=HOST=100 -spec=var.yaml$/],
    },
    {
      title: "no state",
      arrange: [],
      called: ["state", "list", ...named],
      printed: [/^haplan apply -var=HOST=100 var.yaml$/],
      more: ["-auto-approve"],
    },
    {
      title: "a cluster that runs without its directory",
      arrange: [() => void (cli.world.orphans = [{ machine: "m1", unit: "agent", pid: 811 }])],
      called: ["apply", "-auto-approve", "-var=HOST=100", "var.yaml"],
      printed: [/^haplan destroy -var=HOST=100 var.yaml$/],
      more: ["-auto-approve"],
    },
    {
      title: "no outputs",
      arrange: [],
      called: ["output", "-var=HOST=100", "var.yaml"],
      printed: [/^haplan apply -var=HOST=100 var.yaml$/],
      more: ["-auto-approve"],
    },
    {
      title: "no cluster",
      arrange: [],
      called: ["status", "-var=HOST=100", "var.yaml"],
      printed: [/^haplan apply -var=HOST=100 var.yaml$/],
      more: ["-auto-approve"],
    },
    {
      title: "what is managed already",
      arrange: [applied],
      called: ["import", ...named, "haplan_worker.w1"],
      printed: [/^haplan state rm -var=HOST=100 -spec=var.yaml haplan_worker.w1$/],
    },
    {
      title: "an import without a state",
      arrange: [applied, lose],
      called: ["import", ...named, "haplan_worker.w1"],
      printed: [
        /^haplan import -var=HOST=100 -spec=var.yaml haplan_raft_member.m1$/,
        /^haplan apply -var=HOST=100 -refresh-only var.yaml$/,
      ],
      more: ["-auto-approve"],
    },
    {
      title: "nothing to import",
      arrange: [
        applied,
        () => done("state", "rm", ...named, "haplan_worker.w1"),
        () => void cli.world.facts.machines.delete("w1"),
      ],
      called: ["import", ...named, "haplan_worker.w1"],
      printed: [/^haplan plan -var=HOST=100 var.yaml$/],
    },
    {
      title: "an import that went well",
      arrange: [applied, () => done("state", "rm", ...named, "haplan_worker.w1")],
      called: ["import", ...named, "haplan_worker.w1"],
      printed: [/^haplan plan -var=HOST=100 var.yaml$/],
    },
    {
      title: "flags that cannot change a saved plan",
      arrange: [applied, () => done("plan", "-var=HOST=100", "-out=saved plan", "var.yaml")],
      called: ["apply", "-target=haplan_machine.w1", "saved plan", "-var=HOST=100"],
      printed: [/^haplan plan -var=HOST=100 -target=haplan_machine.w1 '-out=saved plan' var.yaml$/],
    },
  ])("about $title works as printed", async ({ arrange, called, printed, more = [], code = 0 }) => {
    for (const step of arrange) await step();
    const lines = printedLines(await cli.haplan(called));
    expect(lines).toHaveLength(printed.length);
    for (const [index, line] of lines.entries()) {
      expect(line).toMatch(printed[index]!);
      const run = await cli.haplan([...shellWords(line), ...(index === lines.length - 1 ? more : [])]);
      expect({ line, code: run.code, err: run.code === code ? "" : run.err }).toEqual({ line, code, err: "" });
    }
  });

  it("finds the spec of the newest plan again, although another one was planned meanwhile", async () => {
    await applied();
    renameSync(join(cli.cwd, "three.yaml"), join(cli.cwd, "demo.yaml"));
    writeFileSync(
      join(cli.cwd, "demo.yaml"),
      readFileSync(join(cli.cwd, "demo.yaml"), "utf8").replace("name: demo", "name: other"),
    );
    const [line] = printedLines(await cli.haplan(["state", "show", "-var=HOST=100", "haplan_worker.w9"]));
    await done("plan", "demo.yaml");
    expect(line).toBe("haplan state list -var=HOST=100 -spec=var.yaml");
    await done(...shellWords(line!));
  });
});

describe("T16 R5: documentation", () => {
  const root = new URL("../../", import.meta.url).pathname;
  const pages = [
    "README.md",
    ...readdirSync(join(root, "docs")).flatMap((name) => (name.endsWith(".md") ? `docs/${name}` : [])),
  ];

  it.each(pages)("%s shows only commands that haplan accepts", async (page) => {
    const text = readFileSync(join(root, page), "utf8");
    const blocks = [...text.matchAll(/^ *```\w*\n(.*?)^ *```/gms)].map(([, block]) => block!).join("\n");
    // Whole shell lines, with or without a prompt, `npx` and a comment; `$(haplan ...)` inside one.
    const shown = [
      ...blocks.matchAll(/^ *(?:\$ )?(?:npx )?haplan ([a-z-]+(?: [^#\n|[]*)?)(?:#.*)?$/gm),
      ...blocks.matchAll(/\$\((?:npx )?haplan ([^)]*)\)/g),
    ].map(([, line]) => line!.trim());
    cpSync(join(root, "examples"), join(cli.cwd, "examples"), { recursive: true });
    for (const line of shown) {
      const { err } = await cli.haplan(line.split(/\s+/));
      expect({ line, err }).toEqual({
        line,
        err: expect.not.stringMatching(/unknown (option|command)|too many arguments|missing/),
      });
    }
  });
});

describe("the commands after init and logs", () => {
  it("work on the spec that was written, whatever its name, and on the one whose logs are missing", async () => {
    const file = "it's $new & *.yaml";
    const [plan = ""] = printedLines(await cli.haplan(["init", file]));
    expect(plan).toBe("haplan plan 'it'\\''s $new & *.yaml'");
    await done(...shellWords(plan));
    const [apply = ""] = printedLines(await cli.haplan(["logs", `-spec=${file}`]));
    await done(...shellWords(apply), "-auto-approve");
    await done("logs", `-spec=${file}`);
  });
});
