import { connect, createSecureContext, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GuardedMember } from "./guarded-member.ts";

describe("A5: a client's resumed session", () => {
  let member: GuardedMember;
  beforeAll(async () => {
    member = await GuardedMember.start();
  });
  afterAll(() => member.stop());

  it.each([
    ["client", "TLSv1.2"],
    ["client", "TLSv1.3"],
    ["peer", "TLSv1.2"],
    ["peer", "TLSv1.3"],
  ] as const)("on the %s port, over %s, is not resumed: its certificate is verified again", async (port, version) => {
    const { hostname, port: number } = new URL(port === "client" ? member.clientUrl : member.peerUrl);
    const context = createSecureContext({ ...member.pem("m2"), minVersion: version, maxVersion: version });
    const shake = (session?: Buffer): Promise<{ socket: TLSSocket; session: Buffer | undefined }> =>
      new Promise((resolve, reject) => {
        const options = { host: hostname, port: Number(number), secureContext: context, ALPNProtocols: ["http/1.1"] };
        const socket = connect(session === undefined ? options : { ...options, session });
        let last: Buffer | undefined;
        socket.on("session", (received) => {
          last = received;
        });
        socket.on("error", reject).on("secureConnect", () => {
          // Tickets of TLS 1.3 arrive after the handshake.
          setTimeout(() => resolve({ socket, session: last ?? socket.getSession() }), 50);
        });
      });
    const first = await shake();
    first.socket.destroy();
    const second = await shake(first.session);
    expect(second.socket.isSessionReused()).toBe(false);
    second.socket.destroy();
  });
});
