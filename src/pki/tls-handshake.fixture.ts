/** TLS handshakes between two holders of certificates. */
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import type { TlsMaterial } from "./tls-material.ts";

/**
 * One connection that requires a client certificate: the common name that the server saw, or the error of either side.
 * The client trusts the authorities `trusted`.
 */
export async function handshake(
  address: string,
  server: TlsMaterial,
  client: TlsMaterial | null,
  trusted: string = server.caPem,
): Promise<string> {
  const options = { ca: server.caPem, cert: server.certificatePem, key: server.keyPem };
  const listener = createServer({ ...options, requestCert: true, rejectUnauthorized: true }, (socket: TLSSocket) => {
    socket.end(String(socket.getPeerCertificate().subject.CN));
  });
  await new Promise<void>((resolve) => listener.listen(0, address, resolve));
  const port = (listener.address() as AddressInfo).port;
  const identity = client === null ? {} : { cert: client.certificatePem, key: client.keyPem };
  try {
    return await new Promise<string>((resolve) => {
      const socket = connect({ host: address, port, ca: trusted, ...identity });
      socket.setEncoding("utf8").once("data", resolve);
      const fail = (error: NodeJS.ErrnoException): void => resolve(error.code ?? error.message);
      listener.once("tlsClientError", fail);
      socket.once("error", fail);
    });
  } finally {
    listener.close();
  }
}
