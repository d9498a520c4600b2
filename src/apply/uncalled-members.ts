/**
 * Members whose processes are at work although haplan cannot call them: a firewall between haplan and their client ports, or
 * certificates that they do not accept. Nothing is known of them, and they are not down: no plan may start them again.
 */

import { errorText } from "../base/haplan-error.ts";
import { isAt, unitOf } from "../plan/cluster-view.ts";
import type {
  ObservedMachine,
  ObservedMembership,
  ObservedOrphan,
  ObservedPresentation,
  UnreachableMachine,
} from "../plan/observed-cluster.ts";
import { type ResourceType, resourceAddress, specName } from "../plan/resource.ts";
import type { State, StateResource } from "../plan/state.ts";
import type { Provider } from "../providers/provider.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { ownMasters } from "../spec/machine-hosts.ts";
import { clientUrl } from "../units/addresses.ts";
import { agentUnitName } from "../units/unit-definition.ts";

export type SilentRequest = {
  readonly spec: ClusterSpec;
  readonly state: State | null;
  readonly machines: readonly ObservedMachine[];
  readonly orphans: readonly ObservedOrphan[];
  readonly membership: ObservedMembership | null;
  readonly presented: readonly ObservedPresentation[];
  readonly signal: AbortSignal | undefined;
};

/** Asks the hosts of members whose processes run and did not answer. */
export async function uncalledMembers(
  provider: Pick<Provider, "answersLocally">,
  request: SilentRequest,
): Promise<readonly UnreachableMachine[]> {
  const asked = silentMembers(request).map(async (member): Promise<readonly UnreachableMachine[]> => {
    const { name } = member.machine;
    const condition = await conditionAtWork(provider, member, request.signal);
    if (condition === null) return [];
    return [{ name, reason: `${condition}, but ${whyNotCalled(name, member.url, request)}`, uncalled: true }];
  });
  const orphaned = silentOrphans(request).map(async (member): Promise<UnreachableMachine> => {
    const { name } = member.machine;
    const condition =
      (await conditionAtWork(provider, member, request.signal)) ?? "its process runs, and does not answer";
    const missing = `The directory of its machine is not there: see whether something is mounted above it. If it is gone for good, end the process (kill ${member.pid}) and plan again`;
    return { name, reason: `${condition}, but ${whyNotCalled(name, member.url, request)}. ${missing}`, uncalled: true };
  });
  return (await Promise.all([...asked, ...orphaned])).flat();
}

/** The membership with what their hosts say of the members that haplan cannot call. */
export function withUncalled(
  membership: ObservedMembership,
  uncalled: readonly UnreachableMachine[],
): ObservedMembership {
  const names = new Set(uncalled.map(({ name }) => name));
  const members = membership.members.map((member) =>
    names.has(member.name) && member.raftTerm === null ? { ...member, answersItsHost: true as const } : member,
  );
  return { ...membership, members };
}

type SilentMember = { readonly machine: Pick<ObservedMachine, "name" | "generation">; readonly url: string };

/** Only members: an agent that is not one yet answers no call. Where they are, whatever the spec says by now. */
function silentMembers({ spec, state, machines, membership }: SilentRequest): readonly SilentMember[] {
  return machines.flatMap((machine): readonly SilentMember[] => {
    if (unitOf(machine, agentUnitName)?.running !== true) return [];
    const isThere = (url: unknown): boolean => typeof url === "string" && isAt(url, machine.address);
    const own = resourceAddress("haplan_raft_member", machine.name);
    const known = state?.resources.find(({ address }) => address === own)?.attributes["clientUrl"];
    // A member that replaces another one on its machine may be the one whose process answers.
    const members = membership?.members.filter(({ peerUrls }) => peerUrls.some(isThere)) ?? [];
    const isKnown = state === null ? machine.hasData : isThere(known);
    const isSilent =
      membership === null ? isKnown : members.length > 0 && members.every(({ raftTerm }) => raftTerm === null);
    const master = ownMasters(spec).find(({ name, address }) => name === machine.name && address === machine.address);
    const url = isThere(known) ? String(known) : master === undefined ? null : clientUrl(spec, master);
    return isSilent && url !== null ? [{ machine, url }] : [];
  });
}

/** Of machines whose directories are not there. One that hangs has its vote and its address as well. */
function silentOrphans(request: SilentRequest): readonly (SilentMember & { readonly pid: number })[] {
  const { spec, state, machines, orphans, membership } = request;
  return orphans.flatMap(({ machine: directory, unit, pid }): readonly (SilentMember & { readonly pid: number })[] => {
    // Of a machine that was made beside its former one, the directory has the generation in its name.
    const name = specName(directory);
    if (unit !== agentUnitName || machines.some((machine) => machine.name === name)) return [];
    const find = (type: ResourceType): StateResource | undefined =>
      state?.resources.find(({ address }) => address === resourceAddress(type, name));
    const recorded = find("haplan_raft_member")?.attributes["clientUrl"];
    const master = ownMasters(spec).find((each) => each.name === name);
    const url = typeof recorded === "string" ? recorded : master === undefined ? null : clientUrl(spec, master);
    if (url === null) return [];
    const place = new URL(url).hostname;
    const isThere = (peerUrl: string): boolean => peerUrl !== "" && new URL(peerUrl).hostname === place;
    const members = membership?.members.filter(({ peerUrls }) => peerUrls.some(isThere)) ?? [];
    const isSilent = membership === null || (members.length > 0 && members.every(({ raftTerm }) => raftTerm === null));
    const generation = find("haplan_machine")?.generation ?? 1;
    return isSilent ? [{ machine: { name, generation }, url, pid }] : [];
  });
}

/** Null if it is not at work. A host that cannot tell, such as one whose program is of an earlier version, does not say that the member is down. */
async function conditionAtWork(
  provider: Pick<Provider, "answersLocally">,
  { machine, url }: SilentMember,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  try {
    const isAtWork = await provider.answersLocally(machine, agentUnitName, url, signal);
    return isAtWork ? "its process is at work on its own host" : null;
  } catch (error) {
    if (signal?.aborted === true) throw error;
    const [why] = errorText(error).split("\n");
    return `its process runs, and its host cannot tell whether it is at work (${why})`;
  }
}

function whyNotCalled(name: string, url: string, { spec, presented }: SilentRequest): string {
  const isReached = presented.some(({ master, port }) => master === name && port === "client");
  if (isReached)
    return `it does not answer haplan's calls at ${url}. It may not accept haplan's certificate: see whether this directory has the cluster's present certificates and state`;
  const what = spec.controlPlane.tls.enabled ? "no connection is made" : "no call is answered";
  return `${what} to ${url} from the machine that runs haplan. See whether a firewall or a route is in between`;
}
