/**
 * Stops listening without losing connections: the system resets connections that are established but not accepted yet,
 * which their clients take for a crashed member. Node.js accepts one connection per turn of the event loop, so a turn
 * without one has found none waiting, and the port is closed at the end of such a turn.
 */
import { Server } from "node:net";
import { systemClock } from "./clock.ts";

/**
 * How short such a turn has to be, and how long to wait for one: a connection that arrives after the turn has looked
 * for one, and before the port is closed, is reset after all. A long turn was busy, or the process was suspended.
 */
const turns: readonly { readonly longestMs: number; readonly untilMs: number }[] = [
  { longestMs: 0.05, untilMs: 150 },
  { longestMs: 1, untilMs: 300 },
  { longestMs: Number.POSITIVE_INFINITY, untilMs: 500 },
];

/** Accepts waiting connections and closes the port. Accepted connections stay open. */
export function stopListening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const startedMs = systemClock.monotonicMs();
    let turnMs = startedMs;
    // The first turn may have looked for connections before this call.
    let accepted = true;
    const onConnection = (): void => {
      accepted = true;
    };
    const endTurn = (): void => {
      const nowMs = systemClock.monotonicMs();
      const longestMs = turns.find(({ untilMs }) => nowMs - startedMs < untilMs)?.longestMs;
      const isQuiet = !accepted && nowMs - turnMs <= (longestMs ?? 0);
      if (longestMs !== undefined && !isQuiet) {
        accepted = false;
        turnMs = systemClock.monotonicMs();
        // Immediates run at the end of a turn, right after it has looked for connections.
        setImmediate(endTurn);
        return;
      }
      server.off("connection", onConnection);
      // An HTTP server's own `close` would also end connections without a request so far.
      Server.prototype.close.call(server);
      resolve();
    };
    server.on("connection", onConnection);
    setImmediate(endTurn);
  });
}
