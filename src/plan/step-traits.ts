/**
 * What decides safety for each kind of step, in one total table: a new kind does not compile before it says how it concerns
 * the quorum. What it does to the members' votes and health is in `simulateStep`.
 */
import type { StepAction } from "./step.ts";

export type StepTraits = {
  /** It changes which members vote, which are up or which of them clients reach: shown in the quorum timeline. */
  readonly touchesQuorum: boolean;
  /** A quorum has to decide it: refused without one, and never done beside another such step. */
  readonly needsQuorum: boolean;
  /** It could take a voter or a vote away: apply looks at the live members right before it. */
  readonly gated: boolean;
  /** Clients may wait longer for a write while it is done: the write probe looks more closely. */
  readonly delaysWrites: boolean;
  /**
   * What `-target` takes with it. `controlPlane`: every step of the control plane, since half of such a change is no design;
   * `beforeControlPlane`: nothing, but a step of the control plane takes it; `itself`: only what it waits for.
   */
  readonly targeting: "controlPlane" | "beforeControlPlane" | "itself";
};

const decided: StepTraits = {
  touchesQuorum: true,
  needsQuorum: true,
  gated: true,
  delaysWrites: true,
  targeting: "controlPlane",
};
const takesVoterDown: StepTraits = { ...decided, needsQuorum: false };
const showsMembers: StepTraits = { ...takesVoterDown, gated: false };
const awaitsMembers: StepTraits = { ...showsMembers, delaysWrites: false };
const aside: StepTraits = { ...awaitsMembers, touchesQuorum: false };
const reachesClients: StepTraits = { ...showsMembers, targeting: "itself" };
const unrelated: StepTraits = { ...aside, targeting: "itself" };

export const stepTraits: { readonly [Kind in StepAction["kind"]]: StepTraits } = {
  createAuthority: unrelated,
  renewAuthority: unrelated,
  issueCertificate: unrelated,
  createMachine: unrelated,
  updateMachine: unrelated,
  // Nothing is stopped: its agent takes the name up when it restarts, in a step of its own.
  renameMaster: aside,
  // Its agent has been stopped, by a step of its own that is gated.
  destroyMachine: unrelated,
  startAgent: showsMembers,
  updateAgent: takesVoterDown,
  // It takes its certificate up without a pause.
  reloadAgent: aside,
  // It is down already.
  restartAgent: showsMembers,
  stopAgent: takesVoterDown,
  awaitQuorum: awaitsMembers,
  // Looking at members that are taken over is no change: they can be imported alone.
  checkMembers: { ...unrelated, targeting: "beforeControlPlane" },
  takeSnapshot: aside,
  addLearner: decided,
  awaitCatchUp: awaitsMembers,
  changeVoters: decided,
  removeMember: decided,
  updateMember: decided,
  moveLeader: decided,
  startLoadBalancer: reachesClients,
  updateLoadBalancer: showsMembers,
  stopLoadBalancer: reachesClients,
  startWorker: unrelated,
  stopWorker: unrelated,
  recordState: unrelated,
  removeCertificate: unrelated,
  removeAuthority: unrelated,
};

export function traitsOf(action: StepAction): StepTraits {
  return stepTraits[action.kind];
}
