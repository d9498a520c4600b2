/** Files of others that override what haplan has written for a unit, such as drop-ins of systemd. They are never changed. */
import { agentUnitName, loadBalancerUnitName, workerUnitName } from "../../units/unit-definition.ts";
import type { Planning } from "../planning.ts";
import { type ResourceAddress, resourceAddress } from "../resource.ts";

export function noteOverrides({ view, builder }: Planning): void {
  for (const { name, units } of view.machines.values()) {
    for (const { name: unit, overrides = [] } of units) {
      if (overrides.length === 0) continue;
      const address = addressOf(name, unit);
      const files = overrides.join(", ");
      builder.warn(
        "plan/unit-overrides",
        `${address} has settings of systemd that are not from haplan`,
        `On the host of ${name}: ${files}. ${overrides.length === 1 ? "It overrides" : "They override"} the unit "${unit}", and haplan leaves ${overrides.length === 1 ? "it" : "them"} there. If you did not write ${overrides.length === 1 ? "it" : "them"}, remove ${overrides.length === 1 ? "it" : "them"}, and run systemctl daemon-reload on the host.`,
      );
    }
  }
}

const typesOfUnits: ReadonlyMap<string, Parameters<typeof resourceAddress>[0]> = new Map([
  [agentUnitName, "haplan_agent"],
  [loadBalancerUnitName, "haplan_load_balancer"],
  [workerUnitName, "haplan_worker"],
] as const);

function addressOf(machine: string, unit: string): ResourceAddress {
  return resourceAddress(typesOfUnits.get(unit) ?? "haplan_machine", machine);
}
