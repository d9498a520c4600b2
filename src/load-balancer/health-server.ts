import { createServer, type Server } from "node:http";
import { parseListen } from "./listen-address.ts";

/** Answers 200 while `serves` holds, else 503: keepalived of this host asks, and moves the virtual address. */
export function createHealthServer(serves: () => boolean): Server {
  return createServer((request, response) => {
    request.resume();
    const status = serves() ? 200 : 503;
    response.writeHead(status, { connection: "close" }).end(status === 200 ? "ok\n" : "no master answers\n");
  });
}

/** `listen` is `host:port`. */
export function openHealthServer(server: Server, listen: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(parseListen(listen), () => {
      server.off("error", reject);
      resolve();
    });
  });
}
