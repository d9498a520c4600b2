/**
 * Members of a cluster that was rebuilt without them, and that return: with the data that they had, with other data, with
 * other flags. Each way is tried with a majority of the former cluster at once, which would be a cluster of its own.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type RunningProgram, startProgram } from "./run-program.ts";

export type FormerMember = {
  readonly name: string;
  /** As its process was started. */
  readonly words: readonly string[];
  /** Copies of its disk: long before, and when it was lost. */
  readonly early: string;
  readonly late: string;
  readonly clientUrl: string;
};

export type Way = {
  /** Changes the flags and the data with which `member` returns; `others` are all that return. */
  readonly prepare?: (place: ReturnPlace, member: FormerMember, others: readonly FormerMember[]) => void;
  /** Names of those that return; all without it. */
  readonly only?: readonly string[];
};

export type ReturnPlace = {
  /** Its data directory, filled from `late`. */
  readonly dataDir: string;
  readonly flags: Map<string, string>;
};

/** The words of a running process. */
export function wordsOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
}

export function flagsOf(words: readonly string[]): Map<string, string> {
  return new Map(
    words.flatMap((word): [string, string][] => {
      const [, name, value] = /^--([^=]+)=(.*)$/s.exec(word) ?? [];
      return name === undefined ? [] : [[name, value ?? ""]];
    }),
  );
}

function refill({ dataDir }: ReturnPlace, from: string | null): void {
  rmSync(dataDir, { recursive: true, force: true });
  if (from !== null) cpSync(from, dataDir, { recursive: true, filter: (path) => !path.endsWith("/lock") });
}

const otherOf = (member: FormerMember, others: readonly FormerMember[]): FormerMember =>
  others.find(({ name }) => name !== member.name)!;

function certificateOf({ flags }: ReturnPlace, { words }: FormerMember): void {
  const theirs = flagsOf(words);
  for (const name of ["cert-file", "key-file", "peer-cert-file", "peer-key-file"]) flags.set(name, theirs.get(name)!);
}

export const ways: Readonly<Record<string, Way>> = {
  "with the disk that it had": {},
  "with a disk image from before": { prepare: (place, { early }) => refill(place, early) },
  "wiped, as a founder": { prepare: (place) => refill(place, null) },
  "wiped, to join": {
    prepare: (place) => {
      refill(place, null);
      place.flags.set("initial-cluster-state", "existing");
    },
  },
  "with --force-new-cluster": { prepare: ({ flags }) => void flags.set("force-new-cluster", "true") },
  "with --force-new-cluster, from an image": {
    prepare: (place, { early }) => {
      refill(place, early);
      place.flags.set("force-new-cluster", "true");
    },
  },
  "with the disk of the other one": { prepare: (place, member, others) => refill(place, otherOf(member, others).late) },
  "both with one disk image": { prepare: (place, _, others) => refill(place, others[0]!.early) },
  "with the certificate of the other one": {
    prepare: (place, member, others) => certificateOf(place, otherOf(member, others)),
  },
  "with another name": { prepare: ({ flags }, { name }) => void flags.set("name", `${name}-again`) },
  "with another token": { prepare: ({ flags }) => void flags.set("initial-cluster-token", "another") },
  "wiped, with another token": {
    prepare: (place) => {
      refill(place, null);
      place.flags.set("initial-cluster-token", "another");
    },
  },
  "as a cluster of its own, by its flags": {
    prepare: ({ flags }, { name }) =>
      void flags.set("initial-cluster", `${name}=${flags.get("initial-advertise-peer-urls")}`),
  },
  "without its store": { prepare: ({ dataDir }) => rmSync(join(dataDir, "member/snap"), { recursive: true }) },
  "without its log": { prepare: ({ dataDir }) => rmSync(join(dataDir, "member/wal"), { recursive: true }) },
  "with a log that was cut": {
    prepare: ({ dataDir }) => {
      const wal = join(dataDir, "member/wal");
      for (const name of readdirSync(wal).slice(1)) rmSync(join(wal, name), { recursive: true });
    },
  },
  "with the store of before and the log of now": {
    prepare: ({ dataDir }, { early }) =>
      cpSync(join(early, "member/snap"), join(dataDir, "member/snap"), { recursive: true }),
  },
  "one with its disk, the other wiped": {
    prepare: (place, member, others) => {
      if (member === others[0]) refill(place, null);
    },
  },
  "alone, with its disk": { only: ["m2"] },
  "alone, wiped": { only: ["m3"], prepare: (place) => refill(place, null) },
};

export type Returned = { readonly member: FormerMember; readonly program: RunningProgram; output: string };

/** Starts all that return in this way, each with a copy of its disk below `directory`. */
export function returnMembers(directory: string, way: Way, members: readonly FormerMember[]): readonly Returned[] {
  const returning = members.filter(({ name }) => way.only?.includes(name) ?? true);
  return returning.map((member) => {
    const place = { dataDir: join(directory, member.name), flags: flagsOf(member.words) };
    mkdirSync(directory, { recursive: true });
    refill(place, member.late);
    place.flags.set("data-dir", place.dataDir);
    way.prepare?.(place, member, returning);
    const program = member.words.filter((word) => !word.startsWith("--"));
    const flags = [...place.flags].map(([name, value]) => `--${name}=${value}`);
    return { member, program: startProgram(program[0]!, [...program.slice(1), ...flags]), output: "" };
  });
}

/** Whether it has ended within the time; it is ended otherwise. Returns what it wrote. */
export async function endReturned(returned: Returned): Promise<string> {
  returned.program.signal("SIGKILL");
  const { stdout, stderr } = await returned.program.end;
  return stdout + stderr;
}

/** Resolves once all have ended, or the time is over. */
export async function settle(all: readonly Returned[], limitMs: number): Promise<void> {
  await Promise.race([Promise.all(all.map(({ program }) => program.end)), sleep(limitMs)]);
}

export function copyDisk(from: string, to: string): string {
  if (existsSync(from)) cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith("/lock") });
  return to;
}
