/** What a port shows to those who connect. */
import { connect } from "node:tls";

/** The end of the certificate's time, in milliseconds since the epoch. */
export function shownUntil({ hostname, port }: URL): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
    socket.once("secureConnect", () => {
      resolve(Date.parse(socket.getPeerX509Certificate()?.validTo ?? ""));
      socket.destroy();
    });
    socket.once("error", reject);
  });
}
