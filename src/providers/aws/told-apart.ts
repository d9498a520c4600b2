/**
 * Which of the instances that have a machine's tags is the machine. Tags can be copied: the console's "Launch more like this" does. They can
 * also be removed. The id that the state has decides. Pure.
 */
import type { Diagnostic } from "../../base/diagnostic.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { RecordedMachine } from "../provider-options.ts";
import { clientToken, tagKeys, tagValue } from "./aws-names.ts";
import { attemptsMax } from "./create-instance.ts";
import { type FoundInstance, isAlive } from "./instances.ts";

export type Known = {
  readonly recorded: readonly RecordedMachine[];
  /** Addresses of the spec, by names of machines. */
  readonly addresses: ReadonlyMap<string, string>;
};

export type ToldApart = {
  /** One instance for each name, generation and lineage, and those that are gone. */
  readonly machines: readonly FoundInstance[];
  /** They have the tags of a machine, and are none. */
  readonly copies: readonly FoundInstance[];
  /** Instances of one machine that nothing tells apart. */
  readonly alike: readonly (readonly FoundInstance[])[];
};

/** The instances may be in any state. */
export function tellApart(known: Known, instances: readonly FoundInstance[]): ToldApart {
  const groups = new Map<string, FoundInstance[]>();
  for (const instance of instances.filter(isAlive)) {
    const identity = JSON.stringify([instance.lineage, instance.machine, instance.generation]);
    groups.set(identity, [...(groups.get(identity) ?? []), instance]);
  }
  const copies = new Set<FoundInstance>();
  const alike: (readonly FoundInstance[])[] = [];
  for (const group of groups.values()) {
    const own = candidates(known, group);
    if (own.length > 1) alike.push(own);
    for (const instance of group) if (!own.includes(instance)) copies.add(instance);
  }
  return { machines: instances.filter((each) => !copies.has(each)), copies: [...copies], alike };
}

function candidates({ recorded, addresses }: Known, group: readonly FoundInstance[]): readonly FoundInstance[] {
  const [{ machine = "", generation = 0 } = {}] = group;
  const ofName = recorded.filter(({ name }) => name === machine);
  const record = ofName.findLast((each) => each.generation === generation)?.attributes;
  const id = record?.["instance_id"];
  const byId = group.filter((each) => each.id === id);
  if (byId.length > 0) return byId;
  const places = [
    record?.["address"] ?? addresses.get(machine),
    ...(record === undefined ? ofName : []).map(addressOf),
  ];
  const known = places.filter((place) => typeof place === "string");
  const atPlace = known.length === 0 ? group : group.filter(({ address }) => known.includes(address));
  // The recorded instance is gone. An apply that was killed may have created the next one, and not recorded it.
  if (typeof id === "string") return atPlace.filter(isMade);
  return atPlace.length > 0 ? atPlace : group.filter(isMade);
}

function addressOf({ attributes }: RecordedMachine): unknown {
  return attributes["address"];
}

/** Whether haplan has created it: a copy has another token. */
function isMade({ lineage, machine, generation, token }: FoundInstance): boolean {
  const attempts = Array.from({ length: attemptsMax }, (_, attempt) => attempt);
  return attempts.some((attempt) => token === clientToken(lineage, machine, generation, attempt));
}

/** @throws HaplanError `aws/two-instances` */
export function refuseAlike(alike: readonly (readonly FoundInstance[])[]): void {
  const [group] = alike;
  if (group === undefined) return;
  const [first] = group;
  const ids = group.map(({ id, address }) => `${id} (${address})`).sort();
  const what = `${ids.join(" and ")} all have the tags of ${first?.machine}, generation ${first?.generation}, and the state does not say which one it is`;
  const advice = `Look which one is ${first?.machine}, and take the tags haplan:... off the other, or terminate it`;
  throw new HaplanError("aws/two-instances", `The instances ${what}\n${advice}`);
}

/** Each copy, which stays as it is. */
export function copyWarnings({ machines, copies }: ToldApart): readonly Diagnostic[] {
  return copies.map(({ id, machine, generation, address }): Diagnostic => {
    const own = machines.find((each) => isAlive(each) && each.machine === machine && each.generation === generation);
    const is = own === undefined ? `${machine} has no instance` : `${machine} is ${own.id} at ${own.address}`;
    return {
      severity: "warning",
      code: "aws/copied-instance",
      summary: `The instance ${id} has the tags of ${machine}, and is not ${machine}`,
      detail: `It is at ${address}; ${is}. Tags are copied by "Launch more like this" of the console. haplan leaves ${id} as it is, and never terminates it. Take the tags haplan:... off it, or terminate it.`,
      address: `haplan_machine.${machine}`,
    };
  });
}

/** The recorded machines by the ids of their instances. */
export function byInstance(recorded: readonly RecordedMachine[]): ReadonlyMap<string, RecordedMachine> {
  return new Map(
    recorded.flatMap((machine) => {
      const id = machine.attributes["instance_id"];
      const newest = recorded.findLast((each) => each.name === machine.name && each.generation === machine.generation);
      return typeof id === "string" && newest === machine ? [[id, machine] as const] : [];
    }),
  );
}

/**
 * A recorded instance that lacks some of haplan's tags as the machine that it is, unless a tag says that it is another.
 * `lineage`: null before it is known.
 */
export function asRecorded(
  instance: FoundInstance,
  machine: RecordedMachine | undefined,
  { cluster, lineage }: { readonly cluster: string; readonly lineage: string | null },
): FoundInstance {
  if (machine === undefined || hasTags(instance)) return instance;
  const { name, generation } = machine;
  const own = { cluster, lineage: lineage ?? instance.lineage, machine: name, generation: String(generation) };
  const isAnother = Object.entries(own).some(([key, value]) => {
    const found = tagValue(instance.tags, tagKeys[key as keyof typeof own]);
    return found !== null && found !== value;
  });
  return isAnother ? instance : { ...instance, machine: name, generation, lineage: own.lineage };
}

/** Whether it has the four tags that it is found by. */
export function hasTags({ tags }: FoundInstance): boolean {
  return [tagKeys.cluster, tagKeys.lineage, tagKeys.machine, tagKeys.generation].every(
    (key) => tagValue(tags, key) !== null,
  );
}
