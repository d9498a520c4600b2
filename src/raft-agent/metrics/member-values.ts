/** The values that a member's services provide for the metrics page. */
import type { MemberServices } from "../services/member-services.ts";
import type { SourcedValues } from "./sourced-metrics.ts";

/** Counted outside of the services. */
export type FrontValues = Pick<
  SourcedValues,
  "responseBytes" | "responseBytesMax" | "connectionsCutOff" | "droppedLogLines"
>;

const noFront: FrontValues = { responseBytes: 0, responseBytesMax: 0, connectionsCutOff: 0, droppedLogLines: 0 };

export function memberValues(services: MemberServices, front: FrontValues = noFront): SourcedValues {
  const { context, machine, watchHub, watchService } = services;
  const { consensus, proposer } = context;
  const { totalBytes, inUseBytes } = machine.store.size();
  const leader = consensus.leader();
  return {
    ...front,
    hasLeader: leader === null ? 0 : 1,
    isLeader: consensus.isLeader() ? 1 : 0,
    isLearner: machine.membership.isReportedAsLearner(consensus.memberId) ? 1 : 0,
    proposalsPending: proposer.pendingCount,
    proposalsFailed: proposer.failedTotal,
    committedIndex: consensus.commitIndex(),
    appliedIndex: consensus.appliedIndex(),
    slowReadIndexes: context.reads.slowTotal,
    failedReadIndexes: context.reads.failedTotal,
    authRevision: machine.auth.revision,
    quotaBytes: context.quota.quotaBytes,
    dbTotalBytes: totalBytes,
    dbInUseBytes: inUseBytes,
    ...machine.counts,
    ...machine.store.counts,
    keys: machine.store.keyCount,
    watchEvents: context.counts.watchEvents,
    leasesRenewed: context.lessor.renewedTotal,
    defragmentations: 0,
    currentRevision: machine.store.revision,
    compactRevision: machine.store.compactedRevision,
    watchers: watchHub.watcherCount,
    watchStreams: watchService.streamCount,
    slowWatchers: watchHub.laggingCount,
  };
}
