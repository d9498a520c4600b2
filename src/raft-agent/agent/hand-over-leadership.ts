/** A leader that leaves lets another one take over first, so that nobody waits for an election. */
import { systemClock } from "../../base/clock.ts";
import type { MemberId } from "../raft/entry.ts";
import type { ConsensusDriver } from "./consensus-driver.ts";
import { tickMs } from "./member-parts.ts";

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
  while (driver.status().role === "leader" && systemClock.monotonicMs() < deadlineMs) await systemClock.sleep(tickMs);
}
