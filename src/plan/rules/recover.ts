/**
 * Recovers from a quorum that is lost for good: the survivor whose log has the most, by Raft's comparison (§5.4.1), is saved
 * as a snapshot, and the members are rebuilt from that as a new cluster. Anything that may still be a quorum is a reason to
 * refuse, and so is a machine that is merely unreachable.
 */
import { sameJson } from "../../base/canonical-json.ts";
import type { Diagnostic } from "../../base/diagnostic.ts";
import { majorityOf } from "../../base/majority.ts";
import type { MemberData } from "../../units/member-data.ts";
import { type ClusterView, readClusterView } from "../cluster-view.ts";
import { desiredResources } from "../desired-resources.ts";
import type { PlannerInput } from "../planner-input.ts";
import type { FoundData, PlannedRecovery, RecoverRequest, Survivor } from "../recover-request.ts";
import { resourceAddress } from "../resource.ts";
import type { RestoreRequest } from "../restore-request.ts";

export type DecidedRecovery =
  | { readonly restore: RestoreRequest; readonly refusal?: never }
  | { readonly refusal: readonly Diagnostic[]; readonly restore?: never };

type Usable = { readonly master: string; readonly data: MemberData };

/** Pure, as all rules. */
export function decideRecovery(input: PlannerInput, request: RecoverRequest): DecidedRecovery {
  const view = readClusterView(input.spec, input.state, input.observed);
  const early = refuseEarly(input, view, request);
  if (early.length > 0) return { refusal: early };
  const usable = rankSurvivors(request);
  const lost = lostMasters(input, view, request);
  const [best] = usable;
  if (best === undefined) return { refusal: [noSurvivor(lost)] };
  if (usable.some(({ data }) => data.clusterId !== best.data.clusterId)) return { refusal: [severalClusters(usable)] };
  if (canHaveQuorum(best.data, usable)) return { refusal: [quorumLeft(usable)] };
  const recovery = plannedRecovery(input, usable, lost);
  const restore: RestoreRequest = {
    backup: `the data of ${best.master}`,
    snapshot: request.snapshot,
    // Known once it is saved.
    snapshotSha256: "",
    snapshotBytes: best.data.storeBytes,
    revision: best.data.revision,
    storageVersion: null,
    cluster: null,
    createdAtMs: null,
    recovery,
  };
  return { restore };
}

/** Survivors with whole data, the one with the most first (Raft §5.4.1: the last entry's term, then its index). */
export function rankSurvivors({ found, lost }: RecoverRequest): readonly Usable[] {
  const usable = found.flatMap((each) =>
    each.kind === "data" && each.data.damage === null && !lost.includes(each.master)
      ? [{ master: each.master, data: each.data }]
      : [],
  );
  return usable.toSorted(
    (a, b) =>
      b.data.lastTerm - a.data.lastTerm ||
      b.data.lastIndex - a.data.lastIndex ||
      // Equal logs: the one that knows more of it to be committed has less to do.
      b.data.commitIndex - a.data.commitIndex ||
      (a.master < b.master ? -1 : 1),
  );
}

/** What there is to say before any data is compared. */
function refuseEarly(
  { spec, observed }: PlannerInput,
  view: ClusterView,
  { lost }: RecoverRequest,
): readonly Diagnostic[] {
  const { masters } = spec.controlPlane;
  const names = masters.map(({ name }) => name);
  const unknown = lost.filter((name) => !names.includes(name));
  if (unknown.length > 0)
    return [
      refusal(
        "plan/recover-unknown",
        `${unknown.join(", ")}: the spec has no such master`,
        `-lost takes the name of a master: ${names.join(", ")}.`,
      ),
    ];
  if (view.phase !== "formed")
    return [
      refusal("plan/recover-nothing", "There is no cluster to recover", "It has never had a quorum. To create it:", [
        ["apply"],
      ]),
    ];
  if (view.hasLeader) return [hasQuorum()];
  const adopted = masters.filter(({ adoptedAt }) => adoptedAt !== undefined).map(({ name }) => name);
  if (adopted.length > 0)
    return [
      refusal(
        "plan/recover-adopted",
        `${adopted.join(", ")}: adopted, and not run by haplan`,
        "haplan cannot rebuild members whose processes it does not run. Recover them with the tools that they were made with.",
      ),
    ];
  const silent = masters.flatMap(({ name }) => {
    const found = observed.unreachable?.find((machine) => machine.name === name);
    return found === undefined || lost.includes(name) ? [] : [{ name, reason: found.reason }];
  });
  return silent.length === 0 ? [] : [notReached(silent, lost)];
}

/** One command declares all of them lost. */
function notReached(
  silent: readonly { readonly name: string; readonly reason: string }[],
  lost: readonly string[],
): Diagnostic {
  const names = silent.map(({ name }) => name);
  const [are, it, comes] = names.length === 1 ? ["it is", "it", "it"] : ["they are", "them", "they"];
  const reasons =
    names.length === 1 ? `${silent[0]!.reason}. ` : silent.map(({ name, reason }) => `${name}: ${reason}.\n`).join("");
  const running = names.length === 1 ? "it runs and others with it" : "one of them runs and others with it";
  const partly = names.length === 1 ? "" : ", for each of which that is true";
  return refusal(
    "plan/recover-unreachable",
    `${names.join(", ")} cannot be reached, which does not mean that ${are} lost`,
    `${reasons}If ${running}, they may still be the cluster, and a second one beside it would lose what clients write there. Make ${it} reachable. Only if ${comes} will never come back, say so${partly}:`,
    [["recover", ...[...lost, ...names].map((each) => `-lost=${each}`)]],
  );
}

function hasQuorum(): Diagnostic {
  return refusal(
    "plan/recover-quorum",
    "The cluster has a quorum: there is nothing to recover",
    "Members that are lost are replaced while the others serve:",
    [["apply"]],
  );
}

function quorumLeft(usable: readonly Usable[]): Diagnostic {
  return refusal(
    "plan/recover-quorum-left",
    `${usable.map(({ master }) => master).join(", ")} are a quorum: there is nothing to recover`,
    "Their data is whole, and together they have a majority. Start them, and the lost members are replaced:",
    [["apply"]],
  );
}

function noSurvivor(lost: PlannedRecovery["lost"]): Diagnostic {
  const list = lost.map(({ master, reason }) => `${master}: ${reason}`).join("\n");
  return refusal(
    "plan/recover-no-survivor",
    "No member has data that can be used",
    `${list}\nRestore the cluster from a backup: haplan backups lists them.`,
    [["restore", "BACKUP"]],
  );
}

function severalClusters(usable: readonly Usable[]): Diagnostic {
  const list = usable
    .map(
      ({ master, data }) =>
        `${master} is of cluster ${data.clusterId}, up to entry ${data.lastIndex} of term ${data.lastTerm}`,
    )
    .join("\n");
  return refusal(
    "plan/recover-several-clusters",
    "The members are of different clusters, so their logs cannot be compared",
    `${list}\nA restore or a recovery has replaced the cluster before. Say which data is not to be used, with -lost=NAME for each.`,
  );
}

/** Whether these members are a majority of both halves of the configuration. */
function canHaveQuorum(data: MemberData, usable: readonly Usable[]): boolean {
  const present = new Set(usable.map((each) => each.data.memberId));
  const halves = [data.voters, data.votersOutgoing].filter((voters) => voters.length > 0);
  return (
    halves.length > 0 &&
    halves.every((voters) => voters.filter((id) => present.has(id)).length >= majorityOf(voters.length))
  );
}

function lostMasters(
  { spec, observed }: PlannerInput,
  view: ClusterView,
  { found, lost }: RecoverRequest,
): PlannedRecovery["lost"] {
  return spec.controlPlane.masters.flatMap(({ name }) => {
    const reason = whyLost(
      name,
      found.find(({ master }) => master === name),
      {
        declared: lost.includes(name),
        unreachable: observed.unreachable?.find((machine) => machine.name === name)?.reason ?? null,
        hasMachine: view.machines.has(name),
      },
    );
    return reason === null ? [] : [{ master: name, reason }];
  });
}

function whyLost(
  name: string,
  found: FoundData | undefined,
  facts: { readonly declared: boolean; readonly unreachable: string | null; readonly hasMachine: boolean },
): string | null {
  if (facts.unreachable !== null) return `declared lost; ${facts.unreachable}`;
  if (found?.kind === "data" && found.data.damage !== null) return `its data is damaged: ${found.data.damage}`;
  if (found?.kind === "unreadable") return `its data cannot be read: ${found.reason}`;
  if (found?.kind === "data") return facts.declared ? `its data is not to be used (-lost=${name})` : null;
  return facts.hasMachine ? "it has no data" : "its machine is gone";
}

function plannedRecovery(
  input: PlannerInput,
  usable: readonly Usable[],
  lost: PlannedRecovery["lost"],
): PlannedRecovery {
  const { master: from, data } = usable[0]!;
  const present = new Set(usable.map((each) => each.data.memberId));
  const halves = [data.voters, data.votersOutgoing].filter((voters) => voters.length > 0);
  const ranked = [...usable.map(({ master }) => master), ...lost.map(({ master }) => master)];
  const possible = ranked.filter((name) => canRebuild(input, name));
  // Never an even number of voters: the last one joins later, as a learner.
  const rebuilt = possible.slice(0, possible.length % 2 === 1 ? undefined : -1);
  return {
    from,
    clusterId: data.clusterId,
    survivors: usable.map((each): Survivor => survivorOf(each)),
    lost,
    rebuilt: input.spec.controlPlane.masters.map(({ name }) => name).filter((name) => rebuilt.includes(name)),
    later: ranked.filter((name) => !rebuilt.includes(name)),
    uncommitted: Math.max(0, data.lastIndex - data.commitIndex),
    mayHaveLost: halves.some((voters) => voters.filter((id) => !present.has(id)).length >= majorityOf(voters.length)),
  };
}

function survivorOf({ master, data }: Usable): Survivor {
  const { memberId, lastTerm, lastIndex, commitIndex, revision, voters, votersOutgoing } = data;
  const isLearner = ![...voters, ...votersOutgoing].includes(memberId);
  return { master, memberId, lastTerm, lastIndex, commitIndex, revision, isLearner };
}

/** A machine that is reached or gone; one that is unreachable only if the spec has it on another host by now. */
function canRebuild(input: PlannerInput, name: string): boolean {
  const isUnreachable = input.observed.unreachable?.some((machine) => machine.name === name) === true;
  return !isUnreachable || hasOtherHost(input, name);
}

/** Whether the spec has the machine on another host than the state. */
export function hasOtherHost({ spec, provider, artifact, state }: PlannerInput, name: string): boolean {
  const address = resourceAddress("haplan_machine", name);
  const known = state?.resources.find((resource) => resource.address === address);
  const wanted = desiredResources(spec, provider, artifact).find((resource) => resource.address === address);
  if (known === undefined || wanted === undefined) return false;
  return [...wanted.replacedBy, "address"].some((key) => !sameJson(known.attributes[key], wanted.attributes[key]));
}

function refusal(code: string, summary: string, detail: string, commands: Diagnostic["commands"] = []): Diagnostic {
  return { severity: "error", code, summary, detail, ...(commands.length === 0 ? {} : { commands }) };
}
