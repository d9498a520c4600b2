/**
 * Publishes this member's name and client URLs through the log, like etcd when a member has started: a member without
 * a name has never run. Also, as leader of a new cluster, the cluster version.
 */
import type { Clock } from "../../../base/clock.ts";
import type { MemberServices } from "../../services/member-services.ts";
import { CommandKind } from "../../state-machine/command.ts";
import { encodeJson, type MemberAttributesBody } from "../../state-machine/command-body.ts";
import { isEtcdError } from "../../state-machine/etcd-error.ts";

/** Checks often while a leader is being elected: a new member serves only once it is announced. */
const pauseMs = { withoutLeader: 10, afterRefusal: 50 };

export type Announcement = { readonly name: string; readonly clientUrls: readonly string[] };

/** Retries until the cluster knows; resolves then, or when `signal` aborts. */
export async function announceMember(
  services: MemberServices,
  announcement: Announcement,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const { machine, context } = services;
  const body: MemberAttributesBody = { id: context.consensus.memberId, ...announcement };
  while (!signal.aborted) {
    const known = machine.membership.get(body.id);
    if (known !== undefined && isSame(known, announcement)) return;
    const canPropose = known !== undefined && context.consensus.leader() !== null;
    if (canPropose && (await propose(services, CommandKind.memberAttributes, encodeJson(body)))) continue;
    await clock.sleep(canPropose ? pauseMs.afterRefusal : pauseMs.withoutLeader, signal).catch(() => {});
  }
}

/** Called when leadership changes: a leader that finds no cluster version sets it. */
export function announceClusterVersion(services: MemberServices): void {
  const { machine, context } = services;
  const { consensus, version } = context;
  if (machine.membership.clusterVersion !== "" || !consensus.isLeader()) return;
  const minor = `${version.split(".").slice(0, 2).join(".")}.0`;
  context.proposer.propose(CommandKind.clusterVersion, Buffer.from(minor), () => {});
}

function isSame(known: Announcement, wanted: Announcement): boolean {
  return known.name === wanted.name && known.clientUrls.join() === wanted.clientUrls.join();
}

function propose({ context }: MemberServices, kind: CommandKind, body: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    context.proposer.propose(kind, body, (result) => resolve(!isEtcdError(result)));
  });
}
