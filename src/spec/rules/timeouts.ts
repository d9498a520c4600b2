/**
 * Timing that elections can work with: etcd's own limits (`--election-timeout`: at least 5 heartbeats, at most 50 s).
 */
import { clusterShapes } from "../declaration/cluster.ts";
import { findingAt } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

const heartbeatsPerElectionMin = 5;

const limits = clusterShapes.controlPlane.keys;

export const checkTimeouts: SpecRule = ({ controlPlane }) => {
  if (controlPlane === null) return [];
  const { electionTimeoutMs, heartbeatIntervalMs } = controlPlane.entries;
  const least = heartbeatIntervalMs.value * heartbeatsPerElectionMin;
  // Values that are out of range by themselves are reported by the schema.
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
