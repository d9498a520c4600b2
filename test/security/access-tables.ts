/** Reads the tables of docs/security.md with the permissions of each caller. */
import { readFileSync } from "node:fs";
import type { Holder } from "./guarded-member.ts";

/** The callers of the columns, and the certificates that they present. */
export const columns: readonly (readonly [title: string, holder: Holder])[] = [
  ["no certificate", "none"],
  ["worker", "worker"],
  ["load balancer", "balancer"],
  ["admin", "admin"],
  ["other member", "m3"],
  ["former member", "m4"],
  ["member", "m2"],
];

/** `-`: the connection is rejected; `no`: the call is rejected, because of the user. */
export type Outcome = "-" | "no" | "yes";

export type AccessRow = {
  /** The first cell as written. */
  readonly what: string;
  /** From the first cell, such as `KV/Put` or `Facts`. */
  readonly methods: readonly string[];
  /** The text of the first cell beside the methods. */
  readonly condition: string;
  readonly user: string;
  readonly outcomes: readonly Outcome[];
};

/** The rows of the one table below a second-level heading. @throws Error for a table with other columns. */
export function readAccessTable(heading: string): readonly AccessRow[] {
  const page = readFileSync(new URL("../../docs/security.md", import.meta.url), "utf8");
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const [head = [], , ...rows] = section.split("\n").filter(isRow).map(cellsOf);
  const titles = columns.map(([title]) => title);
  if (head.slice(2).join() !== titles.join())
    throw new Error(`the table of "${heading}" has the columns ${head.join()}`);
  return rows.map(readRow);
}

function isRow(line: string): boolean {
  return line.startsWith("|");
}

function cellsOf(line: string): string[] {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function readRow([what = "", user = "", ...outcomes]: readonly string[]): AccessRow {
  const unknown = outcomes.find((outcome) => !["-", "no", "yes"].includes(outcome));
  if (unknown !== undefined || outcomes.length !== columns.length) throw new Error(`cannot read the row of ${what}`);
  return {
    what,
    methods: [...what.matchAll(/`([A-Z][A-Za-z]*(?:\/[A-Z][A-Za-z]*)?)`/g)].map(([, method]) => method!),
    condition: what.replaceAll(/`[A-Z][A-Za-z]*(?:\/[A-Z][A-Za-z]*)?`/g, "").replaceAll(/^[ ,]+|[ ,]+$/g, ""),
    user,
    outcomes: outcomes as Outcome[],
  };
}
