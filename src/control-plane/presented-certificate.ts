/** Reads the certificate that a port presents, in a TLS handshake without any request. */
import { connect } from "node:tls";
import { fingerprintOf } from "../base/fingerprint.ts";
import { listenAddress } from "../base/listen-place.ts";
import { validityOf } from "../pki/certificate-facts.ts";
import type { AskPresented } from "./control-plane.ts";

const timeoutMs = 2000;

/** Only the presented certificate matters, and nothing is sent: so nothing is verified. */
export const askPresented: AskPresented = (url, tls) => {
  const address = listenAddress(new URL(url));
  return new Promise((resolve) => {
    const identity = tls === null ? {} : { cert: tls.certificatePem, key: tls.keyPem };
    const socket = connect({ ...address, ...identity, rejectUnauthorized: false, timeout: timeoutMs });
    const finish = (found: Awaited<ReturnType<AskPresented>>): void => {
      resolve(found);
      socket.destroy();
    };
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerX509Certificate();
      if (certificate === undefined) return finish(null);
      finish({ fingerprint: fingerprintOf(certificate), notAfter: validityOf(certificate).notAfter });
    });
    socket.once("timeout", () => finish(null));
    socket.on("error", () => finish(null));
    socket.once("close", () => finish(null));
  });
};
