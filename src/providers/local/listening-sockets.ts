/** Listening sockets of this machine, from the kernel's own tables (proc(5), /proc/net/tcp). */
import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { decodeSocketAddress } from "../../host/socket-address.ts";

export type ListeningSocket = {
  /** Null for every address. */
  readonly address: string | null;
  readonly port: number;
  readonly inode: string;
};

const listenState = "0A";

/** Null if the system has no such tables. */
export function listeningSockets(): ListeningSocket[] | null {
  const tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(readTable);
  return tables[0] === null ? null : tables.flatMap((table) => parseSocketTable(table ?? ""));
}

/** Parses /proc/net/tcp or tcp6. */
export function parseSocketTable(table: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  for (const line of table.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [, local = "", , state] = fields;
    const inode = fields[9];
    if (state !== listenState || inode === undefined) continue;
    const [addressHex = "", portHex = ""] = local.split(":");
    sockets.push({ address: decodeSocketAddress(addressHex), port: Number.parseInt(portHex, 16), inode });
  }
  return sockets;
}

/** Splits `host:port` or `[host]:port`; null when it is neither. */
export function parseHostPort(text: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const host = match[1] ?? match[2] ?? "";
  const port = Number(match[3]);
  if (match[1] !== undefined && !isIPv6(host)) return null;
  return port <= 65_535 ? { host, port } : null;
}

/** The socket that prevents listening on `host:port`, if any. */
export function socketAt(sockets: readonly ListeningSocket[], host: string, port: number): ListeningSocket | undefined {
  return sockets.find((socket) => socket.port === port && (socket.address === null || socket.address === host));
}

/** Whether any of these addresses is listened on; null where that cannot be told. */
export function listenCheck(listens: readonly string[]): (() => boolean) | null {
  if (listens.length === 0 || listeningSockets() === null) return null;
  const targets = listens.map(parseHostPort).filter((target) => target !== null);
  return () => {
    const sockets = listeningSockets() ?? [];
    return targets.some(({ host, port }) => socketAt(sockets, host, port) !== undefined);
  };
}

function readTable(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
