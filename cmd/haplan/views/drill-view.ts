/** The report of a drill as text and JSON. */
import { type DrillFault, type DrillReport, type DrillResult, drillHeld } from "../../../src/drill/drill.ts";
import type { Paint } from "../paint.ts";
import { milliseconds } from "./apply-view.ts";
import { snakeKeys } from "./snake-keys.ts";
import { table } from "./table.ts";

export function faultTitle({ kind, member }: DrillFault): string {
  switch (kind) {
    case "leader":
      return `move the leadership to ${member} and back`;
    case "vip":
      return `move the virtual address from ${member} to another load balancer and back`;
    case "restart":
    case "pause":
      return `${kind} ${member}`;
  }
}

export function renderDrill(report: DrillReport, paint: Paint): string {
  const { results, leftOut } = report;
  const rows = results.map((result) => [
    faultTitle(result.fault),
    gapText(result),
    milliseconds(result.elapsedMs),
    result.problem ?? "held",
  ]);
  const lines = table(["Fault", "Longest gap", "Took", "Outcome"], rows, paint);
  const left = leftOut.map((fault) => `Not begun: ${faultTitle(fault)}`);
  const end = drillHeld(report)
    ? paint.green("All faults were held, and the cluster is as before.")
    : paint.red("The drill was not completed.");
  return [...lines, ...left, "", end].join("\n");
}

function gapText({ longestGapMs }: DrillResult): string {
  return longestGapMs === null ? "not measured" : milliseconds(longestGapMs);
}

export function drillToJson(report: DrillReport): object {
  return { format_version: "1.0", held: drillHeld(report), ...(snakeKeys(report) as object) };
}
