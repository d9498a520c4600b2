/** A host of the spec to be written, from what the command line and the host itself say. Pure. */
import { isIP } from "node:net";
import { reservedNames } from "../../spec/reserved-names.ts";
import type { DraftHost, SurveyedHost } from "../spec-draft.ts";
import type { HostArgument } from "./host-argument.ts";

/** What asking a host gave: what it is, or why it was not reached. */
export type HostSurvey = SurveyedHost | { readonly unreached: string };
export type SurveyedHosts = readonly { readonly host: HostArgument; readonly survey: HostSurvey | null }[];

export type DraftOptions = {
  /** `m` for masters, `w` for workers. */
  readonly prefix: string;
  /** That of the provider. */
  readonly user: string | null;
  /** Names that other hosts have; the new ones are added. */
  readonly taken: Set<string>;
};

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Hosts are named as they are themselves, or else `m1`, `m2`, ... */
export function draftHosts(hosts: SurveyedHosts, { prefix, user, taken }: DraftOptions): readonly DraftHost[] {
  const found = hosts.map(({ survey }) => (facts(survey)?.hostname ?? "").replace(/\..*/, "").toLowerCase());
  const isUsable = (name: string): boolean =>
    label.test(name) && name !== "localhost" && !Object.hasOwn(reservedNames, name) && !taken.has(name);
  // All names or none: a mixture would look like a mistake.
  const named = found.every(isUsable) && new Set(found).size === found.length;
  return hosts.map(({ host, survey }, index) => {
    const name = named ? found[index]! : nextName(prefix, taken);
    taken.add(name);
    return { name, ...reach(host, survey, user), note: noteOf(survey) };
  });
}

function facts(survey: HostSurvey | null): SurveyedHost | null {
  return survey === null || "unreached" in survey ? null : survey;
}

function nextName(prefix: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number += 1) if (!taken.has(`${prefix}${number}`)) return `${prefix}${number}`;
}

/** A name may be one of ssh's configuration alone, which members do not know: they use the host's own address. */
function reach(host: HostArgument, survey: HostSurvey | null, user: string | null): Pick<DraftHost, "address" | "ssh"> {
  const own = isIP(host.host) === 0 ? facts(survey)?.addresses[0] : undefined;
  const ssh = {
    ...(own === undefined ? {} : { host: host.host }),
    ...(host.user === null || host.user === user ? {} : { user: host.user }),
    ...(host.port === null ? {} : { port: host.port }),
  };
  return { address: own ?? host.host, ssh };
}

function noteOf(survey: HostSurvey | null): string {
  if (survey === null) return "";
  // The first sentence: the warning has them all.
  if ("unreached" in survey) return `not reached: ${/^.*?(?=\. |\n|$)/.exec(survey.unreached)?.[0] ?? ""}`;
  const { os, architecture, memoryBytes, systemdVersion, becomesRoot } = survey;
  const memory = `${(memoryBytes / 1024 ** 3).toFixed(1)} GiB of memory`;
  const systemd = systemdVersion === null ? "no systemd" : `systemd ${systemdVersion}`;
  return [os, architecture, memory, systemd, ...(becomesRoot ? [] : ["sudo asks for a password"])].join(", ");
}
