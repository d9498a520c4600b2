/** The comparison as a Markdown table: medians of the rounds, and ratios of etcd's figures and ours. */
import type { System } from "./bench-cluster.ts";
import type { Measured } from "./measure.ts";
import type { Workload } from "./workloads.ts";

/** The figures of every round, by system. */
export type Row = { readonly workload: Workload; readonly rounds: Readonly<Record<System, readonly Measured[]>> };

const headings = [
  "load",
  "etcd: per s · p50/p99 µs · CPU µs · MB",
  "haplan-agent: per s · p50/p99 µs · CPU µs · MB",
  "per s",
  "p99",
  "CPU",
  "client CPU µs",
  "others' CPUs",
];

export function markdownTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => cellsOf(row));
  return [headings, headings.map((_, at) => (at === 0 ? "---" : "---:")), ...lines]
    .map((cells) => `| ${cells.join(" | ")} |\n`)
    .join("");
}

export function loadName({ name, clients, target }: Workload): string {
  const members = target === "leader" ? "the leader" : "all members";
  return `${name}, ${clients} ${clients === 1 ? "client" : "clients"}, ${members}`;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Ratios are computed within a round, where both systems had about the same machine, and then the median is taken. */
function ratio(row: Row, figure: (measured: Measured) => number): string {
  const { etcd, haplan } = row.rounds;
  const ratios = haplan.flatMap((ours, round) => {
    const theirs = etcd[round];
    return theirs === undefined ? [] : [figure(ours) / figure(theirs)];
  });
  return ratios.length === 0 ? "" : `${median(ratios).toFixed(2)}×`;
}

function cellsOf(row: Row): string[] {
  const { etcd, haplan } = row.rounds;
  const both = [...etcd, ...haplan];
  const client = (rounds: readonly Measured[]): string =>
    rounds.length === 0 ? "–" : median(rounds.map(({ clientCpuUs }) => clientCpuUs)).toFixed(1);
  return [
    loadName(row.workload),
    figures(etcd),
    figures(haplan),
    `**${ratio(row, ({ perSecond }) => perSecond)}**`,
    ratio(row, ({ p99Us }) => p99Us),
    ratio(row, ({ serverCpuUs }) => serverCpuUs),
    `${client(etcd)} / ${client(haplan)}`,
    median(both.map(({ otherCpus }) => otherCpus)).toFixed(2),
  ];
}

function figures(rounds: readonly Measured[]): string {
  if (rounds.length === 0) return "–";
  const of = (figure: (measured: Measured) => number): number => median(rounds.map(figure));
  const failed = rounds.reduce((sum, one) => sum + one.failed, 0);
  return [
    count(of(({ perSecond }) => perSecond)),
    `${count(of(({ p50Us }) => p50Us))}/${count(of(({ p99Us }) => p99Us))}`,
    of(({ serverCpuUs }) => serverCpuUs).toFixed(1),
    `${count(of(({ residentMb }) => residentMb))}${failed > 0 ? ` · ${failed} failed` : ""}`,
  ].join(" · ");
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}
