/** The text of a systemd unit, and what of it is read again. */
import { basename } from "node:path";
import { renderTemplate } from "../../base/render-template.ts";
import type { ProcessRequest, UnitPlace } from "../../providers/supervisor.ts";
import { systemdName, unitMarker } from "../../providers/unit-name.ts";

const firstUnprivilegedPort = 1024;

export function renderUnitFile(place: UnitPlace, request: ProcessRequest): string {
  const notify = request.program.kind === "haplan" && request.program.command === "haplan-agent";
  const environment = Object.entries({ ...request.environment, [unitMarker]: place.directory });
  return renderTemplate("systemd/unit.service.hbs", {
    unit: escapeSpecifiers(place.unit),
    machine: escapeSpecifiers(place.machine),
    cluster: escapeSpecifiers(basename(place.root)),
    name: systemdName(place),
    runtime: runtimeName(place),
    notify,
    type: notify ? "notify" : "exec",
    command: [request.file, ...request.arguments].map(quoteArgument).join(" "),
    reload: request.reloadSignal?.slice("SIG".length) ?? null,
    environment: environment.map(([name, value]) => quote(`${name}=${value}`)),
    capabilities: [
      ...(request.listens.some(needsPrivilege) ? ["CAP_NET_BIND_SERVICE"] : []),
      ...request.capabilities,
    ].join(" "),
    packets: request.capabilities.includes("CAP_NET_RAW"),
    switchesGroup: request.capabilities.includes("CAP_SETGID"),
    data: quote(request.dataDir),
    directories: (request.directories ?? []).map(quote),
  });
}

/** The directory of the unit that a unit file was written for; null when haplan did not write it. */
export function unitDirOfFile(text: string): string | null {
  const [, quoted] = new RegExp(`^Environment="${unitMarker}=(.*)"$`, "m").exec(text) ?? [];
  return quoted?.replaceAll("%%", "%").replace(/\\(.)/g, "$1") ?? null;
}

/** In RuntimeDirectory= a colon separates a directory from a link to it. */
export function runtimeName(place: UnitPlace): string {
  return systemdName(place).replaceAll(":", "+");
}

function needsPrivilege(listen: string): boolean {
  return Number(listen.slice(listen.lastIndexOf(":") + 1)) < firstUnprivilegedPort;
}

/** One word of ExecStart: systemd.service(5) also replaces variables there. */
function quoteArgument(text: string): string {
  return quote(text).replaceAll("$", "$$$$");
}

/** One word, whatever is in it (systemd.syntax(7)). */
function quote(text: string): string {
  const escaped = text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
  return `"${escapeSpecifiers(escaped)}"`;
}

function escapeSpecifiers(text: string): string {
  return text.replaceAll("%", "%%");
}
