/**
 * Loaded before a member of a rehearsal's copy (`node --import`): its connections to its peers go through the rehearsal's
 * relay, which can cut it off. Nothing else of the member is changed.
 */
import { Socket } from "node:net";
import { type RoutedMember, routedMemberVariable, routePort } from "../../src/rehearse/peer-routes.ts";

const text = process.env[routedMemberVariable];
if (text !== undefined) routePeers(JSON.parse(text) as RoutedMember);

type Target = { host?: string; port?: number | string };

function routePeers({ self, routes }: RoutedMember): void {
  const original = Socket.prototype.connect as (...given: unknown[]) => Socket;
  Socket.prototype.connect = function connect(this: Socket, ...given: unknown[]): Socket {
    const [first, ...rest] = given;
    // `net.connect` passes its arguments on in an array that it has marked.
    if (Array.isArray(first)) first[0] = routed(first[0] as Target);
    return original.apply(this, Array.isArray(first) ? given : [routed(first as Target), ...rest]);
  } as typeof Socket.prototype.connect;

  function routed(target: Target): Target {
    if (typeof target !== "object" || target === null || target.host === undefined) return target;
    const port = routePort(routes, self, target.host, Number(target.port));
    return port === null ? target : { ...target, host: routes.host, port };
  }
}
