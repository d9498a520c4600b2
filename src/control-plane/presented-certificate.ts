/** Reads the certificate that a port presents, in a TLS handshake without any request. */
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { fingerprintOf } from "../base/fingerprint.ts";
import { listenAddress } from "../base/listen-place.ts";
import { validityOf } from "../pki/certificate-facts.ts";
import { certificatesIn } from "../x509/pem.ts";
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
      const shown = { fingerprint: fingerprintOf(certificate), notAfter: validityOf(certificate).notAfter };
      finish(tls === null || isIssuedBy(certificate, tls.caPem) ? shown : { ...shown, foreignIssuer: true });
    });
    socket.once("timeout", () => finish(null));
    socket.on("error", () => finish(null));
    socket.once("close", () => finish(null));
  });
};

function isIssuedBy(certificate: X509Certificate, authoritiesPem: string): boolean {
  return certificatesIn(authoritiesPem).some((pem) => certificate.verify(new X509Certificate(pem).publicKey));
}
