/** A small state for this module's tests. */
import type { State } from "../plan/state.ts";

export function stateWith(serial: number, lineage = "lineage-1"): State {
  return {
    version: 1,
    haplanVersion: "0.1.0",
    lineage,
    serial,
    clusterName: "demo",
    resources: [
      {
        address: "haplan_machine.m1",
        type: "haplan_machine",
        name: "m1",
        generation: 1,
        status: "ready",
        attributes: { address: "127.77.23.1", ports: [1, 2], zone: null },
        sensitive: [],
        dependsOn: [],
      },
    ],
  };
}
