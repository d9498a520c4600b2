/** What HAProxy's `show stat` says of the backends that haplan configures (templates/haproxy). Pure. */
import type { BackendState } from "./backend.ts";

/** Beside its configuration. */
export const haproxySocket = "admin.sock";
export const haproxyQuestion = "show stat";

export type HaproxyBackend = { readonly name: string; readonly state: BackendState };

/** One line of a proxy and a server, by column. */
type Row = ReadonlyMap<string, string>;

/** In the order of the configuration; empty for what is no statistics of such a configuration. */
export function parseHaproxyStatus(csv: string): readonly HaproxyBackend[] {
  const rows = parseRows(csv);
  const serversOf = (proxy: string): readonly Row[] =>
    rows.filter((row) => row.get("pxname") === proxy && !["FRONTEND", "BACKEND"].includes(row.get("svname") ?? ""));
  const alive = new Map(serversOf("masters-alive").map((row) => [row.get("svname"), row.get("status") ?? ""]));
  return serversOf("masters-health").map((row) => {
    const name = row.get("svname") ?? "";
    return { name, state: stateOf(row.get("status") ?? "", alive.get(name) ?? "") };
  });
}

/** `NOLB` is what `http-check disable-on-404` makes of a master that is about to stop. */
function stateOf(health: string, alive: string): BackendState {
  if (health.startsWith("NOLB")) return "stopping";
  if (health.startsWith("UP")) return "ready";
  return alive.startsWith("UP") ? "alive" : "dead";
}

/** Fields that may have commas are the last ones, and quoted: they are not read. */
function parseRows(csv: string): readonly Row[] {
  const [header = "", ...lines] = csv.trim().split("\n");
  const names = header.replace(/^# /, "").split(",");
  return lines.map((line) => new Map(line.split(",").map((value, at) => [names[at] ?? "", value])));
}
