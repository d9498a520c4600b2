/** The shell scripts that try connections between hosts before there is a cluster, and what they print. Pure. */
import { shellWord } from "../../base/shell-word.ts";
import { encodeSocketAddress } from "../../host/socket-address.ts";
import { hostPort } from "../../units/addresses.ts";
import type { PathOutcome } from "../hosts-to-check.ts";

type Place = { readonly address: string; readonly port: number };

/** Listeners that nothing has ended end by themselves. */
const listenSeconds = 120;
const connectSeconds = 3;

/**
 * Listens at each place, which has an IP address, until the shell ends, and prints those that are listened at. systemd-socket-activate is a part of
 * systemd; it starts a program for each connection, here one that says that it is haplan's listener.
 */
export function listenScript(places: readonly Place[]): string {
  return `
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
listeners= guard=
# Even where the shell is killed.
setpriv --pdeathsig TERM true 2>/dev/null && guard="setpriv --pdeathsig TERM"
trap 'exit' HUP INT TERM
trap 'kill $listeners 2>/dev/null' EXIT
listen() {
  $guard timeout ${listenSeconds} systemd-socket-activate --inetd --accept -l "$1" echo haplan </dev/null >/dev/null 2>&1 &
  listeners="$listeners $!"
}
isUp() { grep -q " $1 0*:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null; }
${places.map(({ address, port }) => `listen ${shellWord(hostPort(address, port))}`).join("\n")}
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  waiting=
  for socket in ${places.map(socketOf).join(" ")}; do isUp "$socket" || waiting=yes; done
  [ -z "$waiting" ] && break
  sleep 0.2
done
${places.map((place, at) => `isUp ${socketOf(place)} && echo ${at}`).join("\n")}`;
}

/** As /proc/net/tcp has it. */
function socketOf({ address, port }: Place): string {
  return `${encodeSocketAddress(address)}:${port.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Prints for each place its number, the exit code, and what bash said. All are tried at the same time. */
export function connectScript(places: readonly Place[]): string {
  return `
export LC_ALL=C
connect() {
  said=$(timeout ${connectSeconds} bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" 2>&1 </dev/null)
  printf '%s\\t%s\\t%s\\n' "$1" "$?" "$(printf %s "$said" | tr '\\n' ' ')"
}
(
${places.map(({ address, port }, at) => `connect ${at} ${shellWord(address)} ${port} &`).join("\n")}
wait
)`;
}

/**
 * Connects to an address that nothing should have, and prints what `connectScript` does, and the neighbor that answered for
 * it. An entry of before in the table of neighbors would be taken for an answer.
 */
export function holderScript(place: Place): string {
  const address = shellWord(place.address);
  return `
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
ip neighbor flush to ${address} >/dev/null 2>&1
${connectScript([place])}
ip neighbor show to ${address} 2>/dev/null`;
}

/** What `holderScript` printed; `mac` is null for a holder that answers from beyond a router. Null if there is no holder. */
export function parseHolder(output: string): { readonly mac: string | null } | null {
  const [, mac] = /\blladdr (\S+)/.exec(output) ?? [];
  if (mac !== undefined) return { mac };
  const outcome = parseConnections(output).get(0);
  return outcome === "connected" || outcome === "refused" ? { mac: null } : null;
}

/** For people. */
export function describeHolder({ mac }: { readonly mac: string | null }): string {
  return mac === null ? "a machine that answers" : `a machine with the MAC address ${mac}`;
}

/** What `listenScript` printed. */
export function parseListening(output: string): ReadonlySet<number> {
  return new Set(
    output
      .split("\n")
      .filter((line) => line !== "")
      .map(Number),
  );
}

/** What `connectScript` printed. */
export function parseConnections(output: string): ReadonlyMap<number, PathOutcome> {
  const outcomes = new Map<number, PathOutcome>();
  for (const line of output.split("\n")) {
    const [at = "", exitCode = "", said = ""] = line.split("\t");
    if (exitCode !== "") outcomes.set(Number(at), outcomeOf(Number(exitCode), said));
  }
  return outcomes;
}

/** timeout(1) ends with 124, and the shell with 126 or 127 where a program is missing. */
function outcomeOf(exitCode: number, said: string): PathOutcome {
  if (exitCode === 0) return "connected";
  if (exitCode === 124 || /timed out/.test(said)) return "noAnswer";
  if (exitCode === 126 || exitCode === 127) return "untried";
  if (/refused/i.test(said)) return "refused";
  if (/(name|service) not known|resolution|resolve|address associated/i.test(said)) return "unknownName";
  return /no route|unreachable|denied|permitted/i.test(said) ? "rejected" : "untried";
}
