/** The providers that there are: each is one entry here and one directory beside it. */
import { HaplanError } from "../base/haplan-error.ts";
import type { ProviderModel } from "../plan/provider-model.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ProviderSchema } from "../spec/provider-schema.ts";
import { awsLimits, awsModel } from "./aws/aws-model.ts";
import { awsSchema } from "./aws/aws-schema.ts";
import { localLimits, localModel } from "./local/local-model.ts";
import { localSchema } from "./local/local-schema.ts";
import type { CallLimits, MachineCalls } from "./machine-calls.ts";
import type { Provider } from "./provider.ts";
import type { ProviderOptions } from "./provider-options.ts";
import type { AskHost, DraftMachines, DraftProvider, DraftRequest } from "./spec-draft.ts";
import { sshLimits, sshModel } from "./ssh/ssh-model.ts";
import { sshSchema } from "./ssh/ssh-schema.ts";

type ProviderEntry = {
  /** Its contribution to the spec. */
  readonly schema: ProviderSchema;
  /** Its pure half, over which plans are made. */
  readonly model: ProviderModel;
  /** What one spec allows its calls. */
  readonly limits: (spec: ClusterSpec) => CallLimits;
  /** Drafts machines for a new spec, if the request is for this provider. */
  readonly draft: DraftProvider;
  /**
   * Loads its other half, which reaches machines, and creates it. `openProvider` bounds its calls; those that ask many
   * machines, `observe` and `preflight`, run each of their own through `calls`.
   */
  readonly create: (options: ProviderOptions & { readonly calls: MachineCalls }) => Promise<Provider>;
};

/** A spec that names no provider is for the first. */
const entries: readonly ProviderEntry[] = [
  {
    schema: localSchema,
    model: localModel,
    limits: () => localLimits,
    draft: async (request) => (await import("./local/local-draft.ts")).draftLocal(request),
    create: async (options) => {
      const { createLocalProvider } = await import("./local/local-provider.ts");
      const { localArtifact } = await import("./local/local-artifact.ts");
      return createLocalProvider({ root: options.directory, artifact: localArtifact(options) });
    },
  },
  {
    schema: sshSchema,
    model: sshModel,
    limits: sshLimits,
    draft: async (request) => (await import("./ssh/ssh-draft.ts")).draftSsh(request),
    create: async (options) => {
      const { createSshProvider } = await import("./ssh/ssh-provider.ts");
      return await createSshProvider(options);
    },
  },
  {
    schema: awsSchema,
    model: awsModel,
    limits: awsLimits,
    draft: async (request) => (await import("./aws/aws-draft.ts")).draftAws(request),
    create: async (options) => {
      const { createAwsProvider } = await import("./aws/aws-provider.ts");
      return await createAwsProvider(options);
    },
  },
];

export const providerSchemas: readonly ProviderSchema[] = entries.map(({ schema }) => schema);

/** @throws HaplanError `provider/unknown` for a spec of another version of haplan, such as that of a saved plan */
export function providerModel(provider: ClusterSpec["provider"]): ProviderModel {
  return entryOf(provider).model;
}

/** @throws HaplanError `provider/unknown`, as above */
export function providerLimits(spec: ClusterSpec): CallLimits {
  return entryOf(spec.provider).limits(spec);
}

/** @throws HaplanError `provider/unknown`, as above */
export function createProvider(options: ProviderOptions & { readonly calls: MachineCalls }): Promise<Provider> {
  return entryOf(options.spec.provider).create(options);
}

/** The draft of the first provider that the request is for: `ssh` takes any. @throws HaplanError `init/...` */
export async function draftMachines(request: DraftRequest): Promise<DraftMachines> {
  for (const { draft } of entries) {
    const machines = await draft(request);
    if (machines !== null) return machines;
  }
  const types = entries.map(({ schema }) => schema.type).join(", ");
  const what =
    request.provider === null
      ? "No provider drafts these machines"
      : `There is no provider ${JSON.stringify(request.provider)} for them`;
  throw new HaplanError("provider/unknown", `${what}\nThe providers are ${types}; hosts are for ssh and aws.`);
}

/** Asks a host over ssh. */
export const askHost: AskHost = async (reach, sought, signal) =>
  (await import("./ssh/survey-host.ts")).surveyHost(reach, sought, signal);

function entryOf({ type }: ClusterSpec["provider"]): ProviderEntry {
  const entry = entries.find(({ schema }) => schema.type === type);
  if (entry === undefined) throw new HaplanError("provider/unknown", `This version of haplan has no provider ${type}`);
  return entry;
}
