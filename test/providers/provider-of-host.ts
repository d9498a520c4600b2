import { HaplanError } from "../../src/base/haplan-error.ts";
import type { HostClient } from "../../src/host/host-client.ts";
import { loadBalancerOnMachines } from "../../src/providers/load-balancer-hosts.ts";
import type { Provider } from "../../src/providers/provider.ts";

/** A provider whose machines are all on one host. */
export function providerOfHost(client: HostClient, logs: Provider["logs"]): Provider {
  return {
    model: {
      describeMachine: () => ({ attributes: {}, unknown: [], replacedBy: [] }),
      describeLoadBalancer: loadBalancerOnMachines,
    },
    limits: { machinesAtOnce: 10, callTimeoutMs: null },
    observe: (...given) => client.observe(...given),
    observeOrphans: (...given) => client.observeOrphans(...given),
    preflight: (...given) => client.preflight(...given),
    // The program on a host answers for its machines alone: the provider has the facts of hosts from their shell.
    check: async (...given) => ({ hosts: [], diagnostics: await client.preflight(...given) }),
    createMachine: (...given) => client.createMachine(...given),
    updateMachine: async () => ({}),
    renameMachine: (...given) => client.renameMachine(...given),
    destroyMachine: (...given) => client.destroyMachine(...given),
    startUnit: (...given) => client.startUnit(...given),
    artifact: async () => null,
    revertUnit: (...given) => client.revertUnit(...given),
    stopUnit: (...given) => client.stopUnit(...given),
    disturbUnit: (...given) => client.disturbUnit(...given),
    restoreData: (...given) => client.restoreData(...given),
    readData: (...given) => client.readData(...given),
    exportData: (...given) => client.exportData(...given),
    removeUnit: (...given) => client.removeUnit(...given),
    unitLog: (...given) => client.unitLog(...given),
    logs,
    shell: () => Promise.reject(new HaplanError("provider/no-login", "Commands reach a host by other means")),
    readUnitFile: (...given) => client.readUnitFile(...given),
    answersLocally: (...given) => client.answersLocally(...given),
    askUnit: (...given) => client.askUnit(...given),
    runTask: (...given) => client.runTask(...given),
    startTask: (...given) => client.startTask(...given),
    taskReport: (...given) => client.taskReport(...given),
    lock: async (run) => {
      const holder = await client.lock(run);
      if (holder !== null) throw new HaplanError("lock/held", `${holder.operation} of pid ${holder.pid} has the lock`);
    },
    reinstall: async () => [],
    prepare: async () => [],
    removeLeftovers: async () => [],
    close: () => client.close(),
  };
}
