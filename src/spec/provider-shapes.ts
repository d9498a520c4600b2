/** The declared shapes with what a provider adds to them. */
import { clusterShapes } from "./declaration/cluster.ts";
import type { ProviderSchema } from "./provider-schema.ts";
import type { PlainShape, Shapes } from "./schema/shape.ts";

/**
 * The shapes of a spec for `provider`. The first of `all` is taken when a spec names none.
 */
export function shapesFor(provider: ProviderSchema, all: readonly ProviderSchema[]): Shapes {
  const { address, controlPlane, loadBalancer, masters, spec } = clusterShapes;
  const { deriveMasters, loadBalancerAddress } = provider;
  const shapes: Shapes = {
    ...clusterShapes,
    address: { ...address, ...provider.address },
    provider: providerShape(provider, all),
    masters: { ...masters, description: deriveMasters?.description ?? masters.description },
    controlPlane: {
      ...controlPlane,
      keys: {
        ...controlPlane.keys,
        masters: deriveMasters === null ? { shape: "masters", required: true } : controlPlane.keys.masters,
      },
    },
    loadBalancer: {
      ...loadBalancer,
      keys: { ...loadBalancer.keys, address: { shape: "address", ...defaultOrRequired(loadBalancerAddress) } },
    },
    spec: {
      ...spec,
      keys: {
        ...spec.keys,
        provider: { shape: "provider", default: { type: all[0]?.type ?? provider.type } },
        loadBalancer: { shape: "loadBalancer", ...defaultOrRequired(loadBalancerAddress === null ? null : {}) },
      },
    },
  };
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, extended(shape, provider)]));
}

function providerShape({ description }: ProviderSchema, all: readonly ProviderSchema[]): PlainShape {
  const { provider } = clusterShapes;
  const { type } = provider.keys;
  const choices = all.map((each) => each.type);
  return { ...provider, keys: { type: { ...type, enum: choices, description } } };
}

function extended(shape: PlainShape, provider: ProviderSchema): PlainShape {
  if (shape.type !== "object" || shape.extendedBy === undefined) return shape;
  return { ...shape, keys: { ...shape.keys, ...provider[shape.extendedBy] } };
}

function defaultOrRequired<Value>(value: Value | null): { readonly default: Value } | { readonly required: true } {
  return value === null ? { required: true } : { default: value };
}
