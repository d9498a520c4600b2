/** The agent's log: its level, and where it goes. */
import { openSync } from "node:fs";
import { dirname } from "node:path";
import { makeDirDurably } from "../../base/durable-file.ts";
import { errorText } from "../../base/haplan-error.ts";
import { appendWithoutBlocking } from "../../base/log-sink.ts";
import { createProgramLog, type ProgramLog } from "../../base/program-log.ts";
import { SettingsError } from "../config/read-settings.ts";

/** etcd's `panic` is the level above error that ends the process; ours is `fatal`. */
const levelOf: Readonly<Record<string, string>> = { panic: "fatal" };

/** @throws SettingsError naming an output that cannot be written */
export function createAgentLog(options: { readonly level: string; readonly outputs: readonly string[] }): ProgramLog {
  const outputs = options.outputs.length === 0 ? ["default"] : options.outputs;
  return createProgramLog(outputs.map(outputOf), { level: levelOf[options.level] ?? options.level });
}

/** Under systemd the journal receives stderr. */
const descriptors: Readonly<Record<string, number>> = { stdout: 1, stderr: 2, default: 2, "systemd/journal": 2 };

function outputOf(output: string): number {
  const descriptor = descriptors[output];
  if (descriptor !== undefined) return descriptor;
  try {
    makeDirDurably(dirname(output), 0o755);
    return openSync(output, appendWithoutBlocking);
  } catch (cause) {
    const expected = "expected stderr, stdout, systemd/journal or a file that this user may write";
    throw new SettingsError(`--log-outputs has "${output}": ${errorText(cause)}; ${expected}`, { cause });
  }
}
