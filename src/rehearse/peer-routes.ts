/** How members of a copy reach each other: each through ports of its own, so that the relay behind them can cut it off. */

/** How a member finds its ports. */
export type PeerRoutes = {
  readonly host: string;
  readonly firstPort: number;
  /** Addresses of all members, in the order of their ports. */
  readonly members: readonly string[];
  /** Ports on which members listen for their peers: two while the plan changes the port. */
  readonly peerPorts: readonly number[];
};

/** The port through which `from` reaches `port` of `to`; null for any other address or port. */
export function routePort(routes: PeerRoutes, from: string, to: string, port: number): number | null {
  const { firstPort, members, peerPorts } = routes;
  const [source, target, at] = [members.indexOf(from), members.indexOf(to), peerPorts.indexOf(port)];
  if (source === -1 || target === -1 || at === -1) return null;
  return firstPort + (source * members.length + target) * peerPorts.length + at;
}

/** Environment variable of a member: a `RoutedMember`. */
export const routedMemberVariable = "HAPLAN_REHEARSED_MEMBER";

export type RoutedMember = { readonly self: string; readonly routes: PeerRoutes };
