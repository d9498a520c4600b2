/** Snapshots being sent and received, and the one that a log which starts after it still waits for. */
import type { Logger } from "pino";
import type { AgentConfig } from "../../config/agent-config.ts";
import { awaitsSnapshot } from "../../raft/bootstrap.ts";
import { openSnapshotStore } from "../../snapshot/snapshot-store.ts";
import { createNodeFileSystem } from "../../wal/node-file-system.ts";
import type { AgentEvents } from "../agent-events.ts";
import { type MemberStorage, snapshotDir } from "./open-storage.ts";
import { SnapshotExchange } from "./snapshot-exchange.ts";

/** @throws HaplanError `agent/snapshot-missing` */
export async function openSnapshots(
  config: AgentConfig,
  { store, restored }: MemberStorage,
  events: AgentEvents,
  logger: Pick<Logger, "info">,
): Promise<SnapshotExchange> {
  const snapshots = new SnapshotExchange({
    files: await openSnapshotStore({ fileSystem: createNodeFileSystem(snapshotDir(config)), directory: "." }),
    store,
    onInstalled: (index) => events.emit("snapshotInstalled", index),
    onLog: (text) => logger.info(text),
  });
  const { index } = restored.snapshot;
  if (awaitsSnapshot(index, store.consistentIndex)) await snapshots.install(index);
  return snapshots;
}
