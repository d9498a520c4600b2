/** Instances that the spec and the state do not fit any more. */
import { describe, expect, it } from "vitest";
import { otherVolumes, otherVpc, type PresentMachines } from "./check-instances.ts";
import type { FoundInstance } from "./instances.ts";

const address = { address: "10.0.1.10", zone: null, lineage: "lineage-1" };

function present(id: string, device: string | null, volumeId: string | null): PresentMachines {
  const volumes = new Map([["/dev/xvda", "vol-root"], ...(device === null ? [] : [["/dev/sdf", device] as const])]);
  const instance = { id, machine: "m1", generation: 1, vpcId: "vpc-a", rootDevice: "/dev/xvda", volumes };
  const attributes = { instance_id: "i-1", vpc: "tag:Name=own", ...(volumeId === null ? {} : { volume_id: volumeId }) };
  return {
    recorded: [{ name: "m1", generation: 1, attributes }],
    instances: [instance as unknown as FoundInstance],
  };
}

describe("a data volume that was exchanged by hand", () => {
  it.each([
    ["the recorded one", present("i-1", "vol-old", "vol-old"), 1, null],
    ["another one", present("i-1", "vol-new", "vol-old"), 1, "vol-new, another volume than recorded: vol-old"],
    ["another one, of a machine that is replaced", present("i-1", "vol-new", "vol-old"), 2, null],
    ["none", present("i-1", null, "vol-old"), 1, null],
    ["one of a machine without a recorded one", present("i-1", "vol-new", null), 1, null],
    ["another one, of an instance that the state does not have", present("i-2", "vol-new", "vol-old"), 1, null],
  ])("is found by the volume at its device: %s", (_, machines, generation, said) => {
    const found = otherVolumes(machines, [{ name: "m1", generation, ...address }]);
    expect(found).toHaveLength(said === null ? 0 : 1);
    if (said !== null) expect(found[0]).toMatchObject({ severity: "error", summary: expect.stringContaining(said) });
  });
});

describe("a VPC of the spec", () => {
  it.each([
    ["that of the cluster", present("i-1", null, null), "vpc-a", 0],
    ["another one", present("i-1", null, null), "vpc-b", 1],
    ["another one than that of an instance of others", present("i-2", null, null), "vpc-b", 0],
  ])("is compared with that of the instances: %s", (_, machines, vpcId, errors) => {
    const found = otherVpc(machines, vpcId);
    expect(found).toHaveLength(errors);
    if (errors > 0)
      expect(found[0]).toMatchObject({
        code: "aws/other-vpc",
        detail: expect.stringContaining("Write `vpc: tag:Name=own`"),
        inSpec: { machine: null, key: "vpc" },
      });
  });
});
