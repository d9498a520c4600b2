/** Timing that elections can live with: etcd's own limits (`--election-timeout`: 5 heartbeats at least, 50 s at most). */
import { findingAt } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

const heartbeatsPerElectionMin = 5;

export const checkTimeouts: SpecRule = ({ electionTimeoutMs, heartbeatIntervalMs }) => {
  const least = heartbeatIntervalMs.value * heartbeatsPerElectionMin;
  // Values that are out of range by themselves are the schema's to report.
  if (electionTimeoutMs.value >= least || electionTimeoutMs.value < 10 || heartbeatIntervalMs.value > 10_000) return [];
  return [
    findingAt(electionTimeoutMs.pointer, {
      code: "spec/election-timeout",
      summary: `electionTimeoutMs ${electionTimeoutMs.value} is less than 5 times heartbeatIntervalMs ${heartbeatIntervalMs.value}`,
      detail: `One or two late heartbeats would start an election. Write at least ${least}, or a shorter heartbeatIntervalMs.`,
    }),
  ];
};
