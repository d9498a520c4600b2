/** Logs the events of a member's layers for operators. */
import type { Logger } from "pino";
import type { AgentConfig } from "../config/agent-config.ts";
import type { AgentEvents } from "./agent-events.ts";

export function logEvents(events: AgentEvents, config: AgentConfig, logger: Pick<Logger, "info" | "warn">): void {
  events.on("leaderElected", ({ leader, term, role }) => logger.info({ leader, term, role }, "leader elected"));
  events.on("appliedSlowly", (index, tookMs) => {
    const took = `${Math.round(tookMs)} ms`;
    logger.warn({ index, took, expected: config.warningApplyDurationMs }, "applying took too long");
  });
}
