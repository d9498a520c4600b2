/** Ports that would be bound twice on one machine. */
import type { ControlPlaneDraft } from "../draft.ts";
import { findingAt, type SpecFinding } from "../finding.ts";
import type { LocatedValue } from "../schema/located.ts";
import type { SpecRule } from "./rule.ts";

export const checkPorts: SpecRule = ({ controlPlane, loadBalancer }) => [
  ...(controlPlane === null ? [] : checkMemberPorts(controlPlane)),
  ...checkListedOnce(loadBalancer?.entries.ports?.items ?? []),
];

function checkMemberPorts({ entries: { clientPort, peerPort } }: ControlPlaneDraft): readonly SpecFinding[] {
  if (clientPort.value !== peerPort.value) return [];
  return [
    findingAt(peerPort.pointer, {
      code: "spec/duplicate-port",
      summary: `clientPort and peerPort are both ${peerPort.value}`,
      detail: "Clients and members speak different protocols. Write two ports, such as 2379 and 2380.",
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
