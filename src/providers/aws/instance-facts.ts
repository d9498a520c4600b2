/** What creating an instance returns. */
import type { Attributes } from "../../plan/resource.ts";
import type { FoundInstance } from "./instances.ts";
import { dataDeviceName } from "./user-data.ts";

/** `attributes`: those of its machine. What others attach to the device of a machine without a data volume is none. */
export function factsOf(
  { id, owner, ami, subnetId, zone, volumes }: FoundInstance,
  attributes: Attributes,
): Attributes {
  const volume = hasDataVolume(attributes) ? volumes.get(dataDeviceName) : undefined;
  return {
    instance_id: id,
    ami,
    subnet_id: subnetId,
    availability_zone: zone,
    ...(owner === "" ? {} : { owner_id: owner }),
    ...(volume === undefined ? {} : { volume_id: volume }),
  };
}

export function hasDataVolume(attributes: Attributes): boolean {
  return attributes["volume_size"] !== undefined;
}
