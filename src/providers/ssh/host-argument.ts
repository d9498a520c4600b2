/** Hosts on the command line: `admin@10.0.0.1,10.0.0.2,m3.example.com:2222`. */
import { isIPv6 } from "node:net";
import { HaplanError } from "../../base/haplan-error.ts";
import type { HostReach } from "../spec-draft.ts";

export type HostArgument = Pick<HostReach, "host" | "user" | "port">;

/** `user@host`, `host:port`, `[IPv6]:port`. */
const pattern = /^(?:([^@\s]+)@)?(?:\[([0-9a-fA-F:.]+)\]|([^@\s/[\]]+?))(?::(\d{1,5}))?$/;

/** A user before the first host is that of all that name none. @throws HaplanError `init/bad-host` */
export function parseHosts(flag: string, text: string): readonly HostArgument[] {
  const hosts = text.split(",").map((word) => parseHost(flag, word.trim()));
  const first = hosts[0]?.user ?? null;
  return hosts.map((host) => ({ ...host, user: host.user ?? first }));
}

function parseHost(flag: string, word: string): HostArgument {
  const at = word.lastIndexOf("@");
  if (isIPv6(word.slice(at + 1)))
    return { user: at < 1 ? null : word.slice(0, at), host: word.slice(at + 1), port: null };
  const [, user, bracketed, plain, port] = pattern.exec(word) ?? [];
  const host = bracketed ?? plain;
  if (host !== undefined && !host.startsWith("-") && Number(port ?? 1) >= 1 && Number(port ?? 1) <= 65_535)
    return { host, user: user ?? null, port: port === undefined ? null : Number(port) };
  const advice =
    "Write hosts as ssh takes them, with commas between: `-hosts admin@10.0.0.1,10.0.0.2,10.0.0.3`, with a port as `10.0.0.1:2222` or `[fd00::1]:2222`.";
  throw new HaplanError("init/bad-host", `${flag}: ${JSON.stringify(word)} is not a host\n${advice}`);
}
