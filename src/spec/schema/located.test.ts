import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Json } from "../../base/json.ts";
import { type ClusterShapes, clusterShapes } from "../declaration/cluster.ts";
import { pointerKeys } from "../finding.ts";
import { type Located, locate } from "./located.ts";

function located(value: Json): Located<ClusterShapes["cluster"], ClusterShapes> | null {
  return locate<ClusterShapes, "cluster">("cluster", clusterShapes, value);
}

function at(document: Json, pointer: string): unknown {
  return pointerKeys(pointer).reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], document);
}

describe("the located view of a document", () => {
  it("has each value with its pointer", () => {
    const document = {
      metadata: { name: "demo" },
      spec: {
        controlPlane: { clientPort: 4001, tls: { enabled: false }, zones: ["a", "b"], adopt: { endpoints: ["x"] } },
        workers: [{ name: "w1" }, { address: "10.0.0.2" }],
      },
    };
    const { metadata, spec } = located(document)!.entries;
    expect(metadata?.entries.name).toEqual({ pointer: "/metadata/name", value: "demo" });
    const { clientPort, tls, zones, adopt } = spec!.entries.controlPlane!.entries;
    expect(clientPort).toEqual({ pointer: "/spec/controlPlane/clientPort", value: 4001 });
    expect(tls.entries.enabled).toEqual({ pointer: "/spec/controlPlane/tls/enabled", value: false });
    expect(zones?.items).toEqual([
      { pointer: "/spec/controlPlane/zones/0", value: "a" },
      { pointer: "/spec/controlPlane/zones/1", value: "b" },
    ]);
    expect(adopt?.written).toEqual(["endpoints"]);
    expect(spec?.entries.workers.items.map((worker) => worker?.entries.address)).toEqual([
      null,
      { pointer: "/spec/workers/1/address", value: "10.0.0.2" },
    ]);
  });

  it("has defaults at the mapping that is written, and null where there is none", () => {
    const { spec, metadata } = located({ spec: { controlPlane: {} } })!.entries;
    expect(metadata).toBeNull();
    const { controlPlane, policy, workers, state } = spec!.entries;
    expect(controlPlane?.entries.peerPort).toEqual({ pointer: "/spec/controlPlane", value: 2380 });
    expect(controlPlane?.entries.members).toBeNull();
    expect(policy.entries.healthSamples).toEqual({ pointer: "/spec", value: 3 });
    expect(policy.written).toEqual([]);
    expect(workers).toEqual({ pointer: "/spec", items: [] });
    expect(state.entries.etcd).toBeNull();
  });

  it("takes the default for what has the wrong type", () => {
    const { controlPlane, policy } = located({
      spec: { controlPlane: { clientPort: "4001", peerPort: 1.5, members: "3", zones: [1, "b"] }, policy: [] },
    })!.entries.spec!.entries;
    expect(controlPlane?.entries.clientPort.value).toBe(2379);
    expect(controlPlane?.entries.peerPort.value).toBe(2380);
    expect(controlPlane?.entries.members).toBeNull();
    expect(controlPlane?.entries.zones?.items).toEqual([null, { pointer: "/spec/controlPlane/zones/1", value: "b" }]);
    expect(policy.entries.renewBeforeDays.value).toBe(90);
    expect([null, 3, "text", [], true].map(located)).toEqual([null, null, null, null, null]);
  });

  it("points at the value that it has, whatever the document holds", () => {
    const keys = fc.constantFrom(
      "spec",
      "controlPlane",
      "clientPort",
      "zones",
      "workers",
      "name",
      "state",
      "__proto__",
    );
    const json = fc.letrec<{ value: Json }>((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom<Json>(null, true, 3, "text", -1.5),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(keys, tie("value"), { maxKeys: 4 }),
      ),
    })).value;
    fc.assert(
      fc.property(json, (controlPlane) => {
        const document = { spec: { controlPlane, workers: [controlPlane] } };
        const entries = located(document)!.entries.spec!.entries.controlPlane?.entries;
        for (const entry of [entries?.clientPort, ...(entries?.zones?.items ?? [])]) {
          if (!entry || entry.pointer === "/spec/controlPlane") continue;
          expect(at(document, entry.pointer)).toBe(entry.value);
        }
      }),
    );
  });
});
