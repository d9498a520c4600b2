/**
 * Handing leadership over (thesis §3.10): proposals stop, the successor catches up, and is told to start its election
 * at once. An unsuccessful transfer is given up after an election timeout.
 */
import type { MemberId } from "./entry.ts";
import { becomeFollower } from "./role-change.ts";
import { send } from "./sending.ts";
import type { Leadership, RaftState } from "./state.ts";

/** Begins a transfer, in the place of another one if need be. Only a voter that stays can take over. */
export function beginTransfer(
  state: RaftState,
  leadership: Leadership,
  to: MemberId,
  options: { readonly resignAfterwards: boolean },
): void {
  const { configuration } = state.configurations.current;
  if (to === state.id || leadership.transfer?.to === to || !configuration.voters.includes(to)) return;
  leadership.transfer = { to, elapsedTicks: 0, told: false, ...options };
  continueTransfer(state, leadership);
}

/** Tells the successor once it holds the whole log; called after each of its acknowledgements. */
export function continueTransfer(state: RaftState, leadership: Leadership): void {
  const { transfer } = leadership;
  if (transfer === null || transfer.told) return;
  if ((leadership.peers.get(transfer.to)?.matchIndex ?? 0) < state.log.lastIndex) return;
  transfer.told = true;
  tellSuccessor(state, transfer.to);
}

/** Returns whether the member still leads. */
export function tickTransfer(state: RaftState, leadership: Leadership): boolean {
  const { transfer } = leadership;
  if (transfer === null) return true;
  transfer.elapsedTicks += 1;
  if (transfer.elapsedTicks < state.settings.electionTimeoutTicks) return true;
  leadership.transfer = null;
  if (transfer.resignAfterwards) becomeFollower(state, state.term, null);
  return !transfer.resignAfterwards;
}

/** A leader whose disk hangs holds everyone up: the best of the others takes over, or else they elect somebody. */
export function yieldLeadership(state: RaftState, leadership: Leadership): void {
  const otherVoters = state.configurations.current.configuration.voters.filter((voter) => voter !== state.id);
  if (otherVoters.length === 0) return;
  const successor = chooseSuccessor(state, leadership);
  if (successor === null) becomeFollower(state, state.term, null);
  else beginTransfer(state, leadership, successor, { resignAfterwards: true });
}

/** The voter with the most complete log among those heard of lately, or null. */
export function chooseSuccessor(state: RaftState, leadership: Leadership): MemberId | null {
  let best: { member: MemberId; matchIndex: number } | null = null;
  for (const member of state.configurations.current.configuration.voters) {
    const progress = leadership.peers.get(member);
    if (progress === undefined || !progress.recentlyActive) continue;
    if (best === null || progress.matchIndex > best.matchIndex) best = { member, matchIndex: progress.matchIndex };
  }
  return best?.member ?? null;
}

export function tellSuccessor(state: RaftState, successor: MemberId): void {
  send(state, successor, { kind: "timeoutNowRequest" });
}
