/**
 * Moves votes from one set of members to another. haplan's agents do it in one joint change (Raft §6), so that no even
 * configuration ever counts; a real etcd can only take one step after the other.
 */

import { systemClock } from "../base/clock.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { changeMembers, drainMember } from "./haplan-calls.ts";
import type { MemberPool } from "./member-pool.ts";
import type { ProbeResult } from "./member-probe.ts";
import { isLeader, membershipFrom } from "./observe-membership.ts";

const changeTimeoutMs = 30_000;
const drainTimeoutMs = 3_000;
const pollMs = 200;

/**
 * Returns once `to` are the voters and the configuration is no longer joint. All ids, in any order.
 * @throws HaplanError `control-plane/voters-moved` if the voters are neither `from` nor on the way from there to `to`.
 */
export async function changeVoters(pool: MemberPool, from: readonly string[], to: readonly string[]): Promise<void> {
  const deadline = performance.now() + changeTimeoutMs;
  let failure: unknown = null;
  while (performance.now() < deadline) {
    const answers = await pool.probeAll();
    const leader = answers.find(isLeader);
    const membership = membershipFrom(answers);
    if (leader !== undefined && membership !== null && membership.votersOutgoing.length === 0) {
      const voters = membership.members.filter((member) => !member.learner).map((member) => member.id);
      if (sameMembers(voters, to)) return;
      const stepwise = leader.configuration === null;
      assertOnTheWay(voters, from, to, stepwise);
      if (!stepwise) await drainLeaving(pool, answers, voters, to);
      failure = await (stepwise ? oneStep(pool, leader, voters, to) : jointChange(pool, leader, to)).then(
        () => null,
        (error: unknown) => error,
      );
    }
    await systemClock.sleep(failure === null ? 0 : pollMs);
  }
  const reason = failure === null ? "no leader answered in time" : errorText(failure);
  throw new HaplanError("control-plane/failed", `Cannot move the votes: ${reason}`, { cause: failure });
}

/**
 * A joint change is all or nothing; single steps leave an intermediate state, from which an interrupted run continues.
 */
function assertOnTheWay(
  voters: readonly string[],
  from: readonly string[],
  to: readonly string[],
  stepwise: boolean,
): void {
  const known = new Set([...from, ...to]);
  const stayed = from.filter((id) => to.includes(id));
  const between = voters.every((id) => known.has(id)) && stayed.every((id) => voters.includes(id));
  if (sameMembers(voters, from) || (stepwise && between)) return;
  throw new HaplanError(
    "control-plane/voters-moved",
    `Cannot move the votes: the voters are ${voters.join(", ")}, not ${from.join(", ")} as planned`,
  );
}

/** A member without a vote serves no writes: its clients are moved before. */
async function drainLeaving(
  pool: MemberPool,
  answers: readonly ProbeResult[],
  voters: readonly string[],
  to: readonly string[],
): Promise<void> {
  const leaving = answers.filter(({ status }) => voters.includes(status.memberId) && !to.includes(status.memberId));
  // A member of an older version, or one that has just died, does not stop the change.
  await Promise.allSettled(leaving.map(({ endpoint }) => drainMember(pool.client(endpoint), drainTimeoutMs)));
}

async function jointChange(pool: MemberPool, leader: ProbeResult, to: readonly string[]): Promise<void> {
  const learners = leader.listing.members.map((member) => member.id).filter((id) => !to.includes(id));
  await changeMembers(pool.client(leader.endpoint), { voters: [...to].sort(), learners }, changeTimeoutMs);
}

/**
 * Members are added before others are removed, one for one, so that the number of voters stays within one of the
 * plan's.
 */
async function oneStep(
  pool: MemberPool,
  leader: ProbeResult,
  voters: readonly string[],
  to: readonly string[],
): Promise<void> {
  const joining = to.find((id) => !voters.includes(id));
  const leaving = voters.filter((id) => !to.includes(id));
  // The leader goes last: each of its removals costs an election.
  const next = leaving.find((id) => id !== leader.status.memberId) ?? leaving[0];
  const { cluster } = pool.client(leader.endpoint).within(changeTimeoutMs);
  if (joining !== undefined && (next === undefined || voters.length <= to.length)) {
    await cluster.promoteMember(joining);
  } else if (next !== undefined) {
    await cluster.removeMember(next);
  }
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}
