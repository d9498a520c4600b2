/** Compares how a start of our agent ends with how an etcd's does. */
import type { Start } from "./flag-edges.ts";
import { type FlagEtcd, type Outcome, readStart, runStart, type Settings } from "./member-start.ts";

export type Comparison = {
  readonly title: string;
  readonly is: "equal" | "accepted" | "rejected" | "different";
  readonly ours: unknown;
  readonly theirs: unknown;
};

type Etcd = { readonly version: FlagEtcd; readonly path: string };

/** Where an etcd's default differs from ours, which is that of 3.6. */
const defaults: Readonly<Record<"ours" | FlagEtcd, Settings | undefined>> = {
  ours: { "snapshot-count": 10_000, "pre-vote": true },
  "3.4": { "snapshot-count": 100_000, "pre-vote": false },
  "3.6": undefined,
  "3.7": undefined,
};

/** Each start has an address of its own. */
export async function compareStarts(
  starts: readonly Start[],
  etcd: Etcd,
  { network, atOnce }: { readonly network: string; readonly atOnce: number },
): Promise<Comparison[]> {
  const found: Comparison[] = [];
  const queue = starts.entries();
  const worker = async (): Promise<void> => {
    for (const [at, start] of queue) {
      found.push(await compareStart(start, etcd, `${network}.${at >> 7}.${(at & 127) + 1}`));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return found;
}

async function compareStart(start: Start, etcd: Etcd, host: string): Promise<Comparison> {
  const read = readStart(start, host);
  const isRun = start.isServed && "settings" in read;
  const [ran, theirs] = [
    isRun ? await runStart({ path: "agent" }, start, host) : read,
    await runStart(etcd, start, host),
  ];
  const ours = "settings" in ran && "settings" in read ? { ...ran, settings: read.settings } : ran;
  return { title: start.title, ...difference(ours, theirs, etcd.version) };
}

function difference(ours: Outcome, theirs: Outcome, version: FlagEtcd): Omit<Comparison, "title"> {
  const oursStarts = !("rejected" in ours);
  const theirsStarts = !("rejected" in theirs);
  if (oursStarts !== theirsStarts) return { is: oursStarts ? "accepted" : "rejected", ours, theirs };
  if (!("settings" in ours) || !("settings" in theirs)) return { is: "equal", ours, theirs };
  const names = Object.keys(theirs.settings).filter(
    (name) =>
      JSON.stringify(ours.settings[name]) !== JSON.stringify(theirs.settings[name]) &&
      !(ours.settings[name] === defaults.ours?.[name] && theirs.settings[name] === defaults[version]?.[name]),
  );
  const pick = ({ settings }: typeof ours) => Object.fromEntries(names.map((name) => [name, settings[name]]));
  const areServedEqually = JSON.stringify(ours.served) === JSON.stringify(theirs.served);
  if (names.length === 0 && areServedEqually) return { is: "equal", ours, theirs };
  return {
    is: "different",
    ours: { ...pick(ours), served: ours.served },
    theirs: { ...pick(theirs), served: theirs.served },
  };
}
