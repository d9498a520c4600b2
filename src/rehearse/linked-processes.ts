/** Units of a copy: detached processes, of which members reach each other through the relay. */
import { detachedProcesses } from "../providers/local/detached-processes.ts";
import type { ProcessRequest, Supervisor } from "../providers/supervisor.ts";
import { splitHostPort } from "../units/addresses.ts";
import { type PeerRoutes, type RoutedMember, routedMemberVariable } from "./peer-routes.ts";

/** Environment variable of the haplan that applies to a copy: its `LinkOptions`. */
export const linkVariable = "HAPLAN_REHEARSAL";

export type LinkOptions = {
  readonly routes: PeerRoutes;
  /** URL of the file that members load first. */
  readonly hook: string;
};

export function linkedProcesses(options: LinkOptions): Supervisor {
  return { ...detachedProcesses, start: (place, request) => detachedProcesses.start(place, linked(request, options)) };
}

/** A real etcd is no program of Node.js: it cannot be cut off. */
function linked(request: ProcessRequest, { routes, hook }: LinkOptions): ProcessRequest {
  const { program, listens, environment } = request;
  if (program.kind !== "haplan" || program.command !== "haplan-agent") return request;
  const self = splitHostPort(listens[0] ?? "").address;
  const member: RoutedMember = { self, routes };
  return {
    ...request,
    arguments: [`--import=${hook}`, ...request.arguments],
    environment: { ...environment, [routedMemberVariable]: JSON.stringify(member) },
  };
}
