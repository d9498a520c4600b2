/** The clock of a member: the ticks of the core, and periodic housekeeping. */
import type { AgentConfig } from "../../config/agent-config.ts";
import type { AgentEvents } from "../agent-events.ts";
import { tickMs } from "../from-config.ts";
import type { Consensus } from "../open-consensus.ts";
import { settledTicks, TickTimer } from "./tick-timer.ts";

const housekeepingMs = 100;

export class MemberClock {
  readonly #events: AgentEvents;
  readonly #ticks: TickTimer;
  #housekeeping: NodeJS.Timeout | undefined = undefined;

  constructor({ heartbeatIntervalMs }: AgentConfig, { driver, client }: Consensus, events: AgentEvents) {
    this.#events = events;
    this.#ticks = new TickTimer({
      tickMs,
      settledTicks: settledTicks(tickMs, heartbeatIntervalMs),
      onTicks: (count) => {
        // A stalled leader has sent no heartbeats: its followers may be about to elect another one.
        const isLate = count * tickMs > 2 * heartbeatIntervalMs;
        if (isLate && client.isLeader()) events.emit("heartbeatLate");
        driver.tick(count);
      },
    });
    events.on("softStateChanged", ({ leader }) => this.#ticks.settle(leader !== null));
  }

  start(): void {
    this.#ticks.start();
    this.#housekeeping = setInterval(() => this.#events.emit("housekeeping"), housekeepingMs);
  }

  stop(): void {
    this.#ticks.stop();
    clearInterval(this.#housekeeping);
  }
}
