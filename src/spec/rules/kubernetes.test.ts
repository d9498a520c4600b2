import { describe, expect, it } from "vitest";
import { specReader } from "../../providers/spec-reader.ts";

type Written = {
  readonly ports?: string;
  readonly masters?: string;
  readonly balancer?: string;
  readonly controlPlane?: string;
};

/** `kubernetes` is in line 13. */
function specWith(
  kubernetes: string,
  { ports = "", masters = "10.0.0.", balancer = "10.0.0.100", controlPlane = "" }: Written = {},
): string {
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  provider: { type: ssh }
  controlPlane:
    ${controlPlane || "engine: agent"}
    masters:
${["m1", "m2", "m3"].map((name, at) => `      - { name: ${name}, address: "${masters}${at + 1}" }`).join("\n")}
  loadBalancer: { address: "${balancer}", ${ports} }
  kubernetes: { ${kubernetes} }
`;
}

function told(text: string): readonly string[] {
  return specReader
    .parse("f", text)
    .diagnostics.map(({ range, summary }) => `${range?.start.line}:${range?.start.column} ${summary}`);
}

describe("kubernetes in a spec", () => {
  it("has defaults for everything but the version", () => {
    expect(specReader.parse("f", specWith("version: 1.35.4")).spec?.kubernetes).toEqual({
      version: "v1.35.4",
      clusterName: "demo",
      apiServerPort: 6443,
      endpointPort: 6443,
      podSubnet: null,
      serviceSubnet: "10.96.0.0/12",
      dnsDomain: "cluster.local",
      certSANs: [],
      criSocket: null,
      bootstrap: false,
    });
    expect(specReader.parse("f", specWith("").replace(/^ {2}kubernetes.*\n/m, "")).spec).not.toHaveProperty(
      "kubernetes",
    );
  });

  it.each<[string, string, string, Written?]>([
    ["no version", "", '13:3 spec.kubernetes has no "version"'],
    ["a version that is none", "version: latest", '13:26 spec.kubernetes.version is "latest"'],
    ["a version that is too old", "version: v1.30.9", "13:26 Kubernetes v1.30.9 is too old"],
    ["a subnet that is none", "version: 1.35.4, podSubnet: 10.0.0/8", '13:45 "10.0.0/8" is not a subnet'],
    ["a prefix that is too long", "version: 1.35.4, podSubnet: 10.244.0.0/33", '13:45 "10.244.0.0/33" is not a subnet'],
    [
      "two subnets of one family",
      "version: 1.35.4, podSubnet: '10.1.0.0/16,10.2.0.0/16'",
      "13:45 10.1.0.0/16,10.2.0.0/16 are two subnets of one address family",
    ],
    [
      "subnets that overlap",
      "version: 1.35.4, podSubnet: 10.100.0.0/16",
      "13:45 The subnets 10.100.0.0/16 of pods and 10.96.0.0/12 of services overlap",
    ],
    [
      "pods of a family without services",
      "version: 1.35.4, podSubnet: 'fd00:10::/56'",
      "13:45 Pods and services use different address families",
    ],
    [
      "hosts inside of a subnet",
      "version: 1.35.4, podSubnet: 10.0.0.0/16",
      "13:45 The subnet 10.0.0.0/16 contains the address 10.0.0.1 of the master at spec.controlPlane.masters[0].address",
    ],
    [
      "services of another family than the masters",
      "version: 1.35.4",
      "13:15 Services have the subnet 10.96.0.0/12, but the masters' addresses are of another family: fd00:1::1",
      { masters: "fd00:1::", balancer: "fd00:1::100" },
    ],
    [
      "an API server on the members' port",
      "version: 1.35.4, apiServerPort: 2380",
      "13:49 apiServerPort and peerPort are both 2380",
    ],
    [
      "the members' port at the load balancer",
      "version: 1.35.4, endpointPort: 2379",
      "13:48 The load balancer's port 2379 is for API servers and for members",
    ],
    [
      "a load balancer on a master's host",
      "version: 1.35.4",
      "13:15 The load balancer shares 10.0.0.3 with a master",
      { balancer: "10.0.0.3" },
    ],
    [
      "adopted members",
      "version: 1.35.4",
      "13:3 Kubernetes is configured for adopted members",
      { controlPlane: 'adopt: { endpoints: ["http://10.0.0.1:2379"] }' },
    ],
    ["an unknown key", "version: 1.35.4, podSubnets: 10.0.0.0/8", "13:34"],
  ])("is rejected with %s, with line and column", (_, kubernetes, expected, written) => {
    expect(told(specWith(kubernetes, written))).toContainEqual(expect.stringContaining(expected));
  });

  it.each<[string, string, Written?]>([
    [
      "dual stack",
      "version: 1.35.4, podSubnet: '10.244.0.0/16,fd00:10::/56', serviceSubnet: '10.96.0.0/12,fd00:96::/112'",
    ],
    ["IPv6", "version: 1.31.0, serviceSubnet: 'fd00:96::/112'", { masters: "fd00:1::", balancer: "fd00:1::100" }],
    [
      "another port on a shared host",
      "version: 1.35.4, endpointPort: 8443",
      { balancer: "10.0.0.3", ports: "ports: [12379]" },
    ],
    ["names as addresses", "version: 1.35.4", { masters: "master-", balancer: "api.example.com" }],
  ])("is accepted with %s", (_, kubernetes, written) => {
    expect(told(specWith(kubernetes, written))).toEqual([]);
  });
});
