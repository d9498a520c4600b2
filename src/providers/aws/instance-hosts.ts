/** The way from an instance to its host: the host key, the session through Session Manager, and the wait until it is ready. */
import type { Attributes } from "../../plan/resource.ts";
import type { Hosts } from "../ssh/ssh-provider.ts";
import type { AwsContext } from "./aws-context.ts";
import { readHostKey } from "./host-key.ts";
import type { InstanceIds } from "./instance-ids.ts";
import type { FoundInstance } from "./instances.ts";
import { reachWith } from "./recorded-machines.ts";
import { isPrepared } from "./user-data.ts";

export class InstanceHosts {
  readonly #context: AwsContext;
  readonly #hosts: Hosts;
  readonly #ids: InstanceIds;

  constructor(context: AwsContext, hosts: Hosts, ids: InstanceIds) {
    this.#context = context;
    this.#hosts = hosts;
    this.#ids = ids;
  }

  /** Learns the host key, and waits until the instance is reached and its data volume is mounted. */
  async prepare(
    instance: FoundInstance,
    attributes: Attributes,
    signal?: AbortSignal,
  ): Promise<{ readonly host_key?: string }> {
    const facts = await this.learnKey(instance, attributes, signal);
    const command = attributes["volume_size"] === undefined ? "true" : isPrepared;
    await this.untilReady(instance, reachWith(facts, attributes), command, signal);
    return facts;
  }

  /** The key of a new instance, unless the spec says where it is known from. */
  async learnKey(
    instance: FoundInstance,
    attributes: Attributes,
    signal?: AbortSignal,
  ): Promise<{ readonly host_key?: string }> {
    const isPinned = attributes["ssh_host_key"] !== undefined;
    if (this.#context.spec.provider["hostKeyFrom"] !== "console" || isPinned) return {};
    return { host_key: await readHostKey(this.#context, instance, signal) };
  }

  /** Waits until `command` ends with exit code 0 on the instance. */
  async untilReady(
    instance: Pick<FoundInstance, "machine" | "address" | "id">,
    reach: Attributes,
    command: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const { machine: name } = instance;
    this.#ids.add(instance);
    await this.#context.waits.during(name, async (report) => {
      const told = (why: string): void => report(`waiting for ssh to ${name}: ${why}`);
      await this.#hosts.untilReady(name, reach, command, told, signal);
    });
  }
}
