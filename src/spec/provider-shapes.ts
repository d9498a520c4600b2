/** The declared shapes with a provider's additions. */
import { clusterShapes } from "./declaration/cluster.ts";
import type { ProviderSchema } from "./provider-schema.ts";
import { type Keys, type MappingShape, type PlainShape, resolveShape, type Shapes } from "./schema/shape.ts";

/** The shapes of a spec for `provider`. The first of `all` is the default. */
export function shapesFor(provider: ProviderSchema, all: readonly ProviderSchema[]): Shapes {
  const { address, controlPlane, hostFields, loadBalancer, masters, spec } = clusterShapes;
  const { deriveMasters, loadBalancerAddress, loadBalancerTypes } = provider;
  const { filledBy: _, ...type } = loadBalancer.keys.type;
  const shapes: Shapes = {
    ...clusterShapes,
    address: { ...address, ...provider.address },
    provider: providerShape(all),
    hostFields: { ...hostFields, keys: { ...hostFields.keys, ...fieldKeys(provider.hostKeys, clusterShapes) } },
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
      keys: {
        ...loadBalancer.keys,
        type: {
          ...type,
          enum: loadBalancerTypes,
          default: loadBalancerTypes[0],
          example: loadBalancerTypes.at(-1) ?? type.example,
        },
        address: loadBalancerAddress === null ? loadBalancer.keys.address : withDefault(loadBalancerAddress),
      },
    },
    spec: {
      ...spec,
      keys: {
        ...spec.keys,
        provider: { shape: "provider", ...defaultOrRequired(provider === all[0] ? { type: provider.type } : null) },
        loadBalancer: { shape: "loadBalancer", ...defaultOrRequired(loadBalancerAddress === null ? null : {}) },
      },
    },
  };
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, extended(shape, provider)]));
}

/** The paths of a host's keys: strings in place of the values. */
function fieldKeys(keys: Keys, shapes: Shapes): Keys {
  const fields = Object.entries(keys).flatMap(([name, shape]): [string, Keys[string]][] => {
    const resolved = resolveShape(shape, shapes);
    const description = `the path of \`${name}\``;
    if (resolved.type === "object")
      return [
        [
          name,
          {
            type: "object",
            description: `paths of keys of \`${name}\``,
            absent: `\`${name}\`, if there is one`,
            keys: fieldKeys(resolved.keys, shapes),
          },
        ],
      ];
    if (resolved.type === "array") return [];
    return [[name, { type: "string", minLength: 1, maxLength: 1000, description, absent: "none", example: name }]];
  });
  return Object.fromEntries(fields);
}

/** `spec.provider` without the keys that providers add. */
export function providerShape(all: readonly ProviderSchema[]): MappingShape {
  const { provider } = clusterShapes;
  const { type } = provider.keys;
  const choices = all.map((each) => each.type);
  const description = all.map((each) => each.description).join("; ");
  return { ...provider, keys: { type: { ...type, enum: choices, description, example: choices[0] ?? "" } } };
}

function extended(shape: PlainShape, provider: ProviderSchema): PlainShape {
  if (shape.type !== "object" || shape.extendedBy === undefined) return shape;
  return { ...shape, keys: { ...shape.keys, ...provider[shape.extendedBy] } };
}

function withDefault(address: string): { readonly shape: "address"; readonly default: string } {
  return { shape: "address", default: address };
}

function defaultOrRequired<Value>(value: Value | null): { readonly default: Value } | { readonly required: true } {
  return value === null ? { required: true } : { default: value };
}
