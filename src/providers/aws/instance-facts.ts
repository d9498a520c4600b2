/** What creating an instance returns. */
import type { Attributes } from "../../plan/resource.ts";
import type { FoundInstance } from "./instances.ts";
import { dataDeviceName } from "./user-data.ts";

export function factsOf({ id, owner, ami, subnetId, zone, volumes }: FoundInstance): Attributes {
  const volume = volumes.get(dataDeviceName);
  return {
    instance_id: id,
    ami,
    subnet_id: subnetId,
    availability_zone: zone,
    ...(owner === "" ? {} : { owner_id: owner }),
    ...(volume === undefined ? {} : { volume_id: volume }),
  };
}
