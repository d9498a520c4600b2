/** The ports that a master listens on: every rule that compares ports reads them here. */
import type { ControlPlaneDraft } from "../draft.ts";
import type { LocatedValue } from "../schema/located.ts";

export type MemberPort = LocatedValue<number> & {
  /** Its key below `controlPlane`. */
  readonly key: string;
  /** Who connects to it. */
  readonly use: string;
  /** What to write instead. */
  readonly instead: string;
};

export function memberPorts({ entries: { clientPort, peerPort, etcd } }: ControlPlaneDraft): readonly MemberPort[] {
  const two = "Write two ports, such as 2379 and 2380.";
  const http = etcd?.entries.httpPort ?? null;
  return [
    { key: "clientPort", use: "clients", instead: two, ...clientPort },
    { key: "peerPort", use: "peers", instead: two, ...peerPort },
    ...(http === null
      ? []
      : [{ key: "etcd.httpPort", use: "HTTP", instead: "Write another one, such as 2383.", ...http }]),
  ];
}
