/** Compacts the log of a running member as entries are applied. */
import type { AgentConfig } from "../../config/agent-config.ts";
import type { Raft } from "../../raft/raft.ts";
import type { AgentEvents } from "../agent-events.ts";
import { LogRetention } from "./log-retention.ts";
import type { MemberStorage } from "./open-storage.ts";

/** The log payload kept in memory before it is compacted early. */
const retainedBytesMax = 128 * 1024 * 1024;

export function retainLog(
  config: AgentConfig,
  { storage, raft }: { readonly storage: MemberStorage; readonly raft: Raft },
  events: AgentEvents,
): void {
  const { store, wal, restored } = storage;
  const limits = {
    snapshotCount: config.snapshotCount,
    catchupEntries: config.snapshotCatchupEntries,
    bytesMax: retainedBytesMax,
  };
  const retention = new LogRetention({ store, wal, raft }, limits, restored.snapshot.index);
  events.on("snapshotInstalled", (index) => retention.restartedAt(index));
  events.on("applied", (index, bytes) => {
    retention.applied(index, bytes).catch((error) => events.emit("failed", error));
  });
}
