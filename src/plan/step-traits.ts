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
  /**
   * What `-target` takes with it. `controlPlane`: every step of the control plane, since half of such a change is no design;
   * `beforeControlPlane`: nothing, but a step of the control plane takes it; `itself`: only what it waits for.
   */
  readonly targeting: "controlPlane" | "beforeControlPlane" | "itself";
};

const decided = { touchesQuorum: true, needsQuorum: true, gated: true, targeting: "controlPlane" } as const;
const takesVoterDown = { touchesQuorum: true, needsQuorum: false, gated: true, targeting: "controlPlane" } as const;
const showsMembers = { touchesQuorum: true, needsQuorum: false, gated: false, targeting: "controlPlane" } as const;
const aside = { touchesQuorum: false, needsQuorum: false, gated: false, targeting: "controlPlane" } as const;
const reachesClients = { touchesQuorum: true, needsQuorum: false, gated: false, targeting: "itself" } as const;
const unrelated = { touchesQuorum: false, needsQuorum: false, gated: false, targeting: "itself" } as const;

export const stepTraits: { readonly [Kind in StepAction["kind"]]: StepTraits } = {
  createAuthority: unrelated,
  renewAuthority: unrelated,
  issueCertificate: unrelated,
  createMachine: unrelated,
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
  awaitQuorum: showsMembers,
  // Looking at members that are taken over is no change: they can be imported alone.
  checkMembers: { ...unrelated, targeting: "beforeControlPlane" },
  takeSnapshot: aside,
  addLearner: decided,
  awaitCatchUp: showsMembers,
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
