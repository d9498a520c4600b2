/**
 * Jump hosts: ssh runs another ssh that reaches the last of them and connects it to the host. `ssh -J` does the same, but gives
 * that one neither an identity file nor options: those of the spec are for the whole way. Pure.
 */
import { shellWord } from "../../base/shell-word.ts";

export type JumpHost = {
  /** Host name or address, or a name of the user's ssh configuration. */
  readonly host: string;
  readonly user: string | null;
  readonly port: number | null;
};

/** As `ssh -J` takes them: `[user@]host[:port]` or `ssh://[user@]host[:port]`, with commas between; IPv6 in brackets. */
export function jumpHosts(jump: string | null): readonly JumpHost[] {
  return (jump ?? "").split(",").flatMap((text) => {
    const [, user = null, bracketed, named, port] =
      /^(?:ssh:\/\/)?(?:(.*)@)?(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(text.trim()) ?? [];
    const host = bracketed ?? named ?? "";
    return host === "" ? [] : [{ host, user, port: port === undefined ? null : Number(port) }];
  });
}

/** A ProxyCommand through the hosts in their order, each reached with `words`. */
export function jumpCommand(hosts: readonly JumpHost[], words: readonly string[]): string {
  const last = hosts.at(-1)!;
  const before = hosts.slice(0, -1);
  const way = before.length === 0 ? [] : ["-o", `ProxyCommand=${jumpCommand(before, words)}`];
  const own = [
    ...(last.user === null ? [] : ["-l", last.user]),
    ...(last.port === null ? [] : ["-p", String(last.port)]),
  ];
  // What ssh fills in is for the outermost command alone.
  const fixed = (given: readonly string[]): readonly string[] =>
    given.map((word) => shellWord(word.replaceAll("%", "%%")));
  return ["ssh", ...fixed([...words, ...way, ...own]), "-W", "'[%h]:%p'", "--", ...fixed([last.host])].join(" ");
}
