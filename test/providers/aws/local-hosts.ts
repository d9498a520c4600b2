/** The provider `aws` whose instances are AWS's, and what runs on them is another provider's. */
import { createAwsProvider } from "../../../src/providers/aws/aws-provider.ts";
import type { Provider } from "../../../src/providers/provider.ts";
import type { Hosts } from "../../../src/providers/ssh/ssh-provider.ts";

/** `beneath` has what runs on the instances. */
export async function awsOver(beneath: Provider, options: Parameters<typeof createAwsProvider>[0]): Promise<Provider> {
  const provider = await createAwsProvider(options, async () => hostsOf(beneath));
  const destroyMachine: Provider["destroyMachine"] = async (machine, signal) => {
    await provider.destroyMachine(machine, signal);
    // What runs on an instance ends with it.
    await beneath.destroyMachine(machine, signal);
  };
  return new Proxy(provider, {
    get: (target, name) => {
      if (name === "destroyMachine") return destroyMachine;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** What runs on the instances: those that are absent are not asked. */
export function hostsOf(inMemory: Provider): Hosts {
  let absent: ReadonlySet<string> = new Set();
  return {
    ...inMemory,
    observe: async (...given) => {
      const { machines, unreachable } = await inMemory.observe(...given);
      return { machines: machines.filter(({ name }) => !absent.has(name)), unreachable };
    },
    setAbsent: (names) => {
      absent = names;
    },
    forget: async () => undefined,
    untilReady: async () => undefined,
  };
}
