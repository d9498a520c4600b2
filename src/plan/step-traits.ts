/**
 * The safety properties of each kind of step, in one total table: a new kind does not compile without them. Its effect
 * on votes and health is in `simulateStep`.
 */
import type { StepAction } from "./step.ts";

export type StepTraits = {
  /** It changes which members vote, are up or serve clients: shown in the quorum timeline. */
  readonly touchesQuorum: boolean;
  /** It needs a quorum: refused without one, and never run beside another such step. */
  readonly needsQuorum: boolean;
  /** It could remove a voter or a vote: apply checks the live members right before it. */
  readonly gated: boolean;
  /** Clients may wait longer for a write during it: the write probe writes more often. */
  readonly delaysWrites: boolean;
  /**
   * What `-target` includes with it. `controlPlane`: every step of the control plane, because half of such a change is
   * not allowed; `beforeControlPlane`: nothing, but a step of the control plane includes it; `itself`: only its
   * dependencies.
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
  addAuthority: unrelated,
  activateAuthority: unrelated,
  dropAuthority: unrelated,
  issueCertificate: unrelated,
  createMachine: unrelated,
  updateMachine: unrelated,
  // Nothing is stopped: its agent uses the new name when it restarts, in a step of its own.
  renameMaster: aside,
  // Its agent has been stopped, by a step of its own that is gated.
  destroyMachine: unrelated,
  startAgent: showsMembers,
  updateAgent: takesVoterDown,
  upgradeAgent: takesVoterDown,
  // It reloads its certificate without a pause.
  reloadAgent: aside,
  // It is down already.
  restartAgent: showsMembers,
  stopAgent: takesVoterDown,
  awaitQuorum: awaitsMembers,
  // Checking adopted members is not a change: they can be imported alone.
  checkMembers: { ...unrelated, targeting: "beforeControlPlane" },
  takeSnapshot: aside,
  // Its agent has been stopped, by a step of its own.
  saveSurvivor: aside,
  restoreMember: aside,
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
  writeKubeadmConfig: unrelated,
  removeKubeadmConfig: unrelated,
  bootstrapNode: unrelated,
  stopWorker: unrelated,
  recordState: unrelated,
  removeCertificate: unrelated,
  removeAuthority: unrelated,
};

export function traitsOf(action: StepAction): StepTraits {
  return stepTraits[action.kind];
}
