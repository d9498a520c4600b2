/**
 * Leadership transfer (thesis §3.10): proposals stop, the successor catches up, and is asked to start its election at
 * once. An unsuccessful transfer is aborted after an election timeout.
 */
import type { MemberId } from "./entry.ts";
import { becomeFollower } from "./role-change.ts";
import { send } from "./sending.ts";
import type { Leadership, RaftState } from "./state.ts";

/** Begins a transfer, replacing another one if necessary. Only a voter that is not being removed can take over. */
export function beginTransfer(
  state: RaftState,
  leadership: Leadership,
  to: MemberId,
  options: { readonly stepDownAfterwards: boolean },
): void {
  const { configuration } = state.configurations.current;
  if (to === state.id || leadership.transfer?.to === to || !configuration.voters.includes(to)) return;
  leadership.transfer = { to, elapsedTicks: 0, timeoutNowSent: false, ...options };
  continueTransfer(state, leadership);
}

/** Sends timeoutNow to the successor once it holds the whole log; called after each of its acknowledgements. */
export function continueTransfer(state: RaftState, leadership: Leadership): void {
  const { transfer } = leadership;
  if (transfer === null || transfer.timeoutNowSent) return;
  if ((leadership.peers.get(transfer.to)?.matchIndex ?? 0) < state.log.lastIndex) return;
  transfer.timeoutNowSent = true;
  sendTimeoutNow(state, transfer.to);
}

/** Returns whether the member is still leader. */
export function tickTransfer(state: RaftState, leadership: Leadership): boolean {
  const { transfer } = leadership;
  if (transfer === null) return true;
  transfer.elapsedTicks += 1;
  if (transfer.elapsedTicks < state.settings.electionTimeoutTicks) return true;
  leadership.transfer = null;
  if (transfer.stepDownAfterwards) becomeFollower(state, state.term, null);
  return !transfer.stepDownAfterwards;
}

/** A leader with a stalled disk blocks the cluster: transfer to the most up-to-date voter, or step down. */
export function transferOrStepDown(state: RaftState, leadership: Leadership): void {
  const otherVoters = state.configurations.current.configuration.voters.filter((voter) => voter !== state.id);
  if (otherVoters.length === 0) return;
  const successor = chooseSuccessor(state, leadership);
  if (successor === null) becomeFollower(state, state.term, null);
  else beginTransfer(state, leadership, successor, { stepDownAfterwards: true });
}

/** The voter with the most up-to-date log among the recently active ones, or null. */
export function chooseSuccessor(state: RaftState, leadership: Leadership): MemberId | null {
  let best: { member: MemberId; matchIndex: number } | null = null;
  for (const member of state.configurations.current.configuration.voters) {
    const progress = leadership.peers.get(member);
    if (progress === undefined || !progress.recentlyActive) continue;
    if (best === null || progress.matchIndex > best.matchIndex) best = { member, matchIndex: progress.matchIndex };
  }
  return best?.member ?? null;
}

export function sendTimeoutNow(state: RaftState, successor: MemberId): void {
  send(state, successor, { kind: "timeoutNowRequest" });
}
