/**
 * Stops listening without losing connections: the system resets those that it has established and that are not accepted
 * yet, which their clients take for a member that has broken off. Node.js accepts one connection in each turn of the event
 * loop, so a turn in which none was accepted has found none waiting, and the port is closed at the end of such a turn.
 */
import { Server } from "node:net";
import { systemClock } from "./clock.ts";

/**
 * How short a turn has to be, and until when such a turn is waited for: a connection that arrives after the turn has looked
 * for one, and before the port is closed, is reset after all. A turn that took long was busy, or the process did not run.
 */
const turns: readonly { readonly longestMs: number; readonly untilMs: number }[] = [
  { longestMs: 0.05, untilMs: 150 },
  { longestMs: 1, untilMs: 300 },
  { longestMs: Number.POSITIVE_INFINITY, untilMs: 500 },
];

/** Accepts what waits to be accepted and closes the port. Connections that were accepted live on. */
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
      // An HTTP server's own `close` would also end the connections on which no request has been read yet.
      Server.prototype.close.call(server);
      resolve();
    };
    server.on("connection", onConnection);
    setImmediate(endTurn);
  });
}
