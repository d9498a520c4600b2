/** Log entries as lines, each with its time and its node in front, whatever the line itself says. */
import type { LogEntry } from "../../../src/providers/log-entry.ts";
import { agentUnitName, loadBalancerUnitName, workerUnitName } from "../../../src/units/unit-definition.ts";
import type { Paint } from "../paint.ts";

/** What a terminal would act on, but for tabs. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** A machine has one of them; others are named. */
const mainUnits: ReadonlySet<string> = new Set([agentUnitName, loadBalancerUnitName, workerUnitName]);

/** Nodes get colors in their order. */
export function createLogView(nodes: readonly string[], paint: Paint): (entry: LogEntry) => string {
  const width = Math.max(0, ...nodes.map((name) => name.length));
  const colors = [paint.cyan, paint.yellow, paint.green, paint.bold, paint.red];
  return ({ machine, unit, timeMs, message }) => {
    const color = colors[Math.max(0, nodes.indexOf(machine)) % colors.length]!;
    const name = mainUnits.has(unit) ? machine : `${machine}/${unit}`;
    return `${new Date(timeMs).toISOString()} ${color(`${name.padEnd(width)} |`)} ${message.replace(controls, visible)}`;
  };
}

function visible(control: string): string {
  return `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
