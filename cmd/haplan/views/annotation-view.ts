/** Diagnostics as workflow commands of GitHub Actions, which shows them beside their line. */
import type { Diagnostic } from "../../../src/base/diagnostic.ts";

export type Annotated = Pick<Diagnostic, "summary" | "detail" | "range" | "address"> & {
  readonly severity: Diagnostic["severity"] | "notice";
};

/** One line: `::error file=cluster.yaml,line=3,col=5,title=...::...`. */
export function githubAnnotation({ severity, summary, detail, range, address }: Annotated): string {
  const place =
    range === undefined
      ? []
      : [
          ["file", range.filename],
          ["line", range.start.line],
          ["col", range.start.column],
          ["endLine", range.end.line],
          ["endColumn", range.end.column],
        ];
  const properties = [...place, ["title", summary]].map(([name, value]) => `${name}=${escapeProperty(String(value))}`);
  const text = [address === undefined || range !== undefined ? "" : `with ${address}`, detail ?? ""]
    .filter((part) => part !== "")
    .join("\n");
  return `::${severity} ${properties.join(",")}::${escapeData(text === "" ? summary : text)}`;
}

function escapeData(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
