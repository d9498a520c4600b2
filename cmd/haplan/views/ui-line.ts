/**
 * One line of the JSON stream, in the format of Terraform's machine-readable UI (ui 1.2), and the lines that any
 * command may print.
 */
import type { Diagnostic } from "../../../src/base/diagnostic.ts";
import { diagnosticToJson } from "./diagnostics-view.ts";

export type UiLine = { readonly type: string; readonly message: string; readonly level?: "info" | "warn" | "error" } & {
  readonly [key: string]: unknown;
};

/** One line of the stream. `now` is the wall time in milliseconds. */
export function renderUiLine(line: UiLine, now: number): string {
  const { level = "info", message, ...rest } = line;
  return JSON.stringify({
    "@level": level,
    "@message": message,
    "@module": "haplan.ui",
    "@timestamp": new Date(now).toISOString(),
    ...rest,
  });
}

export function versionLine(version: string): UiLine {
  return { type: "version", message: `haplan ${version}`, haplan: version, ui: "1.2" };
}

export function diagnosticLine(diagnostic: Diagnostic): UiLine {
  const error = diagnostic.severity === "error";
  const message = `${error ? "Error" : "Warning"}: ${diagnostic.summary}`;
  return { type: "diagnostic", level: error ? "error" : "warn", message, diagnostic: diagnosticToJson(diagnostic) };
}
