/** A stopping leader transfers leadership first, so that no write waits for an election. */
import { systemClock } from "../../../base/clock.ts";
import type { ConsensusDriver } from "../../consensus/consensus-driver.ts";
import type { MemberId } from "../../raft/entry.ts";
import type { RaftStatus } from "../../raft/status.ts";
import { tickMs } from "../from-config.ts";

const withinMs = 1_000;

/** To the connected voter with the longest log; returns when another member leads, or after a while. */
export async function transferLeadershipAway(
  driver: Pick<ConsensusDriver, "status" | "step">,
  transport: { isConnected(peer: MemberId): boolean },
): Promise<void> {
  const status = driver.status();
  if (status.role !== "leader") return;
  const [successor] = [...status.peers]
    .filter(([id]) => status.configuration.voters.includes(id) && transport.isConnected(id))
    .sort(([, a], [, b]) => b.matchIndex - a.matchIndex);
  if (successor === undefined) return;
  driver.step({ kind: "transferLeadership", to: successor[0] });
  const deadlineMs = systemClock.monotonicMs() + withinMs;
  // Proposals that arrived meanwhile are forwarded to the successor once it is known.
  const isInProgress = ({ role, leader }: Pick<RaftStatus, "role" | "leader">): boolean =>
    role === "leader" || leader === null;
  while (isInProgress(driver.status()) && systemClock.monotonicMs() < deadlineMs) await systemClock.sleep(tickMs);
}
