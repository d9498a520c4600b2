/** Whether a port of this machine is served: a process that hangs accepts connections, and says nothing. */
import { connect } from "node:net";
import { systemErrorCode } from "../../base/haplan-error.ts";
import { listenPlace } from "../../base/listen-place.ts";

const answerMs = 2_000;
/** A server without TLS answers it, and one with TLS ends the connection: both are at work. */
const question = "GET /health HTTP/1.0\r\n\r\n";

export function answersAt(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(listenPlace(new URL(url)), () => socket.end(question));
    const finish = (answers: boolean): void => {
      resolve(answers);
      socket.destroy();
    };
    socket.setTimeout(answerMs, () => finish(false));
    socket.once("data", () => finish(true));
    socket.once("end", () => finish(true));
    // A server that rejects what it was sent may reset the connection.
    socket.once("error", (error) => finish(systemErrorCode(error) === "ECONNRESET"));
  });
}
