/**
 * The network between the members of a copy. Each member connects to its peers through a port of its own for each of them
 * (`peer-hook.ts` in `cmd/haplan-rehearsal`), so that a member can be cut off: as in a real partition nothing passes, no connection
 * is closed, and what was sent arrives once the network is back.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { type PeerRoutes, routePort } from "./peer-routes.ts";

/** From one member to a port of another. */
type Route = { readonly from: string; readonly to: string; readonly port: number };
type Link = Route & { readonly inbound: Socket; outbound: Socket | null };

export class PeerRelay {
  readonly routes: PeerRoutes;
  readonly #servers: Server[] = [];
  readonly #links = new Set<Link>();
  readonly #cut = new Set<string>();

  private constructor(routes: PeerRoutes) {
    this.routes = routes;
  }

  /** Listens for each pair of members. */
  static async open(routes: PeerRoutes): Promise<PeerRelay> {
    const relay = new PeerRelay(routes);
    const pairs = routes.members.flatMap((from) =>
      routes.members.flatMap((to) => routes.peerPorts.map((port): Route => ({ from, to, port }))),
    );
    await Promise.all(pairs.filter(({ from, to }) => from !== to).map((route) => relay.#listen(route)));
    return relay;
  }

  /** From now on nothing passes between this member and the others. */
  cutOff(member: string): void {
    this.#cut.add(member);
    for (const { from, to, inbound, outbound } of this.#links) {
      if (from !== member && to !== member) continue;
      inbound.pause();
      outbound?.pause();
    }
  }

  restore(member: string): void {
    this.#cut.delete(member);
    for (const link of this.#links) if (!this.#isCut(link)) this.#pass(link);
  }

  isCutOff(member: string): boolean {
    return this.#cut.has(member);
  }

  async close(): Promise<void> {
    this.#cut.clear();
    for (const { inbound, outbound } of this.#links) {
      inbound.destroy();
      outbound?.destroy();
    }
    await Promise.all(this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  }

  #isCut({ from, to }: Route): boolean {
    return this.#cut.has(from) || this.#cut.has(to);
  }

  #listen(route: Route): Promise<void> {
    const port = routePort(this.routes, route.from, route.to, route.port)!;
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: false }, (inbound) => {
      const link: Link = { ...route, inbound, outbound: null };
      this.#links.add(link);
      inbound.on("error", () => undefined);
      inbound.on("close", () => {
        this.#links.delete(link);
        link.outbound?.destroy();
      });
      if (!this.#isCut(link)) this.#pass(link);
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: this.routes.host, port }, () => resolve());
    });
  }

  #pass(link: Link): void {
    const { inbound } = link;
    if (link.outbound !== null) {
      inbound.resume();
      link.outbound.resume();
      return;
    }
    const outbound = connect({ host: link.to, port: link.port });
    link.outbound = outbound;
    outbound.setNoDelay(true);
    inbound.setNoDelay(true);
    outbound.on("error", () => undefined);
    outbound.on("close", () => inbound.destroy());
    const isOpen = (): boolean => !this.#isCut(link);
    forward(inbound, outbound, isOpen);
    forward(outbound, inbound, isOpen);
    inbound.resume();
  }
}

function forward(from: Socket, to: Socket, isOpen: () => boolean): void {
  from.on("data", (bytes) => {
    if (to.destroyed || to.write(bytes)) return;
    from.pause();
    to.once("drain", () => {
      if (isOpen()) from.resume();
    });
  });
  from.on("end", () => to.end());
}
