/** Runs `haplan rehearse -json` in the directory of a fixture, and compares everything in it before and after. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { productionDependencies } from "../../cmd/haplan/dependencies.ts";
import { runHaplan } from "../../cmd/haplan/run-haplan.ts";
import { createScriptedTerminal } from "../../cmd/haplan/terminal.fake.ts";
import { systemClock } from "../../src/base/clock.ts";
import { unstoppable } from "../support/command-line.ts";

export type RehearsedTrial = {
  readonly step: string | null;
  readonly fault: { readonly kind: string; readonly member: string | null } | null;
  readonly outcome: "held" | "failed" | "absent";
  readonly quorum: "held" | "no_spare" | "lost";
  readonly problems: readonly string[];
  readonly writes: { readonly acknowledged: number; readonly lost: readonly string[] };
  readonly longest_gap_ms: number;
  readonly converged: boolean;
  readonly resumes: number;
};
export type RehearsalDocument = {
  readonly outcome: "held" | "failed" | "untried";
  readonly held: boolean;
  readonly steps: readonly { readonly title: string; readonly can_lose: number | null }[];
  readonly trials: readonly RehearsedTrial[];
  readonly left_out: readonly { readonly reason: string; readonly trials: readonly unknown[] }[];
  readonly not_covered: readonly string[];
};

export type RehearsalRun = {
  readonly code: number;
  readonly report: RehearsalDocument;
  readonly errors: string;
};

/** `program` replaces the haplan that applies in the copies. */
export async function rehearse(
  directory: string,
  words: readonly string[],
  program: string | null = null,
): Promise<RehearsalRun> {
  const terminal = createScriptedTerminal(null);
  const code = await runHaplan(["rehearse", "-json", ...words], {
    cwd: directory,
    terminal,
    clock: systemClock,
    loadDependencies: async () => ({ ...productionDependencies, rehearsedProgram: program }),
    environment: process.env,
    version: "0.0.0-test",
    stop: unstoppable(),
  });
  const text = terminal.output();
  return { code, report: JSON.parse(text) as RehearsalDocument, errors: terminal.errors() };
}

/** Each file with its content, mode and time of change; not what units write all the time: data, logs, status. */
export function fileTree(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !/\/data\/|\/old-\d|\.log$|\/status\.json$/.test(path))
    .map((path) => {
      const { mode, mtimeMs } = statSync(path);
      return `${path} ${mode} ${mtimeMs} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`;
    })
    .sort();
}
