/** The contracts of providers and of load balancers, kept on an emulated AWS: instances are AWS's, and what runs on them is on this machine. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { AwsClient } from "../../../src/providers/aws/aws-client.ts";
import { awsModel } from "../../../src/providers/aws/aws-model.ts";
import { createAwsProvider } from "../../../src/providers/aws/aws-provider.ts";
import { NetworkLoadBalancer } from "../../../src/providers/aws/network-load-balancer.ts";
import { OwnLineage } from "../../../src/providers/aws/own-lineage.ts";
import { CurrentWaits } from "../../../src/providers/current-waits.ts";
import type { LoadBalancer } from "../../../src/providers/load-balancer.ts";
import { createLocalProvider } from "../../../src/providers/local/local-provider.ts";
import { MachineCalls } from "../../../src/providers/machine-calls.ts";
import type { Provider } from "../../../src/providers/provider.ts";
import { specReader } from "../../../src/providers/spec-reader.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import { describeLoadBalancer } from "../load-balancer-contract.ts";
import { describeProvider, type OpenedProvider, probeProgram } from "../provider-contract.ts";
import { prepareAccount } from "./emulated-account.ts";
import { exampleText } from "./emulated-cluster.ts";
import { findEmulator, useEmulator } from "./emulator.ts";
import { hostsOf } from "./local-hosts.ts";

const environment = await findEmulator(process.env["HAPLAN_TEST_EVERYTHING"] !== undefined);

describe.skipIf("missing" in environment)("on an emulated AWS", { timeout: 90_000 }, () => {
  const emulated = useEmulator(environment);

  const emulatedSpec = (): ClusterSpec => specReader.parse("cloud.yaml", exampleText(emulated.aws.endpoint)).spec!;
  const log = (): void => undefined;
  /** Whatever AWS does is done at once. */
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal): Promise<void> => systemClock.sleep(ms / 50, signal),
  };

  const openBalancer = async (): Promise<LoadBalancer> => {
    await emulated.aws.reset();
    await prepareAccount(emulated.aws.ec2);
    const spec = emulatedSpec();
    const client = new AwsClient({ spec, log });
    const own = new OwnLineage();
    own.claim("lineage-1");
    return new NetworkLoadBalancer(
      { client, spec, clock, log, waits: new CurrentWaits(), own },
      { removeUnused: async () => undefined },
    );
  };

  const openProvider = async (): Promise<OpenedProvider> => {
    await emulated.aws.reset();
    await prepareAccount(emulated.aws.ec2, "127.77");
    const spec = emulatedSpec();
    const parent = mkdtempSync(join(tmpdir(), "haplan-aws-contract-"));
    mkdirSync(join(parent, "cmd", "probe"), { recursive: true });
    writeFileSync(join(parent, "cmd", "probe", "main.js"), probeProgram);
    const local = createLocalProvider({ root: join(parent, ".haplan", "cloud"), programsDir: join(parent, "cmd") });
    const again = async (): Promise<Provider> => {
      const options = {
        spec,
        recorded: async () => [],
        directory: parent,
        cwd: parent,
        signal: new AbortController().signal,
        clock,
        log,
      };
      const calls = new MachineCalls({ ...options, limits: { machinesAtOnce: 10, callTimeoutMs: null } });
      const provider = await createAwsProvider({ ...options, calls }, async () => hostsOf(local));
      provider.claim?.("lineage-a");
      return described(provider, local, spec);
    };
    return {
      provider: await again(),
      again,
      spec,
      createsHosts: true,
      close: async () => rmSync(parent, { recursive: true, force: true }),
    };
  };

  describeLoadBalancer("that is a network load balancer", openBalancer);
  describeProvider("aws", openProvider);
});

/** The contract knows no attributes; and what runs on an instance here outlives it. */
function described(provider: Provider, local: Provider, spec: ClusterSpec): Provider {
  const own: Partial<Provider> = {
    observe: async (...given) => {
      const { machines, unreachable } = await provider.observe(...given);
      return { machines: machines.map(({ attributes: _, ...machine }) => machine), unreachable };
    },
    createMachine: async (machine, signal) => {
      const host = { name: machine.name, address: machine.address ?? "", zone: null, role: "master" as const };
      const { attributes } = awsModel.describeMachine(spec, host);
      // This machine has no id of its own as a host over ssh has one.
      return { machine_id: "this", ...(await provider.createMachine({ attributes, ...machine }, signal)) };
    },
    destroyMachine: async (machine, signal) => {
      await local.destroyMachine(machine, signal);
      await provider.destroyMachine(machine, signal);
    },
  };
  return new Proxy(provider, {
    get: (target, name) => {
      const value: unknown = Reflect.get(own, name) ?? Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
