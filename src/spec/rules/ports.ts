/** Ports that would be bound twice on one machine. */
import { findingAt, type SpecFinding } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkPorts: SpecRule = ({ clientPort, peerPort, loadBalancerPorts }) => {
  const findings: SpecFinding[] = [];
  if (clientPort.value === peerPort.value) {
    findings.push(
      findingAt(peerPort.pointer, {
        code: "spec/duplicate-port",
        summary: `clientPort and peerPort are both ${peerPort.value}`,
        detail: "Clients and members speak different protocols. Write two ports, such as 2379 and 2380.",
      }),
    );
  }
  const seen = new Set<number>();
  for (const port of loadBalancerPorts) {
    if (seen.has(port.value)) {
      const summary = `Port ${port.value} is listed twice`;
      findings.push(
        findingAt(port.pointer, { code: "spec/duplicate-port", summary, detail: "Remove one of the two." }),
      );
    }
    seen.add(port.value);
  }
  return findings;
};
