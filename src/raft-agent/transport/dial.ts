/** Dials a peer and greets it: from a URL to a socket on which both sides have identified each other. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import { listenAddress } from "../../base/listen-place.ts";
import type { MemberId } from "../raft/entry.ts";
import {
  decodeReply,
  encodeHello,
  explainRejection,
  HandshakeStatus,
  Purpose,
  type Reply,
  replyBytes,
  type VersionRange,
} from "./handshake.ts";
import type { PeerTls, TransportContext } from "./transport-types.ts";

export type Dialed = {
  /** Paused, without listeners. */
  readonly socket: Socket;
  /** Bytes that arrived right after the greeting. */
  readonly rest: Uint8Array;
  /** The peer's. */
  readonly versions: VersionRange;
};

/**
 * @throws HaplanError `transport/unreachable` when there is no connection, `transport/refused` when the other side
 * rejects it, `transport/removed` when it reports that this member was removed from the cluster, `transport/replaced` when its cluster has
 * replaced this one.
 */
export async function dialPeer(
  context: TransportContext,
  peer: MemberId,
  url: string,
  purpose: Purpose,
): Promise<Dialed> {
  const { self, clusterId, advertisedUrls, tls } = context.options;
  const versions = context.versions();
  const { socket, readyEvent } = openSocket(peer, url, tls);
  try {
    const { reply, rest } = await withTimeout(socket, context.limits.handshakeTimeoutMs, async () => {
      await once(socket, readyEvent);
      const acceptsMessages = purpose === Purpose.messages;
      const hello = { purpose, acceptsMessages, clusterId, from: self, to: peer, urls: advertisedUrls };
      socket.write(encodeHello(hello, versions));
      return readReply(socket);
    });
    if (reply.status !== HandshakeStatus.accepted) {
      const reason = explainRejection(reply.status, { versions, clusterId, from: self, to: peer }, reply);
      throw new HaplanError(rejectionCode(reply.status), `Cannot connect to member ${peer} at ${url}: ${reason}`);
    }
    socket.removeAllListeners("error");
    return { socket, rest, versions: reply.versions };
  } catch (error) {
    socket.on("error", () => {}); // The socket is being closed: its further errors do not matter.
    socket.destroy();
    if (error instanceof HaplanError && /^transport\/(refused|removed|replaced)$/.test(error.code)) throw error;
    throw new HaplanError("transport/unreachable", `Cannot connect to member ${peer} at ${url}: ${errorText(error)}`, {
      cause: error,
    });
  }
}

function openSocket(peer: MemberId, url: string, tls: PeerTls | undefined): { socket: Socket; readyEvent: string } {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !["http:", "https:"].includes(parsed.protocol) || parsed.port === "") {
    throw new HaplanError(
      "transport/unreachable",
      `Cannot connect to member ${peer}: "${url}" is not a peer URL; use http://HOST:PORT or https://HOST:PORT`,
    );
  }
  const { host, port } = listenAddress(parsed);
  if (parsed.protocol === "http:") return { socket: connectTcp({ host, port }), readyEvent: "connect" };
  if (tls === undefined) {
    throw new HaplanError(
      "transport/unreachable",
      `Cannot connect to member ${peer}: "${url}" requires TLS, but this member has no peer certificate`,
    );
  }
  return {
    socket: connectTls({ ...(tls.clientMaterial ?? tls.material)(), host, port }),
    readyEvent: "secureConnect",
  };
}

async function withTimeout<Result>(socket: Socket, timeoutMs: number, work: () => Promise<Result>): Promise<Result> {
  const timer = setTimeout(() => socket.destroy(new Error(`no response within ${timeoutMs} ms`)), timeoutMs);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed")));
  });
}

function readReply(socket: Socket): Promise<{ reply: Reply; rest: Uint8Array }> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const finish = (settle: () => void): void => {
      socket.removeAllListeners("data").removeAllListeners("close").removeAllListeners("end");
      socket.pause();
      settle();
    };
    socket.on("data", (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      try {
        const reply = decodeReply(received);
        if (reply !== null) finish(() => resolve({ reply, rest: received.subarray(replyBytes) }));
      } catch (error) {
        finish(() => reject(error));
      }
    });
    const onEnd = (): void =>
      finish(() => reject(new Error("the connection was closed before the greeting was answered")));
    socket.on("end", onEnd);
    socket.on("close", onEnd);
    socket.on("error", (error) => finish(() => reject(error)));
  });
}

function rejectionCode(status: number): string {
  if (status === HandshakeStatus.removed) return "transport/removed";
  return status === HandshakeStatus.replaced ? "transport/replaced" : "transport/refused";
}
