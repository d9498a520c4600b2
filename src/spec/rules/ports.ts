/** Ports that would be bound twice on one machine. */
import type { ControlPlaneDraft } from "../draft.ts";
import { findingAt, type SpecFinding } from "../finding.ts";
import type { LocatedValue } from "../schema/located.ts";
import type { SpecRule } from "./rule.ts";

export const checkPorts: SpecRule = ({ controlPlane, loadBalancer }) => [
  ...(controlPlane === null ? [] : checkMemberPorts(controlPlane)),
  ...checkListedOnce(loadBalancer?.entries.ports?.items ?? []),
];

function checkMemberPorts({ entries: { clientPort, peerPort, etcd } }: ControlPlaneDraft): readonly SpecFinding[] {
  const clients = { name: "clientPort", ...clientPort };
  const peers = { name: "peerPort", ...peerPort };
  const http = etcd?.entries.httpPort ?? null;
  return [
    ...checkTwoPorts(clients, peers, "Write two ports, such as 2379 and 2380."),
    ...(http === null ? [] : [clients, peers]).flatMap((other) =>
      checkTwoPorts(other, { name: "etcd.httpPort", ...http! }, "Write another one, such as 2383."),
    ),
  ];
}

type MemberPort = LocatedValue<number> & { readonly name: string };

function checkTwoPorts(one: MemberPort, other: MemberPort, advice: string): readonly SpecFinding[] {
  if (one.value !== other.value) return [];
  return [
    findingAt(other.pointer, {
      code: "spec/duplicate-port",
      summary: `${one.name} and ${other.name} are both ${other.value}`,
      detail: `They serve different protocols. ${advice}`,
    }),
  ];
}

function checkListedOnce(ports: readonly (LocatedValue<number> | null)[]): readonly SpecFinding[] {
  const seen = new Set<number>();
  return ports.flatMap((port) => {
    if (port === null) return [];
    const summary = `Port ${port.value} is listed twice`;
    if (seen.has(port.value)) {
      return [findingAt(port.pointer, { code: "spec/duplicate-port", summary, detail: "Remove one of the two." })];
    }
    seen.add(port.value);
    return [];
  });
}
