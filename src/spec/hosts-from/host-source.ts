/** Lists of hosts that another tool wrote: `hostsFrom` in place of a list in the spec. Pure. */
import type { Json } from "../../base/json.ts";
import type { FilledPart } from "../declaration/cluster.ts";
import { pointerInto, type SpecFinding } from "../finding.ts";
import { nearestName } from "../nearest-name.ts";
import type { ShapeCheck } from "../schema-findings.ts";

export type HostsFrom = FilledPart<"hostsFrom">;

/** Where the text with a list comes from. Two lists of one input are read once. */
export type HostInput = { readonly file: string } | { readonly command: readonly string[]; readonly timeoutMs: number };

/** What reading an input gave. */
export type HostText =
  | { readonly text: string }
  /** A sentence without a full stop, and what to do. */
  | { readonly failed: { readonly summary: string; readonly detail: string } };

/** By `inputKey`. */
export type HostTexts = ReadonlyMap<string, HostText>;

export type HostSource = {
  /** Of the list that it stands for. */
  readonly pointer: string;
  readonly input: HostInput;
  readonly from: HostsFrom;
};

export type HostSources = {
  readonly sources: readonly HostSource[];
  /** Mistakes in `hostsFrom` itself. */
  readonly findings: readonly SpecFinding[];
  /** Pointers of the lists that these mistakes are about. */
  readonly invalid: readonly string[];
};

export type HostListCheck = (value: Json) => ShapeCheck<FilledPart<"hostList">>;

/** Keys of the lists of hosts in a spec. */
const hostLists: readonly (readonly string[])[] = [
  ["spec", "controlPlane", "masters"],
  ["spec", "workers"],
  ["spec", "loadBalancer", "hosts"],
  ["spec", "repair", "replace", "spares"],
];

const key = "hostsFrom";

export function findHostSources(document: Json, check: HostListCheck): HostSources {
  const sources: HostSource[] = [];
  const findings: SpecFinding[] = [];
  const invalid: string[] = [];
  for (const keys of hostLists) {
    const written = keys.reduce<Json | undefined>(entryOf, document);
    // Any other mapping is a list that was written wrongly.
    if (!isMapping(written) || !Object.keys(written).some((name) => nearestName(name, [key]) !== null)) continue;
    const pointer = keys.reduce<string>(pointerInto, "");
    const { document: filled, findings: wrong } = check(structuredClone(written));
    // A name that is nearly right is the mistake, and not that the right one is missing.
    const told = wrong.filter(({ code }) => code !== "spec/missing-key" || Object.hasOwn(written, key));
    const own = [...told.map((finding) => within(pointer, finding)), ...inputFindings(pointer, filled?.hostsFrom)];
    findings.push(...own);
    if (filled === null || own.length > 0) invalid.push(pointer);
    else sources.push({ pointer, input: inputOf(filled.hostsFrom), from: filled.hostsFrom });
  }
  return { sources, findings, invalid };
}

export function inputKey(input: HostInput): string {
  return JSON.stringify(input);
}

/** The input as messages name it. */
export function inputLabel(input: HostInput): string {
  return "file" in input ? input.file : `the output of \`${input.command.join(" ")}\``;
}

function inputOf({ file, command, timeoutMs }: HostsFrom): HostInput {
  return file === undefined ? { command: command ?? [], timeoutMs } : { file };
}

function inputFindings(pointer: string, from: HostsFrom | undefined): readonly SpecFinding[] {
  if (from === undefined || (from.file === undefined) !== (from.command === undefined)) return [];
  const both = from.file !== undefined;
  const finding: SpecFinding = {
    place: { pointer: pointerInto(pointer, "hostsFrom"), part: "key" },
    code: both ? "spec/two-host-inputs" : "spec/missing-key",
    summary: both ? 'hostsFrom has both "file" and "command"' : 'hostsFrom has neither "file" nor "command"',
    detail: both
      ? "A list is in one place: remove one of the two."
      : "Add `file: terraform-output.json`, or `command: [terraform, output, -json]`.",
  };
  return [finding];
}

function within(pointer: string, finding: SpecFinding): SpecFinding {
  const { place } = finding;
  return "pointer" in place ? { ...finding, place: { ...place, pointer: `${pointer}${place.pointer}` } } : finding;
}

function entryOf(value: Json | undefined, key: string): Json | undefined {
  return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function isMapping(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
