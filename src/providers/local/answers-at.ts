/**
 * Whether the process at a port of this machine is at work. One that hangs accepts connections, and says nothing; one that has ended
 * listens no more. A connection that is not made, although the port is listened on, is stopped by a firewall, and tells nothing.
 */
import { connect } from "node:net";
import { systemErrorCode } from "../../base/haplan-error.ts";
import { listenAddress } from "../../base/listen-place.ts";
import { listeningSockets, socketAt } from "./listening-sockets.ts";

/** A machine with a slow disk, or too many processes, answers late. */
const answerMs = 5_000;
/** A server without TLS answers it, and one with TLS ends the connection. */
const question = "GET /health HTTP/1.0\r\n\r\n";

export function answersAt(url: string): Promise<boolean> {
  const { host, port } = listenAddress(new URL(url));
  return new Promise((resolve) => {
    let isMade = false;
    const socket = connect({ host, port }, () => {
      isMade = true;
      socket.end(question);
    });
    const finish = (answers: boolean): void => {
      resolve(answers);
      socket.destroy();
    };
    const withoutAnswer = (): void => finish(!isMade && isListenedOn(host, port));
    socket.setTimeout(answerMs, withoutAnswer);
    socket.once("data", () => finish(true));
    socket.once("end", () => finish(true));
    // A server that rejects what it was sent may reset the connection.
    socket.once("error", (error) => {
      if (systemErrorCode(error) === "ECONNRESET") finish(true);
      else withoutAnswer();
    });
  });
}

function isListenedOn(host: string, port: number): boolean {
  return socketAt(listeningSockets() ?? [], host, port) !== undefined;
}
