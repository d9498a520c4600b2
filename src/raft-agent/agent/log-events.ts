/** Logs the events of a member's layers for operators. */
import type { Logger } from "pino";
import type { AgentConfig } from "../config/agent-config.ts";
import type { MemberId } from "../raft/entry.ts";
import type { AgentEvents } from "./agent-events.ts";

export function logEvents(events: AgentEvents, config: AgentConfig, logger: Pick<Logger, "info" | "warn">): void {
  events.on("leaderElected", ({ leader, term, role }) => logger.info({ leader, term, role }, "leader elected"));
  logMembership(events, logger);
  events.on("appliedSlowly", (index, tookMs) => {
    const took = `${Math.round(tookMs)} ms`;
    logger.warn({ index, took, expected: config.warningApplyDurationMs }, "applying took too long");
  });
}

/** In etcd's words. A change that this member learnt of before it started is not logged again. */
function logMembership(events: AgentEvents, logger: Pick<Logger, "info">): void {
  const learners = new Map<MemberId, boolean>();
  events.on("membershipChanged", ({ changed, removed }) => {
    for (const { id, name, peerUrls, learner } of changed) {
      // A member has no name until it announces itself.
      if (name === "" && !learners.has(id)) {
        const fields = { "added-peer-id": id, "added-peer-peer-urls": peerUrls, "added-peer-is-learner": learner };
        logger.info(fields, "added member");
      } else if (!learner && learners.get(id) === true) {
        logger.info({ "promoted-member-id": id }, "promote member");
      }
      learners.set(id, learner);
    }
    for (const id of removed) logger.info({ "removed-remote-peer-id": id }, "removed member");
  });
}
