/**
 * Members whose processes are at work although haplan cannot call them: a firewall between haplan and their client ports, or
 * certificates that they do not accept. Nothing is known of them, and they are not down: no plan may start them again.
 */

import { isAt, unitOf } from "../plan/cluster-view.ts";
import type {
  ObservedMachine,
  ObservedMembership,
  ObservedPresentation,
  UnreachableMachine,
} from "../plan/observed-cluster.ts";
import { resourceAddress } from "../plan/resource.ts";
import type { State } from "../plan/state.ts";
import type { Provider } from "../providers/provider.ts";
import type { ClusterSpec, MasterSpec } from "../spec/cluster-spec.ts";
import { ownMasters } from "../spec/machine-hosts.ts";
import { clientUrl } from "../units/addresses.ts";
import { agentUnitName } from "../units/unit-definition.ts";

export type SilentRequest = {
  readonly spec: ClusterSpec;
  readonly state: State | null;
  readonly machines: readonly ObservedMachine[];
  readonly membership: ObservedMembership | null;
  readonly presented: readonly ObservedPresentation[];
  readonly signal: AbortSignal | undefined;
};

/** Asks the hosts of members whose processes run and did not answer. */
export async function uncalledMembers(
  provider: Pick<Provider, "answersLocally">,
  request: SilentRequest,
): Promise<readonly UnreachableMachine[]> {
  const asked = silentMembers(request).map(async ({ master, machine }): Promise<readonly UnreachableMachine[]> => {
    const url = clientUrl(request.spec, master);
    const answers = await provider.answersLocally(machine, url, request.signal).catch((error: unknown) => {
      if (request.signal?.aborted === true) throw error;
      // An earlier version of haplan's program there does not know the call.
      return false;
    });
    return answers ? [{ name: master.name, reason: reasonOf(master.name, url, request), uncalled: true }] : [];
  });
  return (await Promise.all(asked)).flat();
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

type SilentMember = { readonly master: MasterSpec; readonly machine: ObservedMachine };

/** Only members: an agent that is not one yet answers no call. */
function silentMembers({ spec, state, machines, membership }: SilentRequest): readonly SilentMember[] {
  return ownMasters(spec).flatMap((master) => {
    const machine = machines.find(({ name, address }) => name === master.name && address === master.address);
    if (machine === undefined || unitOf(machine, agentUnitName)?.running !== true) return [];
    const isThere = (url: string): boolean => isAt(url, machine.address);
    const member = membership?.members.find(({ peerUrls }) => peerUrls.some(isThere));
    const known = resourceAddress("haplan_raft_member", master.name);
    const isMember =
      membership === null ? state?.resources.some(({ address }) => address === known) === true : member !== undefined;
    return isMember && member?.raftTerm == null ? [{ master, machine }] : [];
  });
}

function reasonOf(name: string, url: string, { spec, presented }: SilentRequest): string {
  const there = "its process runs, and answers on its own host";
  const isReached = presented.some(({ master, port }) => master === name && port === "client");
  if (isReached)
    return `${there}, but it does not answer haplan's calls at ${url}. It may not accept haplan's certificate: see whether this directory has the cluster's present certificates and state`;
  const why = spec.controlPlane.tls.enabled ? "no connection is made" : "no call is answered";
  return `${there}, but ${why} to ${url} from the machine that runs haplan. See whether a firewall or a route is in between`;
}
