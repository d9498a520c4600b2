/** systemd's tools, run as they are by hand. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { HaplanError } from "../../base/haplan-error.ts";

const toolTimeoutMs = 60_000;

export type UnitState = {
  /** `active`, `activating`, `failed`, ... */
  readonly active: string;
  /** `running`, `auto-restart`, ... */
  readonly sub: string;
  /** Whether systemd has yet to carry out a start or a stop that was asked for. */
  readonly hasJob: boolean;
  /** Null where it has no process. */
  readonly pid: number | null;
  /** Starts by systemd since the last one that was asked for. */
  readonly restarts: number;
  /** How the last process ended, `ended with exit code 3`; null when it has not. */
  readonly ending: string | null;
};

/** @throws HaplanError `provider/systemd` with what the tool wrote */
export async function systemctl(...given: readonly string[]): Promise<string> {
  return await runTool("systemctl", given);
}

/** @throws HaplanError as `systemctl` does */
export async function runTool(tool: string, given: readonly string[]): Promise<string> {
  const result = await execa(tool, given, { reject: false, timeout: toolTimeoutMs, stdin: "ignore" });
  if (!result.failed) return result.stdout;
  const why = result.stderr || result.shortMessage;
  throw new HaplanError("provider/systemd", `${tool} ${given.join(" ")} failed: ${why}`);
}

const shown = ["Job", "ActiveState", "SubState", "MainPID", "NRestarts", "ExecMainCode", "ExecMainStatus"];

export async function readUnitState(name: string): Promise<UnitState> {
  return parseUnitState(await systemctl("show", `--property=${shown.join(",")}`, `${name}.service`));
}

/** Drop-ins that systemd has read for the unit, from wherever it reads them, and those that it will read on the next reload. */
export async function dropInsOf(name: string, unitsDirectory = "/etc/systemd/system"): Promise<readonly string[]> {
  const read = await systemctl("show", "--value", "--property=DropInPaths", `${name}.service`);
  const directory = join(unitsDirectory, `${name}.service.d`);
  const own = existsSync(directory) ? readdirSync(directory).filter((file) => file.endsWith(".conf")) : [];
  const found = [...read.split(/\s+/).filter((path) => path !== ""), ...own.map((file) => join(directory, file))];
  return [...new Set(found)].sort();
}

/** What CLD_EXITED, CLD_KILLED and CLD_DUMPED are (waitid(2)). */
const childCodes = { exited: 1, killed: 2, dumped: 3 } as const;

export function parseUnitState(text: string): UnitState {
  const found = new Map(text.split("\n").map((line) => line.split(/=(.*)/s) as [string, string]));
  const number = (name: string): number => Number(found.get(name) ?? 0);
  const status = number("ExecMainStatus");
  const code = number("ExecMainCode");
  const endings = new Map<number, string>([
    [childCodes.exited, `ended with exit code ${status}`],
    [childCodes.killed, `was ended by signal ${status}`],
    [childCodes.dumped, `was ended by signal ${status} and dumped core`],
  ]);
  return {
    active: found.get("ActiveState") ?? "",
    sub: found.get("SubState") ?? "",
    hasJob: number("Job") !== 0,
    pid: number("MainPID") || null,
    restarts: number("NRestarts"),
    ending: endings.get(code) ?? null,
  };
}
