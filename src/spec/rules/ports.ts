/** Ports that would be bound twice on one machine. */
import type { ControlPlaneDraft } from "../draft.ts";
import { findingAt, type SpecFinding } from "../finding.ts";
import type { LocatedValue } from "../schema/located.ts";
import { type MemberPort, memberPorts } from "./member-ports.ts";
import type { SpecRule } from "./rule.ts";

export const checkPorts: SpecRule = ({ controlPlane, loadBalancer }) => [
  ...(controlPlane === null ? [] : checkMemberPorts(controlPlane)),
  ...checkListedOnce(loadBalancer?.entries.ports?.items ?? []),
];

function checkMemberPorts(controlPlane: ControlPlaneDraft): readonly SpecFinding[] {
  const ports = memberPorts(controlPlane);
  return ports.flatMap((port, at) => {
    const other = ports.slice(0, at).find(({ value }) => value === port.value);
    return other === undefined ? [] : [listenTwice(other, port)];
  });
}

function listenTwice(one: MemberPort, { key, pointer, value, instead }: MemberPort): SpecFinding {
  return findingAt(pointer, {
    code: "spec/duplicate-port",
    summary: `${one.key} and ${key} are both ${value}`,
    detail: `They serve different protocols. ${instead}`,
  });
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
