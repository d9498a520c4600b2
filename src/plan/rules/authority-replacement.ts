/**
 * Replaces the certificate authority by one with another key while members and clients keep working: every unit trusts
 * both, then the new one signs and every certificate is issued again, then, as a request of its own, the previous one is
 * no longer trusted. What an earlier plan has begun is resumed: the files in the PKI say how far it came.
 */

import { ownMasters } from "../../spec/machine-hosts.ts";
import { balancerOf } from "../../units/load-balancer-unit.ts";
import { agentUnitName, kubeadmUnitName, workerUnitName } from "../../units/unit-definition.ts";
import type { ChangeReason } from "../change-reason.ts";
import { isUnreachable, unitOf } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";
import { type ResourceAddress, resourceAddress } from "../resource.ts";
import type { MemberRef } from "../step.ts";
import { nextAuthorityCommonName, trustedFingerprints, trustsExactly } from "../trusted-authorities.ts";
import { backendsOf, presentBalancers, toldTargets, wantedTargets } from "./endpoint.ts";
import { initialClusterOf, knownInitialCluster } from "./known-initial-cluster.ts";
import { postpones } from "./postponed-updates.ts";

export type AuthorityReplacement = {
  /** Why certificates of the present authority are issued again; null if they are not. */
  readonly leaves: ChangeReason | null;
  /** The steps after which the certificates can be issued. */
  readonly after: readonly (string | null)[];
};

const trustsBoth = "it is to trust both certificate authorities";
const trustsChanged = "the authorities that it is to trust have changed";
const trustsOne = "it is no longer to trust the previous certificate authority";

/** The part before the certificates; null if no authority is being replaced, or it has to wait. */
export function planReplacement(planning: Planning): AuthorityReplacement | null {
  const { observed, view, builder, replaceAuthority = false } = planning;
  const { authority } = observed;
  const resource = planning.desired.find(({ type }) => type === "haplan_ca");
  if (authority === null || view.phase !== "formed") return null;
  if (resource === undefined) return trustFirst(planning);
  const creates = replaceAuthority && authority.next === undefined && authority.previous === undefined;
  const replaces = creates || authority.next !== undefined;
  const left = observed.certificates.some(({ signedByPrevious }) => signedByPrevious === true);
  if (!replaces && !left) return null;
  const missing = unfitMasters(planning);
  if (missing.length > 0) return waitForMasters(planning, missing);
  const commonName = nextAuthorityCommonName(authority.commonName);
  const added = creates ? builder.add({ kind: "addAuthority", commonName }, [resource.address]) : null;
  const handed = handOut(planning, {
    after: added,
    reason: trustsBoth,
    trusts: creates ? null : trustedFingerprints(authority),
    isDue: (address) => creates || lacks(planning, address),
  });
  if (!replaces) return { leaves: null, after: handed };
  builder.setAction(resource.address, "update", "another authority replaces it");
  // Without the previous authority's signature, clients that trust only that one have to be told first.
  const crossSigned = authority.crossSigned === true || (creates && authority.signingKey === "present");
  if (!crossSigned && !(replaceAuthority && !creates)) {
    askToTellClients(planning, creates);
    return null;
  }
  tellOfReplacement(planning);
  const { next } = authority;
  const known = next === undefined ? {} : { fingerprint: next.fingerprint, notAfter: next.notAfter };
  builder.facts.set(resource.address, { commonName: next?.commonName ?? commonName, ...known });
  const step = builder.add({ kind: "activateAuthority" }, [resource.address], [added, ...handed]);
  return { leaves: "the certificate authority is replaced", after: [step] };
}

/** Authorities that the operator has added to the file are trusted before any certificate is issued. */
function trustFirst(planning: Planning): AuthorityReplacement | null {
  const { observed, spec } = planning;
  if (observed.authority === null || spec.controlPlane.tls.authority === undefined) return null;
  const trusts = trustedFingerprints(observed.authority);
  const isDue = (address: ResourceAddress): boolean => lacks(planning, address);
  return { leaves: null, after: handOut(planning, { after: null, reason: trustsChanged, trusts, isDue }) };
}

/** The part after everything else: the previous authority is dropped on request, and units get what they lack. */
export function planTrust(planning: Planning): void {
  const { observed, view, builder, desired, dropAuthority = false, replaceAuthority = false } = planning;
  const { authority } = observed;
  const resource = desired.find(({ type }) => type === "haplan_ca");
  if (authority === null || resource === undefined || view.phase !== "formed") return;
  const { activates, waits } = progress(planning);
  const previous = activates ? [authority, ...(authority.previous ?? [])] : (authority.previous ?? []);
  if (dropAuthority && !waits && previous.length > 0) {
    const everything = builder.steps.map(({ id }) => id);
    const dropped = builder.add({ kind: "dropAuthority" }, [resource.address], everything);
    if (!builder.actions.has(resource.address)) {
      const { fingerprint, notAfter } = authority;
      builder.setAction(resource.address, "update", "the previous authority is no longer trusted");
      builder.facts.set(resource.address, { fingerprint, notAfter });
    }
    warnOfDrop(
      planning,
      previous.map(({ commonName }) => commonName),
    );
    const signing = authority.next?.fingerprint ?? (activates ? null : authority.fingerprint);
    const trusts = signing === null ? null : [signing];
    handOut(planning, { after: dropped, reason: trustsOne, trusts, isDue: () => true });
    return;
  }
  const trusts = trustedFingerprints(authority);
  const rewritten = new Set(builder.steps.flatMap(({ addresses }) => addresses));
  const isDue = (address: ResourceAddress): boolean => lacks(planning, address) && !rewritten.has(address);
  const reason = trusts.length > 1 ? trustsBoth : trustsOne;
  handOut(planning, { after: null, reason, trusts, isDue, mayWait: true });
  if (previous.length > 0 && !replaceAuthority)
    remindOfDrop(
      planning,
      previous.map(({ commonName }) => commonName),
    );
}

function progress({ builder }: Planning): { readonly activates: boolean; readonly waits: boolean } {
  const has = (kind: string): boolean => builder.steps.some(({ action }) => action.kind === kind);
  const waits = builder.warnings.some(
    ({ code }) => code === "plan/authority-waits" || code === "plan/authority-unsigned",
  );
  return { activates: has("activateAuthority"), waits };
}

function lacks({ observed, view }: Planning, address: ResourceAddress): boolean {
  const known = view.resources.get(address)?.attributes;
  return observed.authority !== null && !trustsExactly(known, trustedFingerprints(observed.authority));
}

type HandOut = {
  /** The step that changes the authorities; null if they are as they should be. */
  readonly after: string | null;
  readonly reason: string;
  /** Fingerprints of the authorities that the units trust afterwards; null if one of them does not exist yet. */
  readonly trusts: readonly string[] | null;
  readonly isDue: (address: ResourceAddress) => boolean;
  /** No other step depends on it: a master that would have to stop for it may wait for members that are down. */
  readonly mayWait?: true;
};

/**
 * Writes the trusted authorities of the moment to every unit that `isDue`: the masters one after the other, the leader
 * last, then the load balancers, and then the workers. Returns the steps after which all of them have it.
 */
function handOut(planning: Planning, given: HandOut): readonly (string | null)[] {
  const { builder, desired, view } = planning;
  const { after, isDue } = given;
  handMasters(planning, given);
  const targets = backendsOf(toldTargets(planning), wantedTargets(planning.spec));
  for (const balancer of presentBalancers(planning)) {
    const name = balancerOf(balancer);
    const address = resourceAddress("haplan_load_balancer", name);
    const isWanted = desired.some((resource) => resource.address === address);
    if (!isWanted || view.loadBalancers.get(name)?.onMachine !== true || !isDue(address)) continue;
    noteUnit(planning, address, given);
    builder.chain({ kind: "updateLoadBalancer", ...targets, ...balancer }, [address], [after]);
  }
  const before = [after, builder.lastSerialStep];
  const workers = desired.filter(({ type, name, address }) => {
    const runs = unitOf(view.machines.get(name), workerUnitName)?.running === true;
    return type === "haplan_worker" && runs && isDue(address);
  });
  return [
    ...before,
    ...workers.map(({ name, address }) => {
      noteUnit(planning, address, given);
      return builder.add({ kind: "startWorker", worker: name }, [address], before);
    }),
    ...handKubeadm(planning, given, before),
  ];
}

/** The files that API servers read when they start. */
function handKubeadm(
  planning: Planning,
  given: HandOut,
  after: readonly (string | null)[],
): readonly (string | null)[] {
  const { builder, desired, view } = planning;
  const configs = desired.filter(({ type, name, address, unknown }) => {
    const isThere = unitOf(view.machines.get(name), kubeadmUnitName) !== undefined;
    const hasCertificate = unknown.includes("certificate");
    return type === "haplan_kubeadm_config" && hasCertificate && isThere && given.isDue(address);
  });
  return configs.map(({ name, address }) => {
    noteUnit(planning, address, given);
    return builder.add({ kind: "writeKubeadmConfig", host: name }, [address], after);
  });
}

/** haplan's agents take new authorities while they run; a real etcd restarts, after it has handed over leadership. */
function handMasters(planning: Planning, given: HandOut): void {
  const { builder, spec, view } = planning;
  const { after, isDue, mayWait = false } = given;
  const leader = leaderSoFar(planning);
  const due = ownMasters(spec)
    .filter(({ name }) => unitOf(view.machines.get(name), agentUnitName)?.running === true)
    .filter(({ name }) => isDue(resourceAddress("haplan_agent", name)) && !isUnreachable(view, name))
    // Its unit would be written with all that waits, and restart.
    .filter(({ name }) => !builder.isLeftAsRecorded(resourceAddress("haplan_agent", name)))
    .sort((a, b) => Number(a.name === leader?.name) - Number(b.name === leader?.name));
  for (const { name } of due) {
    const restarts = spec.controlPlane.engine === "etcd" || knownInitialCluster(planning, name) === null;
    const agent = resourceAddress("haplan_agent", name);
    const voter = view.members.find((member) => member.voter && member.name === name);
    if (
      restarts &&
      mayWait &&
      voter !== undefined &&
      postpones(planning, { name, voter }, { changes: [agent], keeps: [] })
    )
      continue;
    noteUnit(planning, agent, given);
    const other = view.members.find((member) => member.voter && member.healthy && member.name !== name);
    if (restarts && leader?.name === name && other !== undefined) {
      builder.chain({ kind: "moveLeader", from: leader, to: { name: other.name, memberId: other.id } }, [], [after]);
    }
    const join = initialClusterOf(planning, name);
    const hand = restarts
      ? ({ kind: "updateAgent", member: name, join } as const)
      : ({ kind: "reloadAgent", member: name, join, authorities: true } as const);
    builder.chain(hand, [agent], [after]);
    builder.chain({ kind: "awaitQuorum", members: [name] }, []);
  }
}

/** As far as the steps before this one decide it. */
function leaderSoFar({ builder, view }: Planning): MemberRef | null {
  const moves = builder.steps.flatMap(({ action }) => (action.kind === "moveLeader" ? [action.to] : []));
  const observed = view.members.find((member) => member.leader);
  return moves.at(-1) ?? (observed === undefined ? null : { name: observed.name, memberId: observed.id });
}

function noteUnit({ builder }: Planning, address: ResourceAddress, { reason, trusts }: HandOut): void {
  if (!builder.actions.has(address)) builder.setAction(address, "update", reason);
  if (trusts !== null) builder.facts.set(address, { trusts });
}

/** haplan's own masters that cannot be handed another authority now. */
export function unfitMasters({ spec, view }: Planning): readonly string[] {
  return ownMasters(spec)
    .filter(({ name }) => {
      const member = view.members.find((each) => each.voter && each.name === name);
      const runs = unitOf(view.machines.get(name), agentUnitName)?.running === true;
      return isUnreachable(view, name) || !runs || member?.healthy !== true;
    })
    .map(({ name }) => name);
}

function waitForMasters({ builder }: Planning, names: readonly string[]): null {
  builder.warn(
    "plan/authority-waits",
    `The replacement of the certificate authority waits for ${names.join(", ")}`,
    "Every master has to trust both authorities before the next step. A plan resumes it once all masters are healthy.",
  );
  return null;
}

function tellOfReplacement({ builder, spec, dropAuthority = false }: Planning): void {
  if (dropAuthority) return;
  const apiServers =
    spec.kubernetes === undefined
      ? ""
      : "The API servers' files are written by this plan, and API servers read the authority only when they start: restart them, one after the other. ";
  builder.warn(
    "plan/authority-replaced-by",
    "Another certificate authority replaces the present one, which stays trusted",
    `Clients with a copy of ca.crt, and certificates of the present authority, keep working for now. ${apiServers}Give clients outside of haplan the new ca.crt and new certificates, and then drop the previous authority:`,
    [dropCommand],
  );
}

/** Its key is gone, so it cannot sign the next one. */
function askToTellClients({ builder }: Planning, creates: boolean): void {
  builder.warn(
    "plan/authority-unsigned",
    creates
      ? "This plan only creates the next certificate authority and makes it trusted"
      : "The replacement of the certificate authority waits for the clients",
    "The key of the present authority is missing, so it cannot sign the next one, and clients with the present ca.crt would reject the members' next certificates. Give every client outside of haplan the ca.crt with both, and then continue:",
    [["certs", "rotate", "-ca"]],
  );
}

function remindOfDrop({ builder }: Planning, names: readonly string[]): void {
  builder.warn(
    "plan/previous-authority-trusted",
    `The previous certificate authority is still trusted: ${names.join(", ")}`,
    "Members accept certificates that it has signed. Once no client uses one, and every client has the present ca.crt, drop it:",
    [dropCommand],
  );
}

function warnOfDrop({ builder }: Planning, names: readonly string[]): void {
  builder.warn(
    "plan/authority-dropped",
    `Members no longer trust the certificate authority ${names.join(", ")}`,
    "Clients outside of haplan that present a certificate of it, or whose ca.crt has no other, can no longer connect. There is no way back to it: its key is deleted.",
  );
}

const dropCommand = ["certs", "rotate", "-drop-old"];
