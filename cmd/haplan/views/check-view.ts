/** What the checks of hosts found out: a table of hosts, and the same as events. */
import { writePercentileMs } from "../../../src/providers/host-checks.ts";
import type { CheckedHost, CheckReport } from "../../../src/providers/provider.ts";
import type { Paint } from "../paint.ts";
import { snakeKeys } from "./snake-keys.ts";
import { table } from "./table.ts";
import type { UiLine } from "./ui-line.ts";

const head = ["HOST", "MACHINES", "OS", "ARCH", "SYSTEMD", "MEMORY", "FREE", "WRITE P99", "CLOCK"];

export function renderCheckedHosts(hosts: readonly CheckedHost[], paint: Paint): string {
  const rows = hosts.map(({ host, machines, facts, clockOffsetMs }) => [
    host,
    machines.join(", "),
    facts.os ?? facts.system,
    facts.architecture,
    facts.isSystemdRunning ? String(facts.systemdVersion ?? "") : "-",
    size(facts.memoryBytes),
    size(facts.dataDisk?.freeBytes ?? null),
    milliseconds(writePercentileMs(facts.writeMs)),
    clockOffsetMs === null ? "-" : `${clockOffsetMs < 0 ? "-" : "+"}${(Math.abs(clockOffsetMs) / 1000).toFixed(2)} s`,
  ]);
  return table(head, rows, paint).join("\n");
}

export function checkSentence({ hosts, diagnostics, besides = [] }: CheckReport): string {
  const warnings = diagnostics.filter(({ severity }) => severity === "warning").length;
  const count = hosts.length === 1 ? "1 host passed" : `${hosts.length} hosts passed`;
  const rest = warnings === 0 ? "" : `, with ${warnings} ${warnings === 1 ? "warning" : "warnings"}`;
  const also =
    besides.length === 0 ? "" : ` Checked ${hosts.length === 0 ? "were" : "were also"}: ${besides.join(", ")}.`;
  const passed =
    hosts.length === 0 && besides.length > 0 ? `There is no host to check yet${rest}.` : `${count} all checks${rest}.`;
  return `${passed}${also} Nothing was changed.`;
}

/** One event for each host, and a summary. Diagnostics are events of their own. */
export function checkLines({ hosts, diagnostics }: CheckReport): readonly UiLine[] {
  const count = (severity: string): number => diagnostics.filter((each) => each.severity === severity).length;
  const [errors, warnings] = [count("error"), count("warning")];
  return [
    ...hosts.map(({ facts, ...host }): UiLine => {
      const { writeMs, ...rest } = facts;
      const found = { ...host, facts: { ...rest, writePercentileMs: writePercentileMs(writeMs) } };
      return { type: "host_facts", message: `${host.host}: facts gathered`, host: snakeKeys(found) };
    }),
    {
      type: "check_summary",
      message: `Checked ${hosts.length} hosts: ${errors} errors, ${warnings} warnings`,
      check: { hosts: hosts.length, errors, warnings },
    },
  ];
}

function size(bytes: number | null): string {
  if (bytes === null) return "-";
  const gibibytes = bytes / 2 ** 30;
  return gibibytes >= 10 ? `${gibibytes.toFixed(0)} GiB` : `${gibibytes.toFixed(1)} GiB`;
}

function milliseconds(value: number | null): string {
  return value === null ? "-" : `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}
