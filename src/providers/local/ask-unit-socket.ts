/** Asks a running unit over a UNIX socket that it listens on. */
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";

const answerMs = 2_000;

/**
 * Sends a line, and returns what comes back until the unit closes the connection; null if nothing listens there, or it does not
 * answer in time. `socket` is relative to the directory that the process runs in: its own path may be longer than the path of
 * a socket may be.
 */
export async function askUnitSocket(pid: number, socket: string, question: string): Promise<string | null> {
  const connection: Socket = connect(`/proc/${pid}/cwd/${socket}`);
  connection.setTimeout(answerMs, () => connection.destroy(new Error("no answer in time")));
  connection.write(`${question}\n`);
  return await text(connection).catch(() => null);
}
