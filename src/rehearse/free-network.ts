/** Free loopback addresses: `127.x.y.0/24` on which nothing listens, reserved for as long as the returned server lives. */
import { createServer, type Server } from "node:net";
import { HaplanError } from "../base/haplan-error.ts";
import { listeningSockets } from "../providers/local/listening-sockets.ts";

export type FreeNetwork = {
  /** The first three numbers. */
  readonly network: string;
  readonly release: () => void;
};

/** Below are networks that people and haplan's own defaults use. */
const first = { x: 88, y: 1 };
const last = { x: 223, y: 250 };
const reservingPort = 38_080;
const triesMax = 200;

/** `random`: a number from 0 to 1, so that two rehearsals do not try the same ones. @throws HaplanError `rehearse/no-addresses` */
export async function freeNetwork(random: () => number): Promise<FreeNetwork> {
  const sockets = listeningSockets();
  if (sockets === null || process.platform !== "linux")
    throw new HaplanError(
      "rehearse/no-addresses",
      "A rehearsal needs Linux\nThe copy's members have loopback addresses of their own, such as 127.88.1.1, which other systems do not have. Run it in a container or a virtual machine.",
    );
  const used = new Set(sockets.map(({ address }) => address?.split(".").slice(0, 3).join(".")));
  for (let attempt = 0; attempt < triesMax; attempt += 1) {
    const pick = ({ from, to }: { from: number; to: number }): number => from + Math.floor(random() * (to - from + 1));
    const network = `127.${pick({ from: first.x, to: last.x })}.${pick({ from: first.y, to: last.y })}`;
    if (used.has(network)) continue;
    const server = await reserve(`${network}.254`);
    if (server !== null) return { network, release: () => void server.close() };
  }
  throw new HaplanError(
    "rehearse/no-addresses",
    "No loopback addresses are free\nThe copy needs addresses of 127.0.0.0/8 on this machine, such as 127.88.1.1.",
  );
}

/** Null if another rehearsal has it. */
function reserve(host: string): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => resolve(null));
    server.listen({ host, port: reservingPort }, () => {
      server.unref();
      resolve(server);
    });
  });
}
