/** Detects entries that take long to apply (etcd's `--warning-apply-duration`): counts and logs them. */
import { performance } from "node:perf_hooks";
import type { DriverPorts } from "../../consensus/consensus-driver.ts";

type Machine = DriverPorts["machine"];

export type SlowApplyOptions = {
  readonly warningMs: number;
  readonly onSlow: (index: number, tookMs: number) => void;
};

export function watchApplying(machine: Machine, { warningMs, onSlow }: SlowApplyOptions): Machine {
  const applied = (index: number, startMs: number): void => {
    const tookMs = performance.now() - startMs;
    if (tookMs > warningMs) onSlow(index, tookMs);
  };
  return {
    get appliedIndex() {
      return machine.appliedIndex;
    },
    apply: (index, term, payload) => {
      const startMs = performance.now();
      machine.apply(index, term, payload);
      applied(index, startMs);
    },
    applyConfiguration: (index, term, configuration, context) => {
      const startMs = performance.now();
      machine.applyConfiguration(index, term, configuration, context);
      applied(index, startMs);
    },
  };
}
