/**
 * The listen address in a URL flag: a TCP address, or with `unix:` and `unixs:` a socket in the file system. The
 * socket's path is everything behind `//`, so `unix:///run/etcd.sock` is absolute and etcd 3.4's
 * `unix://localhost:2379` is a file of that name in the working directory.
 */
import { lstatSync, rmSync } from "node:fs";
import type { Server } from "node:net";
import { HaplanError } from "./haplan-error.ts";
import { urlHost } from "./ip-address.ts";

export type ListenPlace = ListenAddress | { readonly path: string };
export type ListenAddress = { readonly host: string; readonly port: number };

export function isSocketUrl({ protocol }: URL): boolean {
  return protocol === "unix:" || protocol === "unixs:";
}

export function isTlsUrl({ protocol }: URL): boolean {
  return protocol === "https:" || protocol === "unixs:";
}

export function listenPlace(url: URL): ListenPlace {
  if (isSocketUrl(url)) return { path: decodeURIComponent(`${url.host}${url.pathname}`) };
  return listenAddress(url);
}

export function listenAddress(url: URL): ListenAddress {
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return { host: urlHost(url), port };
}

/** One address under several URLs (`http` and `https` on one port, or one URL twice) is bound only once. */
export function urlsByPlace(urls: readonly URL[]): readonly (readonly [URL, ...URL[]])[] {
  const found = new Map<string, [URL, ...URL[]]>();
  for (const url of urls) {
    const place = placeText(listenPlace(url));
    const same = found.get(place);
    if (same === undefined) found.set(place, [url]);
    else same.push(url);
  }
  return [...found.values()];
}

function placeText(place: ListenPlace): string {
  return "path" in place ? place.path : `${place.host}:${place.port}`;
}

/**
 * Binds the server to the address. A socket file left by a killed process is replaced, as in etcd; any other file is
 * not.
 * @throws HaplanError `listen-failed` naming the address
 */
export async function listenAt(server: Server, place: ListenPlace): Promise<void> {
  if ("path" in place && lstatSync(place.path, { throwIfNoEntry: false })?.isSocket()) rmSync(place.path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const where = placeText(place);
      reject(new HaplanError("listen-failed", `Cannot listen on ${where}: ${cause.message}`, { cause }));
    });
    server.listen({ ...place, backlog: 4_096 }, () => resolve());
  });
}
