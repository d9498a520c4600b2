/** Timing that elections can live with: etcd's own limits (`--election-timeout`: 5 heartbeats at least, 50 s at most). */
import { clusterShapes } from "../declaration/cluster.ts";
import { findingAt } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

const heartbeatsPerElectionMin = 5;

const limits = clusterShapes.controlPlane.keys;

export const checkTimeouts: SpecRule = ({ controlPlane }) => {
  if (controlPlane === null) return [];
  const { electionTimeoutMs, heartbeatIntervalMs } = controlPlane.entries;
  const least = heartbeatIntervalMs.value * heartbeatsPerElectionMin;
  // Values that are out of range by themselves are the schema's to report.
  if (electionTimeoutMs.value < limits.electionTimeoutMs.minimum) return [];
  if (heartbeatIntervalMs.value > limits.heartbeatIntervalMs.maximum) return [];
  if (electionTimeoutMs.value >= least) return [];
  return [
    findingAt(electionTimeoutMs.pointer, {
      code: "spec/election-timeout",
      summary: `electionTimeoutMs ${electionTimeoutMs.value} is less than 5 times heartbeatIntervalMs ${heartbeatIntervalMs.value}`,
      detail: `One or two late heartbeats would start an election. Write at least ${least}, or a shorter heartbeatIntervalMs.`,
    }),
  ];
};
