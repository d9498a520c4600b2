/** A snapshot's status in etcdctl's formats. */
import type { SnapshotStatus } from "../../../src/raft-agent/etcd-snapshot/snapshot-status.ts";

export const statusFormats = ["simple", "table", "json", "fields"] as const;
export type StatusFormat = (typeof statusFormats)[number];

export function statusView(status: SnapshotStatus, format: StatusFormat): string {
  const { hash, revision, totalKeys, totalBytes } = status;
  const texts = [hash.toString(16), String(revision), String(totalKeys), sizeText(totalBytes)];
  switch (format) {
    case "simple":
      return `${texts.join(", ")}\n`;
    case "json":
      return `${JSON.stringify({ hash, revision, totalKey: totalKeys, totalSize: totalBytes })}\n`;
    case "fields":
      return `"Hash" : ${hash}\n"Revision" : ${revision}\n"Keys" : ${totalKeys}\n"Size" : ${totalBytes}\n`;
    case "table":
      return tableText(["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE"], texts);
  }
}

/** Centered headers, right-aligned values. */
function tableText(headers: readonly string[], values: readonly string[]): string {
  const widths = headers.map((header, column) => Math.max(header.length, values[column]!.length));
  const rule = `+${widths.map((width) => "-".repeat(width + 2)).join("+")}+\n`;
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
  const middle = headers.map((header, column) => {
    const free = widths[column]! - header.length;
    return header.padStart(header.length + Math.floor(free / 2)).padEnd(widths[column]!);
  });
  return rule + line(middle) + rule + line(values.map((value, column) => value.padStart(widths[column]!))) + rule;
}

/** Decimal units, at most two digits below ten, as printed by Go's humanize. */
function sizeText(bytes: number): string {
  if (bytes < 10) return `${bytes} B`;
  const power = Math.floor(Math.log10(bytes) / 3);
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${["B", "kB", "MB", "GB", "TB", "PB"][power]}`;
}
