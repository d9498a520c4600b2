/** Makes calls to AWS. The SDK is loaded by the first one: no other verb and no other provider pays for it. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { ProviderSettings } from "../../spec/cluster-spec.ts";
import type { ProviderOptions } from "../provider-options.ts";
import { type AwsCallName, type AwsCallTypes, awsCalls } from "./aws-call-types.ts";
import { awsErrorCode, awsFailure } from "./aws-failure.ts";

type Client = {
  readonly config: { region(): Promise<string> };
  send(command: object, options: { readonly abortSignal?: AbortSignal }): Promise<unknown>;
  destroy(): void;
};
type Sdk = { readonly client: Client; readonly module: { readonly [name: string]: unknown } };
type Service = (typeof awsCalls)[AwsCallName]["service"];

/** The SDK waits longer before each further attempt: together about half a minute. */
const attemptsMax = 8;

export type CallOptions = {
  /** What haplan wants, for errors: `create the instance of m1`. */
  readonly purpose: string;
  readonly signal?: AbortSignal | undefined;
};

/** The input and output of a call. */
export type InputOf<Name extends AwsCallName> = AwsCallTypes[Name]["input"];
export type OutputOf<Name extends AwsCallName> = AwsCallTypes[Name]["output"];

export class AwsClient {
  readonly #settings: ProviderSettings;
  readonly #log: ProviderOptions["log"];
  readonly #services: Map<Service, Promise<Sdk>> = new Map();

  constructor({ spec, log }: Pick<ProviderOptions, "spec" | "log">) {
    this.#settings = spec.provider;
    this.#log = log;
  }

  /** @throws HaplanError `aws/...` with AWS's own code and message, and the request's id */
  async call<Name extends AwsCallName>(
    name: Name,
    input: InputOf<Name>,
    { purpose, signal }: CallOptions,
  ): Promise<OutputOf<Name>> {
    const { service, action = name } = awsCalls[name];
    try {
      const { client, module } = await this.#service(service);
      this.#log("aws request", { call: action });
      const Command = module[`${action}Command`] as new (input: object) => object;
      const output = await client.send(new Command(input), signal === undefined ? {} : { abortSignal: signal });
      this.#log("aws call", { call: action });
      return output as OutputOf<Name>;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      this.#log("aws call failed", { call: action, code: awsErrorCode(error) });
      throw awsFailure({ purpose, action, error });
    }
  }

  /** All pages of a call that lists. */
  async all<Name extends AwsCallName, Item>(
    name: Name,
    input: InputOf<Name>,
    options: CallOptions,
    items: (output: OutputOf<Name>) => readonly Item[] | undefined,
  ): Promise<readonly Item[]> {
    const found: Item[] = [];
    let page: object = {};
    for (;;) {
      const output = await this.call(name, { ...input, ...page }, options);
      found.push(...(items(output) ?? []));
      const { NextToken, NextMarker } = output as { readonly NextToken?: string; readonly NextMarker?: string };
      if (NextToken !== undefined && NextToken !== "") page = { NextToken };
      else if (NextMarker !== undefined && NextMarker !== "") page = { Marker: NextMarker };
      else return found;
    }
  }

  /** The region that calls go to; null if none is chosen. */
  async region(): Promise<string | null> {
    const written = this.#settings["region"];
    if (typeof written === "string") return written;
    const { client } = await this.#service("ec2");
    return await client.config.region().catch(() => null);
  }

  async close(): Promise<void> {
    for (const service of this.#services.values())
      await service.then(({ client }) => client.destroy()).catch(() => undefined);
    this.#services.clear();
  }

  #service(service: Service): Promise<Sdk> {
    const known = this.#services.get(service);
    if (known !== undefined) return known;
    const opened = openService(service, this.#settings);
    this.#services.set(service, opened);
    return opened;
  }
}

async function openService(service: Service, settings: ProviderSettings): Promise<Sdk> {
  // The Node.js version that a later SDK needs is not relevant to users: haplan's SDK version is pinned.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  const options = {
    maxAttempts: attemptsMax,
    ...text("region", settings["region"]),
    ...text("profile", settings["profile"]),
    ...text("endpoint", settings["endpoint"]),
  };
  switch (service) {
    case "ec2": {
      const module = await import("@aws-sdk/client-ec2");
      return { client: new module.EC2Client(options) as unknown as Client, module };
    }
    case "elasticloadbalancing": {
      const module = await import("@aws-sdk/client-elastic-load-balancing-v2");
      return { client: new module.ElasticLoadBalancingV2Client(options) as unknown as Client, module };
    }
    case "ssm": {
      const module = await import("@aws-sdk/client-ssm");
      return { client: new module.SSMClient(options) as unknown as Client, module };
    }
  }
}

function text(name: string, value: unknown): { readonly [name: string]: string } {
  return typeof value === "string" ? { [name]: value } : {};
}

/** The value, which AWS's types call optional although every such object has it. */
export function present<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new HaplanError("aws/malformed", `AWS's answer has no ${what}`);
  return value;
}
