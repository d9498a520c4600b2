/**
 * Spare hosts in the place of masters. The state says where each master's machine is: a master that the state has on a
 * spare host of the spec is planned there, and not where the file says. So neither the next plan nor a run elsewhere with
 * the same file moves it back to a host that is lost. Pure.
 */
import type { ClusterSpec, HostSpec, MasterSpec } from "../spec/cluster-spec.ts";
import { resourceAddress } from "./resource.ts";
import type { State } from "./state.ts";

type StandIn = { readonly master: string; readonly spare: HostSpec };

/** The spec as it is in force: with the spare hosts that the state has in the place of masters. */
export function withStandIns(spec: ClusterSpec, state: State | null): ClusterSpec {
  return standInsOf(spec, state).reduce(withStandIn, spec);
}

/** Reports whether the state has a master on a spare host that `spec` does not have there. */
export function hasOtherStandIns(spec: ClusterSpec, state: State | null): boolean {
  return standInsOf(spec, state).length > 0;
}

function standInsOf({ controlPlane, repair }: ClusterSpec, state: State | null): readonly StandIn[] {
  const spares = repair?.replace?.spares ?? [];
  if (spares.length === 0 || state === null) return [];
  const places = new Map(state.resources.map(({ address, attributes }) => [address, attributes["address"]] as const));
  return controlPlane.masters.flatMap(({ name, address }) => {
    const place = places.get(resourceAddress("haplan_machine", name));
    const spare = spares.find((each) => each.address === place);
    return spare === undefined || place === address ? [] : [{ master: name, spare }];
  });
}

/** The spec with the spare host in the place of the master, and no longer among the spare hosts. */
export function withStandIn(spec: ClusterSpec, { master, spare }: StandIn): ClusterSpec {
  const { controlPlane, repair } = spec;
  const masters = controlPlane.masters.map((each) => (each.name === master ? onSpare(each, spare) : each));
  const { replace } = repair ?? {};
  const spares = replace?.spares.filter(({ name }) => name !== spare.name) ?? [];
  return {
    ...spec,
    controlPlane: { ...controlPlane, masters },
    ...(repair === undefined || replace === undefined
      ? {}
      : { repair: { ...repair, replace: { ...replace, spares } } }),
  };
}

function onSpare({ name, zone, address, standIn }: MasterSpec, spare: HostSpec): MasterSpec {
  const { settings } = spare;
  return {
    name,
    zone: spare.zone ?? zone,
    address: spare.address,
    ...(settings === undefined ? {} : { settings }),
    standIn: { spare: spare.name, instead: standIn?.instead ?? address },
  };
}
