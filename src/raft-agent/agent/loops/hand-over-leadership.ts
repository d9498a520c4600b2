/** A leader that stops lets another one take over first, so that no write waits for an election. */
import { systemClock } from "../../../base/clock.ts";
import type { ConsensusDriver } from "../../consensus/consensus-driver.ts";
import type { MemberId } from "../../raft/entry.ts";
import type { RaftStatus } from "../../raft/status.ts";
import { tickMs } from "../from-config.ts";

const withinMs = 1_000;

/** To the connected voter whose log is longest; returns when another one leads, or after a while. */
export async function handOverLeadership(
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
  // Proposals that came meanwhile are sent on to the successor once it is known.
  const isUnderWay = ({ role, leader }: Pick<RaftStatus, "role" | "leader">): boolean =>
    role === "leader" || leader === null;
  while (isUnderWay(driver.status()) && systemClock.monotonicMs() < deadlineMs) await systemClock.sleep(tickMs);
}
